"""Weights & Biases offline and MLflow with SQLite: `make test-trackers` installs both."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from elsa import training
from tests.training import cases
from tests.training.cases import EVERY, STEPS

ALL = [*range(EVERY, STEPS + 1, EVERY)]
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [  # their own libraries warn of one another
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error:the run's tracker fails"),
]
KILLED = """
import json, os, signal, sys
import tests.conftest
from elsa import training
from elsa.training.writers import MetricsFile
append = MetricsFile.append
def dies(self, record):
    append(self, record)
    if record["step"] == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
MetricsFile.append = dies
training.fit(json.loads(sys.argv[1]), sys.argv[2])
"""


def killed(config, folder, step, place):
    """A run that SIGKILL ends once the metrics of a step are written."""
    command = [sys.executable, "-c", KILLED, cases.json.dumps(config), str(folder), str(step)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == -9, done.stderr.decode()


def history_of(path):
    """(step, mean loss) of each row in a file of Weights & Biases: LevelDB's log of protobufs."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts, rows = path.read_bytes(), 7, [], []
    while at + 7 <= len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            record, parts = Record.FromString(b"".join(parts)), []
            items = {
                item.key or "/".join(item.nested_key): item.value_json
                for item in record.history.item
            }
            if "loss/mean" in items:
                rows.append((int(items["_step"]), float(items["loss/mean"])))
    return rows


def check(rows, folder):
    """Every evaluation once, in order, and as metrics.jsonl has it."""
    assert [step for step, _ in rows] == ALL
    for (_, value), line in zip(rows, cases.lines(folder), strict=True):
        seeds = [sum(seed) / len(seed) for seed in line["loss"]]
        assert value == pytest.approx(sum(seeds) / len(seeds), rel=1e-12)


def test_weights_and_biases_has_every_step_once_after_kills_and_interruptions(
    tmp_path, monkeypatch
):
    pytest.importorskip("wandb", reason="wandb is missing: `make test-trackers`")
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracked, folder = {"tracker": "wandb"}, tmp_path / "run"
    config = cases.config(train=tracked)
    killed(config, folder, 2 * EVERY, tmp_path)
    cases.interrupted(folder, 3 * EVERY, monkeypatch, train=tracked)
    training.fit(config, folder)
    (last,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    check(history_of(last), folder)
    earlier = list((folder / "wandb" / "replaced").glob("offline-run-*/*.wandb"))
    assert {path.name for path in earlier} == {last.name} and len(earlier) == 2


def test_weights_and_biases_without_a_login_or_a_network_stops_no_training(
    unbroken, tmp_path, monkeypatch
):
    wandb = pytest.importorskip("wandb", reason="wandb is missing: `make test-trackers`")
    monkeypatch.setattr(wandb, "init", lambda **_: (_ for _ in ()).throw(wandb.Error("no key")))
    with pytest.warns(UserWarning, match=r"tracker fails \(no key\)"):
        trained = training.fit(cases.config(train={"tracker": "wandb"}), tmp_path)
    cases.assert_same_bits(trained, unbroken)


def test_mlflow_has_every_step_once_after_a_kill_and_an_interruption(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is missing: `make test-trackers`")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracked, folder = {"tracker": "mlflow"}, tmp_path / "run"
    config = cases.config(train=tracked)
    killed(config, folder, 3 * EVERY, tmp_path)
    cases.interrupted(folder, 4 * EVERY, monkeypatch, train=tracked)
    training.fit(config, folder)
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("elsa").experiment_id])
    rows = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss/mean")]
    check(rows, folder)
    assert run.info.status == "FINISHED" and run.data.params["train.num_steps"] == str(STEPS)
