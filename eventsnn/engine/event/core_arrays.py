"""The arrays of the order `cores`: as they begin, grown, and what a finished run says of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event import cores, layout, ring
from eventsnn.engine.event.cores import COMING, ENDS, FIRST, FREE, HEAD, ROOM, TAIL, Cores
from eventsnn.engine.event.queue import CHANGED, F_WHAT, HEARD

CHANGES = 64  # rows of the record of classes at first


class Served(NamedTuple):
    """What a finished run under cores says of them, ticks and events as whole numbers.

    busy: int64 [L], ticks in which each layer's core was in service. longest_queue: int64 [L],
    events. waiting: int64 [L], events that were not delivered when the run ended: they waited, were
    in service or on their way. end: the tick at which the run ended. classes: int64 [C, 2], the
    readout's class at the end of each tick in which it became another: tick, class; [0, 2] where
    the readout has no classes.
    """

    busy: NDArray[np.int64]
    longest_queue: NDArray[np.int64]
    waiting: NDArray[np.int64]
    end: int
    classes: NDArray[np.int64]

    def __repr__(self) -> str:
        most = self.busy.max(initial=0) / max(1, self.end)
        return f"<Served: {len(self.busy)} cores, the busiest {most:.0%} of {self.end:,} ticks>"


def core_arrays(net: layout.EventTables, order: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
    """The arrays of `layout.State` before the first step; empty for other orders.

    net: the network. order: a policy. dtype: the arithmetic's.
    """
    if not isinstance(order, Cores):
        none = np.zeros(0, np.int64)
        return {
            "core": none.reshape(0, 7),
            "queues": none.reshape(0, 5),
            "at_cores": none.reshape(0, 2),
            "services": none,
            "ready": none.astype(np.uint64),
            "classes": none.reshape(0, 2),
            "uncounted": none.astype(dtype),
        }
    layers = net.readout + 1
    core = np.zeros((layers, 7), np.int64)
    core[:, ENDS], core[:, cores.LAST] = FREE, -1
    count = len(net.projections) if order.arbitration == cores.ROUND_ROBIN else layers
    queues = np.zeros((count, 5), np.int64)
    queues[:, ROOM] = cores.AT_FIRST
    queues[:, FIRST] = cores.AT_FIRST * np.arange(count)
    return {
        "core": core,
        "queues": queues,
        "at_cores": np.empty((count * cores.AT_FIRST, 2), np.int64),
        "services": np.zeros(layers, np.int64),
        "ready": np.zeros((layers >> 6) + 1, np.uint64),
        "classes": np.zeros((CHANGES, 2), np.int64),
        "uncounted": np.zeros(order.classes, dtype),
    }


def grown(state: layout.State, spikes: int) -> layout.State:
    """A state whose queues have room for as many spikes more, and its record for more classes.

    Each queue that lacks room gets twice as much. spikes: how many.
    """
    old, rows = state.queues, state.at_cores
    queues = old.copy()
    waiting = old[:, TAIL] - old[:, HEAD]
    needed = waiting + old[:, COMING] + spikes
    while (short := queues[:, ROOM] < needed).any():
        queues[short, ROOM] *= 2
    if not np.array_equal(queues, old):
        queues[:, FIRST] = np.cumsum(queues[:, ROOM]) - queues[:, ROOM]
        queues[:, HEAD], queues[:, TAIL] = 0, waiting
        longer = np.empty((int(queues[:, ROOM].sum()), 2), np.int64)
        for mine, its, count in zip(queues, old, waiting.tolist()):
            longer[mine[FIRST] : mine[FIRST] + count] = rows[places(its)]
        state = state._replace(queues=queues, at_cores=longer)
    return with_classes(state)


def places(queue: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of `at_cores` in which a queue's events stand. queue: its row, int64 [5]."""
    return queue[FIRST] + (np.arange(queue[HEAD], queue[TAIL]) & (queue[ROOM] - 1))


def with_classes(state: layout.State) -> layout.State:
    """A state whose record of classes has room for a few rows more."""
    if len(state.classes) - state.at[CHANGED] >= 8:
        return state
    longer = np.zeros((2 * len(state.classes), 2), np.int64)
    longer[: state.at[CHANGED]] = state.classes[: state.at[CHANGED]]
    return state._replace(classes=longer)


def waiting_at_cores(state: layout.State) -> NDArray[np.int64]:
    """`what` of all events that wait at cores or are in service, in no order; int64 [W]."""
    parts = [state.at_cores[places(queue), F_WHAT] for queue in state.queues]
    parts.append(state.core[state.core[:, ENDS] != FREE, cores.WHAT])
    return np.concatenate(parts)


def served(net: layout.EventTables, state: layout.State, end: int, count: int) -> Served:
    """What a run under cores says of them. net: the network. end: the tick at which it ended.

    count: of the readout's classes, 0 where it has none.
    """
    core = state.core
    busy = core[:, cores.BUSY] - np.where(core[:, ENDS] == FREE, 0, core[:, ENDS] - end)
    coming = state.chunks[: state.turn[ring.USED]]
    rows = np.arange(1, ring.ROWS)
    there = (rows > coming[:, :1, ring.GONE]) & (rows <= coming[:, :1, ring.COUNT])
    under_way = coming[:, 1:, ring.WHAT][there]
    under_way = under_way[under_way & 3 == layout.DELIVERY]
    what = np.concatenate([waiting_at_cores(state), under_way])
    q = (what >> layout.PROJECTION_BIT & layout.PROJECTIONS) - 1
    targets = net.projections[q, layout.Q_TARGET]
    left = np.bincount(targets, minlength=len(core)).astype(np.int64)
    classes = _classes(net, state, count)
    return Served(busy, core[:, cores.LONGEST].copy(), left, end, classes)


def _classes(net: layout.EventTables, state: layout.State, count: int) -> NDArray[np.int64]:
    """`Served.classes`, with what the readout has come to since it was noted last."""
    at = state.at
    found = state.classes[: at[CHANGED]]
    if not count or at[HEARD] < 0:
        return found.copy()
    values = state.v[net.layers[net.readout, layout.L_FIRST] :] - state.uncounted
    last = int(values[0] > 0) if count == 1 else int(np.argmax(values))
    if len(found) and found[-1, 1] == last:
        return found.copy()
    return np.concatenate([found, [[at[HEARD], last]]])
