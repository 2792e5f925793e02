"""Tasks: distributions over regression problems, and real tables of data."""

from elsa.tasks.affine import AffineRegression
from elsa.tasks.alignment import Alignment
from elsa.tasks.block_prompt import BlockPrompt, BlockTask
from elsa.tasks.contexts import TableContexts
from elsa.tasks.counted import CountedPrompt, counted_prompt
from elsa.tasks.drift import Drift, autoregressive
from elsa.tasks.linear_regression import LinearRegression
from elsa.tasks.pairs import PairPrompt, pair_prompt
from elsa.tasks.products import Products
from elsa.tasks.prompt import GramPrompt, Prompt, Task, gram_prompt, keep_last
from elsa.tasks.registration import task
from elsa.tasks.registry import TASKS, build
from elsa.tasks.retrieval import Retrieval
from elsa.tasks.row_files import NpyRows, ParquetRows
from elsa.tasks.scaling import Linear, Scaling
from elsa.tasks.shifts import ShiftedRegression, shifted
from elsa.tasks.spectrum import PrescribedSpectrum
from elsa.tasks.table import Table, diabetes, standardised
from elsa.tasks.table_files import read_csv

__all__ = [
    "TASKS",
    "AffineRegression",
    "Alignment",
    "BlockPrompt",
    "BlockTask",
    "CountedPrompt",
    "Drift",
    "GramPrompt",
    "Linear",
    "LinearRegression",
    "NpyRows",
    "PairPrompt",
    "ParquetRows",
    "PrescribedSpectrum",
    "Products",
    "Prompt",
    "Retrieval",
    "Scaling",
    "ShiftedRegression",
    "Table",
    "TableContexts",
    "Task",
    "autoregressive",
    "build",
    "counted_prompt",
    "diabetes",
    "gram_prompt",
    "keep_last",
    "pair_prompt",
    "read_csv",
    "shifted",
    "standardised",
    "task",
]
