import re

import pytest
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.figures.heatmap import save_heatmap
from geneb_jax.presentation.figures.save import CAPTIONS, FIGURES, TITLES, save_figures
from geneb_jax.presentation.published import model_labels, published_results
from geneb_jax.presentation.results import labels_of


@pytest.fixture(scope="module")
def published():
    return published_results()


def few_models(published):
    """Three models on four tasks, two of one category: quick to draw."""
    tasks = published["task"].unique()[[0, 1, 40, 70]]
    models = ["LucaOne", "SPACE", "GROVER"]
    return published[published["model"].isin(models) & published["task"].isin(tasks)]


@pytest.mark.filterwarnings("error:constrained_layout not applied")
@pytest.mark.parametrize(
    ("models", "tasks", "regimes"),
    [(3, 40, ["full"]), (1, 1, ["full", "10shot", "1shot"]), (2, 5, ["1shot"])],
)
def test_parts_of_a_benchmark_give_figures(published, tmp_path, models, tasks, regimes):
    names = published["model"].unique()[:models]
    some = published[
        published["model"].isin(names)
        & published["task"].isin(published["task"].unique()[:tasks])
        & published["regime"].isin(regimes)
    ].replace({names[0]: "without labels", published["task"].unique()[0]: "synthetic"})
    labels = labels_of(list(some["model"].unique()), model_labels())
    drawn = save_figures(some, labels, tmp_path)
    assert bool(drawn) == ("full" in regimes)
    assert ("few_shot" in drawn) == (len(regimes) == 3)
    assert ("wins" in drawn) == (models > 1 and "full" in regimes)
    assert ("size_and_score" in drawn) == (models > 2)  # one of them has no label
    for name in drawn:
        assert (tmp_path / f"{name}.svg").stat().st_size > 1000
    captions = (tmp_path / "captions.md").read_text()
    assert [line[4 : line.index("**:")] for line in captions.splitlines()] == drawn
    assert not [line for line in captions.splitlines() if "?." in line or ".." in line]


def test_models_without_sizes_draw_no_sizes_and_old_files_go(published, tmp_path):
    kmers = few_models(published).replace({"LucaOne": "kmer-1", "SPACE": "kmer-2", "GROVER": "k"})
    (tmp_path / "size_and_score.png").touch()
    (tmp_path / "scores.png").touch()  # of a run, by another call
    labels = labels_of(list(kmers["model"].unique()), model_labels())
    drawn = save_figures(kmers[kmers["regime"] == "full"], labels, tmp_path)
    assert not {"size_and_score", "size_and_score_by_category"} & set(drawn)
    assert not (tmp_path / "size_and_score.png").exists()
    assert (tmp_path / "scores.png").exists()


def test_every_figure_has_a_title_and_says_what_to_see():
    assert all(TITLES.values())
    assert all(len(caption) > 40 and caption.endswith(".") for caption in CAPTIONS.values())


@pytest.mark.filterwarnings("error:constrained_layout not applied")
def test_long_names_leave_room_for_what_is_drawn(published, tmp_path):
    longest = "nucleotide-transformer-v2-50m-multi-species:random:tiny"
    some = few_models(published).replace({"LucaOne": longest})
    labels = labels_of(list(some["model"].unique()), model_labels())
    assert set(FIGURES) <= set(save_figures(some, labels, tmp_path))


def test_figures_of_a_run(published, tmp_path):
    rows = [
        {"model": model, "C": C, "MCC": 0.1 * i + C / 100, "probe": probe, "solver": solver}
        for i, model in enumerate("abc")
        for C, probe, solver in ((0.1, "logistic", "geneb"), (1.0, "logistic", "geneb"),
                                 (1.0, "logistic", "converged"), (1.0, "mlp", "adam"))
    ]  # fmt: skip
    some = few_models(published).query("regime == '1shot'")  # none of the paper's figures
    taken = {"a": {"embed": 3.0, "probe": 1.0}, "b": {"embed": 2.0}}
    drawn = save_figures(some, model_labels(), tmp_path, table(*rows), taken)
    assert {"strength_sensitivity", "linear_against_mlp", "solvers", "throughput"} <= set(drawn)
    drawn = save_figures(some, model_labels(), tmp_path, table({"model": "a"}), {})
    assert not {"strength_sensitivity", "linear_against_mlp", "solvers"} & set(drawn)


def test_the_same_scores_give_the_same_figures(published, tmp_path):
    some = few_models(published)
    for folder in ("one", "two"):
        assert set(FIGURES) <= set(save_figures(some, model_labels(), tmp_path / folder))
    for path in (tmp_path / "one").glob("*.svg"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_names_with_dollars_are_no_formulas_in_figures(published, tmp_path):
    # Matplotlib would refuse to draw this one: its formula is none.
    name = r"embeddings:/data/$\bad{$"
    results = few_models(published).replace({"model": {"LucaOne": name}})
    labels = labels_of(list(results["model"].unique()), model_labels())
    save_figures(results, labels, tmp_path)
    scores = table({"model": name}, {"model": "kmer-4"})
    for path in save_heatmap(scores, tmp_path):
        assert path.stat().st_size > 1000


def test_a_heat_map_has_a_column_a_custom_task_and_no_mean_over_them(tmp_path):
    scores = table(
        {"MCC": 0.5},
        {"task": "mine", "category": CUSTOM, "MCC": 0.2},
        {"task": "yours", "category": CUSTOM, "MCC": 0.6},
    )
    for some, categories in ((scores, [GENEB.tasks[0].category]), (scores[1:], [])):
        svg, _ = save_heatmap(some, tmp_path)
        texts = re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8"))
        named = {GENEB.tasks[0].category, "mine", "yours", CUSTOM}
        assert [text for text in texts if text in named] == [*categories, "mine", "yours"]


def test_the_same_heat_map_gives_the_same_files(tmp_path):
    scores = table({"model": "kmer-2"}, {"model": "kmer-4"})
    first, second = (save_heatmap(scores, tmp_path / name) for name in ("first", "second"))
    for before, after in zip(first, second, strict=True):
        assert before.read_bytes() == after.read_bytes(), before.name
