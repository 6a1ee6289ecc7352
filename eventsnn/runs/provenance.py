"""All that is needed to make a run again."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.data.ranges import PixelRange
from eventsnn.exceptions import in_flags
from eventsnn.inputs.made import versions
from eventsnn.inputs.recorded import EventImages
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation

# of summary.json; 1 did not say its number, and called the order `priority` by the name `random`
FORMAT = 2


def digest(images: Images) -> str:
    """A hash of the images' pixels, labels, positions and events, in hexadecimal digits."""
    result = hashlib.sha256()
    events = images.events if isinstance(images, EventImages) else ()
    for array in (images.pixels, images.indices, images.labels, *events):
        if array is not None:
            result.update(f"{array.dtype.str}{array.shape}".encode())
            result.update(np.ascontiguousarray(array).data)
    return result.hexdigest()


def describe_run(
    graph: Graph,
    simulation: Simulation,
    settings: Settings,
    images: Images,
    pixels: PixelRange,
    calibration: str,
    run_id: str,
) -> dict[str, Any]:
    """All that is needed to make the run again, JSON-able.

    graph: the ANN. simulation: of its network. settings: of the run. images: all of the run.
    pixels: the range of theirs. calibration: the calibration images in words. run_id: the run's.
    """
    found = {
        "format": FORMAT,
        "id": run_id,
        "settings": settings.outcome(),
        "semantics": simulation.describe(),
        "notes": list(simulation.network.notes),
        "network": {
            "file": settings.net,
            "sha256": graph.hash,
            "preprocessing": str(graph.preprocessing),
            **{key: value for key, value in graph.meta.items() if key != "classes"},
        },
        "data": {
            "name": images.name,
            "split": images.split,
            "images": len(images),
            "first": int(images.indices[0]),
            "last": int(images.indices[-1]),
            "sha256": digest(images),
            "calibration": calibration,
            "pixel_range": list(pixels.ends),
            "pixel_range_source": in_flags(pixels.source),
        },
        "versions": versions(),
    }
    return {key: without_infinity(value) for key, value in found.items()}


def without_infinity(value: Any) -> Any:
    """A JSON-able value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_infinity(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinity(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
