"""Harm to every file of a training run that is read back: the bits of an unbroken run, or its name.

The whole table takes minutes; some of its rows are tested each time.
"""

import functools
import warnings

import pytest

from elsa import training
from elsa.training import origin
from elsa.training.errors import TrainingError
from elsa.training.origin import Origin
from tests.damage import harm
from tests.training import cases
from tests.training.cases import EVERY

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
)
FILES = ["config.json", "env.json", "metrics.jsonl"]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Runs of two seeds with checkpoints 6 and 12 and metrics up to 18; to be copied."""
    folders = {}
    for seed in (3, 4):
        folder = tmp_path_factory.mktemp("runs") / f"seed {seed}"
        with pytest.MonkeyPatch.context() as patch:
            folders[seed] = cases.interrupted(folder, 3 * EVERY, patch, seed=seed)
    return folders


@pytest.fixture(scope="module")
def loaded(stopped):
    """What is read of each checkpoint, unharmed: the weights and the losses before them."""
    return {step: read(stopped[3], step) for step in (EVERY, 2 * EVERY)}


def read(folder, at="newest"):
    found = training.all_models(folder, at=at)
    losses = found.risk_along_training()[1][: found.step // EVERY]
    return found.step, cases.weight(found).tobytes(), losses.tobytes()


def namesake(path, folder, other):
    """The file of the same place in another run, where names are random the one of its rank."""
    twin = other / path.relative_to(folder)
    if twin.exists() or not twin.parent.is_dir():
        return twin if twin.exists() else None
    rank = sorted(path.parent.iterdir()).index(path)
    beside = [each for each in sorted(twin.parent.iterdir()) if each.is_file()]
    return beside[min(rank, len(beside) - 1)] if beside else None


def one(kind, name, harmed, stopped, reference, tmp_path):
    """One case: "recovered", "refused", or None for no harm; anything else fails."""
    folder = cases.copy(stopped[3], tmp_path)
    path = folder / name
    with harm.patched() as patch, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        if not harm.apply(harmed, path, namesake(path, folder, stopped[4]), patch):
            return None
        before = None if harmed == "unreadable" else cases.contents(folder)
        try:
            if kind == "fit":
                cases.assert_equal_runs(training.fit(cases.config(), folder), reference)
            else:
                found = read(folder)
                assert found == reference[found[0]]
        except (TrainingError, FileNotFoundError) as error:
            harm.assert_named(error, path, folder)
            if before is not None:
                assert cases.contents(folder) == before, "a refusal has changed something"
            return "refused"
    return "recovered"


@pytest.mark.parametrize("harmed", ["without its last line", "one byte flipped", "with CRLF"])
def test_metrics_that_are_harmed_are_gone_back_from_or_refused(
    harmed,
    stopped,
    unbroken,
    tmp_path,
):
    folder = cases.copy(stopped[3], tmp_path / "run")
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))  # what came after the last checkpoint is cut off anyway
    with harm.patched() as patch:
        assert harm.apply(harmed, path, None, patch)
    if harmed == "with CRLF":
        with pytest.raises(TrainingError, match=rf"{path} is not what this run wrote: .* Put the"):
            training.fit(cases.config(), folder)
        assert {each.name for each in (folder / "checkpoints").iterdir()} == {"6", "12"}
        return
    with pytest.warns(UserWarning, match=r"12 does not go with metrics.jsonl .* is now .*12.unfit"):
        cases.assert_equal_runs(training.fit(cases.config(), folder), unbroken)


def test_a_checkpoint_of_another_run_or_config_is_passed_over(
    stopped,
    unbroken,
    tmp_path,
):
    folder = cases.copy(stopped[3], tmp_path / "run")
    (folder / "checkpoints" / "12").rename(tmp_path / "12")
    cases.copy(stopped[4] / "checkpoints" / "12", folder / "checkpoints" / "12")
    with pytest.warns(
        UserWarning, match=r"12 is corrupt \(it is of another config than config.json: s"
    ):
        assert training.load(folder).config.seed == 3
    with pytest.warns(UserWarning, match=r"config.json: seed is 4 there, 3 here\) and is now"):
        cases.assert_equal_runs(training.fit(cases.config(), folder), unbroken)


def test_metrics_that_cannot_be_read_or_are_no_json_are_named(stopped, tmp_path):
    folder = cases.copy(stopped[3], tmp_path / "run")
    found = training.all_models(folder)
    path = folder / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-20] + b"]\n")
    with pytest.raises(TrainingError, match=r"metrics.jsonl holds a line that is no JSON .*Put th"):
        found.risk_along_training()
    with harm.patched() as patch:
        harm.deny(path, patch)
        for call in (found.risk_along_training, lambda: training.fit(cases.config(), folder)):
            with pytest.raises(TrainingError, match=r"cannot read .*metrics.jsonl: Permission den"):
                call()


@pytest.mark.parametrize("harmed", [each for each in harm.HARMS if each != "deleted"])
def test_where_a_branch_starts_is_read_as_it_was_written_or_refused(harmed, tmp_path):
    begun = {}
    for name, at in (("mine", "best"), ("other", 6)):
        begun[name] = Origin("/runs/source", None, at, 6)
        (tmp_path / name).mkdir()
        origin.write(tmp_path / name, begun[name])
    path = tmp_path / "mine" / origin.ORIGIN
    with harm.patched() as patch:
        if not harm.apply(harmed, path, tmp_path / "other" / origin.ORIGIN, patch):
            return
        try:
            found = origin.read(tmp_path / "mine")
        except TrainingError as error:
            harm.assert_named(error, path, tmp_path / "mine")
        else:  # `branch` compares it with what is asked for
            assert found == begun["other" if harmed == "another run's" else "mine"]
            assert harmed in ("another run's", "with CRLF")


@pytest.mark.slow
@pytest.mark.parametrize("harmed", harm.HARMS)
@pytest.mark.parametrize("kind", ["fit", "load"])
def test_every_harm_to_every_file_is_recovered_from_or_refused(
    kind, harmed, stopped, loaded, unbroken, tmp_path, record_property
):
    reference = {"fit": unbroken, "load": loaded}[kind]
    newest = sorted((stopped[3] / "checkpoints" / "12").rglob("*"))
    held = [str(path.relative_to(stopped[3])) for path in newest if path.is_file()]
    tried = {
        f"{kind}, {name} {harmed}": functools.partial(
            one, kind, name, harmed, stopped, reference, tmp_path / str(number)
        )
        for number, name in enumerate(FILES + held)
    }
    harm.outcomes(f"a training folder, {kind}", tried, record_property)
