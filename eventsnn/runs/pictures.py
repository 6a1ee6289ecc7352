"""The pictures of a run, drawn by a copy of the process that gets ready while the run goes on."""

from __future__ import annotations

import atexit
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from eventsnn.runs.copies import DONE, copied, killed, may_copy, piped, status_of

SIZE = 8  # bytes that say how many follow


class Drawing(NamedTuple):
    """What a run's pictures show.

    results: the folder. layers, accuracy: rows as in layers.csv and accuracy.csv. ann_accuracy:
    from 0 to 1, None without labels. title: of both. decided: the run's conditions.
    """

    results: Path
    layers: Sequence[Mapping[str, Any]]
    accuracy: Sequence[Mapping[str, Any]]
    ann_accuracy: float | None
    title: str
    decided: str

    def write_accuracy(self) -> None:
        """Writes accuracy.png. Raises OSError where the disk refuses."""
        from eventsnn.views import plots

        figure = plots.accuracy_figure(self.accuracy, self.ann_accuracy, self.title, self.decided)
        plots.save(figure, self.results / "accuracy.png")

    def write_rates(self) -> None:
        """Writes rates.png, where there are neurons. Raises OSError where the disk refuses."""
        from eventsnn.views import plots

        if len(self.layers) > 1:  # the readout comes last, and has no rate
            figure = plots.rates_figure(self.layers[:-1], self.title, self.decided)
            plots.save(figure, self.results / "rates.png")

    def write(self) -> None:
        """Writes both. Raises OSError where the disk refuses."""
        self.write_accuracy()
        self.write_rates()


class Painter:
    """Draws a run's pictures; use it as a context manager.

    A copy of this process imports matplotlib while the run goes on, and draws in the end, one
    picture on each of two cores. Where there is no copy, or it fails, this process draws.
    """

    def __init__(self) -> None:
        self._copy = 0
        self._to_copy = -1
        if _is_of_use():
            with suppress(OSError):
                self._start()

    def __repr__(self) -> str:
        return f"<Painter, {f'in process {self._copy}' if self._copy else 'here'}>"

    def __enter__(self) -> Painter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the copy, where it has not drawn."""
        if self._copy:
            killed(self._copy)
            self._copy = 0
            self._close_pipe()

    def draw(self, drawing: Drawing) -> None:
        """Writes the pictures. drawing: what they show. Raises OSError where the disk refuses."""
        if not self._copy or not self._ask(drawing):
            drawing.write()

    def _start(self) -> None:
        end, begin = piped()
        try:
            self._copy = copied(lambda: _wait_and_draw(end), begin)
        except OSError:
            os.close(begin)
            raise
        finally:
            os.close(end)
        self._to_copy = begin

    def _ask(self, drawing: Drawing) -> bool:
        """Whether the copy has drawn."""
        pickled = pickle.dumps(drawing)
        content = memoryview(len(pickled).to_bytes(SIZE, "little") + pickled)
        with suppress(BrokenPipeError):  # it has ended
            while content:
                content = content[os.write(self._to_copy, content) :]
        self._close_pipe()
        status = status_of(self._copy)
        self._copy = 0
        return status == DONE

    def _close_pipe(self) -> None:
        if self._to_copy >= 0:
            os.close(self._to_copy)
        self._to_copy = -1


def get_ready(words: Sequence[str]) -> None:
    """Makes the Painter of a command's run, before the command imports what it needs.

    words: of the command line.
    """
    if not {"-h", "--help", "--version"} & set(words):
        _ready.append(Painter())
        atexit.register(_ready[-1].close)


def painter() -> Painter:
    """The Painter that was made by `get_ready`, once, or a new one."""
    return _ready.pop() if _ready else Painter()


_ready: list[Painter] = []


def _is_of_use() -> bool:
    """Whether there may be a copy, which gets matplotlib ready: it is not imported yet."""
    return may_copy() and "matplotlib" not in sys.modules


def _wait_and_draw(end: int) -> None:
    """What the copy does. end: of the pipe from which it reads the Drawing."""
    for name in ("eventsnn.views.plots", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"):
        import_module(name)
    with open(end, "rb") as pipe:
        size = int.from_bytes(pipe.read(SIZE), "little")
        drawing = pickle.loads(pipe.read(size))  # EOFError where the run has ended
    beside = copied(drawing.write_accuracy)
    drawing.write_rates()
    if status_of(beside) != DONE:
        drawing.write_accuracy()
