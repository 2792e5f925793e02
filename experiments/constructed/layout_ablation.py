"""Fixed and rebuilt weights on prompts whose blocks were moved, changed or made noisy."""

import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from elsa import BlockLayout, constructions, metrics
from elsa.prompts.edits import edited
from experiments.constructed import ablation_report, checking
from experiments.constructed.ablation_problems import Problems, problems, spectrum
from experiments.constructed.perturbations import (
    FAMILIES,
    Family,
    edits,
    noise_gains,
    noise_targets,
    noisy,
    rearrangements,
)
from experiments.harness.experiment import Case, Experiment, Place, Record, Summary

SOLVED = checking.SOLVED
DIVERGED = 1e3  # relative error above which the iteration counts as diverged


def check(config: ConfigDict) -> None:
    """Refuses tasks and sizes that cannot be measured."""
    checking.layout_ablation(config)
    spectrum(config)


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """Every perturbation of each construction, then noise of several sizes."""
    return {
        f"{what} of {name}": {"what": what, "construction": name}
        for what in ("perturbations", "noise")
        for name in config.constructions
    }


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a perturbation, or one a block and noise size."""
    run = _perturbations if case["what"] == "perturbations" else _noise
    return [{**case, **record} for record in run(config, FAMILIES[case["construction"]])]


def _perturbations(config: ConfigDict, family: Family) -> list[Record]:
    original, rng = problems(config), np.random.default_rng([config.seed, 1])
    n, d = original.X.shape[1:]
    layout = family.layout(n, d, config.spare)
    depth = original.depth(config.step_share, config.accuracy)
    fixed = family.make(n, d, depth, original.step_size(config.step_share), layout=layout)
    blocks, h = original.prompts(fixed)
    places, changes = rearrangements(family, layout, config.spare), edits(family)

    prompts = {"none": h}
    for label, place in places.items():
        pack: Callable[..., jax.Array]
        pack = jax.vmap(lambda original, place=place: place.pack(**original))
        prompts[label] = h.at[:, : place.shape[0], : place.shape[1]].set(pack(blocks))
    for label, edit in changes.items():
        prompts[label] = edited(h, fixed.layout, edit.changes)
    for label, block in noise_targets(family).items():
        prompts[f"noise on {label}"] = noisy(h, fixed, block, config.noise, rng)
    last = _run(fixed, [*prompts.values()])

    records = []
    for label, out in zip(prompts, last, strict=True):
        posed = original.posed_by(changes.get(label))
        # bias-free layers answer where the caller put w; the other ones in a place of their own
        where = [fixed.readout, *([places[label]] if family.bias_free and label in places else [])]
        answers = [original.read(out, place, family) for place in where]
        record: Record = {
            "perturbation": label,
            "kind": "noise" if label.startswith("noise") else "block",
            "error_original": _largest(answers, original.solution),
            "error": _largest(answers, posed.solution),
            "distance": _largest([posed.solution], original.solution),
            "rebuilt": None,
            "refusal": None,
            "layers": None,
        }
        if label in places or label in changes:
            record |= _rebuilt(config, family, posed, places.get(label, layout), depth)
        records.append({**record, "verdict": _verdict(record)})
    return records


def _rebuilt(
    config: ConfigDict, family: Family, asked: Problems, layout: BlockLayout, depth: int
) -> Record:
    """The error of weights made for this problem and layout, or why there are none."""
    n, d = asked.X.shape[1:]
    share = config.step_share
    steps = max(depth, asked.depth(share, config.accuracy))
    try:
        stack = family.make(n, d, steps, asked.step_size(share), layout=layout)
    except ValueError as reason:
        return {"refusal": str(reason)}
    (out,) = _run(stack, [asked.prompts(stack)[1]])
    error = _largest([asked.read(out, stack.readout, family)], asked.solution)
    return {"rebuilt": error, "layers": stack.num_layers}


def _noise(config: ConfigDict, family: Family) -> list[Record]:
    original = problems(config)
    n, d = original.X.shape[1:]
    layout = family.layout(n, d, config.spare) if family.bias_free else None  # as it is by itself
    depth = original.depth(config.step_share, config.accuracy)
    stack = family.make(n, d, depth, original.step_size(config.step_share), layout=layout)
    h, targets = original.prompts(stack)[1], noise_targets(family, scratch=True)
    sizes = sorted({*config.noises, config.noise})
    pairs = [(label, size) for label in targets for size in sizes]
    noised = []
    for label, size in pairs:  # the same numbers for every size, so that only the size differs
        rng = np.random.default_rng([config.seed, 2, [*targets].index(label)])
        noised.append(noisy(h, stack, targets[label], size, rng))
    last = _run(stack, noised)
    gains = noise_gains(
        family, stack, targets, original.X, original.y, original.lam, original.start
    )
    records = []
    for (label, size), out in zip(pairs, last, strict=True):
        squares = _errors(original.read(out, stack.readout, family), original.solution) ** 2
        records.append(
            {
                "target": label,
                "size": size,
                "mean_square": _plain(squares.mean()),
                "standard_error": _plain(squares.std() / len(squares) ** 0.5),
                "theory": float(np.mean((size * np.asarray(gains.get(label, 0.0))) ** 2)),
                "layers": stack.num_layers,
            }
        )
    return records


def _run(stack: constructions.RidgeStack, prompts: Sequence[jax.Array]) -> list[np.ndarray]:
    """The last prompts of several batches, in one run."""
    out = np.asarray(jax.vmap(stack.run)(jnp.concatenate(prompts)))
    return np.split(out, len(prompts))


def _errors(answer: np.ndarray, solution: np.ndarray) -> np.ndarray:
    """Relative distance to the solution, task by task."""
    return np.asarray(_distances(answer[..., 0], solution[..., 0]))


_distances = jax.jit(jax.vmap(metrics.relative_distance))


def _largest(answers: Sequence[np.ndarray], solution: np.ndarray) -> float | None:
    """The largest error over the tasks, in the answer where it is smallest."""
    errors = [_errors(answer, solution).max() for answer in answers]
    return _plain(min(math.inf if math.isnan(error) else error for error in errors))


def _plain(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _verdict(record: Record) -> str:
    """The outcome in one word."""
    error, rebuilt = record["error"], record["rebuilt"]
    if error is not None and error <= SOLVED:
        return "solves" if record["distance"] > SOLVED else "survives"
    if error is None or error >= DIVERGED:
        return "diverges"
    if record["kind"] == "noise":
        return "shifted"
    return "rebuild" if rebuilt is not None and rebuilt <= SOLVED else "lost"


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """Tables of both measurements by construction, and their main numbers."""
    blocks = [record for record in records if record["what"] == "perturbations"]
    noise = [record for record in records if record["what"] == "noise"]
    not_shown = ("case", "seconds", "part", "parts", "what", "construction", "kind")
    return {
        "perturbations": {
            name: [
                {key: value for key, value in record.items() if key not in not_shown}
                for record in blocks
                if record["construction"] == name
            ]
            for name in config.constructions
        },
        "noise": {
            name: [
                {key: value for key, value in record.items() if key not in not_shown}
                for record in noise
                if record["construction"] == name
            ]
            for name in config.constructions
        },
        "unperturbed": max(r["error"] for r in blocks if r["perturbation"] == "none"),
        "verdicts": {
            name: {r["perturbation"]: r["verdict"] for r in blocks if r["construction"] == name}
            for name in config.constructions
        },
        "tasks": config.batch,
        "noise_size": config.noise,
    }


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=ablation_report.tables,
    figures=ablation_report.figures,
    check=check,
)
