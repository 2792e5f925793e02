"""The one entry of every experiment.

    python -m experiments.run --list
    python -m experiments.run --config=configs/convergence.py
    python -m experiments.run --config=configs/convergence.py:quick --config.KEY=VALUE --workdir=DIR
    python -m experiments.run --config=configs/depth.py --sweep.KEY=v1,v2 --sweep.OTHER=1e-3:1:log:4
    python -m experiments.run --config=configs/depth.py --sweep.KEY=v1,v2 --jobs=20 --slurm.time=60
    python -m experiments.run --config=configs/train.py --config.train.num_steps=3000 --extend
    python -m experiments.run --config=configs/train.py --branch=runs/train@best --workdir=DIR

A run goes on where it stopped if its folder holds the same config. SIGTERM, SIGUSR1, SIGHUP and
--max_seconds save and end it with exit code 75: run it again. Ctrl-C does, with 130. With -v=1 the
errors that say only what is wrong also say where they were raised.

Several processes share one run: --coordinator=HOST:PORT --processes=N --process=I each, or srun.
"""

import functools
import importlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if not __package__:  # `python experiments/run.py`, which looks for modules beside this file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from elsa.base import stopping

if __name__ == "__main__":
    stopping.until_begun()  # before all that takes long to import

from absl import app, flags, logging
from ml_collections import ConfigDict

from elsa.base import plain, streams
from elsa.base.stopping import INTERRUPTED, PREEMPTED
from experiments import early, sweeping
from experiments.cluster import asked as jobs
from experiments.drivers import DRIVERS
from experiments.harness import (
    command_line,
    going_on,
    listing,
    processes,
    smoke,
    sweep,
    terminal,
    typed,
)
from experiments.harness.experiment import REFUSED, RunError, stopped
from experiments.precision import on_devices, use_precision

_CONFIG = flags.DEFINE_string(
    "config", None, "Config file; FILE:quick is its small version, --config.KEY=VALUE sets a key."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of this run; runs/NAME for configs/NAME.py by default."
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Move what is in the folder to FOLDER.TIME, and start anew."
)
_EXTEND = flags.DEFINE_bool(
    "extend",
    False,
    "Let the folder's run go on to a larger train.num_steps, all else equal; what the shorter one "
    "measured is set aside.",
)
_BRANCH = flags.DEFINE_string(
    "branch",
    None,
    "Start the training runs of a new folder from those of this one, with other settings: FOLDER, "
    "or FOLDER@newest, FOLDER@best, FOLDER@STEP for one of its checkpoints.",
)
_ENVIRONMENT = flags.DEFINE_enum(
    "environment",
    "same",
    ["same", "accept"],
    "Whether a run goes on where its bits would be others: with another x64 switch, kind of device "
    "or version of jax.",
)
_SWEEP = flags.DEFINE_bool(
    "sweep", False, "Run the sweep() of the config file; --sweep.KEY=v1,v2 asks for one without it."
)
_SWEEP_MODE = flags.DEFINE_enum(
    "sweep_mode", "product", sweep.MODES, "How the values of several keys are combined."
)
_SWEEP_SAMPLES = flags.DEFINE_integer(
    "sweep_samples", None, "How many points --sweep_mode=random draws, by config.seed."
)
_JOBS = flags.DEFINE_integer(
    "jobs",
    None,
    "Run a sweep as so many jobs, which go on without this command; --slurm.KEY=VALUE gives an "
    "option of sbatch.",
    lower_bound=1,
)
_CLUSTER = flags.DEFINE_enum(
    "cluster",
    None,
    jobs.CLUSTERS,
    "Where jobs run: slurm, by default where there is sbatch, or local, processes of this machine.",
)
_JOB = flags.DEFINE_integer(
    "job", None, "Run what job N of a sweep has to run: what a job itself is started with."
)
_MAX_SECONDS = flags.DEFINE_float(
    "max_seconds",
    None,
    "Save and end with exit code 75 after so many seconds; the same command goes on.",
    lower_bound=0.0,
)
_DEVICES = flags.DEFINE_integer(
    "devices", None, "How many of jax's devices are used; all by default.", lower_bound=1
)
_LIST = flags.DEFINE_bool("list", False, "Show every config with its claim and its time.")

_STOPPED = (INTERRUPTED, PREEMPTED)


def parse_flags(argv: list[str]) -> list[str]:
    """Reads the flags defined above and absl's own; returns the rest, overrides of the config."""
    try:
        rest = flags.FLAGS(argv, known_only=True)
    except (flags.Error, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(REFUSED)
    except SystemExit:  # of --help and its kin, which absl ends with 1
        sys.exit(0)
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)  # else jax lists the devices it has not found
    return [plain.decoded(word) for word in rest]


def main(argv: list[str]) -> int:
    """Runs what the flags ask for, and returns the exit code."""
    with stopping.preemption_raises(after=_MAX_SECONDS.value):
        return _main(argv)


def _main(argv: list[str]) -> int:
    try:
        if _LIST.value:
            command_line.refuse_flags(argv[1:])
            terminal.show(terminal.console(), listing.table(command_line.CONFIGS))
        else:
            return _run(_CONFIG.value, argv[1:])
    except RunError as error:
        logging.debug("raised at:", exc_info=error)
        said = "" if error.exit_code in _STOPPED else "error: "
        print(said, error, sep="", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        stop = stopped(error, " before the run began.")
        print(stop, file=sys.stderr)
        return stop.exit_code
    return 0


def _run(spec: str | None, arguments: list[str]) -> int:
    if not spec:
        command_line.refuse_flags(
            jobs.split(sweep.split(arguments)[1])[1]
        )  # --confg gets a better answer than the next one
        raise RunError(
            f"no config given. Usage: {shlex.join(typed.run())} {typed.config()} "
            f"[--workdir=DIR] [--config.KEY=VALUE ...]; {typed.lists()} shows the configs"
        )
    config = command_line.load(spec)
    axes, others = sweep.split(arguments)
    options, others = jobs.split(others)
    overrides = command_line.apply_overrides(config, others)
    swept = _asked(spec, config, axes)
    asked = jobs.ask(spec, jobs=_JOBS.value, cluster=_CLUSTER.value, given=options)
    if swept is None and (asked is not None or _JOB.value is not None):
        raise RunError("--jobs divides a sweep: add --sweep.KEY=v1,v2; one run is one job")
    name = config.get("experiment")
    if name not in DRIVERS:
        raise RunError(f"config.experiment must be one of {', '.join(DRIVERS)}, got {name!r}")
    if _WORKDIR.value == "":
        raise RunError("--workdir is empty; leave it out for the default")
    workdir = Path(_WORKDIR.value or command_line.default_workdir(spec, sweep=swept is not None))
    if swept is None:  # else each point has numbers of its own
        early.refuse(config)
    use_precision(config)
    given = [*command_line.keys_of(overrides), *axes]
    experiment = importlib.import_module(DRIVERS[name]).EXPERIMENT.given(given)
    words = [*overrides, *_going_on_words(), *_sweep_words(axes), *_limit_words()]
    job = processes.job_of(experiment, config)
    if job is not None and asked is not None:
        raise RunError("--jobs submits a sweep, which one process does: give it --processes=1")
    spread = [*_jobs_words(), *jobs.words(options), *processes.words()]
    command = command_line.repeat_command(spec, workdir, [*words, *spread])
    alike: dict[str, Any] = {
        "overwrite": _OVERWRITE.value,
        "accept": _ENVIRONMENT.value == "accept",
        "command": command,
    }
    if swept is not None and _going_on_words():
        raise RunError("--extend and --branch take one run, and no sweep. Nothing was run.")
    branch = None if _BRANCH.value is None else going_on.branch_of(_BRANCH.value)
    processes.join(job, {"command": command_line.repeat_command(spec, workdir, words)})
    limited = functools.partial(on_devices, _DEVICES.value)
    if job is not None and not job.leads:
        with limited():
            return processes.follow(experiment)
    if swept is not None:
        sweeping.run(
            (experiment, config, swept, workdir),
            {**alike, "prepare": use_precision},
            limited,
            asked=asked,
            job=_JOB.value,
            words=command_line.child_command(spec, workdir, words),
        )
        return _ended(spec, [*overrides, *_sweep_words(axes)])
    from experiments.harness import engine  # only now: it imports jax

    with limited():
        engine.run(experiment, config, workdir, extend=_EXTEND.value, branch=branch, **alike)
    return _ended(spec, overrides)


def _ended(spec: str, words: list[str]) -> int:
    """The exit code of a run that is done; it is said what a small version's figures are worth."""
    print(smoke.line(spec, words) if _JOB.value is None else "", end="")
    return 0


def _asked(spec: str, config: ConfigDict, axes: Mapping[str, str]) -> sweep.Sweep | None:
    """The sweep of the command line, or else of the config file; None for a plain run."""
    mode, samples = _SWEEP_MODE.value, _SWEEP_SAMPLES.value
    if not axes and not _SWEEP.value:
        if mode != "product" or samples is not None:
            raise RunError(
                "--sweep_mode and --sweep_samples need keys to sweep: --sweep.KEY=v1,v2, or "
                "--sweep for those of the config file"
            )
        return None
    return sweep.ask(config, axes or sweep.own(spec), mode=mode, samples=samples)


def _going_on_words() -> list[str]:
    """The flags of a run that goes on, or starts from another, to be given again."""
    return [
        *(["--extend"] if _EXTEND.value else []),
        *([f"--branch={_BRANCH.value}"] if _BRANCH.value is not None else []),
    ]


def _limit_words() -> list[str]:
    """The flags that say how long and where a run may compute, to be given again."""
    return [
        *([] if _MAX_SECONDS.value is None else [f"--max_seconds={_MAX_SECONDS.value:g}"]),
        *(["--environment=accept"] if _ENVIRONMENT.value == "accept" else []),
        *([] if _DEVICES.value is None else [f"--devices={_DEVICES.value}"]),
    ]


def _jobs_words() -> list[str]:
    """The flags of a sweep in jobs, to be given again."""
    return [
        *([] if _JOBS.value is None else [f"--jobs={_JOBS.value}"]),
        *([] if _CLUSTER.value is None else [f"--cluster={_CLUSTER.value}"]),
    ]


def _sweep_words(axes: Mapping[str, str]) -> list[str]:
    """The flags of a sweep, to be given again; none for a plain run."""
    mode, samples = _SWEEP_MODE.value, _SWEEP_SAMPLES.value
    return [
        *(["--sweep"] if _SWEEP.value and not axes else []),
        *sweep.words(axes),
        *([f"--sweep_mode={mode}"] if mode != "product" else []),
        *([f"--sweep_samples={samples}"] if samples is not None else []),
    ]


def _until_exit(argv: list[str]) -> int:
    code = processes.code_of(main, argv)
    stopping.ends_with(code)  # a signal that comes now would change it
    processes.leave(code)
    return code


def start(argv: list[str] | None = None) -> None:
    """Runs a command line, sys.argv unless it is given, and exits with its code."""
    with stopping.exits_at_once(*_STOPPED), streams.guarded():
        app.run(_until_exit, argv=argv, flags_parser=parse_flags)


if __name__ == "__main__":
    start()
