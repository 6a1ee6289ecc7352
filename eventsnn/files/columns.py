"""Datasets of an HDF5 file that grow by whole chunks.

Every HDF5 tool reads them: shuffled, then gzip; or plain, for programs that cannot read that. The
chunks are compressed here rather than by HDF5, which would hold Python's lock meanwhile: so a
thread can write while others compute.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil
from numpy.typing import DTypeLike, NDArray

# rows
CHUNK = 2**14
# of plain chunks, which take their whole room, at most; a divisor of CHUNK
SMALL = 2**10
# of zlib
LEVEL = 1


class Columns:
    """A group of one-dimensional datasets, one a column, to whose ends rows are put.

    group: an h5py.Group made by `create` (or a copy of one). strategies: {column: zlib's strategy},
    for columns where the default one wastes time.
    """

    def __init__(self, group: h5py.Group, strategies: Mapping[str, int]) -> None:
        self.datasets = {name: h5py.h5d.open(group.id, name.encode()) for name in group}
        self.strategies = strategies
        self.length = 0

    @staticmethod
    def create(
        group: h5py.Group,
        kinds: Mapping[str, tuple[DTypeLike, str, str]],
        plain: Collection[str] = (),
        rows: int = 0,
    ) -> h5py.Group:
        """Make the empty datasets, and return the group.

        group: an open h5py.Group. kinds: {column: (dtype, unit, description)}. plain: the columns
        that are not compressed. rows: of a compressed chunk; 0: CHUNK.
        """
        for name, (dtype, unit, description) in kinds.items():
            options: dict[str, Any] = {"chunks": (math.gcd(CHUNK, SMALL),)}
            if name not in plain:
                options = {
                    "chunks": (rows or CHUNK,),
                    "compression": "gzip",
                    "compression_opts": LEVEL,
                    "shuffle": True,
                }
            dataset = group.create_dataset(name, (0,), dtype, maxshape=(None,), **options)
            dataset.attrs["unit"] = unit
            dataset.attrs["description"] = description
        return group

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Put n rows to the end.

        columns: {column: array [n]}, all columns. n is a multiple of a chunk's rows, except for the
        last rows of all.
        """
        first = self.length
        for name, values in columns.items():
            dataset = self.datasets[name]
            self.length = first + len(values)
            dataset.set_extent((self.length,))
            values = values.astype(dataset.dtype, copy=False)
            plan = dataset.get_create_plist()
            size = plan.get_chunk()[0]
            pack = self._compressed if plan.get_nfilters() else self._whole
            for at in range(0, len(values), size):
                chunk = pack(name, values[at : at + size], size)
                # before version 3.16 h5py does not take its lock for this call
                with phil:
                    dataset.write_direct_chunk((first + at,), chunk)

    @staticmethod
    def _whole(name: str, values: NDArray[Any], size: int) -> bytes:
        """A plain chunk as HDF5 stores it: the values, filled up with zeros to `size`."""
        whole = np.zeros(size, values.dtype)
        whole[: len(values)] = values
        return whole.tobytes()

    def _compressed(self, name: str, values: NDArray[Any], size: int) -> bytes:
        """A compressed chunk as HDF5 stores it.

        First come the first bytes of all values, then the second bytes, and so on; each of these
        rows is filled up with zeros to `size`.
        """
        raw = np.zeros((values.itemsize, size), np.uint8)
        by_value = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
        raw[:, : len(values)] = by_value.T
        strategy = self.strategies.get(name, zlib.Z_DEFAULT_STRATEGY)
        deflate = zlib.compressobj(LEVEL, strategy=strategy)
        return deflate.compress(raw.data) + deflate.flush()
