"""Figures: one style, pictures of matrices and of prompts.

Nothing here imports matplotlib or rich before something is drawn or printed.
"""

from elsa.report.notebook import prompt_view
from elsa.report.prompt import prompt_figure

__all__ = ["prompt_figure", "prompt_view"]
