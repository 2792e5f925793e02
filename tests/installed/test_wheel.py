"""The wheel, alone in a fresh environment and an empty folder: the command `elsa` and its results.

`make test-wheel` runs this. The environment holds what requirements.txt pins, linked from the one
that runs the tests, and nothing that only developers need.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("configs", "elsa", "experiments")
FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.py")
pytestmark = pytest.mark.slow


def command(*words, folder, **environment):
    """Runs a command without what this process tells Python, and returns what it printed."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        words,
        cwd=folder,
        env={**kept, "MPLBACKEND": "Agg", **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the files that belong to it, without what an older build has left."""
    place = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, place)
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir=dist", ".")
    command(sys.executable, "-m", "pip", *build, folder=place)
    (found,) = (place / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh virtual environment with the pinned requirements and the wheel: its folder."""
    place = tmp_path_factory.mktemp("environment") / ".venv"
    venv.create(place, symlinks=True, with_pip=False)
    site = packages(place)
    for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE):
        installed = metadata.distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(installed.locate_file(top))
    target = f"--python={place / 'bin' / 'python'}"
    install = ("install", "--quiet", "--no-deps", "--no-index", str(wheel))
    command(sys.executable, "-m", "pip", target, *install, folder=place)
    return place


def packages(place):
    (site,) = place.glob("lib/python*/site-packages")
    return site


@pytest.fixture
def elsa(environment, tmp_path):
    """Calls the command in an empty folder, and returns what it printed."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return lambda *words: command("elsa", *words, folder=tmp_path, PATH=path)


def test_it_holds_every_module_and_the_files_beside_them(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT) for name in SOURCES for path in (ROOT / name).rglob("*.py")}
    places = {
        (path if path.parts[0] == "elsa" else "elsa/bundled" / path).as_posix() for path in modules
    }
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "elsa/report/page").iterdir()}
    others = {name for name in names if ".dist-info/" not in name}
    assert others == places | page | {"elsa/py.typed"}


def test_it_takes_no_name_beside_elsa(environment):
    own = {path.name for path in packages(environment).iterdir() if not path.is_symlink()}
    assert {name for name in own if not name.endswith(".dist-info")} == {"elsa"}
    python = environment / "bin" / "python"
    for name in ("configs", "experiments"):
        with pytest.raises(AssertionError, match=f"No module named '{name}'"):
            command(python, "-c", f"import {name}", folder=environment)


def test_the_command_does_the_main_job_in_an_empty_folder(elsa, tmp_path):
    assert "convergence_synthetic" in elsa("list") and not [*tmp_path.iterdir()]
    elsa("run", "convergence:quick")
    run = tmp_path / "runs" / "convergence-quick"
    again = json.loads((run / "env.json").read_text())["command"]
    assert again == "elsa run convergence:quick --workdir=runs/convergence-quick"
    assert "<script" in (run / "report.html").read_text()
    assert (run / "figures" / "convergence.png").stat().st_size > 10_000
    with open(run / "coefficients.csv") as file:
        rows = {row["column"]: row for row in csv.DictReader(file)}
    assert len(rows) == 11  # of scikit-learn's diabetes data, and the intercept
    for row in rows.values():
        ours, theirs = (float(row[name]) for name in ("coefficient", "scikit_learn"))
        assert abs(ours - theirs) <= 1e-8 * abs(theirs)
    assert "finished: nothing is computed" in elsa(*again.split()[1:])
    elsa("report", "runs/convergence-quick")
    assert "convergence-quick" in (tmp_path / "comparison.html").read_text()


def test_a_config_of_ones_own_runs_and_may_use_ours(elsa, tmp_path):
    (tmp_path / "my.py").write_text(
        "from configs import convergence\n\n"
        "def get_config():\n"
        "    config = convergence.get_config('quick')\n"
        "    config.methods, config.dtypes = ('gradient_descent',), ('float64',)\n"
        "    return config\n"
    )
    elsa("run", "--config=my.py")
    assert (tmp_path / "runs" / "my" / "summary.json").exists()
