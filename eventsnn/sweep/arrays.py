"""The arrays of a store: made empty by the driver, a chunk of each written by each cell.

The hierarchy is Zarr 3 with names of dimensions, as xarray reads it. A chunk holds one run's images
of one cell, so nobody writes where another does, and nothing is locked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.studies.by_image import CLASS, IMAGE, LAYER, STEP, Variable

CODEC = {"level": 1, "checksum": True}
RUN, COST = "run", "cost"
COSTS = (
    "counted_operations",
    "counted_microjoule",
    "dnisnm_operations",
    "dnisnm_microjoule",
    "dnisnm_energy_drop",
    "spikezip_microjoule",
)


OF_STEPS = (RUN, IMAGE, STEP, LAYER)
VARIABLES = {
    "readout": Variable(
        (RUN, IMAGE, STEP, CLASS),
        "float64",
        np.nan,
        "ANN output",
        "output after each step, NaN where there is no result",
    ),
    "spikes": Variable(OF_STEPS, "int64", 0, "spikes", "spikes of either sign"),
    "operations": Variable(
        OF_STEPS, "int64", 0, "synaptic operations", "by target layer, weights that spikes touched"
    ),
    "digests": Variable(
        OF_STEPS, "uint64", 0, "64-bit hash", "hash of the spikes, whatever their order"
    ),
    "order_digests": Variable(
        OF_STEPS, "uint64", 0, "64-bit hash", "hash of the spikes in their order"
    ),
    "ties": Variable(
        (RUN, IMAGE, LAYER), "int64", 0, "evaluations", "evaluations that met a threshold exactly"
    ),
    "t_eq": Variable(
        (RUN, IMAGE), "int64", 0, "steps", "last step in which a neuron fired or charge arrived"
    ),
    "costs": Variable(
        (RUN, IMAGE, STEP, COST), "float64", np.nan, "as named", "up to each step, of an image"
    ),
    "stage_one_spikes": Variable((RUN, IMAGE, LAYER), "int64", 0, "spikes", "of SRP's first stage"),
    "stage_one_operations": Variable(
        (RUN, IMAGE, LAYER), "int64", 0, "synaptic operations", "of SRP's first stage"
    ),
    "busy": Variable((RUN, IMAGE, LAYER), "int64", 0, "ticks", "in which the core was in service"),
    "longest_queue": Variable(
        (RUN, IMAGE, LAYER), "int64", 0, "events", "that waited for the core at once, at most"
    ),
    "undelivered": Variable(
        (RUN, IMAGE, LAYER), "int64", 0, "events", "on their way to the core when the run ended"
    ),
    "ended": Variable((RUN, IMAGE), "int64", 0, "ticks", "when the run ended, under order cores"),
    "latency": Variable(
        (RUN, IMAGE), "int64", -1, "ticks", "when the class came to stay; -1: it has none"
    ),
}
OF_ANN = {
    "ann": Variable(
        (IMAGE, CLASS), "float32", np.nan, "ANN output", "the ANN's, in front of a final Softmax"
    ),
    "label": Variable((IMAGE,), "int64", -1, "1", "class; -1: none"),
}
VARIABLES |= OF_ANN
OF_CORES = ("busy", "longest_queue", "undelivered", "ended", "latency")
OPTIONAL = ("order_digests", "stage_one_spikes", "stage_one_operations", *OF_CORES)


def needed() -> Any:
    """The module zarr. Raises InputError where it is not installed."""
    try:
        import zarr
    except ImportError:
        do = "install eventsnn's extra sweep, with Python 3.11 or later"
        raise InputError("a store", "the package zarr", "none", do) from None
    if int(zarr.__version__.partition(".")[0]) < 3:
        do = "install zarr 3, with Python 3.11 or later"
        raise InputError("a store", "zarr 3", zarr.__version__, do)
    return zarr


@contextmanager
def quiet() -> Iterator[None]:
    """In its block zarr does not warn of text, whose form its specification leaves open.

    Nor of the half of a file that a process left which was killed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*partial is not recognized", category=Warning)
        warnings.filterwarnings("ignore", message=".*Zarr V3 specification", category=Warning)
        yield


def make(
    hierarchy: Path,
    group: str,
    sizes: Mapping[str, int],
    cell: int,
    variables: Mapping[str, Variable],
    attributes: Mapping[str, Any],
) -> None:
    """Makes a group's arrays, or makes them longer; what is in them stays.

    hierarchy: the Zarr hierarchy. group: its name. sizes: axis -> length. cell: images of a cell.
    variables: name -> what it is. attributes: of the group, JSON-able. It may be called again,
    after it was killed, too.
    """
    zarr = needed()
    chunk = {**sizes, RUN: 1, IMAGE: cell}
    with quiet():
        root = zarr.open_group(str(hierarchy), mode="a")
        its = root.require_group(group)
        its.attrs.update(attributes)
        for name, variable in variables.items():
            shape = tuple(sizes[dim] for dim in variable.dims)
            if name in its:
                if its[name].shape != shape:
                    its[name].resize(shape)
                continue
            its.create_array(
                name,
                shape=shape,
                chunks=tuple(max(1, chunk[dim]) for dim in variable.dims),
                dtype=variable.dtype,
                fill_value=variable.fill,
                dimension_names=variable.dims,
                compressors=[zarr.codecs.ZstdCodec(**CODEC)],
                attributes={"unit": variable.unit, "description": variable.words},
            )
    for path in (hierarchy, hierarchy / group, *(hierarchy / group).glob("*/")):
        _on_disk(path / "zarr.json")
        _on_disk(path)


def put_coordinates(
    hierarchy: Path, group: str, found: Mapping[str, tuple[str, Sequence[Any]]]
) -> None:
    """Writes a group's coordinates anew. found: name -> (axis, values, numbers or text)."""
    zarr = needed()
    with quiet():
        its = zarr.open_group(str(hierarchy), mode="a")[group]
        for name, (dim, values) in found.items():
            text = any(isinstance(value, str) for value in values)
            array = np.array(values, dtype=object if text else None)
            its.create_array(
                name,
                shape=array.shape,
                chunks=(max(1, len(array)),),
                dtype=str if text else array.dtype,
                dimension_names=(dim,),
                overwrite=True,
            )[:] = array


class Chunks:
    """Writes cells' chunks into a group.

    hierarchy: the Zarr hierarchy. group: its name. names: of the variables that there may be.
    """

    def __init__(self, hierarchy: Path, group: str, names: Collection[str]) -> None:
        zarr = needed()
        self.folder = hierarchy / group
        with quiet():
            opened = zarr.open_group(str(hierarchy), mode="r+")[group]
            # a chunk of nothing but fill values is written, too: it was computed
            self.arrays = {
                name: array.with_config({"write_empty_chunks": True})
                for name, array in opened.arrays()
                if name in names
            }
        self.pool = ThreadPoolExecutor(4)

    def __repr__(self) -> str:
        return f"<Chunks of {self.folder}>"

    def holds(self, row: int, end: int) -> bool:
        """Whether there is room for a cell, as the arrays were when they were opened.

        row: the run's place. end: of its images in the group.
        """
        of_runs = [a for a in self.arrays.values() if a.metadata.dimension_names[0] == RUN]
        rows, images = of_runs[0].shape[:2]
        return bool(row < rows and end <= images)

    def write(self, row: int | None, first: int, found: Mapping[str, NDArray[Any]]) -> None:
        """Writes a cell's arrays, and returns when they are on the disk.

        row: the run's place, or None for the ANN. first: the place of its first image in the group.
        found: name -> numbers, without the axis of runs. Raises OSError where the disk refuses.
        """
        with quiet():
            list(self.pool.map(lambda name: self._write(name, row, first, found[name]), found))

    def _write(self, name: str, row: int | None, first: int, values: NDArray[Any]) -> None:
        array = self.arrays[name]
        axes = array.ndim - (row is not None)
        sizes = array.shape[-axes:]
        size = array.chunks[-axes]
        # images of the chunk that are none of the cell's stay: a longer cell may have been there
        wanted = (len(values), *sizes[1:])
        padded = np.full(wanted, array.fill_value, array.dtype)
        padded[tuple(map(slice, values.shape))] = values
        here = slice(first, first + len(values))
        array[here if row is None else (row, here)] = padded
        place = ([] if row is None else [row]) + [first // size] + [0] * (axes - 1)
        path = (self.folder / name).joinpath("c", *map(str, place))
        while path != self.folder:
            _on_disk(path)
            path = path.parent


def _on_disk(path: Path) -> None:
    """Returns when a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
