"""The report in a browser: what a reader does with it."""

import json
import re
import shutil

import markupsafe
import numpy as np
import pytest
from score_rows import table
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.present import present
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.report import report_data
from geneb_jax.presentation.results import run_results
from geneb_jax.scoring.scores import METRIC_COLUMNS

OWN = "kmer-4 <b>&</script>"  # names come from files: they must not become markup
CUSTOM = {"task": "mine", "category": "custom"}
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
    {"model": OWN, "task": task.id, "category": task.category, "regime": regime, "MCC": mcc}
    for task in GENEB.tasks[:3]
    for regime, mcc in (("full", 0.9), ("10shot", 0.2), ("1shot", 0.1))
] + [{"model": OWN, "regime": "full", "MCC": 0.3, "converged": False} | CUSTOM]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    scores = table(*ROWS)
    provenance = {"packages": {"jax": "0.10"}, "seconds": {"total": 3.0}, "unseen": UNSEEN}
    present(run_results(scores), folder, scores=scores, provenance=provenance)
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
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
    yield chrome
    chrome.quit()


@pytest.fixture
def opened(browser, page):
    # Another address first: a change of the fragment alone would not load the page anew.
    browser.get("about:blank")
    browser.get(page.as_uri())
    wait_for_charts(browser)
    return browser


def wait_for_charts(browser):
    WebDriverWait(browser, 30).until(
        lambda b: all(b.find_elements(By.CSS_SELECTOR, f"#{name}-chart svg")
                      for name in ("size", "versus", "task"))
    )  # fmt: skip


def column(browser, number):
    cells = browser.find_elements(By.CSS_SELECTOR, f"#board tbody tr > :nth-child({number})")
    return [cell.get_attribute("textContent") for cell in cells]


def choose(browser, name, text):
    Select(browser.find_element(By.ID, name)).select_by_visible_text(text)


def test_it_opens_without_complaint_and_without_a_network(opened, page):
    assert [entry for entry in opened.get_log("browser") if entry["level"] != "INFO"] == []
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) < 5e6
    loaded = opened.execute_script(
        "return performance.getEntriesByType('resource').map((r) => r.name)"
    )
    assert all(name.startswith("data:") for name in loaded)


def test_own_models_stand_beside_the_published_on_the_tasks_they_have(opened):
    assert column(opened, 2)[0] == OWN
    assert len(column(opened, 2)) == 41
    assert set(column(opened, 4)) == {"3"}
    assert float(column(opened, 3)[0]) == 0.9
    choose(opened, "scope", "all")
    assert column(opened, 2)[0] == OWN
    assert column(opened, 1)[0] == "–"  # three tasks of a hundred: no rank
    assert column(opened, 1)[1] == "1"
    choose(opened, "category", "custom")
    assert column(opened, 2) == [OWN]


def test_scores_are_the_published_averages(opened):
    choose(opened, "scope", "all")
    results = published_results()
    rows = results[results["regime"] == "10shot"]
    macro = rows.pivot_table(index="model", columns="category", values="MCC").mean(axis=1)
    choose(opened, "regime", "10-shot")
    found = dict(zip(column(opened, 2), map(float, column(opened, 3)), strict=True))
    del found[OWN]
    assert found == pytest.approx(macro.to_dict(), abs=5.01e-4)


def test_sorting_by_keyboard(opened):
    button = opened.find_element(By.XPATH, "//th/button[text()='model']")
    button.send_keys(Keys.ENTER)
    names = column(opened, 2)
    lower = [name.lower() for name in names]
    assert lower == sorted(lower)
    header = button.find_element(By.XPATH, "..")
    assert header.get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert column(opened, 2) == names[::-1]
    opened.find_element(By.XPATH, "//th/button[text()='score']").send_keys(Keys.ENTER)
    scores = list(map(float, column(opened, 3)))
    assert scores == sorted(scores, reverse=True)


def test_filters(opened):
    opened.find_element(By.ID, "search").send_keys("nt-v2")
    assert len(column(opened, 2)) == 4
    choose(opened, "size", "100M-500M")
    assert sorted(column(opened, 2)) == ["NT-v2-100M-MS", "NT-v2-250M-MS"]
    assert opened.find_element(By.ID, "shown").text.startswith("2 of 41 models")
    choose(opened, "architecture", "Hyena")
    assert column(opened, 2) == []


def test_model_against_model(opened):
    choose(opened, "model-a", "LucaOne")
    choose(opened, "model-b", "GENERator-Eukaryote-3B")
    full = published_results().query("regime == 'full'").pivot(
        index="task", columns="model", values="MCC"
    )  # fmt: skip
    wins = int((full["LucaOne"] > full["GENERator-Eukaryote-3B"]).sum())
    summary = opened.find_element(By.ID, "versus-summary").text
    assert f"LucaOne is better on {wins}," in summary
    assert "of 100 tasks" in summary


def test_a_task_has_an_address(browser, page):
    task = GENEB.tasks[50]
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#task:{task.id}")
    wait_for_charts(browser)
    rows = published_results().query("regime == 'full' and task == @task.id")["MCC"]
    summary = browser.find_element(By.ID, "task-summary").text
    assert summary.startswith(f"{task.id}; category {task.category}; 40 models")
    assert f"mean {rows.mean():.3f}" in summary


def test_a_phone_needs_no_sideways_scrolling(opened):
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        opened.refresh()
        wait_for_charts(opened)
        wide, shown = opened.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert shown == 390
        assert wide <= shown
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_data_of_the_page_are_the_results():
    results = run_results(table(*ROWS))
    data = report_data(results, own=[OWN])
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["regimes"] == ["full", "10shot", "1shot"]
    assert data["metrics"] == list(METRIC_COLUMNS)
    published = report_data(published_results())
    assert published["metrics"] == ["MCC"]
    assert [task["category"] for task in data["tasks"]][-1] == "custom"
    (row,) = data["scores"]["10shot"]["MCC"]
    assert row == [0.2, 0.2, 0.2, None]
    assert np.isclose(data["scores"]["full"]["MCC"][0][-1], 0.3)


def section(page, name):
    text = page.read_text(encoding="utf-8")
    return text.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_limits_name_what_models_do_not_see_and_fits_that_did_not_end(page):
    rows = re.findall(r"<tr>(.*?)</tr>", section(page, "limits"), re.DOTALL)
    cells = [[re.sub("<[^>]*>", "", c) for c in re.split("</t[hd]>", row)[:-1]] for row in rows]
    assert cells[1] == [
        "DNABERT-2", "unknown letters", "N a g", "2", "1,000", "&lt;b&gt;: 920 of 1,000",
    ]  # fmt: skip
    assert cells[2] == ["DNABERT-2", "cut", "", "1", "1", "mine: 1 of 100"]
    assert cells[4] == [str(markupsafe.escape(OWN)), "1"]
    assert len(cells) == 5


def test_what_failed_is_named(tmp_path):
    scores = table(*ROWS)
    failures = [{"model": "M<1>", "task": "", "stage": "load", "reason": "a NaN in 'w'"}]
    provenance = {"failures": failures}
    present(run_results(scores), tmp_path, scores=scores, provenance=provenance)
    found = section(tmp_path / "report" / "index.html", "limits")
    (row,) = re.findall(r'<tr>(<th scope="row">M&.*?)</tr>', found)
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.split("</t[hd]>", row)[:-1]]
    assert cells == ["M&lt;1&gt;", "all", "load", "a NaN in &#39;w&#39;"]


def test_a_report_without_limits_has_no_such_part(tmp_path):
    scores = table(*({**row, "converged": True} for row in ROWS))
    present(run_results(scores), tmp_path, scores=scores, provenance={"unseen": {}})
    assert 'id="limits"' not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
