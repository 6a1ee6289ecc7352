"""Which pictures are drawn in tests: drawing takes most of a small run's time."""

import functools
import os
from contextlib import contextmanager
from pathlib import Path

from eventsnn.views import plots

OF_RUNS = ("accuracy.png", "rates.png")


def none(path):
    """Leaves none out."""
    return False


def every(path):
    """Leaves each out."""
    return True


_left_out = [lambda path: path.name in OF_RUNS]


@contextmanager
def chosen():
    """`plots.save` draws what is not left out, and writes a few bytes in place of the rest."""
    save = plots.save

    @functools.wraps(save)
    def write(*given, **options):
        path = given[1] if len(given) > 1 else None
        if isinstance(path, (str, os.PathLike)) and _left_out[-1](Path(path)):
            Path(path).write_bytes(b"picture")
        else:
            save(*given, **options)

    plots.save = write
    try:
        yield
    finally:
        plots.save = save


@contextmanager
def leaving_out(which):
    """Leaves out others than the two pictures of a run. which: of a path, whether it is."""
    _left_out.append(which)
    try:
        yield
    finally:
        _left_out.pop()
