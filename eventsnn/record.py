"""The results folder: written beside its final place, batch by batch, and moved there when complete.

While a run is under way its batches are kept in `<out>.partial`, each written whole or not at all, so
a run that was killed goes on where it was.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np

from eventsnn.checks import InputError
from eventsnn.simulate import Batch

PART = re.compile(r"part-(\d+)-(\d+)\.npz")


class Folder:
    """A results folder in the making.

    identity: a JSON-able description of all that decides the outcome; parts of another run are thrown
    away. Raises InputError if `out` cannot be written or holds something that is not a result.
    """

    def __init__(self, out, identity):
        self.out = Path(out)
        self.partial = self.out.with_name(self.out.name + ".partial")
        self._check()
        try:
            if self._read_identity() != identity and self.partial.exists():
                shutil.rmtree(self.partial)
            self.partial.mkdir(parents=True, exist_ok=True)
            (self.partial / "identity.json").write_text(json.dumps(identity))
        except OSError as error:
            raise InputError(f"--out {self.out}", "a folder that can be written", error.strerror or error, "choose another --out") from None

    def _check(self):
        where = f"--out {self.out}"
        if not self.out.name:
            raise InputError(where, "the name of a new folder", "a root or current folder", "choose another --out")
        if self.out.exists() and not self.out.is_dir():
            raise InputError(where, "a folder or nothing yet", "a file", "choose another --out")
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / "summary.json").exists():
            raise InputError(where, "an empty folder or earlier results", "a folder with other files", "choose another --out")

    def _read_identity(self):
        try:
            return json.loads((self.partial / "identity.json").read_text())
        except (OSError, ValueError):
            return None

    def parts(self):
        """[(start, stop, path)] of the batches that are there, in order of images."""
        found = [(m, p) for p in self.partial.iterdir() if (m := PART.fullmatch(p.name))]
        return sorted((int(m[1]), int(m[2]), p) for m, p in found)

    def missing(self, count):
        """The image positions below `count` that no part covers, int64 [M]."""
        todo = np.ones(count, bool)
        for start, stop, _ in self.parts():
            todo[start:stop] = False
        return np.flatnonzero(todo)

    def add(self, start, batch):
        """Keep a Batch whose first image stands at `start`."""
        path = self.partial / f"part-{start}-{start + len(batch.readout)}.npz"
        with open(path.with_suffix(".tmp"), "wb") as file:
            np.savez(file, **{k: getattr(batch, k) for k in Batch.ARRAYS if getattr(batch, k) is not None})
        os.replace(path.with_suffix(".tmp"), path)

    def batches(self):
        """Yield (start, Batch) in order of images."""
        for start, _, path in self.parts():
            with np.load(path) as arrays:
                yield start, Batch(**arrays)

    def finish(self):
        """Move the folder to its place, instead of earlier results if there are any."""
        for path in [*(p for _, _, p in self.parts()), *self.partial.glob("*.tmp"), self.partial / "identity.json"]:
            path.unlink()
        if self.out.exists():
            old = tempfile.mkdtemp(prefix=f".{self.out.name}-", dir=self.out.parent)
            os.replace(self.out, Path(old) / "old")
            os.replace(self.partial, self.out)
            shutil.rmtree(old)
        else:
            os.replace(self.partial, self.out)

    def discard(self):
        """Remove what was begun, unless batches are in it."""
        if self.partial.exists() and not self.parts():
            shutil.rmtree(self.partial)


class Totals:
    """Sums over images while batches pass by: memory does not grow with their number.

    predictions: int64 [N, T]; spikes, operations: int64 [L, T]; ties: int64 [L].
    """

    def __init__(self, count, layers, steps):
        self.predictions = np.zeros((count, steps), np.int64)
        self.spikes, self.operations = (np.zeros((layers, steps), np.int64) for _ in range(2))
        self.ties = np.zeros(layers, np.int64)

    def add(self, start, batch):
        self.predictions[start:start + len(batch.readout)] = batch.readout.argmax(axis=2)
        self.spikes += batch.spikes.sum(axis=0)
        self.operations += batch.operations.sum(axis=0)
        self.ties += batch.ties.sum(axis=0)


def write_hdf5(path, folder, simulation, images, ann_output, provenance):
    """Write run.h5 from the folder's batches and return their Totals; each dataset says what it is and in what unit."""
    network, steps, count = simulation.network, simulation.steps, len(images)
    layers = network.layers
    totals = Totals(count, len(layers), steps)
    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["version"] = "eventsnn.run", 1
        for key, value in provenance.items():
            file.attrs[key] = value if isinstance(value, (str, int, float)) else json.dumps(value)

        def put(name, data, unit, description):
            dataset = file.create_dataset(name, data=data)
            dataset.attrs["unit"], dataset.attrs["description"] = unit, description

        put("images/index", images.indices, "1", "position in the split of the data set")
        if images.labels is not None:
            put("images/label", images.labels, "1", "class")
        put("images/ann_output", ann_output, "ANN output", "[image, class]: output of the ANN, float32")
        put("layers/name", [layer.name for layer in layers], "", "layers in order; the last is the readout")
        put("layers/theta", [layer.theta for layer in layers], "ANN activation", "threshold before normalisation")
        put("layers/shape", [layer.grid for layer in layers], "neurons", "[layer, (C, H, W)]; neuron number = (y * W + x) * C + c")
        readout = file.create_dataset("readout", (count, steps, network.readout.size), simulation.arithmetic.dtype, compression="gzip",
                                      compression_opts=1, chunks=(min(count, 16), steps, network.readout.size), shuffle=True)
        readout.attrs["unit"] = f"2^{simulation.arithmetic.readout_exponent - simulation.arithmetic.fraction_bits} ANN output"
        readout.attrs["description"] = ("[image, step, class]: charge that has arrived at the readout after each step; divide by the "
                                        "number of steps to compare with the ANN's output")
        per_image = [file.create_dataset(f"{name}_per_image", (count, len(layers)), np.int64) for name in ("spikes", "operations")]
        for dataset, unit in zip(per_image, ("spikes", "synaptic operations")):
            dataset.attrs["unit"], dataset.attrs["description"] = unit, "[image, layer]: all steps together"
        for start, batch in folder.batches():
            stop = start + len(batch.readout)
            readout[start:stop] = batch.readout
            per_image[0][start:stop], per_image[1][start:stop] = batch.spikes.sum(axis=2), batch.operations.sum(axis=2)
            totals.add(start, batch)
        put("spikes", totals.spikes, "spikes", "[layer, step]: sum over images")
        put("operations", totals.operations, "synaptic operations", "[target layer, step]: weights touched by delivered spikes, all images")
        put("ties", totals.ties, "evaluations", "[layer]: evaluations in which the potential met the threshold exactly, all images")
    return totals
