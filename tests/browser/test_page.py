"""A page of a run: drawn, without an error, reachable by keys, narrow and wide, light and dark."""

import numpy as np
import pytest

from elsa.report import document, style
from elsa.report.charts import chart

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    figure, grid = style.figure(1, 2)
    for axes in grid:
        style.measured(axes, [1, 2, 4], [1.0, 0.1, 0.01], error=np.full(3, 0.004), name="h3")
        style.theory(axes, [1, 2, 4], [1.0, 0.11, 0.012])
        axes.set_yscale("log")
        style.finish(axes, x="layers", y="risk (squared error)", title="a panel", legend=False)
    sections = {
        "Figures": document.figure("risk", 0),
        "Results": document.table(["name", "number"], [["a", 1]], caption="some numbers"),
        "Run it again": document.folded("how", document.command("python -m something " * 12)),
    }
    head = document.paragraph("Finished: 1 case.", "status")
    text = document.document("a run", sections, head=head, charts=[chart(figure)])
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(text, encoding="utf-8")
    return place.as_uri()


@pytest.fixture(params=[(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")], ids=str)
def page(visit, address, request):
    width, scheme = request.param
    with visit(address, width=width, scheme=scheme, own=address) as opened:
        yield opened


def test_figures_are_drawn_and_the_page_is_no_wider_than_the_window(page):
    assert page.locator(".panel svg").count() == 2
    assert page.locator(".panel").first.locator(".curves > g").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_text("risk (squared error)").first.is_visible()


def test_a_curve_can_be_hidden_and_an_axis_made_linear(page):
    button = page.get_by_role("button", name="theory")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator(".panel").first.locator(".curves > g").count() == 1
    button.click()
    before = page.locator(".curves path").first.get_attribute("d")
    page.get_by_label("logarithmic vertical axis").uncheck()
    assert page.locator(".curves path").first.get_attribute("d") != before
    page.get_by_text("Numbers of this figure").click()
    rows = page.locator("figure tbody tr")
    rows.first.wait_for()  # browsers tell of what is unfolded some time after the click
    assert rows.count() == 12


def test_numbers_are_read_by_pointer_and_by_keys_alone(page):
    panel = page.locator(".panel svg").first
    for _ in range(20):
        page.keyboard.press("Tab")
        if panel.evaluate("node => node === document.activeElement"):
            break
    assert panel.evaluate("node => node === document.activeElement")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    said = page.locator("[aria-live]").first
    assert said.text_content() == "h3: layers 2, risk (squared error) 0.1 (0.096 to 0.104)"
    page.keyboard.press("ArrowDown")
    assert said.text_content() == "theory: layers 2, risk (squared error) 0.11"
    page.keyboard.press("Escape")
    assert page.locator(".tip").first.is_hidden()
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    page.mouse.move(box["x"] + 66, box["y"] + 40)
    assert page.locator(".tip").first.is_visible()


def test_axe_finds_nothing(page, violations):
    assert violations(page) == []
