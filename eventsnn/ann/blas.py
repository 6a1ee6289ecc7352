"""OpenBLAS, which numpy multiplies with, on one thread."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable


class OneBlasThread:
    """While any thread is inside, OpenBLAS computes each product on the thread that asked for it.

    The products of a forward pass are small, and whole batches run on several threads already:
    OpenBLAS's own threads would only wait for one another. Rounding also stays the same on any
    number of cores. Where numpy uses no OpenBLAS, this does nothing.

    get: returns OpenBLAS's number of threads (0 without OpenBLAS). set: sets it.
    """

    NAMES = (
        "scipy_openblas_{}_num_threads64_",
        "scipy_openblas_{}_num_threads",
        "openblas_{}_num_threads64_",
        "openblas_{}_num_threads",
    )

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before = 0
        self.get: Callable[[], int] = lambda: 0
        self.set: Callable[[int], object] = lambda threads: None
        numpy_1 = "numpy.core._multiarray_umath"
        module = sys.modules.get("numpy._core._multiarray_umath") or sys.modules[numpy_1]
        try:
            # finds the functions of the libraries that the module is linked with, too
            library = ctypes.CDLL(module.__file__)
        except OSError:
            return
        for name in self.NAMES:
            if hasattr(library, name.format("set")):
                self.get = library[name.format("get")]
                self.set = library[name.format("set")]

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = self.get()
                self.set(1)
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.set(self.before)


ONE_BLAS_THREAD = OneBlasThread()
