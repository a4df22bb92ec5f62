"""The page of the comparison as a person sees it, in headless Chromium. Needs `pip install -e ".[browser]"`."""

import io

import pytest
from test_report import EVIL, NAME, Pages, full, project  # noqa: F401

from unroll.evaluation.figures import png

PATIENCE = 60_000  # milliseconds; on a quiet machine a page takes half a second


@pytest.fixture
def open_page(browser, full: Pages):  # noqa: F811
    """Opens the page of `full` from its file; at the end nothing may have been asked for, and nothing gone wrong."""
    full.figure("a", "gates.png", png(lambda figure: figure.add_subplot(), 4, 3))
    full.written()
    contexts, asked, wrong = [], [], []

    def open_it(**options):
        context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto((full.folder / "report" / "comparison.html").as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)
    assert wrong == []


@pytest.fixture
def page(open_page):
    return open_page()


def names(table) -> list[str]:
    return table.locator("tbody th").all_text_contents()


def test_a_heading_sorts_its_table_by_exact_figures(page):
    table = page.locator("table.sortable").first
    assert names(table) == ["both", "lstm-1, lstm-2", NAME, "gram"]
    heading = table.get_by_role("columnheader", name="bits/char")
    heading.get_by_role("button").click()
    assert names(table) == ["gram", NAME, "lstm-1, lstm-2", "both"]
    assert heading.get_attribute("aria-sort") == "descending"
    table.get_by_role("columnheader", name="run").get_by_role("button").click()
    assert names(table) == [NAME, "both", "gram", "lstm-1, lstm-2"]
    assert heading.get_attribute("aria-sort") is None


def test_what_has_no_figure_stays_last(page):
    costs = page.locator("table.sortable").nth(1)
    for order in ("ascending", "descending"):
        costs.get_by_role("columnheader", name="train s").get_by_role("button").click()
        assert costs.get_by_role("columnheader", name="train s").get_attribute("aria-sort") == order
        assert names(costs)[-1] == "both"


def test_the_keyboard_sorts(page):
    table = page.locator("table.sortable").first
    table.get_by_role("columnheader", name="word perpl.").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert names(table) == ["lstm-1, lstm-2", NAME, "gram", "both"]  # the last one has none
    page.keyboard.press("Space")
    assert names(table) == ["gram", NAME, "lstm-1, lstm-2", "both"]


def lines(page) -> list[str]:
    """The classes of all lines drawn."""
    return [line.get_attribute("class") for line in page.locator(".plot .curve").all()]


def test_curves_are_drawn_and_chosen(page):
    assert lines(page) == ["curve valid colour-1 line-0"] * 2 + ["curve valid colour-3 line-0 level"]
    page.get_by_role("checkbox", name="lstm-1").uncheck()
    assert lines(page) == ["curve valid colour-1 line-0", "curve valid colour-3 line-0 level"]
    page.get_by_role("button", name="none").click()
    assert page.locator(".plot").text_content() == "Nothing is chosen that could be drawn."
    page.get_by_role("button", name="word", exact=True).click()
    assert lines(page) == ["curve valid colour-3 line-0 level"]
    page.get_by_role("button", name="all").click()
    page.get_by_role("radio", name="both losses").check()
    assert len(lines(page)) == 2 + 2 + 1 + 2
    page.get_by_role("radio", name="training loss").check()
    points = page.locator(".plot polyline").first.get_attribute("points").split()
    (left, top), (right, bottom) = (map(float, point.split(",")) for point in points)
    assert left < right
    assert top < bottom  # of an SVG: the loss falls
    assert page.locator(".plot svg").get_attribute("aria-label").startswith("training loss in nats per token over step")


def test_curves_over_time(page, open_page, full):  # noqa: F811
    assert page.locator(".plot .name").first.text_content() == "step"
    (full.folder / "lstm-1" / "timing.csv").write_text("step,seconds,peak_ram_bytes\n10,60,1\n20,600,1\n")
    full.written()
    page = open_page()
    page.get_by_role("radio", name="training loss").check()
    page.get_by_role("radio", name="minutes").check()
    assert page.locator(".plot .name").first.text_content() == "minutes of training"
    # A run whose times are not known is left out; a level has none to know.
    assert page.locator(".plot polyline").count() == 1
    points = page.locator(".plot polyline").get_attribute("points").split()
    first, last = (float(point.split(",")[0]) for point in points)
    assert (first - 64) / (last - 64) == pytest.approx(0.1, abs=0.001)  # 64 is where the axis begins


def test_the_nearest_point_is_told(page):
    page.locator(".plot svg").scroll_into_view_if_needed()
    box = page.locator(".plot .mark").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    assert page.locator("output").text_content() == "lstm-1, step 20: validation loss 2.250"
    page.mouse.move(5, 5)


def test_texts_are_shown_and_nothing_in_them_runs(page):
    assert page.locator("pre").first.text_content() == EVIL
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("table.answers td", has_text=EVIL).count() >= 3


def test_figures_are_shown_when_they_are_asked_for(page):
    details = page.locator("details", has=page.locator("summary", has_text="Gates"))
    image = details.locator("img")
    assert not image.is_visible()
    details.locator("summary").click()
    image.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].some(image => image.naturalWidth > 100)")
    assert image.is_visible()


def contrast(one: str, other: str) -> float:
    """Of two colours `rgb(r, g, b)`, after WCAG 2.1."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out(open_page, scheme):
    page = open_page(color_scheme=scheme)
    colours = "([name, css]) => getComputedStyle(document.querySelector(name)).getPropertyValue(css)"
    back = page.evaluate(colours, ["body", "background-color"])
    assert (contrast(back, "rgb(255, 255, 255)") < 2) == (scheme == "light")
    for selector in ("body", "a", "small", "td.figure", "td.interval", "caption"):
        if page.locator(selector).count():
            assert contrast(page.evaluate(colours, [selector, "color"]), back) >= 4.5, selector
    for number in range(8):
        page.evaluate(f"document.querySelector('.curve').setAttribute('class', 'curve colour-{number}')")
        assert contrast(page.evaluate(colours, [".curve", "stroke"]), back) >= 3, number


def test_a_narrow_window_scrolls_tables_and_nothing_else(open_page):
    page = open_page()
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_the_tables_and_texts_are_there(open_page):
    page = open_page(java_script_enabled=False)
    assert names(page.locator("table.sortable").first)[0] == "both"
    assert page.get_by_text("The curves are drawn by a script.").is_visible()
    assert not page.locator(".controls").is_visible()


def test_it_prints(page):
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not page.get_by_role("button", name="none").is_visible()
    assert io.BytesIO(page.pdf(format="A4")).read(5) == b"%PDF-"
