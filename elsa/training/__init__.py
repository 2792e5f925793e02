"""Training: many models at once in one compiled program, resumable to the bit."""

from elsa.training.branching import branch
from elsa.training.diverged import DivergedError
from elsa.training.errors import TrainingError
from elsa.training.evaluation import Evaluation
from elsa.training.fitting import fit
from elsa.training.loading import Loaded, all_models, load
from elsa.training.settings import RunSettings, TrainSettings
from elsa.training.setup import validate
from elsa.training.statistics import across_seeds
from elsa.training.trackers import TrackedRun, Tracker
from elsa.training.trained import Trained

__all__ = [
    "DivergedError",
    "Evaluation",
    "Loaded",
    "RunSettings",
    "TrackedRun",
    "Tracker",
    "TrainSettings",
    "Trained",
    "TrainingError",
    "across_seeds",
    "all_models",
    "branch",
    "fit",
    "load",
    "validate",
]
