"""Whether a network fits into memory: told before any of it is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from eventsnn.ann.graph import Graph, Node
from eventsnn.ann.windows import window_of
from eventsnn.exceptions import InputError

TAP = 24  # bytes: its source site, target site and block
WEIGHT = 4
NEURON = 20  # bias, drive, v(0), potential and net spikes, in 32 bits each
GROUPS = ("memory/memory.limit_in_bytes", "memory.max")  # of Linux's control groups


def check_room(graph: Graph) -> None:
    """Raises InputError where a network needs more memory than there is.

    graph: of which it is to be made. What is counted is the least that it needs.
    """
    there = available()
    needed = bytes_of(graph)
    if needed > there:
        neurons = sum(map(_size, (graph.shapes[node.name] for node in graph.activations)))
        expected = f"a network that fits into {_gigabytes(there)} of memory, which are free"
        found = f"{neurons:,} neurons and {graph.parameters:,} weights, which take at least "
        do = "convert a smaller one, or where there is more"
        raise InputError(graph.source, expected, found + _gigabytes(needed), do)


def bytes_of(graph: Graph) -> int:
    """The least memory that a network of a graph needs beside the graph. graph: the ANN."""
    fires = sum(NEURON * _size(graph.shapes[node.name]) for node in graph.activations)
    taps = sum(TAP * _taps(graph, node) for node in graph.nodes)
    return fires + taps + WEIGHT * graph.parameters


def _taps(graph: Graph, node: Node) -> int:
    """How often a window's places meet the input, borders included; 0 for other nodes."""
    if node.op not in ("Conv", "MaxPool", "AveragePool"):
        return 0
    window = window_of(node, graph.shapes[node.inputs[0]])
    # what lies on padding is no tap
    inside = [
        max(0, out - sum(pads))
        for out, pads in zip(window.out, (window.pads[::2], window.pads[1::2]))
    ]
    return math.prod(inside) * math.prod(window.kernel)


def available() -> float:
    """The bytes that this process may still take, as far as the system tells; else infinity."""
    return min(_told(limit) for limit in (_of_machine, _of_group, _of_process))


def _told(limit: Callable[[], float]) -> float:
    with suppress(OSError, ValueError, IndexError, KeyError, ImportError):
        return limit()
    return math.inf


def _of_machine() -> float:
    """What Linux has to give without pushing anybody out, and swap."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return found["MemAvailable"] + found["SwapFree"]


def _of_group() -> float:
    """What a control group, as a container has one, leaves."""
    least = math.inf
    for name in GROUPS:
        file = Path("/sys/fs/cgroup") / name
        if file.exists() and (text := file.read_text().strip()) != "max":
            least = min(least, int(text) - _held())
    return least


def _of_process() -> float:
    """What the limit on addresses (`ulimit -v`) leaves."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return math.inf if limit < 0 else limit - pages * os.sysconf("SC_PAGE_SIZE")


def _held() -> int:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"
