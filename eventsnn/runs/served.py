"""What a run's files and tables say of the order cores (semantics, section 12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from eventsnn.runs.run_file import Totals
from eventsnn.simulation.simulation import Simulation

Row = dict[str, Any]


def of_layer(totals: Totals, i: int) -> Row:
    """A layer's core under order cores: its share of time, queues, and what was undelivered.

    totals: over all images. i: the layer's number.
    """
    arrays = {name: np.concatenate(its) for name, its in totals.served.items()}
    queue = arrays["longest_queue"][:, i]
    return {
        "busy": float(np.mean(arrays["busy"][:, i] / np.maximum(arrays["ended"], 1))),
        "queue": float(queue.mean()),
        "longest": int(queue.max()),
        "undelivered": float(arrays["undelivered"][:, i].mean()),
    }


def of_cores(simulation: Simulation, totals: Totals) -> dict[str, Any]:
    """What the summary says of cores, in ticks and events; {} under another order.

    simulation: what ran. totals: over all images.
    """
    if not totals.served:
        return {}
    arrays = {name: np.concatenate(its) for name, its in totals.served.items()}
    busiest = int(arrays["busy"].sum(axis=0).argmax())
    found = {
        "ticks_per_step": simulation.time.ticks,
        "mean_end": float(arrays["ended"].mean()),
        "busiest": simulation.network.layers[busiest].name,
        "busy_of_busiest": of_layer(totals, busiest)["busy"],
        "undelivered_per_image": float(arrays["undelivered"].sum() / len(arrays["ended"])),
    }
    if "latency" in arrays:
        found["mean_latency"] = float(arrays["latency"].mean())
        found["largest_latency"] = int(arrays["latency"].max())
    return {"cores": found}


def cores_in_words(found: dict[str, Any]) -> str:
    """What the summary says of cores, in a sentence. found: the summary's "cores"."""
    ticks = found["ticks_per_step"]
    words = f"cores: a run ends after {found['mean_end'] / ticks:,.2f} steps on average; the "
    words += f"busiest is {found['busiest']}, {found['busy_of_busiest']:.1%} of the time in service"
    if "mean_latency" in found:
        words += (
            f"; latency {found['mean_latency']:,.0f} ticks ({found['mean_latency'] / ticks:,.2f} "
            f"steps) on average, {found['largest_latency']:,} at most"
        )
    if found["undelivered_per_image"]:
        words += (
            f"; {found['undelivered_per_image']:,.1f} events an image were on their way at the "
            "end, as input comes faster than cores serve"
        )
    return words
