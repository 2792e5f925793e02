"""Compiled, disturbed and trained stacks against six algorithms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from elsa import readback, training
from elsa.readback.matching_candidates import CANDIDATES
from experiments.constructed import algorithm_match_report, checking
from experiments.constructed.algorithm_match_problems import disturb, planted, prompts
from experiments.harness.experiment import (
    FAILED,
    Case,
    Experiment,
    Place,
    Record,
    RunError,
    Shown,
    Summary,
)

COMPILED, NOISE, TRAINED, LOADED = "compiled", "noise", "trained", "loaded"
MEASURES = ("predictions", "sensitivities", "directions")


def check(config: ConfigDict) -> None:
    """Refuses sizes and noises that make no measurement, and folders without models."""
    checking.algorithm_match(config)
    for folder in config.folders:
        training.all_models(folder)


def cases(config: ConfigDict) -> Mapping[str, Case]:
    """Every algorithm as compiled, then at each noise, then the models that are trained."""
    found: dict[str, Case] = {
        f"{name}, compiled": {"kind": COMPILED, "algorithm": name} for name in CANDIDATES
    }
    found |= {
        f"{name}, noise {noise:g}": {"kind": NOISE, "algorithm": name, "noise": noise}
        for noise in config.noises
        for name in CANDIDATES
    }
    found |= {
        f"{depth} layer{'s' * (depth > 1)}, trained": {"kind": TRAINED, "depth": depth}
        for depth in config.depths
    }
    for folder in config.folders:
        below: list[str | None] = [p.name for p in sorted((Path(folder) / "training").glob("*/"))]
        for run in below or [None]:
            title = f"{Path(folder).name}, {run}" if run else Path(folder).name
            found[title] = {"kind": LOADED, "folder": str(folder), "run": run}
    return found


def measure(config: ConfigDict, case: Case, place: Place) -> list[Record]:
    """One record a stack: what it is named, and its distances after each step."""
    if case["kind"] in (TRAINED, LOADED):
        try:
            task, model = _model(config, case, place)
        except training.TrainingError as error:  # one that diverged runs no algorithm
            text = f"{error}; config.train.learning_rate sets it, config.depths leaves it out"
            raise RunError(text, exit_code=FAILED) from error
        drawn = task.sample(jax.random.key(config.seed), config.batch)
        prompt = jax.tree.map(lambda part: part.astype(_dtype_of(model)), drawn)
        return [{**case, **_record(readback.algorithm_match(model, prompt))}]
    prompt = prompts(config)
    one = planted(config, prompt)[case["algorithm"]]
    records = []
    for draw in range(config.draws if case["kind"] == NOISE else 1):
        stack = one.make()
        if case["kind"] == NOISE:
            disturb(stack, case["noise"], np.random.default_rng([config.seed, draw]))
        found = readback.algorithm_match(stack, prompt, lam=one.lam, **one.blocks)
        records.append({**case, "draw": draw, **_record(found)})
    return records


def _record(found: readback.AlgorithmMatch) -> Record:
    numbers = {
        name: {key: np.asarray(value).tolist() for key, value in own.items()}
        for name, own in found.numbers.items()
    }
    matrices = {name: _plain(getattr(found, name)) for name in MEASURES}
    return {"named": found.name, "algorithms": list(found.names), **matrices, "numbers": numbers}


def _plain(matrix: np.ndarray) -> list[list[float | None]]:
    return [[float(x) if np.isfinite(x) else None for x in row] for row in matrix]


def _model(config: ConfigDict, case: Case, place: Place) -> tuple[Any, Any]:
    """A model that was trained before, or one that is trained in the run's folder."""
    if case["kind"] == LOADED:
        loaded = training.load(case["folder"], case["run"])
        return loaded.task, loaded.model
    task = {"dim": config.task.dim, "context_length": config.task.context_length}
    run = {
        "task": {"name": "linear_regression", **task, "noise_var": config.task.noise_var},
        "model": {"name": "linear_transformer", "depth": case["depth"], "init_scale": 0.1},
        "num_seeds": 2,
        "seed": config.seed,
        "train": {**config.train.to_dict(), **checking.TRAINED_ALIKE},
    }
    folder = place.folder / "training" / f"layers_{case['depth']}"
    training.fit(
        run,
        folder,
        environment=place.environment,
        screen=place.screen,
        name=f"{case['depth']} layers",
    )
    loaded = training.load(folder)
    return loaded.task, loaded.model


def _dtype_of(model: Any) -> Any:
    return next(leaf.dtype for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype"))


def summarise(config: ConfigDict, records: list[Record]) -> Summary:
    """What each is named, and the share of disturbed stacks that are named rightly."""
    rows = []
    for record in records:
        if record["kind"] == NOISE:
            continue
        wanted = record.get("algorithm")
        rows.append(
            {
                "case": record["case"],
                "algorithm": wanted,
                "named": record["named"],
                "sensitivities": _root_mean_square(record),
            }
        )
    shares = []
    for noise in config.noises:
        own = [r for r in records if r["kind"] == NOISE and r["noise"] == noise]
        right = [r["named"] == r["algorithm"] for r in own]
        distances = [_root_mean_square(r)[r["algorithm"]] for r in own]
        shares.append(
            {
                "noise": noise,
                "share": float(np.mean(right)),
                "stacks": len(own),
                "distance": float(np.median([np.inf if x is None else x for x in distances])),
            }
        )
    compiled = [row for row in rows if row["algorithm"] is not None]
    return {
        "rows": rows,
        "noise": shares,
        "all_named": all(row["named"] == row["algorithm"] for row in compiled),
    }


def _root_mean_square(record: Record) -> dict[str, float | None]:
    """The distance of the sensitivities to each algorithm over all steps."""
    matrix = np.array(record["sensitivities"], np.float64)  # None becomes NaN
    found = np.sqrt((matrix**2).mean(axis=0))
    pairs = zip(record["algorithms"], found, strict=True)
    return {name: float(x) if np.isfinite(x) else None for name, x in pairs}


EXPERIMENT = Experiment(
    cases=cases,
    measure=measure,
    summarise=summarise,
    tables=algorithm_match_report.tables,
    figures=algorithm_match_report.figures,
    check=check,
    shown=Shown(main="named"),
)
