"""A small experiment for sweeps in jobs, put beside ours in every Python that a test starts.

Rates share a program, which takes steps and keeps a checkpoint; every step that is taken is noted.
"""

from pathlib import Path

CONFIG = """
from ml_collections import ConfigDict

def get_config(mode="full"):
    model = {"depth": 1, "rate": 0.1}
    return ConfigDict({"experiment": "steps", "model": model, "rates": (0.1,), "pause": 0.0})
"""
DRIVER = """
import json, os, time
from experiments.harness.experiment import FAILED, Experiment, RunError

STEPS, EVERY = 12, 4

def with_axes(config, axes):
    config.rates = axes["rate"]
    return config

def save(path, step):
    beside = path.with_suffix(".tmp")
    beside.write_text(str(step))
    os.replace(beside, path)

def measure(config, case, place):
    kept, taken = place.folder / "checkpoint", place.folder / "steps.txt"
    step = int(kept.read_text()) if kept.exists() else 0
    try:
        while step < STEPS:
            time.sleep(config.pause)
            step += 1
            with taken.open("a") as file:
                file.write(f"{step}\\\\n")
            if step % EVERY == 0:
                save(kept, step)
    except KeyboardInterrupt:
        save(kept, step)
        raise
    if config.model.depth == 99:
        raise RunError("it is too deep", exit_code=FAILED)
    return [{"point": {"rate": rate}, "risk": rate * config.model.depth} for rate in config.rates]

EXPERIMENT = Experiment(
    cases=lambda config: {"all": {}}, measure=measure,
    summarise=lambda config, records: {}, tables=lambda summary: [],
    figures=lambda config, records, summary: {},
    shares=lambda config: {"model.rate": "rate"}, with_axes=with_axes)
"""
BESIDE = """
from experiments.drivers import DRIVERS
DRIVERS["steps"] = "driver_of_steps"
"""
STEPS, EVERY = 12, 4


def write(folder: Path) -> None:
    """Puts config, driver and what enters it in the list into a folder of PYTHONPATH."""
    (folder / "steps.py").write_text(CONFIG)
    (folder / "driver_of_steps.py").write_text(DRIVER.replace("\\\\n", "\\n"))
    (folder / "sitecustomize.py").write_text(BESIDE)
