"""The report in a browser: what a reader does with it."""

import base64
import csv
import io
import itertools
import json
import re
import shutil
import urllib.parse
from xml.etree import ElementTree as ET

import markupsafe
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_rows import table
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import present as showing
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.report import report_data, write_report
from geneb_jax.presentation.report_sections import audit_sections
from geneb_jax.presentation.results import run_results
from geneb_jax.presentation.verdicts import Verdict, leaky_table
from geneb_jax.scoring.scores import METRIC_COLUMNS
from geneb_jax.tasks.sizes import published_sizes

MINE = "kmer-4 <b>&</script>"  # names come from files: they must not become markup
UNSEEN = {
    "DNABERT-2": {
        "mine": {
            "unknown letters": {"records": 80, "of": 100, "first": "train row 1", "letters": "ag"},
            "cut": {"records": 1, "of": 100, "first": "test row 2"},
        },
        "<b>": {
            "unknown letters": {"records": 920, "of": 1000, "first": "test row 1", "letters": "N"}
        },
    }
}
ROWS = [
    {"model": MINE, "task": task.id, "category": task.category, "regime": regime,
     "MCC": mcc + (0.01 * i if regime != "full" else 0), "seed": seed}
    for task in GENEB.tasks[:3]
    for regime, mcc in (("full", 0.9), ("10shot", 0.2), ("1shot", 0.1))
    for i, seed in enumerate(GENEB.seeds)
] + [{"model": MINE, "regime": "full", "MCC": 0.3, "converged": False,
      "task": "mine", "category": "custom"}]  # fmt: skip
OF_MODELS = {
    MINE: {
        "sure": {
            "full": {
                "interval": [0.8, 0.95],
                "ranks": [1, 2],
                "group": "a",
                "tasks": 3,
                "models": 2,
            }
        }
    }
}
INTERVALS = pd.DataFrame(
    {"question": ["tasks"], "regime": "full", "model": "LucaOne", "macro": 0.6, "low": 0.5,
     "high": 0.7, "rank": 1, "rank low": 1, "rank high": 2, "group": "a", "tasks": 100}
)  # fmt: skip
TASK = GENEB.tasks[0]
OF_TASKS = {TASK.id: {"verdict": "leaky", "reasons": ["its copies", "its twins"], "copies": 12}}
PROVENANCE = {
    "packages": {"jax": "0.10"},
    "seconds": {"total": 3.0},
    "unseen": UNSEEN,
    "config": {"max_train": 50, "tasks_dir": "tasks"},
    "tasks": {TASK.id: {"train": {"rows": 50}}},
    "models": {MINE: {"numerics": 1}},
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    scores = table(*ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(showing, "_of_models", lambda macro: OF_MODELS)
        patch.setattr(showing, "_of_tasks", lambda audit: OF_TASKS)
        showing.present(run_results(scores), folder, scores=scores, provenance=PROVENANCE)
    return folder / "report" / "index.html"


BETTER, WORSE = "zeta", "alpha"
SHOTS = {BETTER: (0.6, 0.7, 0.8, 0.65, 0.75), WORSE: (0.5, 0.3, 0.4, 0.35, 0.45)}


@pytest.fixture(scope="module")
def custom_page(tmp_path_factory):
    """The report of two models on two custom tasks, the second of which turns them around."""
    return two_models_page(tmp_path_factory.mktemp("custom"), {"mine": "custom", "yours": "custom"})


@pytest.fixture(scope="module")
def two_models_on_benchmark_tasks(tmp_path_factory):
    """The same report on two tasks of the benchmark."""
    tasks = {task.id: task.category for task in GENEB.tasks[:2]}
    return two_models_page(tmp_path_factory.mktemp("benchmark"), tasks)


def two_models_page(folder, categories):
    """The report of two models on two tasks, the second of which turns them around."""
    rows = [
        {"model": model, "task": task, "category": category, "regime": regime, "seed": seed,
         "MCC": sign * (0.1 if regime == "full" and model == WORSE else value)}
        for model, values in SHOTS.items()
        for (task, category), sign in zip(categories.items(), (1, -1), strict=True)
        for regime in ("full", "10shot")
        for seed, value in zip(GENEB.seeds, [0.2] * 5 if regime == "full" else values, strict=True)
    ]  # fmt: skip
    scores = table(*rows)
    showing.present(run_results(scores), folder, scores=scores, provenance={"models": {"m": {}}})
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "window-size=1280,900", f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    chrome.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)}
    )
    yield chrome
    chrome.quit()


def show(browser, page, **state):
    # Another address first: a change of the fragment alone would not load the page anew.
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{urllib.parse.urlencode(state, doseq=True)}")
    return browser


@pytest.fixture
def opened(browser, page):
    return show(browser, page)


@pytest.fixture
def phone(browser):
    device = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def cells(browser, where="#board-table"):
    """The texts of a table: its header, then its rows."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0] + ' tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))",
        where,
    )


def column(browser, name, where="#board-table"):
    header, *rows = cells(browser, where)
    return [row[header.index(name)] for row in rows]


def choose(browser, name, text):
    Select(browser.find_element(By.ID, f"choice-{name}")).select_by_visible_text(text)


def press(browser, key):
    browser.execute_script("document.querySelector(`[data-key='${arguments[0]}']`).click()", key)


def downloaded(browser, downloads, key, name):
    press(browser, key)
    path = downloads / name
    WebDriverWait(browser, 20).until(lambda _: path.is_file() and path.stat().st_size)
    content = path.read_bytes()
    path.unlink()
    return content


def full_scores():
    return published_results().query("regime == 'full'").pivot(
        index="task", columns="model", values="MCC"
    )  # fmt: skip


def test_it_opens_without_complaint_and_without_a_network(browser, page):
    for view in ("board", "compare", "tasks", "figures", "limits", "cite", "everything"):
        show(browser, page, view=view, model="LucaOne", task=TASK.id)
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
    assert len(page.read_bytes()) < 5e6
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map((r) => r.name)"
    )
    assert all(name.startswith("data:") for name in loaded)
    assert "http-equiv" in page.read_text(encoding="utf-8")


def test_models_of_the_run_stand_beside_the_published_on_the_tasks_they_have(opened):
    assert column(opened, "model")[0] == MINE
    assert len(column(opened, "model")) == 41
    assert float(column(opened, "score")[0]) == 0.9
    said = opened.find_element(By.ID, "board-run").text
    assert said == f"Models of this run: {MINE} 0.900 (rank 1)."
    choose(opened, "tasks", "all")
    # Three tasks of a hundred: no rank, and below all that have one, whatever the average.
    assert column(opened, "model")[-1] == MINE
    assert column(opened, "rank")[:1] + column(opened, "rank")[-1:] == ["1", "–"]
    assert "the more they lack" in opened.find_element(By.ID, "board-shown").text
    # The custom task is in no average, and has none of its own.
    scores = Select(opened.find_element(By.ID, "choice-score")).options
    assert "custom" not in [option.text for option in scores]
    said = opened.find_element(By.ID, "board-custom").text
    assert said == "1 custom task, in no average: their scores are in the list of tasks."


def test_scores_are_the_published_averages(opened):
    choose(opened, "tasks", "all")
    choose(opened, "regime", "10-shot")
    results = published_results()
    rows = results[results["regime"] == "10shot"]
    macro = rows.pivot_table(index="model", columns="category", values="MCC").mean(axis=1)
    found = dict(zip(column(opened, "model"), map(float, column(opened, "score")), strict=True))
    del found[MINE]
    assert found == pytest.approx(macro.to_dict(), abs=5.01e-4)


def test_sorting_by_keyboard_keeps_the_focus(opened):
    def header(name):
        return opened.find_element(By.XPATH, f"//section[@id='board']//th/button[text()='{name}']")

    header("model").send_keys(Keys.ENTER)
    names = column(opened, "model")
    lower = [name.lower() for name in names]
    assert lower == sorted(lower)
    assert header("model").find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    opened.switch_to.active_element.send_keys(Keys.SPACE)
    assert column(opened, "model") == names[::-1]
    header("score").send_keys(Keys.ENTER)
    scores = list(map(float, column(opened, "score")))
    assert scores == sorted(scores, reverse=True)


def test_filters_and_a_search_for_several_names(opened):
    search = opened.find_element(By.ID, "search")
    search.send_keys("nt-v2, luca")
    names = column(opened, "model")
    assert len(names) == 5
    assert "LucaOne" in names
    opened.find_element(By.TAG_NAME, "summary").click()
    choose(opened, "size", "100M-500M")
    assert sorted(column(opened, "model")) == ["NT-v2-100M-MS", "NT-v2-250M-MS"]
    assert opened.find_element(By.ID, "board-shown").text.startswith("2 of 41 models")
    choose(opened, "architecture", "Hyena")
    assert column(opened, "model") == []


@pytest.mark.parametrize("count", [8, 9])
def test_the_models_of_the_run_are_shown_alone_by_a_choice_that_is_seen(browser, tmp_path, count):
    path, published = tmp_path / "index.html", published_results()
    names = {name: f"own-{i}" for i, name in enumerate(published["model"].unique()[:count])}
    own = published[published["model"].isin(names)].replace({"model": names})
    write_report(path, pd.concat([published, own]), list(names.values()))
    show(browser, path)
    assert len(column(browser, "model")) == 40 + count
    said = browser.find_element(By.ID, "board-run").text
    assert len(re.findall(r"own-\d", said)) == 8
    assert said.endswith("." if count == 8 else ", and 1 other.")
    assert not browser.find_element(By.ID, "choice-size").is_displayed()  # below the fold
    assert browser.find_element(By.ID, "choice-source").is_displayed()
    choose(browser, "source", "the submissions")
    assert sorted(column(browser, "model")) == sorted(names.values())
    choose(browser, "source", "paper")
    assert len(column(browser, "model")) == 40


def test_the_whole_head_of_a_column_sorts(browser, page):
    """Heads of categories are tall, and so are the cells beside them."""
    show(browser, page, columns=[TASK.category, "parameters"])
    corners = browser.execute_script(
        "document.querySelector('#board-table th').scrollIntoView({block: 'center'});"
        "return [...document.querySelectorAll('#board-table th[aria-sort]')].map((head) => {"
        "  const {left, right, top, bottom} = head.getBoundingClientRect();"
        "  return [[left + 3, top + 3], [right - 3, bottom - 3]].map(([x, y]) =>"
        "    head.querySelector('button') === document.elementFromPoint(x, y)); })"
    )
    assert len(corners) > 4
    assert all(itertools.chain.from_iterable(corners))
    before = column(browser, "model")
    head = browser.find_element(By.CSS_SELECTOR, "[data-key='sort parameters']")
    cell = head.find_element(By.XPATH, "..")
    assert cell.size["height"] > 3 * head.size["height"]
    ActionChains(browser).move_to_element_with_offset(
        cell, 0, -cell.size["height"] // 2 + 4
    ).click().perform()
    assert column(browser, "model") != before
    assert browser.find_element(By.CSS_SELECTOR, "th[aria-sort=descending]").text.startswith("size")


def test_a_board_of_all_categories_is_no_wider_than_a_screen(browser, page):
    show(browser, page, tasks="all")
    wide, shown = browser.execute_script(
        "const part = document.querySelector('#board-table .scroll');"
        "return [part.scrollWidth, part.clientWidth]"
    )
    assert len(cells(browser)[0]) == 7 + len(GENEB.categories)
    assert wide <= shown


def test_a_task_of_the_users_files_says_whose_data_these_are(browser, page):
    show(browser, page, view="task", task=TASK.id)
    shown = browser.find_element(By.ID, "task-body").text
    assert "data of the published scores\nfiles in GENEB's data set" in shown
    assert "data of this run\nfiles of its user's folder" in shown
    show(browser, page, view="task", task=GENEB.tasks[50].id)
    shown = browser.find_element(By.ID, "task-body").text
    assert "\ndata\nfiles in GENEB's data set" in shown and "data of this run" not in shown


def test_a_link_reproduces_the_view_and_back_and_forward_work(opened, page):
    opened.find_element(By.ID, "search").send_keys("gen")
    choose(opened, "regime", "1-shot")
    opened.find_element(By.TAG_NAME, "summary").click()
    press(opened, "column tokenization")
    press(opened, "choose GENA-LM")
    press(opened, "sort parameters")
    seen, address = cells(opened), opened.current_url
    assert "tokenization" in seen[0]
    opened.get("about:blank")
    opened.get(address)
    assert cells(opened) == seen
    assert opened.find_element(By.ID, "search").get_attribute("value") == "gen"
    assert (
        Select(opened.find_element(By.ID, "choice-regime")).first_selected_option.text == "1-shot"
    )
    ticked = opened.find_elements(By.CSS_SELECTOR, "#board-table input:checked")
    assert [box.get_attribute("aria-label") for box in ticked] == ["Compare GENA-LM"]
    opened.find_element(By.LINK_TEXT, "GENA-LM").click()
    WebDriverWait(opened, 5).until(lambda b: b.title.startswith("GENA-LM"))
    opened.back()
    WebDriverWait(opened, 5).until(lambda b: b.title == "GENEB report")
    assert cells(opened) == seen
    opened.forward()
    WebDriverWait(opened, 5).until(lambda b: b.title.startswith("GENA-LM"))
    assert (
        Select(opened.find_element(By.ID, "choice-regime")).first_selected_option.text == "1-shot"
    )


def test_any_name_goes_through_the_address(opened, page):
    names = [MINE, "a,b", "embeddings:/x y/#1?%20&=+", "ü 🧬"]
    found = opened.execute_script(
        "state = {...state, model: arguments[0][2], chosen: arguments[0], columns: []};"
        "const again = read(address()); return [again.model, again.chosen, again.columns]",
        names,
    )
    assert found == [names[2], names, []]
    opened.find_element(By.LINK_TEXT, MINE).click()
    WebDriverWait(opened, 5).until(lambda b: b.title.startswith(MINE))
    assert opened.find_element(By.ID, "model-title").text == MINE
    assert "version of the code's numerics" in opened.find_element(By.ID, "model-body").text


def test_an_address_may_name_things_as_people_do(browser, page):
    show(browser, page, view="task", task=TASK.label.lower())
    assert browser.find_element(By.ID, "task-title").text == TASK.label
    show(browser, page, view="model", model="lucaone", chosen=["grover", "Space"])
    assert browser.find_element(By.ID, "model-title").text == "LucaOne"
    assert not browser.find_element(By.ID, "unknown").is_displayed()
    assert browser.execute_script("return state.chosen") == ["GROVER", "SPACE"]


def test_models_are_added_to_a_comparison_and_left_out(browser, page):
    def compared():
        return [
            each.text.split()[0]
            for each in browser.find_elements(By.CSS_SELECTOR, "#compare-chosen a")
        ]

    show(browser, page, view="compare")
    assert len(compared()) == 2  # the best of the run and the best other
    Select(browser.find_element(By.ID, "compare-add")).select_by_visible_text("SPACE")
    assert compared()[2] == "SPACE"
    press(browser, "first SPACE")
    assert compared()[0] == "SPACE"
    assert browser.find_element(By.ID, "compare-summary").text.startswith("SPACE is better than")
    press(browser, "drop SPACE")
    assert "SPACE" not in compared()
    show(browser, page, view="compare", chosen=["SPACE"])
    assert "second model" in browser.find_element(By.ID, "compare-body").text
    show(browser, page, view="compare", chosen=["SPACE", "GROVER"], metric="AUROC")
    said = browser.find_element(By.ID, "compare-body").text
    assert "No task has AUROC in full of all of these models" in said
    assert "SPACE 0, GROVER 0" in said


def test_an_address_of_another_report_falls_back_to_what_is_there(browser, page):
    show(browser, page, view="nothing", regime="7shot", sort="-nothing", model="nobody")
    assert len(column(browser, "model")) == 41
    show(browser, page, view="model", model="nobody")
    assert "no model 'nobody'" in browser.find_element(By.ID, "model-body").text


def test_downloads_hold_what_is_shown(browser, page, downloads):
    show(browser, page, search="luca,kmer", columns=["architecture", "Histone Mod."])
    content = downloaded(browser, downloads, "leaderboard csv", "geneb_leaderboard_full.csv")
    header, *rows = csv.reader(io.StringIO(content.decode()))
    shown_header, *shown_rows = cells(browser)
    assert header == [name.removesuffix(" ▼") for name in shown_header[1:]]
    assert [row[1] for row in rows] == [row[2] for row in shown_rows] == [MINE, "LucaOne"]
    for row, shown in zip(rows, shown_rows, strict=True):
        assert f"{float(row[2]):.3f}" == shown[3]
        assert f"{float(row[4]):.2f}" == shown[5]
    content = json.loads(
        downloaded(browser, downloads, "leaderboard json", "geneb_leaderboard_full.json")
    )
    assert (content["regime"], content["metric"], content["score"]) == ("full", "MCC", "macro")
    assert [row["model"] for row in content["rows"]] == [MINE, "LucaOne"]
    assert content["rows"][1]["Histone Mod."] == pytest.approx(float(rows[1][4]))


def test_averages_of_fewer_tasks_stand_below_those_of_more(browser, tmp_path):
    made = pd.DataFrame(
        [("high", "x", 0.9), ("low", "x", 0.1), ("low", "y", 0.1), ("mid", "z", 0.5)],
        columns=["model", "task", "MCC"],
    ).assign(category="Promoters", regime="full")
    page = tmp_path / "index.html"
    write_report(page, made.reindex(columns=[*made, *set(METRIC_COLUMNS) - {"MCC"}]))
    show(browser, page, tasks="all")
    # Nobody has all three tasks, so nobody has a rank.
    assert column(browser, "model") == ["low", "high", "mid"]
    assert column(browser, "rank") == ["–"] * 3


SPREAD = GENEB.tasks[: 3 * 30 : 3]  # over the categories
LACKING = {"zeta": 30, "alpha": 30, "nearly": 28, "lame": 10}  # tasks of each model of a run


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """The report of a run of five models: one lacks two tasks, one most, and one all of them."""
    folder = tmp_path_factory.mktemp("lacking")
    rng = np.random.default_rng(3)
    rows = [
        {"model": model, "task": task.id, "category": task.category, "MCC": rng.uniform(0.2, 0.8)}
        for model, count in LACKING.items()
        for task in SPREAD[:count]
    ]
    failed = [("lame", task.id) for task in SPREAD[10:]]
    failed += [("GENERator-eukaryote-3b-base", ""), ("", GENEB.tasks[1].id)]
    failures = [{"model": model, "task": task, "stage": "embed", "reason": "out of memory"}
                for model, task in failed]  # fmt: skip
    scores = table(*rows)
    showing.present(run_results(scores), folder, scores=scores, provenance={"failures": failures})
    return folder / "report" / "index.html", scores.pivot(
        index="task", columns="model", values="MCC"
    )


def test_models_that_lack_tasks_are_named_and_take_none_from_the_others(browser, lacking):
    page, mcc = lacking
    show(browser, page)
    said = browser.find_element(By.ID, "board-compared")
    assert said.text == (
        "Of the 30 tasks of this run nearly has 28; lame has 10 and GENERator-Eukaryote-3B has "
        "none, too few to be compared (less than nine tenths of what another model has): macro is "
        "over the 28 tasks that all other models of this run have. What failed"
    )
    header = browser.find_element(By.TAG_NAME, "header").text
    assert "4 of 5 models of this run (all but GENERator-Eukaryote-3B, which failed)" in header
    found = dict(zip(column(browser, "model"), column(browser, "score"), strict=True))
    category = {task.id: task.category for task in GENEB.tasks}
    shared = mcc.dropna(subset=["zeta", "alpha", "nearly"])
    macro = shared.groupby(category).mean().mean()
    assert len(shared) == 28
    for model in ("zeta", "alpha", "nearly"):
        assert float(found[model]) == pytest.approx(macro[model], abs=5.01e-4)
    ranks = dict(zip(column(browser, "model"), column(browser, "rank"), strict=True))
    assert ranks["lame"] == "–" and column(browser, "model")[-1] == "lame"
    # Their intervals are of the same models and tasks, so that they stand beside them.
    show(browser, page, columns="interval")
    intervals = dict(zip(column(browser, "model"), column(browser, "95 % interval"), strict=True))
    assert [intervals[model] != "–" for model in LACKING] == [True, True, True, False]
    first, second = (row.split()[0] for row in browser.find_element(
        By.ID, "board-run").text.removeprefix("Models of this run: ").split(", ")[:2])  # fmt: skip
    assert {first, second} == set(macro.nlargest(2).index) - {"lame"}
    choose(browser, "tasks", "all")
    said = browser.find_element(By.ID, "board-compared")
    assert "macro is over" not in said.text and "lame has 10" in said.text
    said.find_element(By.TAG_NAME, "a").click()
    assert browser.find_element(By.ID, "limits").is_displayed()


def test_nobody_is_said_to_lack_tasks_where_all_have_them(opened):
    assert not opened.find_element(By.ID, "board-compared").is_displayed()


def test_intervals_and_counts_are_saved_as_numbers(browser, page, downloads):
    show(browser, page, view="compare", chosen=["LucaOne", "GROVER"], tasks="all")
    content = downloaded(browser, downloads, "comparison csv", "geneb_comparison_full.csv")
    saved = pd.read_csv(io.BytesIO(content)).set_index("category")
    pair = "LucaOne − GROVER"
    low, high = saved.loc["macro", [f"{pair}, 95 % low", f"{pair}, 95 % high"]]
    full = full_scores()
    assert saved.loc["macro", "wins of LucaOne over GROVER"] == sum(
        full["LucaOne"] > full["GROVER"]
    )
    assert low < saved.loc["macro", pair] < high
    summary = browser.find_element(By.ID, "compare-summary").text.replace("−", "-")
    assert f"(95 %: {low:.3f} to {high:.3f})" in summary
    assert all(map(pd.api.types.is_numeric_dtype, saved.dtypes))


def test_tables_of_the_audit_follow_the_regime(browser, tmp_path):
    lift = pd.DataFrame({"regime": ["full", "10shot", "10shot"], "model": ["a", "b", "c"]})
    page = tmp_path / "index.html"
    write_report(page, published_results(), audit={"lift": lift})
    show(browser, page, view="audit", regime="10shot")
    rows = browser.find_elements(By.CSS_SELECTOR, "#audit tbody tr")
    assert [row.text for row in rows if row.is_displayed()] == ["10shot b", "10shot c"]
    assert "No records of tasks were audited" in browser.find_element(By.ID, "audit").text


UNSAVED = """
const parts = [...document.querySelectorAll("main .scroll, main .downloads")];
return parts.filter((part, i) => part.matches(".scroll") && !parts[i + 1]?.matches(".downloads"))
  .map((part) => part.ariaLabel)
"""


def test_every_table_can_be_saved(browser, page, lacking):
    for each in (page, lacking[0]):
        show(browser, each, view="everything", model="GROVER", task=TASK.id, regime="10shot")
        # The button behind the table of the worst tasks saves all of them.
        assert browser.execute_script(UNSAVED) == ["Best tasks against the others"]


def test_tables_of_audit_statements_and_limits_are_saved_with_all_digits(
    browser, downloads, tmp_path
):
    lift = pd.DataFrame(
        {"regime": ["10shot", "full", "10shot"], "model": ["a", "b", "c"],
         "macro lift": [0.1 + 1e-15, 0.2, np.nan], "tasks": [1000, 2, 3]}
    )  # fmt: skip
    statistics = pd.DataFrame(
        {"statistic": ["rho", "unknown"], "ours": [1 / 3, np.nan], "paper": [0.5, 1.0],
         "difference": [1 / 3 - 0.5, np.nan], "note": ""}
    )  # fmt: skip
    page = tmp_path / "index.html"
    failure = {"model": "a", "task": "", "stage": "load", "reason": 'no file "a, b"'}
    write_report(
        page,
        published_results(),
        audit={"lift": lift},
        statistics=statistics,
        unfinished={"b": 1234},
        provenance={"unseen": UNSEEN, "failures": [failure]},
    )

    def saved(view, name, regime=""):
        show(browser, page, view=view, regime="10shot")
        content = downloaded(browser, downloads, f"{name} csv", f"geneb_{name}{regime}.csv")
        return pd.read_csv(io.BytesIO(content))

    pd.testing.assert_frame_equal(
        saved("audit", "lift", "_10shot"), lift.iloc[[0, 2]].reset_index(drop=True)
    )
    found = saved("statistics", "statistics")
    assert found["ours"].tolist() == [1 / 3] and found["difference"].tolist() == [1 / 3 - 0.5]
    assert saved("limits", "unfinished").to_numpy().tolist() == [["b", 1234]]
    assert saved("limits", "failures").drop(columns="task").to_dict("records") == [
        {name: failure[name] for name in ("model", "stage", "reason")}
    ]
    unseen = saved("limits", "unseen").iloc[0]
    assert unseen[["model", "kind", "tasks", "records", "most in", "there", "of"]].tolist() == [
        "DNABERT-2", "unknown letters", 2, 1000, "<b>", 920, 1000
    ]  # fmt: skip
    show(browser, page, view="provenance")
    browser.find_element(By.CSS_SELECTOR, "#provenance details:last-of-type summary").click()
    shown = pd.read_csv(
        io.BytesIO(downloaded(browser, downloads, "run_failures csv", "geneb_run_failures.csv"))
    )
    assert "stage: load" in shown["value"][0]


def test_intervals_say_which_orders_do_not_hold_without_leaky_tasks():
    pair = {"question": "records", "regime": "full", "A": "kmer-4", "B": "kmer-2"}
    before = pd.DataFrame([{**pair, "A - B": 0.1, "told apart": True}])
    after = before.assign(**{"A - B": -0.2, "told apart, all tasks": True, "left out": 2})
    after["tasks"] = 1
    tables = {"intervals_macro": INTERVALS, "pairs": before, "pairs_without_leaky": after}
    words = (
        "Without the 2 leaky tasks kmer-2 comes before kmer-4 (full, other records, over 1 task "
        "instead of 3); tables/pairs_without_leaky."
    )
    assert audit_sections(tables)[0]["caption"].endswith(f"told apart. {words}")
    alone = INTERVALS.assign(question="records", macro=0.0, low=-0.1, high=0.1)
    (section,) = audit_sections({"intervals_macro": alone})
    assert "apart. A score of exactly 0 is that of heads that predict one" in section["caption"]
    held = tables | {"pairs_without_leaky": after.assign(**{"A - B": 0.2})}
    assert audit_sections(held)[0]["caption"].endswith("where they cannot be told apart.")


def test_a_saved_table_has_no_formulas_and_loses_no_letter(opened):
    names = ["=cmd()", "@x", 'a "b", c', "two\nlines", "-0.5", None]
    columns = "[{name: '+x', value: (row) => row}, {name: 'y', value: () => -0.5}]"
    text = opened.execute_script(f"return csv({columns}, arguments[0])", names)
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["'+x", "y"]
    assert [row[0] for row in rows] == ["'=cmd()", "'@x", *names[2:4], "'-0.5", ""]
    assert {row[1] for row in rows} == {"-0.5"}


def test_charts_and_figures_are_saved_as_they_are(browser, page, downloads):
    show(browser, page, view="everything")
    content = downloaded(
        browser, downloads, "size_and_score svg", "geneb_size_and_score.svg"
    ).decode()
    root = ET.fromstring(content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in content
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path/{*}title")) > 40
    image = downloaded(browser, downloads, "size_and_score png", "geneb_size_and_score.png")
    assert image.startswith(b"\x89PNG")
    width = int.from_bytes(image[16:20], "big")
    assert width == 3 * int(float(root.get("width")))
    figure = downloaded(browser, downloads, "category_heatmap svg", "geneb_category_heatmap.svg")
    assert figure == (page.parents[1] / "figures" / "category_heatmap.svg").read_bytes()


def test_compared_models_differ_by_what_numpy_says(browser, page):
    a, b = "LucaOne", "GENERator-Eukaryote-3B"
    show(browser, page, view="compare", chosen=[a, b, "GROVER"], tasks="all")
    full = full_scores()
    difference = full[a] - full[b]
    categories = {task.id: task.category for task in GENEB.tasks}
    groups = difference.groupby(categories)
    residuals = difference - groups.transform("mean")
    freedom = len(difference) - groups.ngroups
    variance = (residuals**2).sum() / freedom
    error = np.sqrt(variance * (1 / groups.size()).sum()) / groups.ngroups
    macro = groups.mean().mean()
    half = stats.t.ppf(0.975, freedom) * error
    summary = browser.find_element(By.ID, "compare-summary").text.replace("−", "-")
    assert f"{a} is better than {b} on {(difference > 0).sum()}" in summary
    assert (
        f"macro difference {macro:.3f} (95 %: {macro - half:.3f} to {macro + half:.3f})" in summary
    )
    header, *rows = cells(browser, "#compare-body")
    assert header[2:5] == [a, b, "GROVER"]
    promoters = next(row for row in rows if row[0] == "Promoters")
    assert float(promoters[2]) == pytest.approx(
        full[a].groupby(categories).mean()["Promoters"], abs=5.01e-4
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance / groups.size()["Promoters"])
    middle = groups.mean()["Promoters"]
    assert promoters[6].replace("−", "-") == f"{middle - half:.3f} to {middle + half:.3f}"


def test_a_report_of_custom_tasks_alone_opens_on_them(browser, custom_page):
    show(browser, custom_page)
    assert browser.find_element(By.ID, "tasks").is_displayed()
    assert column(browser, "task", "#tasks-body")[:2] == ["mine", "yours"]
    assert column(browser, "its model", "#tasks-body")[:2] == [BETTER, WORSE]
    show(browser, custom_page, view="board")
    shown = browser.find_element(By.ID, "board-shown").text
    assert shown.startswith("No task of the benchmark has such scores of all models of this run")
    assert browser.find_elements(By.CSS_SELECTOR, "#board-table table") == []
    browser.find_element(By.CSS_SELECTOR, "#board-custom a").click()
    WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "tasks").is_displayed())
    show(browser, custom_page, view="model", model=BETTER)
    assert "custom" not in browser.find_element(By.ID, "model-body").text
    assert column(browser, "task", "#model-body") == ["mine", "yours"]
    assert column(browser, "rank", "#model-body") == ["1 of 2", "2 of 2"]
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []


def test_models_are_compared_on_custom_tasks_one_by_one(browser, custom_page):
    show(browser, custom_page, view="compare", regime="10shot")
    assert "Custom tasks" in browser.find_element(By.ID, "compare-body").text
    show(browser, custom_page, view="compare", regime="10shot", chosen=[BETTER, WORSE])
    said = browser.find_element(By.ID, "compare-custom").text
    assert said == (
        f"{BETTER} is better than {WORSE} on 1, worse on 1 of 2 custom tasks. "
        "Custom tasks are in no average."
    )
    assert "macro" not in browser.find_element(By.ID, "compare-body").text
    # The pair of the second task has the other model as A in its table.
    _, *rows = cells(browser, "[aria-label='How sure the differences on custom tasks are']")
    test = stats.ttest_rel(SHOTS[BETTER], SHOTS[WORSE])
    low, high = test.confidence_interval()
    assert [row[:2] + row[3:4] + row[5:] for row in rows] == [
        ["mine", f"{BETTER} − {WORSE}", "+0.300", "yes"],
        ["yours", f"{BETTER} − {WORSE}", "−0.300", "yes"],
    ]
    ends = [[float(x) for x in row[4].replace("−", "-").split(" to ")] for row in rows]
    assert np.allclose(ends, [[low, high], [-high, -low]], atol=0.002)
    assert column(browser, "first − second", "[aria-label='Compared models by task']") == [
        "+0.300", "−0.300",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fixture", "task", "label"),
    [
        ("custom_page", "yours", "yours"),
        ("two_models_on_benchmark_tasks", GENEB.tasks[1].id, GENEB.tasks[1].label),
    ],
)
def test_the_page_of_a_task_has_its_intervals_and_pairs(browser, fixture, task, label, request):
    page = request.getfixturevalue(fixture)
    show(browser, page, view="task", task=task, regime="10shot")
    where = f"[aria-label='Models on {label}']"
    shown = {row[1]: row for row in cells(browser, where)[1:]}
    assert [name for name in shown if name in SHOTS] == [WORSE, BETTER]
    columns = {name: column(browser, f"{name}, shots", where) for name in ("95 %", "group")}
    columns["rank"] = column(browser, "rank in run, shots", where)
    of = {
        name: {key: values[list(shown).index(name)] for key, values in columns.items()}
        for name in shown
    }
    for name in (WORSE, BETTER):
        text = of[name]["95 %"]
        mean, error = -np.mean(SHOTS[name]), stats.sem(SHOTS[name])
        half = stats.t.ppf(0.975, 4) * error
        found = [float(end) for end in text.replace("−", "-").split(" to ")]
        assert found == pytest.approx([mean - half, mean + half], abs=0.002)
    assert (of[WORSE]["rank"], of[BETTER]["rank"]) == ("1 to 1", "2 to 2")
    assert (of[WORSE]["group"], of[BETTER]["group"]) == ("a", "b")
    assert {of[name]["rank"] for name in shown} - {"1 to 1", "2 to 2"} <= {"–"}
    (pair,) = cells(browser, f"[aria-label='Every two models on {label}']")[1:]
    assert [pair[0], pair[2], pair[4]] == [f"{WORSE} − {BETTER}", "+0.300", "yes"]
    show(browser, page, view="task", task=task, regime="10shot", metric="accuracy")
    assert "Every two" not in browser.find_element(By.ID, "task-body").text


def test_scores_without_their_run_are_named_and_their_rows_are_not_known(browser, tmp_path):
    path = tmp_path / "index.html"
    results = pd.concat([published_results(), run_results(table(*ROWS))])
    write_report(path, results, [MINE], called="lab.csv")
    show(browser, path, view="tasks")
    header = browser.find_element(By.TAG_NAME, "header").text
    assert "1 model of lab.csv beside the 40 published" in header
    said = browser.find_element(By.ID, "tasks-body").text
    assert "How many rows lab.csv had is not known of 4 tasks: they stand as published" in said
    show(browser, path, view="task", task=TASK.id)
    facts = browser.find_element(By.CSS_SELECTOR, "#task-body dl").text
    assert "rows of lab.csv\nnot known" in facts
    assert "train rows, as published\n13,468" in facts
    show(browser, path, view="task", task=GENEB.tasks[50].id)
    assert "lab.csv" not in browser.find_element(By.CSS_SELECTOR, "#task-body dl").text
    show(browser, path, view="cite")
    words = browser.find_element(By.ID, "cite-sentence").text
    assert "all train rows (of lab.csv it is not known how many)" in words
    assert "Other scores were read from lab.csv; what else" in words
    assert "submissions" in report_data(results, [MINE])["here"]


def test_sizes_and_architectures_of_the_runs_models_are_shown(browser, tmp_path):
    path, published = tmp_path / "index.html", published_results()
    own = {"small": 87312, "middle": 512, "large": 1_250_000}
    models = dict(zip(("GROVER", "LucaOne", "SPACE"), own, strict=True))
    some = published[published["model"].isin(models)].replace({"model": models})
    cards = {
        name: {"model_id": name, "params": params, "architecture": "T-dec"}
        for name, params in own.items()
    }
    results = pd.concat([published, some])
    write_report(path, results, list(own), provenance={"cards": cards})
    show(browser, path, source="this run")
    rows = {name: i for i, name in enumerate(column(browser, "model"))}
    sizes, kinds = column(browser, "size"), column(browser, "architecture")
    shown = {name: (sizes[i], kinds[i]) for name, i in rows.items()}
    assert shown == {
        "small": ("87K", "T-dec"), "middle": ("0.5K", "T-dec"), "large": ("1.3M", "T-dec")
    }  # fmt: skip
    show(browser, path, view="model", model="small")
    text = browser.find_element(By.ID, "model-body").text
    assert "87,312 (87K)" in text and "T-dec" in text


def test_a_model_has_a_page(browser, page):
    show(browser, page, view="model", model="GROVER", tasks="all")
    text = browser.find_element(By.ID, "model-body").text
    for fact in ("PoetschLab/GROVER", "not stated", "610 entries", "T-enc", "768"):
        assert fact in text
    full = full_scores()
    macro = full.groupby({task.id: task.category for task in GENEB.tasks}).mean().mean()
    rank = int(macro.rank(ascending=False)["GROVER"])
    regimes = cells(browser, "[aria-label='Scores of GROVER by regime']")
    assert regimes[1][1:3] == [f"{macro['GROVER']:.3f}", f"{rank} of 40"]
    above = full["GROVER"] - full.drop(columns="GROVER").median(axis=1)
    label = next(task.label for task in GENEB.tasks if task.id == above.idxmin())
    worst = cells(browser, "[aria-label='Worst tasks against the others']")
    # The run's model takes part on three tasks, none of which is the worst.
    assert worst[1][0] == label


def test_a_task_has_a_page_with_the_audit_and_the_models_of_the_run(browser, page):
    show(browser, page, view="task", task=TASK.id)
    text = browser.find_element(By.ID, "task-body").text
    for fact in ("leaky", "its copies", "12", "13,468", "Histone Mod.", "NT"):
        assert fact in text
    reasons = browser.find_elements(By.CSS_SELECTOR, "#task-body dd li")
    assert [each.text for each in reasons] == ["its copies", "its twins"]
    values = full_scores().loc[TASK.id].to_numpy()
    assert (
        f"40 published models in full: median {np.median(values):.3f}, best {max(values):.3f}"
    ) in text
    assert f"SD over models {np.std(values, ddof=1):.3f}" in text
    assert f"1 model of this run: best 0.900 ({MINE}), rank 1 of 41" in text
    assert column(browser, "model", "#task-body")[0] == MINE
    other = GENEB.tasks[1]
    browser.find_element(By.PARTIAL_LINK_TEXT, other.label).click()
    WebDriverWait(browser, 5).until(lambda b: b.title.startswith(other.label))
    assert "leaky" not in browser.find_element(By.ID, "task-body").text


def test_what_an_audit_that_was_given_says_stands_beside_the_tasks(browser, tmp_path):
    verdicts = {
        TASK.id: Verdict("leaky", "its copies", "split anew"),
        GENEB.tasks[1].id: Verdict("passed"),
    }
    claims = pd.DataFrame(
        {
            "statement": ["mean macro MCC, full"], "paper": 0.488, "ours": 0.488, "low": 0.4,
            "high": 0.5, "models low": np.nan, "models high": np.nan, "null": np.nan,
            "by chance": np.nan, "tasks": 100, "word": "estimate", "without leaky": 0.49,
            "without leaky low": 0.41, "without leaky high": 0.51, "without leaky tasks": 99,
            "without leaky word": "estimate", "audited tasks": 2,
        }
    )  # fmt: skip
    page = tmp_path / "index.html"
    write_report(
        page,
        published_results(),
        claims=claims,
        leaky=leaky_table(verdicts, {task.id for task in GENEB.tasks}),
        of_tasks=showing._of_verdicts(verdicts),
        audit={"intervals_macro": INTERVALS},
    )
    show(browser, page, view="tasks")
    assert column(browser, "verdict", "#tasks-body")[:3] == ["leaky", "passed", "–"]
    note = "Verdicts are of an audit of files that may not be those of the scores"
    assert note in browser.find_element(By.ID, "tasks-body").text
    show(browser, page, view="audit")
    assert "The verdicts in the list of tasks" in browser.find_element(By.ID, "audit").text
    for view, caption in (
        ("model", "Best tasks against the others"), ("compare", "Compared models by task")
    ):  # fmt: skip
        show(browser, page, view=view, model="LucaOne", chosen=["LucaOne", "GROVER"])
        found = column(browser, "verdict", f"#{view}-body [aria-label='{caption}']")
        assert set(found) <= {"leaky", "passed", "–"}
    assert sorted(found)[:3] == ["leaky", "passed", "–"]
    show(browser, page, view="statistics")
    named = browser.find_element(By.CSS_SELECTOR, "#statistics details.part")
    assert not named.find_element(By.TAG_NAME, "a").is_displayed()
    assert "1 task is left out (tables/leaky_tasks); 2 of the 100 were audited" in (
        browser.find_element(By.ID, "statistics").text
    )
    named.find_element(By.TAG_NAME, "summary").click()
    (link,) = named.find_elements(By.TAG_NAME, "a")
    assert link.text == TASK.label
    link.click()
    WebDriverWait(browser, 5).until(lambda b: b.title.startswith(TASK.label))
    shown = browser.find_element(By.ID, "task-body").text
    assert "verdict\nleaky" in shown and "audited files\nsplit anew" in shown
    assert "its copies" in shown
    show(browser, page, view="task", task=GENEB.tasks[1].id)
    shown = browser.find_element(By.ID, "task-body").text
    assert "audited files\nthose of the audit that was given" in shown and "why" not in shown


def test_tasks_of_the_run_come_first_and_medians_are_of_the_published_models(
    browser, page, downloads
):
    show(browser, page, view="tasks")
    found = [task.label for task in GENEB.tasks[:3]] + ["mine"]
    assert column(browser, "task", "#tasks-body")[:4] == found
    assert column(browser, "best of this run", "#tasks-body")[:5] == ["0.900"] * 3 + ["0.300", "–"]
    assert column(browser, "its rank", "#tasks-body")[:4] == ["1 of 41"] * 3 + ["–"]
    saved = pd.read_csv(
        io.BytesIO(downloaded(browser, downloads, "tasks csv", "geneb_tasks_full.csv"))
    )
    ranks = saved[["its rank", "models of its rank"]]
    assert ranks[:3].to_numpy().tolist() == [[1, 41]] * 3 and ranks[3:].isna().all(axis=None)
    medians = full_scores().median(axis=1)
    shown = column(browser, "published median", "#tasks-body")
    assert shown[:3] == [f"{medians[task.id]:.3f}" for task in GENEB.tasks[:3]]
    assert shown[3] == "–"
    wide, room = browser.execute_script(
        "const table = document.querySelector('#tasks-body .scroll');"
        "return [table.scrollWidth, table.clientWidth]"
    )
    assert wide <= room  # in a window of 1280 pixels
    assert "4 tasks of this run first; 97 others" in browser.find_element(By.ID, "tasks-body").text
    header = browser.find_element(By.TAG_NAME, "header").text
    assert "1 model of this run beside the 40 published; 4 tasks of this run" in header


def test_a_comparison_has_the_intervals_of_the_tables(browser, tmp_path):
    a, b = "LucaOne", "GROVER"
    pairs = pd.DataFrame(
        {
            "question": ["tasks", "records", "tasks"], "regime": ["full", "full", "10shot"],
            "A": b, "B": a, "A - B": [-0.1, -0.2, -0.3], "low": [-0.25, -0.3, -0.4],
            "high": [0.05, -0.1, -0.2], "told apart": [False, True, True],
            "tasks": [100, 12, 99],
        }
    )  # fmt: skip
    page = tmp_path / "index.html"
    write_report(page, published_results(), pairs=pairs)
    show(browser, page, view="compare", chosen=[a, b])
    summary = browser.find_element(By.ID, "compare-summary").text.replace("−", "-")
    assert summary.endswith("(95 %: -0.050 to 0.250).")
    where = "[aria-label='How sure the macro difference is']"
    _, tasks, records = cells(browser, where)
    assert tasks[1:] == ["other tasks", "+0.100", "−0.050 to 0.250", "no", "100"]
    assert records[1:] == ["other test records", "+0.200", "0.100 to 0.300", "yes", "12"]
    drawn = "over draws of tasks within categories or of test records, as the question"
    assert drawn in browser.find_element(By.ID, "compare-body").text
    show(browser, page, view="compare", chosen=[a, b], regime="10shot")  # of other tasks there
    assert not browser.find_element(By.ID, "compare-summary").text.endswith("0.200 to 0.400).")
    assert (
        "No pair is in tables/pairs over these tasks"
        in browser.find_element(By.ID, "compare-body").text
    )


def test_a_comparison_says_what_its_intervals_are_drawn_over(browser, tmp_path):
    a, b = "LucaOne", "GROVER"
    results = published_results().query("task == @TASK.id and regime == '10shot'")
    rows = [("shots", 0.1, 0.3), ("records", 0.1, 0.2)]
    pairs = pd.DataFrame(rows, columns=["question", "low", "high"]).assign(
        **{"regime": "10shot", "A": a, "B": b, "A - B": 0.15, "told apart": True, "tasks": 1}
    )
    page = tmp_path / "index.html"
    none = "so what other tasks would change is not known: these differences have no intervals."
    for count, below in (
        (0, ""),
        (1, " Below are those of the macro difference over other few-shot draws."),
        (2, " Below are those of the macro difference over other few-shot draws and other test "
            "records."),
    ):  # fmt: skip
        write_report(page, results, pairs=pairs[:count])
        show(browser, page, view="compare", chosen=[a, b], regime="10shot")
        text = browser.find_element(By.ID, "compare-body").text
        assert f"{none}{below}\n" in text and "there are no intervals" not in text
        assert "of tasks within categories" not in text
        drawn = ["", "few-shot rows", "few-shot rows or of test records"][count]
        assert (f"over draws of {drawn}, as the question of its row says." in text) == bool(count)


def test_what_an_address_asks_for_and_a_report_lacks_is_said(browser, page):
    show(browser, page, view="compare", chosen=["LucaOne", "nobody"], regime="7shot", toString="x")
    said = browser.find_element(By.ID, "unknown").text
    assert "chosen=nobody, regime=7shot, toString=x." in said
    show(browser, page, sort="-nothing", order="-median", columns=["size", "group"], task="T" * 99)
    said = browser.find_element(By.ID, "unknown").text
    assert f"sort=-nothing, columns=size, task={'T' * 39}…." in said
    show(browser, page, sort="parameters", search="x", columns=["group", ""], chosen="SPACE")
    assert not browser.find_element(By.ID, "unknown").is_displayed()


def test_intervals_are_of_the_tasks_and_models_that_were_compared():
    columns = ["question", "regime", "model", "low", "high", "rank low", "rank high", "group"]
    macro = pd.DataFrame(
        [
            ("tasks", "full", "a", 0.1, 0.3, 1, 2, "a"),
            ("tasks", "full", "b", 0.0, 0.2, 1, 2, "a"),
            ("tasks", "1shot", "a", 0.0, 0.1, 1, 1, "a"),
            ("shots", "1shot", "a", 0.9, 1.0, 1, 1, "a"),
        ],
        columns=columns,
    ).assign(tasks=11)
    found = showing._of_models(macro)
    assert found["b"] == {
        "sure": {
            "full": {
                "interval": [0.0, 0.2],
                "ranks": [1, 2],
                "group": "a",
                "tasks": 11,
                "models": 2,
            }
        }
    }
    assert found["a"].get("sure", {})["1shot"]["interval"] == [0.0, 0.1]
    assert found["a"].get("sure", {})["1shot"]["models"] == 1


def test_the_papers_statements_and_its_numbers_are_shown(browser, tmp_path):
    claims = pd.DataFrame(
        {
            "statement": ["larger is better", "a mean", "small-beats-large"],
            "paper": [0.5, 0.25, 74],
            "ours": [-0.0123, 0.25, 31.0], "low": [-0.5, np.nan, 27], "high": [0.1, np.nan, 65.025],
            "models low": np.nan, "models high": np.nan, "null": [0, np.nan, 19.5],
            "by chance": [np.nan, np.nan, 29], "word": ["gone", "estimate", "weak"],
        }
    )  # fmt: skip
    statistics = pd.DataFrame(
        {
            "statistic": ["rho", "hard tasks", "unknown"], "ours": [0.1, 8.0, np.nan],
            "paper": [0.1 + 1e-9, 10, 1], "difference": [-1e-9, -2.0, np.nan], "note": "",
        }
    )  # fmt: skip
    page = tmp_path / "index.html"
    write_report(page, published_results(), claims=claims, statistics=statistics)
    show(browser, page, view="statistics")
    rows = [row for row in cells(browser, "#statistics") if row]
    first = ["larger is better", "0.500", "−0.012", "−0.500 to 0.100", "", "0", "", "gone"]
    assert rows[1] == first
    assert rows[2] == ["a mean", "0.250", "0.250", "", "", "", "", "estimate"]
    assert rows[3] == ["small-beats-large", "74", "31", "27.0 to 65.0", "", "19.5", "29", "weak"]
    assert rows[4] == ["statistic", "paper", "computed", "difference"]  # no note, no column of them
    assert rows[5:] == [["rho", "0.100", "0.100", "0.000"], ["hard tasks", "10", "8", "−2"]]


def test_every_column_is_explained_where_it_stands(browser, page):
    show(browser, page, view="everything", model="LucaOne", task=TASK.id, regime="10shot")
    heads = browser.execute_script(
        "return [...document.querySelectorAll('#content thead th')]"
        ".filter((head) => !head.closest('#limits, #statistics'))"
        ".map((head) => [head.textContent.replace(/ [▲▼]$/, ''), head.title])"
    )
    assert len(heads) > 50
    assert {name for name, title in heads if not title} <= {"model", "pair"}
    show(browser, page)
    fold = browser.find_element(By.CSS_SELECTOR, "#board-table summary")
    fold.send_keys(Keys.ENTER)
    shown = browser.find_element(By.CSS_SELECTOR, "#board-table dl").text
    assert "Place by score, 1 the best" in shown
    press(browser, "sort rank")  # what is unfolded stays so
    assert browser.find_element(By.CSS_SELECTOR, "#board-table dl").is_displayed()
    browser.find_element(By.LINK_TEXT, "All words of this page").click()
    WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "words").is_displayed())
    assert "Holm's correction" in browser.find_element(By.ID, "words").text


def test_the_choices_of_all_views_are_explained(browser, page):
    show(browser, page, regime="1shot", metric="macro_F1")
    said = browser.find_element(By.ID, "settings-means").text
    assert "A probe sees 1 train row of each class" in said
    assert "macro F1: Mean over classes of F1" in said
    assert "macro: Mean of the category means" in browser.find_element(By.ID, "board-shown").text


def test_intervals_groups_and_seeds_are_shown_where_a_run_has_them(browser, page, downloads):
    show(browser, page, columns=["interval", "rankInterval", "group"])
    assert column(browser, "95 % interval")[:2] == ["0.800 to 0.950", "–"]
    assert column(browser, "rank, 95 %")[0] == "1 to 2 of 2"
    assert column(browser, "group")[0] == "a"
    show(browser, page, columns=["interval"], score="micro")
    assert "95 % interval" not in cells(browser)[0]
    show(browser, page, columns=["rankInterval"], search="kmer")
    saved = downloaded(browser, downloads, "leaderboard csv", "geneb_leaderboard_full.csv")
    (row,) = pd.read_csv(io.BytesIO(saved)).to_dict("records")
    ends = [row[name] for name in ("rank, 95 % low", "rank, 95 % high", "models of this rank")]
    assert ends == [1, 2, 2]
    show(browser, page, columns=["spread"], regime="10shot", search="kmer")
    # Five seeds, 0.01 apart on every task.
    assert column(browser, "SD over seeds") == [f"{np.std(0.01 * np.arange(5), ddof=1):.3f}"]


def test_colours_stay_with_their_groups_whatever_is_filtered(browser, page):
    def colour(name):
        return browser.execute_script(
            "return [...document.querySelectorAll('#board-chart path')]"
            ".find((path) => path.textContent.startsWith(arguments[0])).getAttribute('fill')",
            name,
        )

    show(browser, page)
    before = colour("HyenaDNA-Large-1M"), colour("LucaOne")
    assert before[0] != before[1]
    show(browser, page, search="hyena")
    assert colour("HyenaDNA-Large-1M") == before[0]
    show(browser, page, search="hyena,luca", architecture="T-enc", size="500M-2B", chosen="LucaOne")
    show(browser, page, search="luca,mutbert")
    assert colour("LucaOne") == before[1]


def test_a_citation_says_how_the_numbers_were_made(browser, page):
    show(browser, page, view="cite", regime="10shot")
    words = browser.find_element(By.ID, "cite-sentence").text
    for part in ("MCC", "3 tasks", "10 train rows of each class", "095e35fdb411", "at most 50"):
        assert part in words
    assert (
        "10 train rows of each class (of this run out of at most 50 train rows of a task)" in words
    )
    assert "3 tasks of GENEB (Ledneva et al., 2026), of" in words
    assert "2606.04525" in browser.find_element(By.ID, "cite-bibtex").text
    assert browser.find_element(By.ID, "cite-link").text == "#view=board&regime=10shot"
    show(browser, page, view="compare", chosen=["LucaOne", "GROVER"])
    browser.find_element(By.CSS_SELECTOR, "nav [data-view=cite]").click()
    WebDriverWait(browser, 5).until(lambda b: b.find_element(By.ID, "cite-link").is_displayed())
    link = browser.find_element(By.ID, "cite-link").text
    browser.get("about:blank")
    browser.get(page.as_uri() + link)
    assert browser.find_element(By.ID, "compare-summary").text.startswith("LucaOne is better")


def test_a_citation_of_tasks_that_are_not_genebs_says_so(browser, page, custom_page):
    show(browser, custom_page, view="cite")
    words = browser.find_element(By.ID, "cite-sentence").text
    assert words.startswith(
        "Scores are MCC on each of 2 custom tasks, which are none of GENEB (Ledneva et al., 2026) "
        "but follow its protocol and are not averaged, of logistic regressions"
    )
    assert "Published scores" not in words
    assert "with all train rows. They were computed with geneb_jax" in words
    show(browser, page, view="cite", score="Promoters")
    assert browser.find_element(By.ID, "cite-sentence").text == (
        "This view has no scores: no task of the category Promoters has MCC in full of all models "
        "of this run."
    )
    show(browser, page, view="cite")
    words = browser.find_element(By.ID, "cite-sentence").text
    assert "with all train rows (of this run at most 50 train rows of a task)." in words


def test_a_phone_shows_the_score_beside_the_name(phone, page):
    for view in ("board", "compare", "model", "task", "tasks", "cite"):
        show(phone, page, view=view, model="LucaOne", task=TASK.id)
        wide, shown = phone.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= shown == 390, view
    show(phone, page)
    right = phone.execute_script(
        "return document.querySelector('#board-table tbody tr').cells[3]"
        ".getBoundingClientRect().right"
    )
    assert right <= 390


REASON = "'composition', the counts of its bases and dinucleotides, gives MCC 0.724; " * 5
HEIGHTS = """
return [...document.querySelectorAll("#audit tbody tr")].map((row) =>
  [row.cells[0].textContent, row.offsetHeight / parseFloat(getComputedStyle(row).lineHeight)])
"""


def test_a_phone_shows_a_task_of_the_audit_in_a_few_lines_until_it_is_opened(phone, tmp_path):
    audited = {
        "n_train": 900, "n_test": 100, "copies": 1, "near": 2, "twins": 3, "clean": 94,
        "best_rule": "opposite_twin", "best_rule_train_MCC": 0.5, "best_rule_MCC": 0.4,
        "published_median": 0.6,
    }  # fmt: skip
    rows = [("leaky", REASON), ("caution", "a few near copies"), ("passed", "")]
    audit = pd.DataFrame(
        [{"task": task.id, **audited, "verdict": verdict, "reasons": reasons}
         for task, (verdict, reasons) in zip(GENEB.tasks, rows, strict=False)]
    )  # fmt: skip
    page = tmp_path / "index.html"
    write_report(page, run_results(table(*ROWS)), [MINE], audit={"audit": audit})
    show(phone, page, view="audit")
    heights = dict(phone.execute_script(HEIGHTS))
    assert set(heights) == {task.label for task in GENEB.tasks[:3]}
    assert max(heights.values()) < 4.5
    (cut,) = phone.find_elements(By.CSS_SELECTOR, "#audit details.cut")  # the short one is no fold
    assert cut.text.split() == REASON.split()
    cut.find_element(By.TAG_NAME, "summary").click()
    assert dict(phone.execute_script(HEIGHTS))[GENEB.tasks[0].label] > 10


def printed(browser):
    pypdf = pytest.importorskip("pypdf")
    content = browser.execute_cdp_cmd(
        "Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True}
    )["data"]
    return [
        page.extract_text() for page in pypdf.PdfReader(io.BytesIO(base64.b64decode(content))).pages
    ]


def test_paper_holds_the_whole_table(browser, page):
    show(browser, page)
    pages = printed(browser)
    text = "\n".join(pages)
    names = column(browser, "model")
    assert len(names) == 41
    assert [name for name in names if name not in text] == []
    assert all("pretraining" in each for each in pages[:2])  # the header on every page
    assert "Save this table" not in text


def test_no_table_is_wider_than_paper(browser, page):
    paper = {"width": 1030, "height": 700, "deviceScaleFactor": 1, "mobile": False}  # A4, landscape
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", paper)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for view in ("board", "tasks", "audit", "compare"):
            show(browser, page, view=view)
            widths = browser.execute_script(
                "return [...document.querySelectorAll('table')].map((each) => each.offsetWidth)"
            )
            assert 100 < max(widths) <= 1030, view
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser, page, theme):
    axe = pytest.importorskip("axe_core_python.selenium")
    feature = {"name": "prefers-color-scheme", "value": theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        show(browser, page, view="everything", model="GROVER", task=TASK.id)
        browser.execute_script(
            "for (const part of document.querySelectorAll('details')) part.open = true"
        )
        found = axe.Axe().run(browser)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    faults = [
        (fault["id"], fault["nodes"][0]["html"][:200], fault["nodes"][0]["failureSummary"])
        for fault in found["violations"]
        if fault["impact"] in ("moderate", "serious", "critical")
    ]
    assert faults == []


def test_data_of_the_page_are_the_results():
    scores = table(*ROWS)
    results = run_results(scores)
    data = report_data(results, [MINE], scores=scores, provenance=PROVENANCE)
    assert json.loads(json.dumps(data, allow_nan=False)) == json.loads(json.dumps(data))
    assert data["regimes"] == ["full", "10shot", "1shot"]
    assert data["metrics"] == list(METRIC_COLUMNS)
    published = report_data(published_results())
    assert published["metrics"] == ["MCC"]
    assert published["seeds"] == {}
    assert [task["category"] for task in data["tasks"]][-1] == "custom"
    (row,) = data["scores"]["10shot"]["MCC"]
    assert row == [0.22, 0.22, 0.22, None]
    assert np.isclose(data["scores"]["full"]["MCC"][0][-1], 0.3)
    assert list(data["seeds"]) == ["10shot", "1shot"]  # all seeds fit the same rows in full
    assert data["seeds"]["10shot"]["0"][1] == [0.21, 0.21, 0.21, None]
    assert data["t95"][0] == pytest.approx(12.7062, abs=1e-4)
    assert data["models"][0]["facts"] == [
        ("what it is", ""),
        ("run: version of the code's numerics", "1"),
    ]


def section(page, name):
    text = page.read_text(encoding="utf-8")
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_limits_name_what_models_do_not_see_and_fits_that_did_not_end(page):
    rows = re.findall(r"<tr>(.*?)</tr>", section(page, "limits"), re.DOTALL)
    found = [[re.sub("<[^>]*>", "", c) for c in re.split("</t[hd]>", row)[:-1]] for row in rows]
    assert found[1] == [
        "DNABERT-2", "unknown letters", "N a g", "2", "1,000", "&lt;b&gt;: 920 of 1,000",
    ]  # fmt: skip
    assert found[2] == ["DNABERT-2", "cut", "", "1", "1", "mine: 1 of 100"]
    assert found[4] == [str(markupsafe.escape(MINE)), "1"]
    assert len(found) == 5


def test_what_failed_is_named(tmp_path):
    failures = [{"model": "M<1>", "task": "", "stage": "load", "reason": "a NaN in 'w'"}]
    page = tmp_path / "index.html"
    write_report(page, run_results(table(*ROWS)), [MINE], provenance={"failures": failures})
    (row,) = re.findall(r'<tr>(<th scope="row">M&.*?)</tr>', section(page, "limits"))
    texts = [re.sub("<[^>]*>", "", cell) for cell in re.split("</t[hd]>", row)[:-1]]
    assert texts == ["M&lt;1&gt;", "all", "load", "a NaN in &#39;w&#39;"]


def test_a_report_has_the_parts_that_there_is_something_for(tmp_path):
    page = tmp_path / "index.html"
    write_report(page, run_results(table(*ROWS)), [MINE], provenance={"unseen": {}})
    text = page.read_text(encoding="utf-8")
    for part in ("limits", "figures", "statistics"):
        assert f'id="{part}"' not in text
        assert f'data-view="{part}"' not in text
    assert 'data-view="provenance"' in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "2 of 3 tasks of the benchmark have other numbers of records than the published"),
        # Where fewer train rows were asked for, they do not say of which file they are.
        ({"max_train": 50}, "1 of 3 tasks of the benchmark have other numbers of records"),
    ],
)
def test_task_files_of_other_sizes_are_said(more, said):
    sizes = {each.task: each for each in published_sizes()}
    infos = [task for task in GENEB.tasks if task.label in sizes][:3]
    same, fewer, other = (sizes[info.label] for info in infos)
    rows = [(same.train, same.test), (50, fewer.test), (other.train, other.test - 1)]
    tasks = {
        info.id: {"train": {"rows": train}, "test": {"rows": test}}
        for info, (train, test) in zip(infos, rows, strict=True)
    } | {"mine": {"train": {"rows": 7}, "test": {"rows": 7}}}
    provenance = {"config": {"tasks_dir": "here", **more}, "tasks": tasks}
    method = report_data(run_results(table(*ROWS)), [MINE], provenance=provenance)["method"]
    assert said in method["run"] and infos[2].label in method["run"]
    assert (infos[1].label in method["run"]) == (not more)


def test_every_view_shows_where_parts_of_a_run_are_empty(browser, tmp_path):
    """As in a run on records that all models see in full, which computed nothing and lacks none."""
    path = tmp_path / "index.html"
    provenance = PROVENANCE | {"unseen": {}, "embedding": {}, "failures": [], "taken": {}}
    results = pd.concat([published_results(), run_results(table(*ROWS))])
    write_report(path, results, [MINE], scores=table(*ROWS), provenance=provenance)
    browser.get_log("browser")
    for view in ("leaderboard", "compare", "tasks", "cite", "provenance"):
        show(browser, path, view=view)
        assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    show(browser, path)
    assert MINE in column(browser, "model")


def test_the_leaderboard_says_how_many_of_its_tasks_are_leaky(browser, page):
    show(browser, page)
    said = browser.find_element(By.ID, "board-leaky")
    assert said.text.startswith("1 of the ") and "is leaky by the audit" in said.text
    said.find_element(By.TAG_NAME, "a").click()
    assert browser.find_element(By.ID, "audit").is_displayed()


def test_generated_tasks_are_not_cited_as_the_benchmarks(browser, tmp_path):
    path = tmp_path / "index.html"
    rows = [row | {"task": f"synthetic_{i}", "category": "Promoters"}
            for i, row in enumerate(ROWS) if row["category"] != "custom"]  # fmt: skip
    write_report(path, run_results(table(*rows)), [MINE], provenance=PROVENANCE)
    show(browser, path, view="cite")
    words = browser.find_element(By.ID, "cite-sentence").text
    assert "generated in place of those of GENEB" in words and "tasks of GENEB" not in words
