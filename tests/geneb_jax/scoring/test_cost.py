import dataclasses

import pytest

from geneb_jax.config import default_config, parse_config
from geneb_jax.embedding.source import Cost, SourcePlan
from geneb_jax.scoring.cost import is_known, probing_in_all, probing_seconds, showing_seconds
from geneb_jax.tasks.sizes import TaskSize, sizes_of
from geneb_jax.tasks.synthetic import synthetic_tasks

SETTINGS = parse_config(default_config())
PLAIN = SETTINGS.probes
FULL = dataclasses.replace(PLAIN, regimes=(None,))
FEW = dataclasses.replace(PLAIN, regimes=(10, 1))


# Processor seconds, as docs/measured.md has them: made embeddings, 2,000 test rows, C = 1.
@pytest.mark.parametrize(
    ("rows", "width", "classes", "full", "few"),
    [
        (2000, 256, 2, 0.084, 0.028),
        (2000, 1024, 2, 0.375, 0.061),
        (8000, 512, 2, 1.04, 0.039),
        (2000, 512, 4, 1.03, 0.216),
        (8000, 1024, 2, 2.91, 0.044),
        (8000, 256, 3, 0.83, 0.088),
        (20000, 512, 2, 3.01, 0.031),
    ],
)
def test_the_seconds_are_near_those_that_were_measured(rows, width, classes, full, few):
    size = TaskSize("made", rows, 2000, classes)
    assert probing_seconds(size, width, FULL) == pytest.approx(full, rel=1.0, abs=0.05)
    assert probing_seconds(size, width, FULL) > full / 2
    assert probing_seconds(size, width, FEW) == pytest.approx(few, rel=1.0)
    assert probing_seconds(size, width, FEW) > few / 2


def test_small_tasks_take_what_they_took():
    # The quickstart's 13 tasks, by its run.json: 4-mers, and embeddings of a tiny random model.
    sizes = sizes_of(synthetic_tasks())
    for width, iterations, seconds in ((256, 15, 0.22), (32, 330, 0.53)):
        found = sum(probing_seconds(size, width, PLAIN, iterations) for size in sizes)
        assert seconds < found < 3 * seconds


def test_the_seconds_grow_with_what_is_fitted():
    size = TaskSize("a", 1000, 500, 2)
    five = dataclasses.replace(FULL, C=(0.01, 0.1, 1.0, 10.0, 100.0))
    overhead = probing_seconds(TaskSize("none", 0, 0, 2), 64, FULL)
    of_one, of_five = (probing_seconds(size, 64, each) - overhead for each in (FULL, five))
    assert of_five == pytest.approx(5 * of_one)
    # Fits that are compiled share most of what five strengths take.
    large = TaskSize("b", 2**18, 0, 2)
    shared = [probing_seconds(large, 512, each) - overhead for each in (FULL, five)]
    assert shared[1] / shared[0] == pytest.approx(1 + 4 / 4)
    frequencies = probing_seconds(large, 256, FULL, iterations=15) - overhead
    assert frequencies == pytest.approx((probing_seconds(large, 256, FULL) - overhead) / 22)


def test_a_models_probes_are_those_of_its_views_and_tasks():
    sizes = [TaskSize("a", 1000, 500, 2), TaskSize("b", 300, 100, 5)]
    plan = SourcePlan(lambda _: Cost(0), 64)
    seconds = sum(probing_seconds(size, 64, PLAIN) for size in sizes)
    assert probing_in_all(sizes, plan, PLAIN) == pytest.approx(seconds)
    unknown = dataclasses.replace(plan, width=0)
    assert probing_in_all(sizes, unknown, PLAIN) is None
    assert probing_in_all([], unknown, PLAIN) == 0


def test_what_is_fitted_otherwise_is_not_known():
    assert is_known(PLAIN) and is_known(dataclasses.replace(PLAIN, C=(1.0, 10.0)))
    assert not is_known(dataclasses.replace(PLAIN, probes=("mlp",)))


def test_tables_and_report_take_as_long_as_was_measured():
    # The published scores, of which no predictions are kept, and three models on 29 real tasks.
    published = [TaskSize(str(i), 0, 0, 2) for i in range(100)]
    assert showing_seconds(published, 40, SETTINGS) == pytest.approx(19, rel=0.25)
    real = [TaskSize("", 0, 101_888 // 29, 2)] * 29
    assert showing_seconds(real, 3, SETTINGS) == pytest.approx(12, rel=0.25)
    without = dataclasses.replace(SETTINGS.output, report=False)
    assert showing_seconds(real, 3, dataclasses.replace(SETTINGS, output=without)) == 0
