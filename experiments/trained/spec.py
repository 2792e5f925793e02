"""A trained experiment as a few words: what is predicted, and along what it is drawn."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from elsa import training
from elsa.training import sharing
from experiments.harness.experiment import (
    FAILED,
    Case,
    Experiment,
    Place,
    Record,
    RunError,
    Summary,
)
from experiments.trained import measure, panels, predictions, report, rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Figures = Mapping[str, "Figure"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedSpec:
    """Models trained for every point of a sweep, their risk beside what theory predicts.

    The runs come from the config (`configs/base.py`); a record is a point of a run. A name below is
    an axis of the sweep or a field of the records.

    Attributes:
      title: of the table.
      x: name of what the figure goes along.
      x_label: of that axis, the unit in parentheses.
      hue: name of what has a colour for each value.
      panel: name of what has a panel for each value; one panel where None.
      lines: of theory, drawn beside the target; keys of a prediction's `lines`.
      labels: value of hue or panel, a model or a line -> how figures name it.
      target: what the table calls the target.
      theory: how the legend names the target, after "theory: ".
      best: whether every seed is drawn, and the best in place of the mean.
      log: whether risks are drawn in logarithm.
      captions: lines below the table.
      predict: what theory says at a point; by default of the task alone.
      given: of a config, a case and its place, the arrays that a model takes at its start.
      more: fields that each record of a run has besides, from its case, the trained models and the
        records so far.
      figures: in place of the one figure `risk`.
    """

    title: str
    x: str
    x_label: str
    hue: str = "model"
    panel: str | None = None
    lines: Sequence[str] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    target: str = "theory"
    theory: str = "optimum"
    best: bool = False
    log: bool = False
    captions: Sequence[str] = ()
    predict: predictions.Predict = predictions.of
    given: Callable[[ConfigDict, Case, Place], Mapping[str, Any]] | None = None
    more: Callable[[Case, training.Trained, list[Record]], Iterable[Record]] | None = None
    figures: Callable[[ConfigDict, list[Record], Summary], Figures] | None = None

    def experiment(self) -> Experiment:
        """What `experiments/run.py` runs."""
        return Experiment(
            cases=measure.cases,
            measure=self.measure,
            summarise=report.summarise,
            tables=self.tables,
            figures=self.figures or self.risk,
            check=measure.check,
            extends=self.refuse_extension,
            follows=sharing.follow,
            branches=measure.refuse_branch,
            rows=rows.of,
        )

    def refuse_extension(self, config: ConfigDict, case: Case, folder: Path) -> None:
        """Refuses a run of the folder that cannot go on to the config's steps."""
        if self.given is not None:
            raise ValueError(
                f"--extend: runs of {config.experiment} start from arrays of other runs, which "
                "more steps would change; give another --workdir"
            )
        measure.refuse_extension(config, case, folder)

    def measure(self, config: ConfigDict, case: Case, place: Place) -> list[Record]:
        """One record for each point of a run."""
        try:
            given = None if self.given is None else self.given(config, case, place)
        except training.TrainingError as error:  # the run that it starts from diverged
            raise RunError(f"{case['run']}: {error}", exit_code=FAILED) from error
        trained, records = measure.train(config, case, place, self.predict, given=given)
        if self.more is None:
            return records
        fields = self.more(case, trained, records)
        return [{**record, **own} for record, own in zip(records, fields, strict=True)]

    def tables(self, summary: Summary) -> list["Table"]:
        """One table of all points."""
        return [report.table(summary, title=self.title, target=self.target, captions=self.captions)]

    def risk(self, config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
        """The figure `risk`, of the records that have an x."""
        return {"risk": panels.draw(self, config, records)}
