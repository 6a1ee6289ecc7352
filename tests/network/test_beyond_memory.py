"""A network that memory cannot hold is refused in a line, with the number, before it is made."""

import os
import resource
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import InputError, convert
from eventsnn.network import room


def wide(side, channels=8):
    b = Builder(np.random.default_rng(0), (1, side, side))
    x = b.activation(b.conv("input", channels, pads=[1, 1, 1, 1]), "ClippedRelu")
    return b.graph(b.gemm(b.add("Flatten", [b.add("GlobalAveragePool", [x])])))


def test_a_network_beyond_memory_is_refused_before_it_is_made(monkeypatch):
    graph = wide(2000)
    monkeypatch.setattr(room, "available", lambda: 5e8)
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        convert(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    words = str(caught.value)
    assert "\n" not in words and "fits into 0.5 GB of memory" in words
    assert "32,000,000 neurons" in words and "at least 1.5 GB" in words
    assert peak < 1e6


def test_what_is_counted_is_no_more_than_what_is_taken():
    for side in (64, 200):
        graph = wide(side)
        network = convert(graph)
        taps = sum(24 * len(p.map.p) for p in network.projections)
        state = room.NEURON * network.neurons
        assert room.bytes_of(graph) <= taps + state + room.WEIGHT * graph.parameters
        assert room.bytes_of(graph) > state + taps / 2


def test_what_is_free_is_told_by_the_system():
    assert 0 < room.available() < 1e15


@pytest.mark.parametrize("limit", ["_of_machine", "_of_group", "_of_process"])
def test_a_system_that_tells_nothing_refuses_nothing(monkeypatch, limit):
    def fails():
        raise OSError

    for name in ("_of_machine", "_of_group", "_of_process"):
        monkeypatch.setattr(room, name, fails if name == limit else lambda: 7.0)
    assert room.available() == 7
    monkeypatch.setattr(room, "_of_machine", fails)
    monkeypatch.setattr(room, "_of_group", fails)
    monkeypatch.setattr(room, "_of_process", fails)
    assert room.available() == float("inf")


def test_a_limit_of_the_process_counts():
    code = "from eventsnn.network import room; print(room.available())"
    limit = 3 * 2**30
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert 0 < float(done.stdout) < limit
