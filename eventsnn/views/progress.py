"""Progress bars, on terminals and in notebooks."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning
from tqdm.std import tqdm

DELAY = 2  # seconds of work before a bar is shown


def bar(total: int, unit: str, shown: bool | None = None, **options: Any) -> tqdm[Any]:
    """A progress bar, which comes after two seconds, on standard error.

    total: of what it counts. unit: what that is. shown: True: on a terminal and in Jupyter; None:
    in Jupyter; False: nowhere. options: of tqdm.
    """
    kind, disable = tqdm, None
    if in_notebook():
        kind, disable = _of_notebooks(), False
    elif shown is None:
        disable = True
    if shown is False:
        disable = True
    return kind(total=total, unit=unit, disable=disable, delay=DELAY, file=sys.stderr, **options)


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
