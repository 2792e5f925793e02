"""Pages in Chromium; skipped where Playwright for Python or Chromium is not installed.

`make test-browser` installs Playwright, and says how to get Chromium.
"""

import contextlib
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as found:
        opened = found.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def visit(browser):
    """A page, which may load its own files, and write to the console no more than `notes`."""

    @contextlib.contextmanager
    def visited(address, *, width, scheme, own, notes=()):
        opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.set_default_timeout(120_000)  # on a busy machine
        said, asked = [], []
        opened.on("console", lambda message: said.append(f"{message.text} {message.location}"))
        opened.on("pageerror", lambda error: said.append(str(error)))
        opened.on("request", lambda request: asked.append(request.url))
        try:
            opened.goto(address, wait_until="load")
            yield opened
        finally:
            opened.close()
        assert [one for one in said if not one.startswith(tuple(notes))] == []
        assert [one for one in asked if not one.startswith((own, "data:"))] == []

    return visited


@pytest.fixture(scope="session")
def violations():
    """Of the rules of axe: what it found, and where, of the impacts that are asked for."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")

    def found(page, impacts=("minor", "moderate", "serious", "critical")):
        answer = axe.Axe().run(page, options={"preload": False}).response  # loads nothing
        return [
            f"{one['impact']}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
            for one in answer["violations"]
            if one["impact"] in impacts
        ]

    return found
