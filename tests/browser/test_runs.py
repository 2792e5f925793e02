"""The pages that runs, sweeps and comparisons write, as a reader opens them."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CONVERGENCE = (
    "--config=configs/convergence.py:quick",
    "--config.methods=gradient_descent",
    "--config.dtypes=float64",
)
TRAIN = ("--config=configs/train.py:quick", "--config.train.num_steps=100")
PAGES = {  # a page's folder -> what is run for it
    "one": (("experiments.run", *CONVERGENCE, "--workdir={}/one"),),
    "trained": (("experiments.run", *TRAIN, "--workdir={}/trained"),),
    "sweep": (("experiments.run", *CONVERGENCE, "--sweep.lam=10,100", "--workdir={}/sweep"),),
    "both.html": (("experiments.report", "{}/one", "{}/trained", "--out={}/both.html"),),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, commands in PAGES.items():
        for command in commands:
            argv = [sys.executable, "-m", *(word.format(folder) for word in command)]
            subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=1200)
        path = folder / name
        made[name] = path / "report.html" if path.is_dir() else path
    return made


@pytest.mark.parametrize("width, scheme", [(360, "dark"), (768, "light"), (1440, "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_fits_and_breaks_no_rule_of_accessibility(
    name, width, scheme, pages, visit, violations
):
    address = pages[name].as_uri()
    with visit(address, width=width, scheme=scheme, own=address) as page:
        drawn = page.locator("figure[data-chart]")
        assert drawn.count() >= 1
        for index in range(drawn.count()):
            assert drawn.nth(index).locator(".panel .curves > g").count() >= 1
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_control_is_reached_by_keys_and_works(name, pages, visit):
    address = pages[name].as_uri()
    with visit(address, width=1440, scheme="light", own=address) as page:
        for place in page.locator("details").all():
            place.evaluate("node => { node.open = true }")
        controls = "a[href], button, input, select, summary, [tabindex='0']"
        wanted = page.locator(controls).evaluate_all(
            "nodes => nodes.filter(node => node.checkVisibility()).length"
        )
        page.evaluate("window.reached = new Set()")
        for _ in range(wanted + 1):
            page.keyboard.press("Tab")
            page.evaluate("window.reached.add(document.activeElement)")
        missed = page.locator(controls).evaluate_all(
            "nodes => nodes.filter(node => node.checkVisibility() && !window.reached.has(node))"
            ".map(node => node.outerHTML.slice(0, 120))"
        )
        assert missed == []
        button = page.locator("figure button[aria-pressed]").first
        button.focus()
        curves = page.locator("figure").first.locator(".curves > g")
        before = curves.count()
        page.keyboard.press("Space")
        assert button.get_attribute("aria-pressed") == "false" and curves.count() < before
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true" and curves.count() == before
