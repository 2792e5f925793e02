"""Environments of a run folder: kept, compared, refused, or set aside."""

import json

import pytest

from elsa.base.owner import is_owner_s
from experiments.harness.folder import FolderError, RunFolder
from tests.experiments.harness.test_folder import CONFIG, recorded, tree

ENVIRONMENT = {"time_started": "noon", "versions": {"jax": "1.0"}, "commit": "abc", "seed": 0}


@pytest.fixture
def run(tmp_path):
    return recorded(tmp_path / "runs" / "name")


def test_a_resumed_run_keeps_its_first_environment_and_adds_what_differs(run):
    with RunFolder.open(run, CONFIG) as folder:
        folder.write_environment(ENVIRONMENT)
        assert folder.notes.pop().endswith(
            "env.json is missing: where the kept cases were computed is not known"
        )
        folder.write_environment({**ENVIRONMENT, "time_started": "one"})
        assert folder.notes == []
        later = {**ENVIRONMENT, "time_started": "two", "commit": "def"}
        folder.write_environment(later)
    assert folder.notes == ['the kept cases were computed elsewhere: commit was "abc", now "def"']
    assert without_seal(run) == {
        **ENVIRONMENT,
        "resumed": [{"time_started": "one"}, {"time_started": "two", "commit": "def"}],
    }


def without_seal(run):
    return {k: v for k, v in json.loads((run / "env.json").read_text()).items() if k != "sha256"}


def test_an_environment_that_changes_bits_is_refused_beside_kept_cases_unless_accepted(run):
    later = {**ENVIRONMENT, "versions": {"jax": "2.0"}}
    with RunFolder.open(run, CONFIG) as folder:
        folder.write_environment(ENVIRONMENT)
    before = tree(run)
    with RunFolder.open(run, CONFIG) as folder:
        message = (
            r'computed elsewhere: versions\.jax was "1\.0", now "2\.0", .* install jax==1\.0; '
            r"--environment=accept goes on .* Give another --workdir"
        )
        with pytest.raises(FolderError, match=message):
            folder.write_environment(later)
        held = {name: data for name, data in tree(run).items() if not is_owner_s(name)}
        assert held == before
        folder.write_environment(later, accept=True)
        folder.write_environment(later)  # from then on it is the run's own
    assert folder.notes == [
        'the kept cases were computed elsewhere: versions.jax was "1.0", now "2.0"'
    ]
    assert [each["versions"] for each in without_seal(run)["resumed"]] == [{"jax": "2.0"}] * 2


@pytest.mark.parametrize("damage", ["{", "[1]", '{"x64": true, "sha256": "0"}'])
def test_a_damaged_environment_is_refused_beside_kept_cases_and_may_be_set_aside(run, damage):
    (run / "env.json").write_text(damage)
    with RunFolder.open(run, CONFIG) as folder:
        with pytest.raises(FolderError, match=r"cannot read .*env.json.*--environment=accept"):
            folder.write_environment(ENVIRONMENT)
        folder.write_environment(ENVIRONMENT, accept=True)
    assert (run / "env.json.corrupt").read_text() == damage
    assert without_seal(run) == ENVIRONMENT and len(folder.cases) == 2


def test_a_damaged_environment_where_no_case_is_kept_is_set_aside(tmp_path):
    RunFolder.open(tmp_path, CONFIG).close()
    (tmp_path / "env.json").write_text("{")
    with RunFolder.open(tmp_path, CONFIG) as folder:
        folder.write_environment(ENVIRONMENT)
    assert without_seal(tmp_path) == ENVIRONMENT
    assert "is damaged" in folder.notes[0]
