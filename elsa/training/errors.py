"""Why a run cannot start or go on."""

from elsa.base.refusal import RefusalError


class TrainingError(RefusalError):
    """A run cannot start or go on; the message says why and what is kept."""
