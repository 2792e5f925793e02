"""The interface between a driver and the engine, and the error of a run that cannot go on."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_collections import ConfigDict

from elsa.base.stopping import INTERRUPTED, PREEMPTED, Preempted

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.table import Table

Case = Mapping[str, Any]
Record = dict[str, Any]
Summary = dict[str, Any]

# exit codes: a bad config, a full disk
REFUSED, FAILED = 2, 1


class Branch(NamedTuple):
    """Where runs start that go on from others, with settings of their own.

    folder: of an experiment, or of one run; absolute.
    at: which of a run's checkpoints: "newest", "best" or a step.
    """

    folder: "Path"
    at: int | str


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a case runs, for those that take long and keep files of their own.

    folder: the run's folder.
    screen: where progress is shown.
    branch: where its training starts; None for fresh models.
    accept: whether training goes on in an environment that changes its bits.
    """

    folder: "Path"
    screen: "Console"
    branch: Branch | None = None
    accept: bool = False

    @property
    def environment(self) -> str:
        """What `training.fit` is told of it."""
        return "accept" if self.accept else "same"


class Rows(NamedTuple):
    """The rows that a record has in the table of a sweep.

    same: fields that are the same in all of them; nested ones become `above.below`.
    each: column -> a value for each row, `status` ("done" or "diverged") among them. Rows of
      several seeds have `seed`; those along training `step`, and `final`, true in the last row of
      each seed.
    """

    same: Mapping[str, Any]
    each: Mapping[str, Sequence[Any]]


RowsOf = Callable[[Record], Rows]


class Shown(NamedTuple):
    """What a sweep draws and prints of the final rows of its table.

    main: column of the number; a field of a record that is in a group is `above.below`.
    target: column of what theory predicts for it, where there is one.
    theory: what readers call that.
    robust: column of a number that stands in where few samples make up the main one; "" for none.
    robust_name: what readers call that.
    """

    main: str = "risk"
    target: str = "target"
    theory: str = "theory"
    robust: str = ""
    robust_name: str = ""


_SHOWN = Shown()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment as five functions; the engine owns files, progress, resuming and printing.

    Attributes:
      cases: the config's cases in the order they run, name -> settings.
      measure: runs one case from its settings and returns one record, or a list of them: plain
        numbers, strings, lists and dicts, None for a number that does not exist. The engine adds
        `case` and `seconds`; the settings that a table needs belong into the record. A case that
        takes long keeps files of its own, and shows its progress, where `Place` says.
      summarise: all records, in order and without `seconds`, to the numbers of summary.json, which
        are the same whenever the run is made again.
      tables: what is printed, from the summary alone, to which the engine adds `seconds`: case ->
        its wall time.
      figures: name -> figure (`matplotlib.figure.Figure`, not pyplot), from records and summary.
      files: name -> text of further files in the run's folder, from the records. None: there are
        none.
      check: refuses a bad config before anything is computed or written, by a ValueError,
        TypeError, KeyError or OSError whose text is all the user sees.
      check_given: refuses, as `check` does and after it, a config by its dotted keys that the user
        has set, to the default's value even. None: what is set to the default is as good as not.
      shares: of a config, which of its dotted keys may be axes within one program, and the name of
        each such axis: points of a sweep that differ in them alone are one run. The records of such
        a run hold the axis' value by its name, in their `point` or as a field of their own. None:
        every point of a sweep is a run of its own.
      with_axes: a config that runs these axes in one program: from a config, whose copy it may
        change, and name of each axis -> values, whose product it takes. It goes with `shares`.
      extends: refuses, as `check` does, that the training run of a case in a folder goes on to the
        config's larger train.num_steps. None: there are no runs to go on.
      branches: refuses, as `check` does, that the training run of a case in a folder starts from
        another; the last argument says whether what the folder holds is moved away first. None:
        there are no runs to start.
      follows: computes what process 0 of several tells this one, until it ends; returns the exit
        code. None: there is no training to share.
      rows: the rows of a record in the table of a sweep. None: one row, or a row for each seed of a
        list `risks`.
      shown: what a sweep draws and prints.
    """

    cases: Callable[[ConfigDict], Mapping[str, Case]]
    measure: Callable[[ConfigDict, Case, Place], Record | list[Record]]
    summarise: Callable[[ConfigDict, list[Record]], Summary]
    tables: Callable[[Summary], Sequence["Table"]]
    figures: Callable[[ConfigDict, list[Record], Summary], Mapping[str, "Figure"]]
    files: Callable[[list[Record]], Mapping[str, str]] | None = None
    check: Callable[[ConfigDict], None] | None = None
    check_given: Callable[[ConfigDict, Collection[str]], None] | None = None
    shares: Callable[[ConfigDict], Mapping[str, str]] | None = None
    with_axes: Callable[[ConfigDict, Mapping[str, tuple[Any, ...]]], ConfigDict] | None = None
    extends: Callable[[ConfigDict, Case, "Path"], None] | None = None
    branches: Callable[[ConfigDict, Case, "Path", Branch, bool], None] | None = None
    follows: Callable[[], int] | None = None
    rows: RowsOf | None = None
    shown: Shown = _SHOWN

    def __post_init__(self) -> None:
        if (self.shares is None) != (self.with_axes is None):
            raise TypeError("Experiment: shares and with_axes go together, got only one of them")

    def given(self, keys: Collection[str]) -> "Experiment":
        """The experiment whose `check` also knows which keys of the config the user has set."""
        check, check_given = self.check, self.check_given
        if check_given is None:
            return self

        def both(config: ConfigDict) -> None:
            if check is not None:
                check(config)
            check_given(config, keys)

        return dataclasses.replace(self, check=both)


def stopped(error: KeyboardInterrupt, rest: str) -> "RunError":
    """What a run says that Ctrl-C or a scheduler's signal has ended: which of them, and `rest`."""
    if isinstance(error, Preempted):
        return RunError(f"preempted{rest}", exit_code=PREEMPTED)
    return RunError(f"interrupted{rest}", exit_code=INTERRUPTED)


class RunError(Exception):
    """A run cannot start or go on; the message is for its user, who needs no traceback.

    Attributes:
      exit_code: REFUSED, FAILED, INTERRUPTED or PREEMPTED.
    """

    def __init__(self, message: str, *, exit_code: int = REFUSED):
        super().__init__(message)
        self.exit_code = exit_code


def message_of(error: BaseException) -> str:
    """The error's own words and its notes; Python quotes the text of a KeyError."""
    quoted = isinstance(error, KeyError) and len(error.args) == 1
    text = str(error.args[0] if quoted else error) or type(error).__name__
    notes = (note for note in getattr(error, "__notes__", ()) if "JAX has removed" not in note)
    return "\n".join([text, *notes])
