"""Tasks: distributions over regression problems, and real tables of data."""

from elsa.tasks.prompt import Prompt
from elsa.tasks.spectrum import PrescribedSpectrum
from elsa.tasks.table import Table, diabetes, read_csv, standardised

__all__ = ["PrescribedSpectrum", "Prompt", "Table", "diabetes", "read_csv", "standardised"]
