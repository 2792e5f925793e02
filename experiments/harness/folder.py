"""A run's folder: its config (config.json), its environment (env.json), and its results.

A run with the same config goes on where it stopped; any other content is refused.
"""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from elsa.base import files, strict_json
from elsa.base.owner import Owner, is_owner_s
from elsa.base.settings import for_results, taken_over
from elsa.report import style
from experiments.harness import chain, going_on, records, where

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIG, ENV, METRICS, SUMMARY = "config.json", "env.json", "metrics.jsonl", "summary.json"
TIMING, FIGURES, PAGE = "timing.json", "figures", "report.html"
SWEEP = "sweep.json"  # of the folder of a sweep, in the place of config.json


class FolderError(Exception):
    """The folder cannot serve this run; it was left as it is, and the message says the ways out."""


class RunFolder:
    """One run's files, held by this process while the `with` block lasts.

        with RunFolder.open("runs/name", config) as folder:
            folder.append("first case", {"error": 1e-12}, seconds=0.5)

    Every file is replaced as a whole, so a kill leaves the old one or the new one; only records are
    appended, and a line that a kill cut off is dropped when the folder is opened again.

    Attributes:
      path: the folder, as given.
      records: the content of metrics.jsonl, one dict per line.
      notes: messages for its user: a folder moved away, a line dropped, other versions.
    """

    what: ClassVar[str] = "run"  # how a refusal names what the folder holds ...
    asked: ClassVar[str] = CONFIG  # ... and the file that says what was asked

    def __init__(self, path: Path, owner: Owner):
        self.path = path
        self.records: list[records.Record] = []
        self.notes: list[str] = []
        self._owner = owner
        self._last = ""  # the digest of the last line; "" before it is known

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        config: Mapping[str, Any],
        *,
        overwrite: bool = False,
        newer: Mapping[str, Any] = MappingProxyType({}),
        extend: Callable[[], None] | None = None,
    ) -> Self:
        """Makes the folder, or opens one that holds the same config.

        Args:
          path: the folder.
          config: the resolved config, plain JSON values only.
          overwrite: moves what is there to `<path>.<time>` first, whatever it is.
          newer: dotted keys that older versions did not write, and what their runs had.
          extend: lets a run go on to a larger train.num_steps, unless it raises; what the shorter
            one measured is set aside.

        Raises:
          FolderError: if the folder holds anything else, is in use, or has a damaged file.
          ValueError, TypeError: if the config is not plain, finite JSON, naming the key.
          files.WriteError: if the disk or a permission forbids it.
        """
        wanted = strict_json.loads(strict_json.dumps(config, where="config"))  # tuples are lists
        place = Path(path)
        if os.path.lexists(place) and not place.is_dir():
            raise FolderError(f"{place} is no folder; give another --workdir")
        files.make_folder(place)
        folder = cls(place, _hold(place))
        try:
            if overwrite and not folder._is_empty():
                folder._move_aside()
            if folder._is_empty():
                folder.write_json(cls.asked, wanted)
            else:
                folder._reopen(wanted, newer, extend)
        except BaseException as error:
            folder.close()
            for note in folder.notes:
                error.add_note(note)
            raise
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another process have the folder."""
        self._owner.close()

    @property
    def cases(self) -> list[str]:
        """Names of the recorded cases, in the order they ran."""
        return list(dict.fromkeys(record["case"] for record in self.records))

    @property
    def has_summary(self) -> bool:
        """Whether the run came to its end before."""
        return (self.path / SUMMARY).exists()

    def append(
        self,
        case: str,
        results: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        seconds: float,
    ) -> None:
        """Records what one case measured, on the disk before this returns.

        Raises:
          ValueError, TypeError: for a field that is not plain, finite JSON, naming case and field.
          files.WriteError: the earlier records are untouched.
        """
        before = self._last or self._first_digest()
        lines = records.dump(case, results, seconds=seconds, after=before)
        files.append(self.path / METRICS, lines)
        self._last = chain.end(lines, before)
        self.records += records.parse(lines)[0]

    def write_environment(self, environment: Mapping[str, Any], *, accept: bool = False) -> None:
        """Records where the run is computed; a resumed run adds what differs, under "resumed".

        Args:
          environment: of this process.
          accept: goes on where it has changed so that bits do, or env.json is damaged.

        Raises:
          FolderError: for either otherwise.
        """
        kept = bool(self.records)
        try:
            self.notes += where.record(self.path / ENV, environment, kept=kept, accept=accept)
        except where.ElsewhereError as error:
            raise FolderError(f"{error} {ways_out(self.path)}") from error

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Replaces a JSON file of the folder, and returns its path.

        Raises:
          ValueError, TypeError: for a field that is not plain, finite JSON, naming file and field.
          files.WriteError: the old file is untouched.
        """
        text = strict_json.dumps(value, where=name, indent=2)
        return self.write_text(name, f"{text}\n")

    def write_text(self, name: str, text: str) -> Path:
        """Replaces a text file of the folder, in UTF-8; returns and raises as `write_json`."""
        files.replace(self.path / name, text.encode())
        return self.path / name

    def write_figure(self, name: str, figure: "Figure") -> list[Path]:
        """Replaces figures/NAME.png (300 dpi) and figures/NAME.svg, and returns their paths.

        The same figure gives the same bytes: no date, no random names.
        """
        import matplotlib

        paths = []
        for ending in ("png", "svg"):
            image, metadata = io.BytesIO(), {"Date": None} if ending == "svg" else None
            with style.applied(), matplotlib.rc_context({"svg.hashsalt": name}):
                figure.savefig(image, format=ending, dpi=300, metadata=metadata)
            paths.append(self.path / FIGURES / f"{name}.{ending}")
            files.replace(paths[-1], image.getvalue())
        return paths

    def _is_empty(self) -> bool:
        """Whether the folder holds nothing but the remains of a kill during its first write."""
        try:
            names = {name for name in os.listdir(self.path) if not is_owner_s(name)}
        except OSError as error:
            raise files.WriteError(self.path, error, verb="open folder") from error
        return names <= {files.temporary(self.path / self.asked).name}

    def _reopen(
        self,
        wanted: dict[str, Any],
        newer: Mapping[str, Any],
        extend: Callable[[], None] | None,
    ) -> None:
        """Takes over the records of a folder with the same config, and refuses any other."""
        if not (self.path / self.asked).exists():
            here = f"{self.path} is not empty and holds no {self.what} (no {self.asked})"
            left = next((name for name in (METRICS, ENV) if (self.path / name).exists()), None)
            lost = f", but a run's {left}; put {self.asked} back where it was there" if left else ""
            raise FolderError(f"{here}{lost}. {ways_out(self.path)}")
        before, written = _read(self.path / self.asked), _read(self.path / self.asked)
        for name, value in newer.items():
            going_on.fill_in(before, wanted, name.split("."), value)
        before = taken_over(before, wanted)
        steps = None if extend is None else going_on.fewer_steps(before, wanted)
        if steps is not None:
            before["train"]["num_steps"] = wanted["train"]["num_steps"]
        refusal = going_on.difference(before, wanted, self.what)
        if refusal:
            raise FolderError(f"{self.path} {refusal}. {ways_out(self.path)}")
        if extend is not None and steps is not None:
            self._go_on(wanted, steps, extend)
        elif taken_over(written, wanted) != written:
            self.write_json(self.asked, taken_over(written, wanted))
        metrics = self.path / METRICS
        try:
            data = metrics.read_bytes() if metrics.exists() else b""
            self.records, length, dropped = records.parse(data)
            self._last = chain.end(data[:length], self._first_digest()) if length else ""
        except chain.LineError as error:
            raise FolderError(
                f"{metrics}, {error}. Repair that line, or cut it off with those after it, whose "
                f"cases then run again, or: {ways_out(self.path)}"
            ) from error
        except OSError as error:
            raise FolderError(
                f"cannot read {metrics}: {error.strerror or error}; nothing was changed. Try again "
                f"once that is mended, or: {ways_out(self.path)}"
            ) from error
        if dropped:
            files.replace(metrics, data[:length])
            self.notes.append(f"{metrics}: {dropped}; it is dropped, and that case runs again")

    def _first_digest(self) -> str:
        """What the first line of metrics.jsonl follows."""
        return chain.start(for_results(_read(self.path / self.asked)))

    def _go_on(self, wanted: dict[str, Any], steps: int, refuse: Callable[[], None]) -> None:
        """Makes room for records of more steps; the config last, so that a kill spoils nothing."""
        more = wanted["train"]["num_steps"]
        if more < steps:
            raise FolderError(
                f"{self.path} holds a run of {steps:,} steps, which --extend cannot shorten to "
                f"{more:,}. {ways_out(self.path)}"
            )
        refuse()
        aside = going_on.set_aside(self.path, (SUMMARY, TIMING, FIGURES, METRICS, PAGE), steps)
        self.write_json(self.asked, wanted)
        kept = f"; {', '.join(path.name for path in aside)} are what it was" if aside else ""
        self.notes.append(f"{self.path} goes on from {steps:,} to {more:,} steps{kept}")

    def _move_aside(self) -> None:
        """Renames the folder and holds a new, empty one in its place."""
        inside = [Path.cwd(), Path(__file__)]
        if any(path.resolve().is_relative_to(self.path.resolve()) for path in inside):
            raise FolderError(
                f"{self.path} holds the current folder or this program and is not moved; "
                "give another --workdir"
            )
        try:
            aside = self._owner.start_over()
        except files.BusyError as error:
            raise FolderError(f"{error}; wait for its end, or give another --workdir") from error
        self.notes.append(f"the old folder is now {aside}")


def _hold(path: Path) -> Owner:
    try:
        return Owner(path)
    except files.BusyError as error:
        raise FolderError(f"{error}; wait for its end, or give another --workdir") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return strict_json.loads_object(path.read_bytes())
    except (ValueError, OSError) as error:
        raise FolderError(
            f"cannot read {path}: {error}. Put it back, or: {ways_out(path.parent)}"
        ) from error


def ways_out(path: Path) -> str:
    """The end of every refusal."""
    return f"Give another --workdir, or --overwrite, which moves the folder to {path}.<time>."
