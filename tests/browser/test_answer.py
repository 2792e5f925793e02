"""The figure of a run on a table: dots within rings, a button for each thing, ticks on a phone."""

import itertools

import pytest

from elsa.report import document
from elsa.report.charts import chart
from experiments.constructed import answer_figure

pytestmark = pytest.mark.slow
TRUTH = [245.0, 290.0, 310.0, 350.0, 385.0]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    held_out = {"truth": TRUTH, "r2": 0.6, "sklearn_r2": 0.6}
    predicted = [300.0, 320.0, 325.0, 345.0, 360.0]
    held_out |= {"prediction": predicted, "sklearn_prediction": predicted}
    found = {"target": "price", "columns": ["age", "income"], "spreads": [10.0, 400.0]}
    found |= {"coefficients": [-0.893, 0.0235], "sklearn_coefficients": [-0.893, 0.0235]}
    found = chart(answer_figure.figure({**found, "held_out": held_out}))
    text = document.document(
        "a run", {"Figures": document.figure("answer", 0)}, head="", charts=[found]
    )
    place = tmp_path_factory.mktemp("answer") / "report.html"
    place.write_text(text, encoding="utf-8")
    return place.as_uri()


@pytest.mark.parametrize("width, scheme", [(360, "light"), (1440, "dark")])
def test_both_answers_show_and_every_axis_has_numbers(visit, address, width, scheme):
    with visit(address, width=width, scheme=scheme, own=address) as page:
        names = page.locator(".legend button").all_inner_texts()
        assert sorted(map(str.strip, names)) == ["attention", "prediction = truth", "scikit-learn"]
        for panel in page.locator(".panel svg").all():
            rings, dots = (
                [
                    {key: float(circle.get_attribute(key)) for key in ("cx", "cy", "r")}
                    for circle in curve.locator("circle").all()
                ]
                for curve in panel.locator(".curves > g").all()[-2:]
            )
            assert len(rings) == len(dots) > 1
            for ring, dot in zip(rings, dots, strict=True):
                assert (ring["cx"], ring["cy"]) == (dot["cx"], dot["cy"])
                assert dot["r"] < ring["r"] - 1.4
            paper, ink = (
                panel.locator(".curves > g").nth(place).locator("circle").first
                for place in (-2, -1)
            )
            assert paper.get_attribute("fill") == "var(--paper)"
            assert ink.get_attribute("fill") == ink.get_attribute("stroke")
            box = panel.bounding_box()
            below = panel.locator("text[text-anchor=middle]")
            assert below.count() >= 4  # three ticks and the label
            for text in below.all():
                own = text.bounding_box()
                assert box["x"] <= own["x"] and own["x"] + own["width"] <= box["x"] + box["width"]
        assert page.locator(".panel").first.get_by_text("predicted price").count() == 0


def test_an_axis_of_names_stays_and_points_below_zero_are_said(visit, address):
    with visit(address, width=1440, scheme="light", own=address) as page:
        columns, predictions = page.locator(".panel").all()
        before = columns.locator("svg").inner_html()
        page.get_by_label("logarithmic vertical axis").check()
        assert columns.locator("svg").inner_html() == before  # its places are names
        page.get_by_label("logarithmic horizontal axis").check()
        assert columns.get_by_text("Not shown, as they are not above 0: 2 points.").is_visible()
        assert predictions.get_by_text("Not shown").count() == 0
        assert "age  -0.893" in columns.locator("svg").inner_html()
        page.get_by_role("button", name="scikit-learn").click()
        assert columns.get_by_text("Not shown, as they are not above 0: 1 point.").is_visible()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The same with targets of six digits, as prices of houses are, and one that is below zero."""
    truth = [1.2e5, 3.1e5, 4.6e5, 6.9e5, 8.8e5]
    predicted = [-1.9e5, 3.3e5, 4.4e5, 6.1e5, 7.7e5]
    held_out = {"truth": truth, "prediction": predicted, "sklearn_prediction": predicted}
    held_out |= {"r2": 0.6, "sklearn_r2": 0.6}
    found = {"target": "price", "spreads": [1.0, 1.0]}
    found["columns"] = ["average age of all the people in a household [years]", "median_income"]
    size = [-21000.0, 90000.0]  # beside long names, 24 pixels from one to the next
    found |= {"coefficients": size, "sklearn_coefficients": size, "held_out": held_out}
    drawn = chart(answer_figure.figure(found))
    text = document.document(
        "a run", {"Figures": document.figure("answer", 0)}, head="", charts=[drawn]
    )
    place = tmp_path_factory.mktemp("large") / "report.html"
    place.write_text(text, encoding="utf-8")
    return place.as_uri()


@pytest.mark.parametrize("width", [360, 1440])
def test_long_names_are_read_as_a_whole_and_touch_no_other(visit, large, width):
    with visit(large, width=width, scheme="light", own=large) as page:
        panel = page.locator(".panel svg").first
        left, names = panel.bounding_box()["x"], panel.locator("text[text-anchor=end]")
        boxes = [name.bounding_box() for name in names.all()]
        assert len(boxes) == 4  # three lines, and one
        assert min(box["x"] for box in boxes) >= left
        boxes.sort(key=lambda box: box["y"])
        for above, below in itertools.pairwise(boxes):
            assert below["y"] - above["y"] >= 13


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_two_numbers_along_an_axis_touch(visit, large, width):
    with visit(large, width=width, scheme="light", own=large) as page:
        for is_log in (False, True):
            page.get_by_label("logarithmic horizontal axis").set_checked(is_log)
            for panel in page.locator(".panel svg").all():
                whole = panel.bounding_box()
                ticks = panel.locator("text[text-anchor=middle]:not(.label)").all()
                boxes = sorted((one.bounding_box() for one in ticks), key=lambda box: box["x"])
                assert len(boxes) >= (1 if is_log else 2)
                for left, right in itertools.pairwise(boxes):
                    assert right["x"] - left["x"] - left["width"] >= 4
                assert boxes[-1]["x"] + boxes[-1]["width"] <= whole["x"] + whole["width"]
