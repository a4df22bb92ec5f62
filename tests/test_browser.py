"""MLflow as a person sees it: the link of `unroll ui` in headless Chromium. Needs `pip install -e ".[browser]"`."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from test_tracking import Project, settings

from unroll.tracking.run import track_run

ROOT = Path(__file__).parent.parent
PATIENCE = 120_000  # milliseconds; on a quiet machine a page takes two seconds


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    """What `unroll ui` prints, once MLflow answers, for a store with the runs `tiny` and `other`."""
    project = Project(tmp_path_factory.mktemp("browser") / "un roll")
    shutil.copy(ROOT / "results" / "char-lstm" / "figures" / "learning_curve.png", project.results / "figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(project.folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        project.track()
        track_run("other", settings(seed=4), project.model, project.results, project.data)
        server = subprocess.Popen(
            [sys.executable, "-c", "from unroll.cli import main; main()", "ui"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    try:
        yield wait_for(server)
    finally:
        server.terminate()
        server.wait()


def wait_for(server: "subprocess.Popen[str]") -> str:
    """The link, when a page comes."""
    printed = next(line for line in server.stdout if "http://" in line)
    found = printed.strip()
    end = time.monotonic() + 2 * PATIENCE / 1000
    while time.monotonic() < end:
        try:
            with urlopen(found.partition("#")[0]):
                return found
        except URLError:
            assert server.poll() is None, "MLflow ended"
            time.sleep(0.5)
    raise AssertionError(f"{found} does not answer")


@pytest.fixture
def page(browser, link):
    """The page of the link, in a browser profile of its own."""
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    context.set_default_timeout(PATIENCE)
    # MLflow's assistant opens by itself once, and covers a quarter of the page.
    context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    page = context.new_page()
    page.goto(link)
    page.get_by_role("link", name="tiny", exact=True).wait_for()
    yield page
    context.close()


def sees(page, *texts: str) -> None:
    for text in texts:
        page.get_by_text(text, exact=True).first.wait_for()


def test_the_table_of_runs_shows_figures(page):
    sees(page, "Runs", "tiny", "other", "unit", "cell", "test/bits_per_char", "2.25", "gru")


def test_a_run_says_what_it_is(page):
    page.get_by_role("link", name="tiny", exact=True).click()
    sees(page, "Description", "bits_per_char", "2.25", "model.cell", "unroll.fingerprint", "Finished")
    page.get_by_text(re.compile("A language model on the data set")).wait_for()
    page.get_by_text("tiny-char (abababab)").wait_for()


def test_figures_are_bars_and_the_course_of_training_is_a_curve(page):
    page.get_by_role("link", name="tiny", exact=True).click()
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("bits_per_char")
    page.locator(".js-plotly-plot .bars path").first.wait_for(state="attached")
    page.get_by_placeholder("Search metric charts").fill("train/loss")
    page.locator(".js-plotly-plot .scatterlayer path.js-line").first.wait_for(state="attached")


def test_samples_and_figures_are_shown(page):
    page.get_by_role("link", name="tiny", exact=True).click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("samples.md", exact=True).click()
    page.get_by_role("heading", name="Samples").wait_for()
    page.get_by_text("figures", exact=True).click()
    page.get_by_text("learning_curve.png", exact=True).click()
    page.wait_for_function(
        "[...document.images].some(image => image.src.startsWith('blob:') && image.naturalWidth > 100)"
    )


def test_two_runs_compare(page):
    page.locator(".ag-header-cell input[type=checkbox]").first.click()
    page.get_by_role("button", name="Compare").click()
    sees(page, "Comparing 2 Runs from 1 Experiment", "tiny", "other")
