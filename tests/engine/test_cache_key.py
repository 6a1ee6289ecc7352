"""What kernels read of a class from outside decides what is compiled: no stale machine code."""

import importlib
import sys

import numpy as np
import pytest
from support.networks import random_graph, random_pixels

from eventsnn import convert, simulate
from eventsnn.engine.jit import digest_of

CONSTANTS = "K = 1\nLIST = (1, 2)\n\n\ndef helper(x):\n    return x * K\n"
MODEL = """
import numpy as np
from numba import njit
from support.dynamic import Soft
import {name}_constants as other
from {name}_constants import K

HERE = 1
ARRAY = np.array([1, 2])


def below(x):
    return x + HERE


@njit
def compiled(x):
    return below(x)


def closed(inside):
    def settle(neuron, p, n):
        return p - inside * neuron.theta

    return settle


class Mine(Soft):
    __slots__ = ()
    holds = True
    conserves = False
    reset = "none"
    LEVEL = 1
    settle = staticmethod(closed(1))

    @staticmethod
    def emit(neuron, layer, p, s):
        return 1 if p >= neuron.theta * other.K else 0

    @staticmethod
    def tie(neuron, layer, p, s, extra=1):
        return compiled(ARRAY[0]) == other.helper(K)
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A module with a model, and the module that its constants come from."""
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}_constants.py").write_text(CONSTANTS)
    (tmp_path / f"{name}.py").write_text(MODEL.format(name=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name), importlib.import_module(f"{name}_constants")
    for key in [key for key in sys.modules if key.startswith(name)]:
        del sys.modules[key]


def change_array(mine, constants):
    mine.ARRAY[1] = 7


CHANGES = {
    "a constant in another module": lambda mine, constants: setattr(constants, "K", 5),
    "a global": lambda mine, constants: setattr(mine, "HERE", 5),
    "an imported name": lambda mine, constants: setattr(mine, "K", 5),
    "an array": change_array,
    "a function that is called": lambda mine, constants: setattr(mine, "below", lambda x: x + 2),
    "a function in another module": lambda mine, constants: setattr(
        constants, "helper", lambda x: x - 1
    ),
    "a closure": lambda mine, constants: setattr(mine.Mine, "settle", mine.closed(2)),
    "a default": lambda mine, constants: setattr(mine.Mine.tie, "__defaults__", (2,)),
    "an attribute of the class": lambda mine, constants: setattr(mine.Mine, "LEVEL", 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_knows_every_thing_that_kernels_read(change, modules):
    mine, constants = modules
    before = digest_of(mine.Mine)
    assert digest_of(mine.Mine) == before
    CHANGES[change](mine, constants)
    assert digest_of(mine.Mine) != before


def test_the_key_knows_the_file(modules, tmp_path):
    mine, _ = modules
    before = digest_of(mine.Mine)
    path = tmp_path / f"{mine.__name__}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert digest_of(mine.Mine) != before


@pytest.mark.slow
def test_a_constant_that_changes_at_run_time_changes_the_run(modules):
    mine, constants = modules
    mine.Mine.tie = staticmethod(lambda neuron, layer, p, s: False)
    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    pixels, network = random_pixels(rng, graph, 2), convert(graph)
    spikes = {}
    for k in (1, 3, 2, 1):
        constants.K = k
        found = int(simulate(network, pixels, steps=6, neuron=mine.Mine).spikes.sum())
        assert found == spikes.setdefault(k, found)
    assert spikes[1] > spikes[2] > spikes[3]
