"""The rooms (packages) of the project and what each may import; writes CONTRIBUTING.md's table.

    python scripts/rooms.py

`tests/test_imports.py` holds every file to it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

CONTRIBUTING = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
BEGIN, END = "<!-- rooms: written by scripts/rooms.py -->\n", "<!-- end of rooms -->\n"


class Room(NamedTuple):
    """What a room holds, and may import besides itself, jax, numpy and the standard library.

    ours: rooms, or single names of one ("elsa.tasks.Prompt"); "elsa" is all of the library.
    others: third parties.
    at_once: of them, the slow ones that a file of it may import outside of functions.
    """

    holds: str
    ours: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    at_once: tuple[str, ...] = ()


# From the bottom up: a room may import those before it; a room within a room has its own line.
ROOMS: Mapping[str, Room] = MappingProxyType(
    {
        "elsa.base": Room(
            "helpers of every room: one message format for bad values, the precision of products, "
            "differences between versions of jax, what bits depend on, what a terminal can show, "
            "large matrices by their structure, rows in blocks and their sums, files that are "
            "written whole or not at all, and one owner for a folder",
            others=("rich", "scipy"),
        ),
        "elsa.base.tables": Room(
            "text files as rows of numbers, without jax, and what is wrong with one", ("elsa.base",)
        ),
        "elsa.attention": Room(
            "pure functions of one prompt: LSA, ELSA, mask and move, and bias-free layers on the "
            "Gram matrix",
            ("elsa.base",),
            ("rich",),
        ),
        "elsa.prompts": Room(
            "where the named blocks of a prompt lie, prompts by name, and how a task is packed",
            ("elsa.base",),
        ),
        "elsa.tasks": Room(
            "samplers, tables of data, and files as rows that come in blocks",
            ("elsa.base",),
            ("polars", "sklearn"),
        ),
        "elsa.algorithms": Room("steps in plain JAX, for the compiler", ("elsa.base",)),
        "elsa.theory": Room(
            "closed forms; no code is shared with what they predict", ("elsa.base",), ("scipy",)
        ),
        "elsa.softmax_regression": Room(
            "losses, derivatives, constants, solvers, shifts", ("elsa.base",), ("optax", "scipy")
        ),
        "elsa.metrics": Room("distances and decays", ("elsa.base",)),
        "elsa.predictors": Room(
            "reference predictors with a model's signature", ("elsa.base", "elsa.tasks.Prompt")
        ),
        "elsa.heads": Room(
            "symbolic heads that become weights, one for each line of the head table",
            ("elsa.base", "elsa.attention", "elsa.prompts"),
        ),
        "elsa.nn": Room(
            "modules from prompt to prompt: layers and stacks of them",
            ("elsa.base", "elsa.attention", "elsa.prompts", "elsa.heads"),
            ("flax", "rich", "treescope"),
        ),
        "elsa.constructions": Room(
            "stacks with weights written by hand",
            ("elsa.base", "elsa.prompts", "elsa.heads", "elsa.nn"),
            ("flax",),
        ),
        "elsa.compiler": Room(
            "from a step in JAX to a stack",
            ("elsa.base", "elsa.prompts", "elsa.heads", "elsa.nn"),
            ("flax",),
        ),
        "elsa.compiler.tracing": Room(
            "from the step to a graph of matrix values: rules for primitives",
            ("elsa.base", "elsa.compiler.errors"),
        ),
        "elsa.compiler.planning": Room(
            "from the graph to layers of products", ("elsa.base", "elsa.compiler.tracing")
        ),
        "elsa.compiler.emitting": Room(
            "from layers to boxes of a prompt and symbolic heads",
            (
                "elsa.base",
                "elsa.attention",
                "elsa.prompts",
                "elsa.heads",
                "elsa.compiler.planning",
                "elsa.compiler.tracing",
            ),
        ),
        "elsa.estimators": Room(
            "estimators in scikit-learn's sense, whose fit is a run of attention layers",
            (
                *("elsa.base", "elsa.tasks.Scaling", "elsa.algorithms", "elsa.theory"),
                "elsa.compiler",
            ),
            ("rich", "sklearn"),
            at_once=("sklearn",),  # they inherit from its classes
        ),
        "elsa.models": Room(
            "modules from a batch of prompts to predictions; the one place of signs",
            (
                *("elsa.base", "elsa.attention", "elsa.prompts", "elsa.nn", "elsa.algorithms"),
                *("elsa.constructions", "elsa.compiler"),
                *("elsa.tasks.BlockPrompt", "elsa.tasks.CountedPrompt", "elsa.tasks.GramPrompt"),
                *("elsa.tasks.PairPrompt", "elsa.tasks.Prompt"),
            ),
            ("flax",),
        ),
        "elsa.readback": Room(
            "reading weights: as a program, as plain stacks, as descent; what is wrong with them",
            (
                "elsa.base",
                "elsa.prompts",
                "elsa.tasks.Prompt",
                "elsa.heads",
                "elsa.nn",
                "elsa.compiler",
                "elsa.models",
            ),
            ("flax",),
        ),
        "elsa.training": Room(
            "sweeps in one program, checkpoints, resuming, loading; no theory",
            ("elsa.base", "elsa.tasks", "elsa.models"),
            (
                *("flax", "ml_collections", "mlflow", "optax", "orbax", "rich"),
                *("tensorboardX", "wandb"),
            ),
        ),
        "elsa.exchange": Room(
            "stacks as files",
            ("elsa.base", "elsa.prompts", "elsa.heads", "elsa.nn"),
            ("safetensors",),
        ),
        "elsa.exchange.torch": Room(
            "exported stacks in PyTorch, with hook points; the one room that knows torch",
            ("elsa.base", "elsa.prompts", "elsa.exchange.contents"),
            ("torch",),
        ),
        "elsa.report": Room(
            "figures, of plain numbers", ("elsa.base",), ("matplotlib", "treescope")
        ),
        "configs": Room("one config for each experiment", (), ("ml_collections",)),
        "experiments.harness": Room(
            "the framework of experiments: command line, run folder, records, progress, sweeps",
            ("elsa.base", "elsa.report"),
            ("absl", "matplotlib", "ml_collections", "polars", "rich"),
        ),
        "experiments.cluster": Room(
            "sweeps as jobs: of Slurm, or processes of this machine",
            ("elsa.base", "experiments.harness"),
            ("cloudpickle", "ml_collections", "polars", "rich", "submitit"),
        ),
        "experiments.constructed": Room(
            "drivers: weights that are built, by hand or by the compiler",
            ("elsa", "experiments.harness"),
            ("flax", "matplotlib", "ml_collections", "rich", "sklearn"),
        ),
        "experiments.trained": Room(
            "drivers: trained models against closed forms",
            ("elsa", "experiments.harness"),
            ("matplotlib", "ml_collections", "rich"),
        ),
        "experiments.softmax": Room(
            "drivers: softmax regression",
            ("elsa", "experiments.harness"),
            ("matplotlib", "ml_collections", "rich"),
        ),
        "experiments": Room(
            "the one entry, `experiments/run.py`; the harness beside it",
            ("elsa.base",),
            ("absl", "ml_collections"),
        ),
        "elsa.__main__": Room(
            "the command `elsa`, which runs the experiments in any folder",
            ("elsa.base", "experiments"),
        ),
        "benchmarks": Room(
            "timings beside baselines, and whether they have regressed",
            ("elsa",),
            ("flax", "matplotlib", "polars", "rich", "scipy", "sklearn"),
        ),
        "scripts": Room(
            "the README runner, the check of a device, figures of the docs",
            ("elsa",),
            ("flax", "matplotlib"),
        ),
    }
)


def table() -> str:
    """The rooms as a Markdown table."""
    lines = ["| room | holds | may import, besides jax and numpy |", "|---|---|---|"]
    for name, room in ROOMS.items():
        inside = [ours.removeprefix("elsa.") for ours in room.ours]
        named = ["all of `elsa`" if ours == "elsa" else f"`{ours}`" for ours in inside]
        lines.append(
            f"| {_place(name)} | {room.holds} | "
            f"{', '.join([*named, *room.others]) or 'nothing of ours'} |"
        )
    return "\n".join(lines) + "\n"


def _place(name: str) -> str:
    path = Path(*name.split("."))
    is_file = (CONTRIBUTING.parent / path.with_suffix(".py")).is_file()
    return f"`{path.as_posix()}.py`" if is_file else f"`{path.as_posix()}/`"


def main() -> int:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{CONTRIBUTING} must hold {BEGIN!r} and {END!r} once each", file=sys.stderr)
        return 1
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    CONTRIBUTING.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
