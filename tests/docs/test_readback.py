"""The page about reading weights prints what it shows."""

from tests.docs.test_compiler import run_page


def test_its_program_is_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, (printed,), (shown, _) = run_page("readback.md")
    assert printed.splitlines()[1:] == shown.splitlines()[1:]  # the first has the step's module
    assert max(layer.unexplained for layer in names["program"].layers) <= 1e-12
