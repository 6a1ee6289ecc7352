"""What is said while something runs: bars on terminals and in notebooks, else how long it takes."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numba.core.event
from tqdm import TqdmWarning
from tqdm.std import tqdm

DELAY = 2  # seconds of work before a bar is shown, or how long the rest takes is said
LONG = 15  # seconds that the rest takes, below which nothing is said of it
COMPILING = "compiling, some seconds (once for this version; kept)"

T = TypeVar("T")


def bar(total: int, unit: str, shown: bool | None = None, **options: Any) -> tqdm[Any]:
    """A progress bar, which comes after two seconds, on standard error.

    Where standard error is no terminal it is one line, after two seconds: how long the rest takes
    at that pace, if that is 15 seconds or more.

    total: of what it counts. unit: what that is. shown: True: on a terminal and in Jupyter, and as
    a line elsewhere; None: in Jupyter; False: nowhere. options: of tqdm.
    """
    kind: type[tqdm[Any]] = tqdm
    disable: bool | None = None
    if shown is False:
        disable = True
    elif in_notebook():
        kind, disable = _of_notebooks(), False
    elif shown is None:
        disable = True
    elif not _is_terminal():
        kind = Estimate
    return kind(total=total, unit=unit, disable=disable, delay=DELAY, file=sys.stderr, **options)


@contextmanager
def following(total: int, unit: str, shown: bool | None = None) -> Iterator[tqdm[Any]]:
    """Inside `with`, a `bar`, and a line where kernels are compiled, unless shown is False.

    total, unit, shown: as for `bar`.
    """
    with bar(total, unit, shown) as its:
        if shown is False:
            yield its
            return
        with Compiling(tell, its):
            yield its


def each(things: Sequence[T], unit: str) -> Iterator[T]:
    """Yields things in turn, under a `bar`. unit: what they are, as "model"."""
    with following(len(things), unit, True) as shown:
        for thing in things:
            yield thing
            shown.update()


class Estimate(tqdm):
    """In place of a bar, where there is no terminal: one line, once it is known."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"disable": True})
        self.total, self.unit = options["total"], options["unit"]
        self.n = self.initial = options.get("initial", 0)
        self.began, self.told = time.perf_counter(), False

    def update(self, n: float | None = 1) -> bool | None:
        """Counts n more, and says once how long the others take."""
        self.n += n or 0
        done, passed = self.n - self.initial, time.perf_counter() - self.began
        left = self.total - self.n
        if self.told or done <= 0 or passed < DELAY or left <= 0:
            return None
        self.told = True
        if passed / done * left >= LONG:
            seconds = in_words(passed / done * left)
            units = f"{self.unit}{'s' * (done != 1)}"
            tell(f"{done:,} {units} in {passed:.0f} s, {left:,} to go: about {seconds}")
        return None


class Compiling(numba.core.event.Listener):
    """Inside `with`, says so when numba compiles, and adds up the `seconds` it takes.

    say: where words go. bar: whose estimate leaves that time out, or None.
    """

    def __init__(self, say: Callable[[str], object], bar: tqdm[Any] | None = None) -> None:
        self.say = say
        self.bar = bar
        self.seconds = 0.0
        self.depth = 0
        self.began = 0.0

    def __enter__(self) -> Compiling:
        numba.core.event.register("numba:compile", self)
        return self

    def __exit__(self, *exception: object) -> None:
        numba.core.event.unregister("numba:compile", self)

    def on_start(self, event: object) -> None:
        """Numba begins to compile; event: not used."""
        if not self.depth:
            self.began = time.perf_counter()
            if not self.seconds:
                self.say(COMPILING)
        self.depth += 1

    def on_end(self, event: object) -> None:
        """Numba has compiled; event: not used."""
        self.depth -= 1
        if not self.depth:
            seconds = time.perf_counter() - self.began
            self.seconds += seconds
            if isinstance(self.bar, Estimate):
                self.bar.began += seconds


def in_words(seconds: float) -> str:
    """A time to wait, roughly: "40 seconds", "7 minutes", "2.5 hours"."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            amount = seconds / size
            return (
                f"{amount:.0f} {unit}"
                if amount >= 10 or unit == "minutes"
                else (f"{amount:.1f} {unit}")
            )
    return f"{seconds:.0f} seconds"


def tell(words: str) -> None:
    """A line on standard error, if there is one that takes it."""
    with suppress(OSError, ValueError, AttributeError):
        print(f"eventsnn: {words}", file=sys.stderr, flush=True)


def _is_terminal() -> bool:
    stream = sys.stderr
    return stream is not None and hasattr(stream, "isatty") and stream.isatty()


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, where standard error is no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def _of_notebooks() -> type[tqdm[Any]]:
    """The bar of tqdm.auto; without ipywidgets that of terminals, which shows as text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm as found
    return found
