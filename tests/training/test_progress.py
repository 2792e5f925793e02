"""What a training prints about itself, on terminals of few characters."""

import io

import pytest
from rich.console import Console

from elsa.training import progress


@pytest.mark.parametrize("watched", [True, False])
def test_a_run_of_any_name_is_shown_on_a_terminal_of_few_characters(watched, monkeypatch):
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.0)
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = Console(file=file, width=100, force_terminal=watched)
    shown = progress.TrainingProgress(screen, name="λ × 2", num_steps=4, prompts=8)
    with shown:
        shown.say("größe is kept")
        shown.update(2, 1.0)
    assert list(progress.shown(range(2), "risk of λ", screen)) == [0, 1]
    file.seek(0)
    printed = file.read()
    assert "lambda x 2" in printed and "grosse is kept" in printed and "risk of lambda" in printed
