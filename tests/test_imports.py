"""Who may import whom, what `import elsa` costs, and that no module hides a function.

The imports are read from the source, so that nothing has to be imported to be checked.
"""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import elsa
from scripts import rooms
from scripts.rooms import ROOMS
from tests.helpers import table

ROOT = Path(__file__).parents[1]


EVERYWHERE = {"jax", "jaxtyping", "numpy"} | sys.stdlib_module_names
SLOW = {"matplotlib", "sklearn"}  # 0.4 s and 1.1 s: inside the functions that need them
DOORS = {"mlflow", "torch", "wandb"}  # optional
OURS = {name.split(".")[0] for name in ROOMS}
FOLDERS = ("benchmarks", "configs", "elsa", "experiments", "scripts")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PACKAGES = sorted(
    path for path in (ROOT / "elsa").rglob("__init__.py") if path.parent.name not in DOORS
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The innermost room that the module lies in, or what would be one."""
    parts = module.split(".")
    inside = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next((name for name in inside if name in ROOMS), ".".join(parts[:2]))


def imports(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """Every imported name in full, its line, and whether importing the file imports it too."""
    waiting: deque[tuple[ast.AST, bool]] = deque([(tree, True)])
    while waiting:
        node, at_once = waiting.popleft()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((f"{base}.{a.name}", node.lineno, at_once) for a in node.names)
        later = set()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            later = {*ast.iter_child_nodes(node)}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            later = {*node.body}
        waiting += ((below, at_once and below not in later) for below in ast.iter_child_nodes(node))


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the table, one message each."""
    name = room_of(module)
    if name not in ROOMS:
        return [f"{module}: no room {name!r} in the table; give it a line"]
    room, found = ROOMS[name], []
    for imported, line, at_once in imports(ast.parse(source)):
        top = imported.split(".")[0]
        if imported.startswith(".") or (imported == "elsa" and "elsa" not in room.ours):
            reason = "write `from elsa.room import name`"
        elif top in OURS:
            reason = "" if _allowed(name, imported) else f"{name} must not know it"
        elif top in SLOW - {*room.at_once} and at_once and not name.startswith("experiments"):
            reason = "import it inside the function that needs it"
        else:
            reason = "" if top in EVERYWHERE | {*room.others} else f"{name} must do without it"
        if reason:
            found.append(f"{module}, line {line}: imports {imported}: {reason}")
    return found


def _allowed(name: str, imported: str) -> str | None:
    """What admits the import: the room itself, or what it may import."""
    admitting = (a for a in (name, *ROOMS[name].ours) if f"{imported}.".startswith(f"{a}."))
    return next(admitting, None)


@table("path", FILES)
def test_a_file_imports_only_rooms_below_it(path):
    module = module_name(path)
    if module != "elsa":  # the lazy namespace stands above every room
        assert violations(module, path.read_text(encoding="utf-8")) == []


@table(
    "module, source, message",
    [
        ("elsa.base.checks", "from elsa.prompts import BlockLayout", "elsa.base must not know it"),
        ("elsa.theory.pgd", "from elsa import base, attention", "elsa.attention: elsa.theory"),
        ("elsa.models.a", "from elsa.tasks import LinearRegression", "must not know it"),
        ("elsa.nn.stack", "from elsa.models import H3", "elsa.nn must not know it"),
        ("elsa.compiler.tracing.a", "from elsa.compiler.planning import plan", "tracing must not"),
        ("elsa.nn.lsa", "from . import stack", "from elsa.room import name"),
        ("elsa.nn.lsa", "import elsa", "from elsa.room import name"),
        ("elsa.nn.lsa", "from elsa import elsa", "must not know it"),
        ("elsa.prompts.layout", "def f():\n    from flax import nnx", "line 2: imports flax.nnx"),
        ("elsa.tasks.table", "import sklearn.datasets", "inside the function"),
        ("elsa.report.figures", "import matplotlib.pyplot as plt", "inside the function"),
        ("elsa.metrics", "import experiments.run", "elsa.metrics must not know it"),
        ("configs.a", "from elsa import tasks", "configs must not know it"),
        ("elsa.utils", "import os", "no room 'elsa.utils' in the table"),
    ],
)
def test_the_table_refuses(module, source, message):
    (found,) = violations(module, source)
    assert message in found


@table(
    "module, source",
    [
        (
            "elsa.models.a",
            "import math\nfrom elsa.tasks import Prompt\nfrom elsa.base import checks",
        ),
        ("elsa.tasks.table", "def f():\n    from sklearn.datasets import load_diabetes"),
        ("elsa.tasks.table", "if TYPE_CHECKING:\n    import sklearn"),
        ("elsa.nn.stack", "from elsa.nn.lsa import LSA\nfrom flax import nnx"),
        ("elsa.estimators.a", "from sklearn.base import BaseEstimator"),
        (
            "experiments.trained.a",
            "import elsa\nfrom elsa import theory\nfrom experiments import harness",
        ),
    ],
)
def test_the_table_admits(module, source):
    assert violations(module, source) == []


def test_every_room_exists_and_uses_all_that_it_may_import():
    """An allowance that nobody needs is an arrow that nobody would see."""
    used: dict[str, set[str]] = {name: set() for name in ROOMS}
    for path in FILES:
        module = module_name(path)
        if module == "elsa":
            continue
        name = room_of(module)
        for imported, _, _ in imports(ast.parse(path.read_text(encoding="utf-8"))):
            top = imported.split(".")[0]
            used[name].add(top if top not in OURS else _allowed(name, imported) or "")
    unused = {name: sorted({*room.ours, *room.others} - used[name]) for name, room in ROOMS.items()}
    assert {name: names for name, names in unused.items() if names} == {}
    here = {room_of(module_name(path)) for path in FILES} - {"elsa"}
    assert here == set(ROOMS)


def test_the_table_for_contributors_is_this_one():
    text = rooms.CONTRIBUTING.read_text(encoding="utf-8")
    written = text.partition(rooms.BEGIN)[2].partition(rooms.END)[0]
    assert written == rooms.table(), "run: python scripts/rooms.py"


@table("path", PACKAGES)
def test_no_module_has_the_name_of_a_public_function_of_its_package(path):
    package = importlib.import_module(module_name(path))
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    public = getattr(package, "__all__", ())
    assert [n for n in public if not hasattr(package, n)] == []
    functions = {n for n in public if not isinstance(getattr(package, n), ModuleType)}
    assert modules & functions == set()


def test_the_public_names_are_listed_and_an_unknown_one_is_an_error():
    assert set(elsa.__all__) <= set(dir(elsa))
    assert list(elsa.__all__) == sorted(set(elsa.__all__))
    with pytest.raises(AttributeError, match="module 'elsa' has no attribute 'lsq'"):
        _ = elsa.lsq


@pytest.mark.parametrize(
    "then, heavy",
    [
        (
            "",
            {"matplotlib", "optax", "orbax", "safetensors", "scipy", "sklearn", "tensorstore"}
            | DOORS,
        ),
        ("[getattr(elsa, name) for name in elsa.__all__]", {"matplotlib", "sklearn"} | DOORS),
    ],
    ids=["import elsa", "every name"],
)
def test_importing_elsa_leaves_heavy_modules_alone(then, heavy):
    program = f"""
import sys, jax, flax
before = set(sys.modules)
import elsa
{then}
print(*(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    new = {name.split(".")[0] for name in done.stdout.split()}
    assert "elsa" in new and new & heavy == set()
