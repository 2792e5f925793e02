"""A run that was stopped, killed or harmed ends with the bits of one that nothing disturbed."""

import json
import os
import shutil

import pytest

from elsa import training
from elsa.base import files
from elsa.training import sampling
from elsa.training.checkpoint import Checkpoints
from elsa.training.errors import TrainingError
from elsa.training.writers import MetricsFile
from tests.helpers import wide
from tests.training import cases
from tests.training.cases import EVERY, METRICS, STEPS, assert_equal_runs, assert_same_bits

# Where one array of a checkpoint cannot be read, orbax closes its event loop while tensorstore
# still reads the others, whose threads then complain to nobody.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run with checkpoints 6 and 12 and metrics up to 18, where it died; to be copied."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        return cases.interrupted(folder, 3 * EVERY, patch)


@pytest.mark.parametrize("step", wide([EVERY, 3 * EVERY, STEPS], keep=[EVERY, STEPS]))
def test_a_run_that_dies_before_a_checkpoint_is_written_ends_as_one_that_did_not(
    step, unbroken, tmp_path, monkeypatch, console
):
    cases.interrupted(tmp_path, step, monkeypatch)
    assert len(cases.lines(tmp_path)) == step // EVERY
    assert_equal_runs(training.fit(cases.config(), tmp_path, screen=console), unbroken)
    starts_anew = "metrics.jsonl has lines, but there is no checkpoint; starting at step 0"
    assert (starts_anew in console.file.getvalue()) == (step == EVERY)


def test_a_finished_run_is_opened_and_nothing_is_computed(unbroken, tmp_path):
    folder = cases.copy(unbroken.folder, tmp_path / "run")
    before = cases.contents(folder)
    again = training.fit(cases.config(), folder)
    assert_equal_runs(again, unbroken)
    assert again.program.compilations == 0 and cases.contents(folder) == before


def test_plateau_state_is_part_of_the_checkpoint(tmp_path, monkeypatch):
    # a fall by a tenth is asked for within 2 evaluations: models stop at times of their own
    train = {"train": {"patience": 2, "min_improvement": 0.1}}
    whole = training.fit(cases.config(**train), tmp_path / "whole")
    cases.interrupted(tmp_path / "broken", 3 * EVERY, monkeypatch, **train)
    assert_equal_runs(training.fit(cases.config(**train), tmp_path / "broken"), whole)


def test_a_run_keeps_its_sampler_where_auto_would_take_another_one(
    stopped, unbroken, tmp_path, monkeypatch
):
    folder, began_with = cases.copy(stopped, tmp_path / "run"), unbroken.program.sampler
    other = {"rows": "gram", "gram": "rows"}[began_with]
    monkeypatch.setattr(sampling, "choose", lambda *_: other)
    resumed = training.fit(cases.config(), folder)
    assert resumed.program.sampler == began_with
    assert_equal_runs(resumed, unbroken)


@pytest.mark.parametrize(
    "harm",
    wide(["truncated", "emptied", "flipped", "without notes"], keep=["flipped", "without notes"]),
)
def test_a_harmed_newest_checkpoint_is_set_aside_and_the_one_before_is_used(
    harm, stopped, unbroken, tmp_path
):
    folder = cases.copy(stopped, tmp_path / "run")
    newest = folder / "checkpoints" / "12"
    # where tensorstore keeps the numbers; a flipped bit elsewhere need not change any
    held = [path for path in (newest / "state").rglob("d/*") if path.is_file()]
    assert held
    if harm == "without notes":
        shutil.rmtree(newest / "notes")
    for arrays in held if harm != "without notes" else ():
        data = bytearray(arrays.read_bytes())
        data[len(data) // 2] ^= 4
        keep = {"flipped": len(data), "truncated": len(data) // 2, "emptied": 0}[harm]
        arrays.write_bytes(data[:keep])
    with pytest.warns(
        UserWarning, match=rf"{newest} is corrupt .* is now {newest}\.corrupt; going"
    ):
        resumed = training.fit(cases.config(), folder)
    assert_equal_runs(resumed, unbroken)
    assert newest.is_dir() and (folder / "checkpoints" / "12.corrupt").is_dir()


def test_a_folder_of_a_version_with_fewer_settings_goes_on_at_their_defaults(tmp_path):
    config = cases.quiet(train={"average": 0.0})
    first = training.fit(config, tmp_path)
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    for newer in ("average", "loss", "huber_delta", "adam_b2", "skip_nonfinite"):
        del written["train"][newer]
    path.write_text(json.dumps(written))
    assert_same_bits(training.fit(config, tmp_path), first)


def test_where_every_checkpoint_is_harmed_the_run_is_refused_and_nothing_is_changed(
    stopped, tmp_path
):
    folder = cases.copy(stopped, tmp_path / "run")
    for step in ("6", "12"):
        shutil.rmtree(folder / "checkpoints" / step / "state")
    before = cases.contents(folder)
    with pytest.raises(TrainingError, match=r"no checkpoint in .*checkpoints can be read \(12: "):
        training.fit(cases.config(), folder)
    assert cases.contents(folder) == before


def test_a_full_disk_stops_the_run_keeps_its_checkpoints_and_it_goes_on_later(
    unbroken, tmp_path, monkeypatch
):
    save = Checkpoints.save

    def full(self, step, state, notes):
        if step == 3 * EVERY:
            raise files.WriteError(self.folder, OSError(28, "No space left on device"))
        save(self, step, state, notes)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        with pytest.raises(files.WriteError, match="No space left on device"):
            training.fit(cases.config(), tmp_path)
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"6", "12"}
    assert_equal_runs(training.fit(cases.config(), tmp_path), unbroken)


def test_metrics_that_have_lost_lines_are_not_gone_on_with(stopped, tmp_path):
    folder = cases.copy(stopped, tmp_path / "run")
    first = (folder / METRICS).read_text().splitlines()[0]
    (folder / METRICS).write_text(first)
    message = rf"{folder / METRICS} holds \d+ bytes, the checkpoint was written at \d+: lines are"
    with pytest.raises(training.TrainingError, match=message):
        training.fit(cases.config(), folder)
    (folder / METRICS).unlink()
    with pytest.raises(training.TrainingError, match="holds 0 bytes"):
        training.fit(cases.config(), folder)
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"6", "12"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seed": 4}, "seed is 3 there, 4 is asked for. Give another workdir"),
        ({"train": {"batch": 9}}, "train.batch is 8 there, 9 is asked for"),
        ({"sweep": {}}, r"sweep.noise_var is \[0.1, 0.5\] there, absent is asked for"),
    ],
)
def test_a_folder_of_another_config_is_refused_naming_the_first_difference(
    changes, message, unbroken
):
    before = cases.contents(unbroken.folder)
    with pytest.raises(training.TrainingError, match=f"another config: {message}"):
        training.fit(cases.config(**changes), unbroken.folder)
    assert cases.contents(unbroken.folder) == before


def test_a_folder_in_use_is_refused(tmp_path):
    descriptor = files.hold(tmp_path)
    try:
        with pytest.raises(training.TrainingError, match="is in use by another run; wait for its"):
            training.fit(cases.config(), tmp_path)
    finally:
        os.close(descriptor)


def test_a_run_whose_folder_another_host_took_over_writes_nothing_more(
    tmp_path, monkeypatch, unbroken
):
    taken = {"token": "another", "host": "node7", "pid": 12, "job": "4711"}
    append, before = MetricsFile.append, {}

    def replaced(self, record):
        append(self, record)
        if record["step"] == 2 * EVERY:
            files._GUARDS[str(tmp_path)](self.path)  # still this one's
            (tmp_path / ".owner").write_text(json.dumps(taken))
            before.update({k: v for k, v in cases.contents(tmp_path).items() if "tensor" not in k})

    with monkeypatch.context() as patch:
        patch.setattr(MetricsFile, "append", replaced)
        with pytest.raises(TrainingError, match="process 12 on node7, job 4711 has taken it over"):
            training.fit(cases.quiet(), tmp_path)
    after = cases.contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert before.keys() == {"config.json", "env.json", METRICS, ".owner"}
    assert all(name in before or name.startswith("tensorboard") for name in after)
    (tmp_path / ".owner").unlink()
    assert_same_bits(training.fit(cases.quiet(), tmp_path), unbroken)


def test_a_folder_without_its_config_or_with_a_broken_one_is_refused(stopped, tmp_path):
    folder = cases.copy(stopped, tmp_path / "run")
    (folder / "config.json").write_text("{")
    with pytest.raises(training.TrainingError, match=r"cannot read .*config\.json"):
        training.fit(cases.config(), folder)
    (folder / "config.json").unlink()
    with pytest.raises(training.TrainingError, match=r"holds a run without config\.json"):
        training.fit(cases.config(), folder)


def test_a_folder_of_other_files_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(training.TrainingError, match="not empty, it holds 'thesis"):
        training.fit(cases.config(), tmp_path)
    assert cases.contents(tmp_path) == {"thesis.txt": b"x"}


@pytest.mark.parametrize(
    "targets, message",
    [
        ((1.0,), "a number for each of the 2 points, got 1"),
        (1.0, "targets must have 1 axes"),
        ((1.0, float("nan")), "targets must be finite"),
    ],
)
def test_targets_that_do_not_fit_the_points_are_refused(targets, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        training.fit(cases.config(), tmp_path / "run", targets=targets)
    assert not (tmp_path / "run").exists()
