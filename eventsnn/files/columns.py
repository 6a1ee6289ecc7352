"""Datasets of an HDF5 file that grow by whole chunks, in the plain format that every HDF5 tool
reads: shuffled, then gzip.

The chunks are compressed here rather than by HDF5, which would hold Python's lock meanwhile: so a
thread can write while others compute.
"""

from __future__ import annotations

import zlib

import h5py
import numpy as np
from h5py._objects import phil

CHUNK = 2**14  # rows
LEVEL = 1


class Columns:
    """A group of one-dimensional datasets, one a column, to whose ends rows are put.

    group: an h5py.Group made by `create` (or a copy of one). strategies: {column: zlib's strategy},
    where the usual one is a waste.
    """

    def __init__(self, group, strategies):
        self.datasets = {name: h5py.h5d.open(group.id, name.encode()) for name in group}
        self.strategies, self.length = strategies, 0

    @staticmethod
    def create(group, kinds):
        """Make the empty datasets in an h5py.Group. kinds: {column: (dtype, unit, description)}."""
        for name, (dtype, unit, description) in kinds.items():
            dataset = group.create_dataset(
                name,
                (0,),
                dtype,
                maxshape=(None,),
                chunks=(CHUNK,),
                compression="gzip",
                compression_opts=LEVEL,
                shuffle=True,
            )
            dataset.attrs["unit"], dataset.attrs["description"] = unit, description
        return group

    def append(self, columns):
        """Put rows to the end. columns: {column: array [n]}; n is a multiple of CHUNK but for the
        last rows ever.
        """
        first = self.length
        for name, values in columns.items():
            dataset, self.length = self.datasets[name], first + len(values)
            dataset.set_extent((self.length,))
            values = values.astype(dataset.dtype, copy=False)
            for at in range(0, len(values), CHUNK):
                chunk = self._compressed(name, values[at : at + CHUNK])
                with phil:  # before version 3.16 h5py does not take its lock for this call
                    dataset.write_direct_chunk((first + at,), chunk)

    def _compressed(self, name, values):
        """A chunk as HDF5 stores it: the first bytes of all values, then the second and so on;
        filled up with zeros.
        """
        raw = np.zeros((values.itemsize, CHUNK), np.uint8)
        raw[:, : len(values)] = (
            np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1).T
        )
        deflate = zlib.compressobj(
            LEVEL, strategy=self.strategies.get(name, zlib.Z_DEFAULT_STRATEGY)
        )
        return deflate.compress(raw) + deflate.flush()
