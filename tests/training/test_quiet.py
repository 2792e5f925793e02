"""What orbax logs beside our lines: nothing on the terminal, all of it with -v=1."""

import logging as standard

import pytest
from absl import logging
from orbax.checkpoint import checkpoint_manager

from elsa import training
from tests.training import cases

WAITED = "Waiting for previous save to complete took"


@pytest.fixture
def logged(monkeypatch):
    """What absl's handlers are given: by a run each of whose checkpoints waits for the last."""
    monkeypatch.setattr(checkpoint_manager, "_WAIT_FOR_PREV_SAVE_WARNING_THRESHOLD_SECS", -1.0)
    records = []
    handler = standard.Handler()
    handler.emit = records.append
    logger, level = standard.getLogger("absl"), logging.get_verbosity()
    logger.addHandler(handler)

    def run(folder, verbosity):
        logging.set_verbosity(verbosity)
        records.clear()
        training.fit(cases.config(), folder)
        return [record.getMessage() for record in records]

    yield run
    logger.removeHandler(handler)
    logging.set_verbosity(level)


def test_waiting_for_a_slow_disk_is_said_by_v_1_alone(logged, tmp_path):
    assert logged(tmp_path / "plain", logging.WARNING) == []
    assert any(said.startswith(WAITED) for said in logged(tmp_path / "told", logging.DEBUG))


def test_other_warnings_of_orbax_are_said(logged, tmp_path, monkeypatch):
    own = checkpoint_manager.CheckpointManager.save

    def save(*words, **named):
        place = (checkpoint_manager.__file__, 1, "the quota is near", (), None)
        standard.getLogger("absl").handle(standard.LogRecord("absl", standard.WARNING, *place))
        return own(*words, **named)

    monkeypatch.setattr(checkpoint_manager.CheckpointManager, "save", save)
    assert set(logged(tmp_path, logging.WARNING)) == {"the quota is near"}
