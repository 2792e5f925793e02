"""What a long pass over rows shows: a bar where someone watches, a line now and then in a log."""

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from elsa.base.plain import plain

if TYPE_CHECKING:
    from rich.console import Console

_LOG_SECONDS = 20.0


def shown(
    blocks: Iterator[tuple[int, Any]], doing: str, screen: "Console | None"
) -> Generator[tuple[int, Any]]:
    """The blocks one by one, with how many rows have been read, and how fast."""
    if screen is None:
        yield from blocks
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn
    from rich.text import Text

    start = logged = time.perf_counter()
    rows, watched = 0, screen.is_terminal
    name = plain(doing, screen.encoding)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=screen, transient=True, disable=not watched) as bar:
        task = bar.add_task(name, total=None)
        for number, block in blocks:
            yield number, block
            rows += len(block)
            now = time.perf_counter()
            said = f"{name}: {rows:,} rows, {rows / max(now - start, 1e-9):,.0f} rows/s"
            bar.update(task, description=said)
            if not watched and now - logged > _LOG_SECONDS:
                logged = now
                screen.print(Text(said), soft_wrap=True)
