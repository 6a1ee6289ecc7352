"""How far a sweep is: a bar on terminals and in notebooks, elsewhere a line a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from eventsnn.sweep.working import Done
from eventsnn.views.progress import bar, in_notebook, in_words, tell

EVERY = 60.0  # seconds between lines


class Progress:
    """Counts cells and images inside `with`.

    cells: how many there are. there: how many of them were done before. images: of the cells that
    are left. shown: whether anything is said. clock: seconds, for tests.
    """

    def __init__(
        self,
        cells: int,
        there: int,
        images: int,
        shown: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cells, self.there, self.images = cells, there, images
        self.shown = shown
        self.clock = clock
        self.done = self.failed = self.seen = 0
        self.began = self.told = clock()
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.drawn = shown and (terminal or in_notebook())
        self.bar = bar(cells, "cell", shown=True if self.drawn else False, initial=there)

    def __enter__(self) -> Progress:
        self.bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.__exit__(kind, error, trace)

    def add(self, done: Done) -> None:
        """Counts a cell. done: what its worker said."""
        self.done += 1
        self.failed += done.error is not None
        self.seen += done.images
        if self.drawn:
            self.bar.set_postfix_str(self.pace, refresh=False)
            self.bar.update()
        elif self.shown:
            self.tick()

    def tick(self) -> None:
        """Says how far it is, where a minute has passed."""
        now = self.clock()
        if self.shown and not self.drawn and now - self.told >= EVERY:
            self.told = now
            tell(self.words)

    @property
    def pace(self) -> str:
        """Images a second, and failures where there are any."""
        passed = max(1e-9, self.clock() - self.began)
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.seen / passed:.3g} images/s{failed}"

    @property
    def words(self) -> str:
        """How far it is, in a line."""
        passed = max(1e-9, self.clock() - self.began)
        told = f"{self.there + self.done:,} of {self.cells:,} cells, {self.pace}"
        left = self.images - self.seen
        if self.seen and left > 0:
            told += f", about {in_words(left * passed / self.seen)} left"
        return told
