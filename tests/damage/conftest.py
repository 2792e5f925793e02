"""Fixtures of other folders, for harm to what their runs leave."""

from tests.experiments.conftest import screen, squares  # noqa: F401
from tests.training.conftest import compiled_programs, compiles_fast, unbroken  # noqa: F401
