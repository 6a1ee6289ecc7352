"""The pictures of a run, drawn by a copy of the process that gets ready while the run goes on."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

DRAWN = 0  # exit status of a copy that wrote what was asked for


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

    On Linux a copy of this process imports matplotlib while the run goes on, and draws in the end,
    one picture on each of two cores. Where there is no copy, or it fails, this process draws.
    """

    def __init__(self) -> None:
        self._copy = 0
        self._to_copy = -1
        if _may_copy():
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
        if self._copy:
            with suppress(ProcessLookupError):
                os.kill(self._copy, signal.SIGKILL)
            self._end()

    def draw(self, drawing: Drawing) -> None:
        """Writes the pictures. drawing: what they show. Raises OSError where the disk refuses."""
        if not self._copy or not self._ask(drawing):
            drawing.write()

    def _start(self) -> None:
        end, begin = os.pipe()
        try:
            if end > 2:  # else one of the standard streams is closed
                self._copy = _forked(lambda: _wait_and_draw(end), begin)
        finally:
            os.close(end)
            if self._copy:
                self._to_copy = begin
            else:
                os.close(begin)

    def _ask(self, drawing: Drawing) -> bool:
        """Whether the copy has drawn."""
        content = memoryview(pickle.dumps(drawing))
        with suppress(BrokenPipeError):  # it has ended
            while content:
                content = content[os.write(self._to_copy, content) :]
        return self._end() == DRAWN

    def _end(self) -> int:
        """Waits for the copy's end; returns its exit status."""
        if self._to_copy >= 0:
            os.close(self._to_copy)
        self._to_copy = -1
        status = _status(self._copy)
        self._copy = 0
        return status


def _may_copy() -> bool:
    """Whether a copy is safe, and of use: none is where matplotlib is imported already."""
    return (
        sys.platform == "linux"
        and "matplotlib" not in sys.modules
        and threading.active_count() == 1
    )


def _forked(action: Callable[[], None], *handles: int) -> int:
    """The number of a copy of this process, which ends after an action.

    Its exit status is DRAWN, or 1 where the action raises. handles: open files that it closes
    first. Raises OSError where there is no room for a process.
    """
    with warnings.catch_warnings():  # of threads, which the copy has no need of
        warnings.simplefilter("ignore", DeprecationWarning)
        copy = os.fork()
    if copy:
        return copy
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends it
        for handle in handles:
            os.close(handle)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in 0, 1, 2:  # whoever reads them waits for the run alone
            os.dup2(null, stream)
        action()
        status = DRAWN
    finally:
        os._exit(status)


def _wait_and_draw(end: int) -> None:
    """What the copy does. end: of the pipe from which it reads the Drawing."""
    for name in ("eventsnn.views.plots", "matplotlib.backends.backend_agg", "PIL.PngImagePlugin"):
        import_module(name)

    with open(end, "rb") as pipe:
        content = pipe.read()
    if not content:  # the run has ended
        os._exit(1)
    drawing = pickle.loads(content)
    beside = _forked(drawing.write_accuracy)
    drawing.write_rates()
    if _status(beside) != DRAWN:
        drawing.write_accuracy()


def _status(copy: int) -> int:
    """The exit status of a copy, once it has ended."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    except ChildProcessError:  # somebody else has heard of its end
        return 1
