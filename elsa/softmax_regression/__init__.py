"""Softmax regression: losses, Lipschitz constants, solvers, and steps as shifts of the data."""

from elsa.softmax_regression.attention import softmax_attention, step_as_attention
from elsa.softmax_regression.bounds import curvature_bound, label_operator_norm
from elsa.softmax_regression.penalised import Penalised
from elsa.softmax_regression.problem import Problem
from elsa.softmax_regression.shifts import DataShift, LabelShift, TrajectoryShift, WeightShift
from elsa.softmax_regression.solvers import History, Solution
from elsa.softmax_regression.worst_case import worst_case_lipschitz

__all__ = [
    "DataShift",
    "History",
    "LabelShift",
    "Penalised",
    "Problem",
    "Solution",
    "TrajectoryShift",
    "WeightShift",
    "curvature_bound",
    "label_operator_norm",
    "softmax_attention",
    "step_as_attention",
    "worst_case_lipschitz",
]
