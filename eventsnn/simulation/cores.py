"""What a run under cores says of them, core by core (semantics, section 12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventsnn.network.network import INPUT, Network

KEYS = ("busy", "queue", "longest", "undelivered")


def core_rows(network: Network, batch: Any) -> list[dict[str, Any]]:
    """One row for each layer that other layers project to: its name, and KEYS.

    network: that ran. batch: what it gave under order "cores". busy: the mean share of a run's
    ticks. queue: the mean of the longest queues, longest: the longest of all. undelivered: the mean
    of the events on their way when a run ended.
    """
    served = {p.target for p in network.projections if p.source != INPUT}
    return [
        {"layer": network.layers[i].name, **of_core(batch, i)}
        for i in range(len(network.layers))
        if i in served
    ]


def of_core(batch: Any, layer: int) -> dict[str, Any]:
    """KEYS of one core. batch: of a run under order "cores". layer: its layer's number."""
    assert batch.busy is not None and batch.ended is not None
    assert batch.longest_queue is not None and batch.undelivered is not None
    queue = batch.longest_queue[:, layer]
    return {
        "busy": float(np.mean(batch.busy[:, layer] / np.maximum(batch.ended, 1))),
        "queue": float(queue.mean()),
        "longest": int(queue.max()),
        "undelivered": float(batch.undelivered[:, layer].mean()),
    }
