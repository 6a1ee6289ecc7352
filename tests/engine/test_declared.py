"""What numba declares before the first kernel: what is left out is there when it is called."""

import subprocess
import sys

import pytest

CODE = """
import sys
import numba
import numpy as np
from eventsnn.simulation.declared import declare

declare()
print("scipy.linalg" in sys.modules)

@numba.njit
def product(a):
    return np.dot(a, a)[0, 1] + np.linalg.inv(a)[1, 1] + np.sort(np.ravel(a))[0]

print(product(np.array([[1.0, 2.0], [3.0, 4.0]])))
"""


@pytest.mark.slow
def test_blas_is_there_when_a_function_of_ones_own_needs_it():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert found[0] == "False"
    assert float(found[1]) == pytest.approx(10 - 0.5 + 1)


def test_a_numba_of_another_make_declares_by_itself(monkeypatch):
    from numba.core import registry
    from numba.np import linalg

    from eventsnn.simulation.declared import declare

    monkeypatch.delattr(registry, "cpu_target")
    declare()
    monkeypatch.undo()
    check = linalg.ensure_blas
    monkeypatch.delattr(linalg, "ensure_blas")
    declare()
    monkeypatch.undo()
    declare()
    assert linalg.ensure_blas is check
    assert "refresh" not in vars(registry.cpu_target.target_context)
