"""The site in `build/docs`, served on this machine."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "docs"
SOURCES = [path for path in (ROOT / "docs").rglob("*.md") if "_ext" not in path.parts]
PAGES = sorted(str(path.relative_to(ROOT / "docs").with_suffix(".html")) for path in SOURCES)
# One of each kind: the start, a tutorial with figures, formulas, tables, pictures, signatures.
KINDS = ["index.html", "tutorials/ridge.html", "theory.html", "results.html", "gallery.html"]
KINDS += ["api/estimators.html", "howto/export.html", "search.html"]
THEME_S = ["[PST]: "]  # what pydata-sphinx-theme tells of light, dark and its sidebar


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").is_file():
        pytest.skip("build/docs is missing; `make docs` builds it")
    handler = functools.partial(Quiet, directory=SITE)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def opened(visit, site):
    def opener(page, width, scheme="light"):
        return visit(site + page, width=width, scheme=scheme, own=site, notes=THEME_S)

    return opener


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_nothing_loads_its_own_files_and_is_no_wider_than_a_phone(page, opened):
    with opened(page, 360) as shown:
        assert shown.locator("h1").count() == 1
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        broken = "images => images.filter(one => !one.naturalWidth).map(one => one.src)"
        assert shown.locator("article img").evaluate_all(broken) == []


@pytest.mark.parametrize("width, scheme", [(360, "dark"), (1440, "light"), (1440, "dark")])
@pytest.mark.parametrize("page", KINDS)
def test_axe_finds_nothing_serious_or_critical(page, width, scheme, opened, violations):
    with opened(page, width, scheme) as shown:
        assert violations(shown, ("serious", "critical")) == []


def test_formulas_are_drawn_without_a_network(opened):
    with opened("tutorials/ridge.html", 1440) as shown:
        shown.wait_for_selector("mjx-container")
        assert shown.locator("mjx-merror").count() == 0


def test_keys_alone_find_a_page_and_go_there(opened):
    with opened("index.html", 1440) as shown:
        shown.keyboard.press("Tab")
        assert "main" in shown.evaluate("document.activeElement.textContent")  # skip what is above
        shown.keyboard.press("Control+k")
        shown.keyboard.type("heavy_ball")
        shown.keyboard.press("Enter")
        shown.wait_for_url("**/search.html?q=heavy_ball*")
        shown.wait_for_selector("#search-results a")
