"""Metrics, TensorBoard's events and progress."""

import errno
import io
import re

import pytest
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event

from elsa import training
from elsa.base import files
from elsa.training import progress
from elsa.training.errors import TrainingError
from elsa.training.writers import EventFiles, MetricsFile
from tests.training import cases
from tests.training.cases import EVERY


def events(folder):
    """All events in the order in which TensorBoard reads them: files by name."""
    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):  # length, its checksum, the event, its checksum
            length = int.from_bytes(data[at : at + 8], "little")
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += 12 + length + 4
    return found


def shown(folder):
    """(tag, step) -> values, after TensorBoard's rule: a start drops all of its step and after."""
    kept = []
    for event in events(folder):
        if event.session_log.status == event.session_log.START:
            kept = [(tag, step, value) for tag, step, value in kept if step < event.step]
        kept += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    found = {}
    for tag, step, value in kept:
        found.setdefault((tag, step), []).append(value)
    return found


def test_a_file_s_name_is_its_own_also_within_one_second(tmp_path):
    for step in (0, 1, 2):
        events_file = EventFiles(tmp_path, step)
        events_file.add(step + 1, {"loss": float(step)})
        events_file.close()
    assert shown(tmp_path) == {("loss", 1): [0.0], ("loss", 2): [1.0], ("loss", 3): [2.0]}


def test_a_resumed_run_shows_every_evaluation_once(tmp_path, monkeypatch):
    cases.interrupted(tmp_path, 3 * EVERY, monkeypatch)
    trained = training.fit(cases.config(), tmp_path, targets=(0.4, 0.8))
    found = shown(tmp_path / "tensorboard")
    losses = {step: values for (tag, step), values in found.items() if tag == "loss/mean"}
    records = cases.lines(tmp_path)
    assert list(losses) == [record["step"] for record in records]
    for record in records:
        points = [sum(seed) / len(seed) for seed in zip(*record["loss"], strict=True)]
        assert losses[record["step"]] == [pytest.approx(sum(points) / 2, rel=1e-6)]
        by_point = found["loss_by_point/noise_var_0.5", record["step"]]
        assert by_point == [pytest.approx(points[1], rel=1e-6)]  # events hold float32
    assert found["theory/noise_var_0.5", trained.step] == [pytest.approx(0.8)]


def test_a_run_that_began_anew_hides_the_events_of_its_first_try(tmp_path, monkeypatch):
    cases.interrupted(tmp_path, EVERY, monkeypatch)
    training.fit(cases.config(), tmp_path)
    found = shown(tmp_path / "tensorboard")
    assert {len(values) for values in found.values()} == {1}


@pytest.mark.parametrize("call", ["write_event", "flush", "close"])
def test_events_on_a_full_disk_are_a_write_error(call, tmp_path, monkeypatch):
    written = EventFiles(tmp_path, 0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(written._writer, call, full)
        with pytest.raises(files.WriteError, match=f"cannot write {tmp_path}: No space left"):
            written.add(1, {"loss": 1.0})
            written.flush()
            written.close()
    written.close()


def test_a_line_is_whole_or_not_there_and_the_file_is_cut_to_its_position(tmp_path):
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path, 0)
    metrics.append({"step": 1})
    position = metrics.position
    metrics.append({"step": 2})
    assert MetricsFile(path, position).position == position
    assert path.read_text() == '{"step": 1}\n'
    with pytest.raises(TrainingError, match="holds 12 bytes, the checkpoint was written at 13"):
        MetricsFile(path, position + 1)
    with pytest.raises(ValueError, match="metrics: loss is nan"):
        metrics.append({"loss": float("nan")})


def test_metrics_that_cannot_be_cut_are_a_write_error(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")

    def refuses(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.truncate", refuses)
    with pytest.raises(files.WriteError, match="Read-only file system"):
        MetricsFile(path, 0)


def test_in_a_pipe_progress_is_a_line_now_and_then(tmp_path, console, monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", -1.0)
    told = {"targets": (0.5, 1.0), "target_name": "ridge"}
    training.fit(cases.quiet(), tmp_path, screen=console, name="mine", **told)
    printed = console.file.getvalue().splitlines()
    assert len(printed) == 4 and "\x1b" not in console.file.getvalue()
    assert re.fullmatch(r"mine: step 6/24, compiled, loss [\d.]+ \(ridge 0\.75\)", printed[0])
    number = r"[\d,]+"
    pattern = rf"mine: step 18/24, {number} steps/s, {number} prompts/s, loss .*, about \d+ s left"
    assert re.fullmatch(pattern, printed[2])


def test_a_long_evaluation_shows_how_far_it_is(unbroken, console, monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", -1.0)
    monkeypatch.setattr("elsa.training.trained._BATCHES", 2)
    unbroken.risk(32, screen=console, name="mine")
    printed = console.file.getvalue().splitlines()
    assert printed == [f"mine: evaluating on 32 prompts, {done}% done" for done in (0, 50)]


def test_a_bar_shows_names_as_they_are():
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert list(progress.shown(range(2), "x[/y]: evaluating", screen)) == [0, 1]
    assert "x[/y]: evaluating" in screen.file.getvalue()


def test_nothing_is_printed_where_there_is_no_screen(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", -1.0)
    training.fit(cases.quiet(), tmp_path)
    assert capsys.readouterr().out == ""
