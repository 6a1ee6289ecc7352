"""Whether the processor has what numba is told to compile for."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import Any

import numba

from eventsnn.exceptions import InputError

CONFIG: Any = numba.config
# whole numbers of 64 bits, which have instructions of their own in every width of vectors
PROBE = """
import numba, numpy
@numba.njit
def run(x, y):
    for i in range(x.size):
        x[i] = max(x[i] * y[i], y[i])
run(numpy.arange(512), numpy.arange(512))
"""


def check_processor() -> None:
    """Raises InputError where numba is told of a processor whose code ends this one's processes.

    That is by NUMBA_CPU_NAME or NUMBA_CPU_FEATURES; without these nothing is tried.
    """
    for name in ("CPU_NAME", "CPU_FEATURES"):
        given = getattr(CONFIG, name)
        if given and not _runs(CONFIG.CPU_NAME, CONFIG.CPU_FEATURES):
            expected, do = "a processor whose instructions this one has", "unset it"
            raise InputError(f"NUMBA_{name}", expected, given, do)


@cache
def _runs(name: str | None, features: str | None) -> bool:
    """Whether code for such a processor runs, in a process of its own."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode >= 0
