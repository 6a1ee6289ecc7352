"""What must hold of run.h5, so that whoever opens a results folder may trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.files.trusted import dataset, finite, item, numbers_of, refuse, within

MOST = 2**63 - 1
COUNT = ("i8",)
# of charges, by the kind of arithmetic
CHARGE = {"fixed": ("i8", "i4"), "float32": ("f4", "f8"), "float64": ("f8",)}
WHOLE = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
# of the layers, image by image; all of them are there, or none
SUMS = ("spikes", "operations")


def check_run(
    path: Path, file: h5py.File, summary: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]
) -> None:
    """Checks all datasets that a run writes, and that they agree with its summary and its layers.

    path: of the file. file: it, open. summary: summary.json. layers: the rows of layers.csv. Raises
    InputError for the first that is missing, or whose type, shape or numbers are wrong.
    """

    def where(name: str) -> str:
        return f"{path}: /{name}"

    def read(
        name: str, kinds: Sequence[DTypeLike], *shape: int | None, low: int = 0, high: int = MOST
    ) -> NDArray[Any]:
        found = numbers_of(dataset(item(file, name), where(name), kinds, shape), where(name))
        if found.dtype.kind == "f":
            finite(where(name), found)
        else:
            within(where(name), found, low, high)
        return found

    images, count, steps = summary["images"], len(layers), summary["settings"]["steps"]
    charge = CHARGE.get(str(summary["settings"].get("arithmetic")), ("i8", "f4", "f8"))
    read("readout", charge, images, steps, layers[-1].get("neurons"), low=-MOST - 1)
    read("t_eq", COUNT, images, high=steps)
    read("ties", COUNT, count)
    read("images/index", COUNT, images)
    output = item(file, "images/ann_output")
    of_map = isinstance(output, h5py.Dataset) and len(output.shape or ()) == 4
    read("images/ann_output", ("f4",), images, *[None] * (3 if of_map else 1))
    read("layers/theta", ("f8",), count)
    shapes = read("layers/shape", COUNT, count, 3, low=1, high=2**31)
    sizes = [int(size) for size in np.prod(shapes, axis=1)]
    if sizes != [row.get("neurons", size) for row, size in zip(layers, sizes)]:
        refuse(where("layers/shape"), "as many neurons as in layers.csv", sizes)
    if item(file, "images/label") is not None:
        read("images/label", WHOLE, images, low=-MOST)
    if item(file, "stage_one") is not None:
        read("stage_one", COUNT, 2, count)
    if item(file, "cores") is not None:
        for name in ("busy", "longest_queue", "undelivered"):
            read(f"cores/{name}", COUNT, images, count)
        read("cores/ended", COUNT, images)
        if item(file, "cores/latency") is not None:  # of an output of classes
            read("cores/latency", COUNT, images)
            changes = read("cores/changes", COUNT, None, 3)
            within(where("cores/changes"), changes[:, 0], 0, images - 1)
    for name in ("digests", "order_digests"):
        found = item(file, name)
        if found is not None:
            # of earlier versions: two hashes together, and only of runs that asked for them
            both = name == "digests" and isinstance(found, h5py.Dataset)
            both = both and len(found.shape or ()) == 4
            shape = (images, 2, count, steps) if both else (images, count, steps)
            dataset(found, where(name), ("u8",), shape)
    if not any(item(file, name) is not None for name in (*SUMS, *(f"{s}_per_image" for s in SUMS))):
        return
    for name in SUMS:
        total = read(name, COUNT, count, steps).sum(axis=1)
        each = read(f"{name}_per_image", COUNT, images, count).sum(axis=0)
        if not np.array_equal(total, each):
            refuse(where(f"{name}_per_image"), f"the sums of /{name}", "others")
