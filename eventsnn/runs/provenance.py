"""All that is needed to make a run again."""

from __future__ import annotations

import hashlib
import math
import platform
from pathlib import Path
from typing import Any

import h5py
import numba.core.event
import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.data.ranges import PixelRange
from eventsnn.exceptions import in_flags
from eventsnn.settings import Settings
from eventsnn.simulation.simulation import Simulation
from eventsnn.version import VERSION


def digest(images: Images) -> str:
    """A hash of the images' pixels, labels and positions, in hexadecimal digits."""
    result = hashlib.sha256()
    for array in (images.pixels, images.indices, images.labels):
        if array is not None:
            result.update(f"{array.dtype.str}{array.shape}".encode())
            result.update(np.ascontiguousarray(array).data)
    return result.hexdigest()


def hash_of_sources() -> str:
    """A hash of this package, in hexadecimal digits: another version's batches may differ."""
    result = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        result.update(path.read_bytes())
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
        "versions": {
            "eventsnn": VERSION,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "numba": numba.__version__,
            "h5py": h5py.__version__,
            "machine": platform.machine(),
        },
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
