"""A progress bar for what takes more than two seconds, and only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
_QUIET = 2.0


def tracked(
    items: Iterable[T], *, what: str, total: int | None = None, show: bool | None = None
) -> Iterator[T]:
    """Yield `items`, with a bar on standard error once two seconds have passed.

    Args:
        items: What is worked through.
        what: What the bar says.
        total: How many there are, where `items` cannot tell.
        show: Whether to show it; by default only where standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    begun = time.monotonic()
    progress: Progress | None = None
    try:
        for done, item in enumerate(items):
            if progress is None and time.monotonic() - begun > _QUIET:
                progress = Progress(console=Console(stderr=True), transient=True)
                progress.start()
                if total is None and isinstance(items, Sized):
                    total = len(items)
                progress.add_task(what, total=total, completed=done)
            yield item
            if progress is not None:
                progress.advance(progress.task_ids[0])
    finally:
        if progress is not None:
            progress.stop()
