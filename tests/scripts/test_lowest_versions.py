"""The lowest version of each dependency, read off its bound."""

import pytest

from scripts import lowest_versions
from tests.helpers import table


def test_each_bound_becomes_the_version_that_it_names():
    bounds = ["jax>=0.8.1", "ml_collections >= 1.0", "pytest-xdist>=3.6.1"]
    pins = ["jax==0.8.1", "ml_collections==1.0", "pytest-xdist==3.6.1"]
    assert list(lowest_versions.pinned(bounds)) == pins


@table("bound", ["jax", "jax<1", "jax>=0.8,<1", "jax[cuda13]>=0.8", "jax==0.8"])
def test_a_bound_that_names_no_lowest_version_is_refused(bound):
    with pytest.raises(ValueError, match="must be written as 'name>=version', got 'jax"):
        list(lowest_versions.pinned([bound]))


def test_the_project_has_a_lowest_version_of_everything(capsys):
    lowest_versions.main()
    lines = capsys.readouterr().out.split()
    assert {line.split("==")[0] for line in lines} >= {"jax", "flax", "numpy", "pytest", "ruff"}
    assert "sphinx" not in {line.split("==")[0] for line in lines}  # the site is built apart
