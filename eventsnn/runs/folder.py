"""The results folder: made beside its final place, batch by batch, and moved there when complete.

While a run is under way its batches are kept in `<out>.partial`, each written whole or not at all, so
a run that was killed goes on where it was. A lock keeps a second run out. What stands at `<out>` is
replaced in the end, and only if it holds nothing but earlier results.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from eventsnn.simulation.batch import Batch
from eventsnn.exceptions import InputError
from eventsnn.data.formats import FOREIGN

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing keeps two runs apart there
    fcntl = None  # type: ignore[assignment]

FILES = ("summary.json", "layers.csv", "accuracy.csv", "run.h5", "accuracy.png", "rates.png")
PART = re.compile(r"part-(\d+)-(\d+)\.npz")
TRACE = r"trace-\d+\.h5"
EXPORTS = r"network\.nir|spikes-\d+\.(h5|gdf)"
WORKING = re.compile(rf"lock|identity\.json|results|earlier|.*\.tmp|{PART.pattern}|{TRACE}")
CHUNK = 2**14  # values of a chunk of the readout in run.h5, at most: a batch should not write to more than HDF5's cache holds
TRIES = 100  # to find the folder at work as it was made


class Folder:
    """A results folder in the making; use it as a context manager.

    Inside `with`, `start` begins or takes up a run, `add` keeps batches, the files of FILES are
    written to `results`, and `finish` moves them to `out`. Whatever ends the block before `finish`,
    only whole batches stay behind, for the next run of the same command; without any, nothing does.
    Raises InputError if `out` cannot be written, holds anything that is not a result, or has another
    run at work on it.
    """

    def __init__(self, out):
        self.where, self.stage, self.made = f"--out {out}", "opened", []
        try:
            self.out = Path(out).resolve()
            self.partial = self.out.with_name(self.out.name + ".partial")
            self._check()
            self.lock = self._acquire()
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, InputError):
                raise
            self._remove_made()
            raise InputError(self.where, "a folder that can be made and written", getattr(error, "strerror", None) or error,
                             "choose another --out") from None
        self.results, self.earlier = self.partial / "results", self.partial / "earlier"
        if self.earlier.exists() and not self.out.exists():  # killed between the two moves of `finish`
            os.replace(self.earlier, self.out)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.partial)
        if self.stage != "finished":
            with suppress(OSError):
                self._discard_results()
                for path in self.partial.glob("*.tmp"):
                    path.unlink()
                useless = isinstance(error, InputError) and self.stage == "started"  # the same command would fail again
                if useless or not self.parts():
                    self._remove()
                    self._remove_made()
        os.close(self.lock)

    def _check(self):
        if self.out in (Path.cwd(), *Path.cwd().parents):
            raise InputError(self.where, "a folder of its own for the results", "the current folder or one above it",
                             "choose another --out")
        if self.out.is_symlink():  # still, after `resolve`
            raise InputError(self.where, "a folder, or nothing yet", "a link that leads round in a circle", "choose another --out")
        if self.out.exists() and not self.out.is_dir():
            raise InputError(self.where, "a folder, or nothing yet", "a file", "choose another --out")
        if self.partial.exists() and not self.partial.is_dir():
            raise InputError(self.where, f"no file where the run is kept while it is under way: {self.partial}", "a file",
                             "choose another --out, or move it away")
        for folder, known in (self.out, "|".join([*map(re.escape, FILES), TRACE, EXPORTS])), (self.partial, WORKING):
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            foreign = [name for name in names if not re.fullmatch(known, name)]
            if foreign:
                raise InputError(self.where, "an empty folder, earlier results alone, or nothing yet",
                                 f"{', '.join(foreign[:3])}{' …' * (len(foreign) > 3)} in {folder}",
                                 "choose another --out, or move these away")

    def _acquire(self):
        """Make the folder at work and return a file descriptor that holds its lock."""
        self.made = [path for path in (self.partial, *self.partial.parents) if not path.exists()]
        for _ in range(TRIES):
            self.partial.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another run has just removed the folder
                lock = os.open(self.partial / "lock", os.O_RDWR | os.O_CREAT, 0o644)
                if self._locks(lock):
                    return lock
                os.close(lock)
        raise OSError(None, "a folder that keeps disappearing")

    def _locks(self, lock):
        """Whether the open file is locked now and still the folder's; InputError where another run holds it."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode("ascii", "replace")
            os.close(lock)
            raise InputError(self.where, "no other run that writes there", f"process {owner} at work on it",
                             "wait for it, stop it, or choose another --out") from None
        except OSError:
            pass  # a file system without locks
        if not os.path.samestat(os.fstat(lock), os.stat(self.partial / "lock")):
            return False
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return True

    def start(self, identity):
        """Begin a run, or go on with one of the same `identity` (JSON-able: all that decides the outcome).

        What another run left unfinished is thrown away. Returns how many images are there already.
        """
        if self._read_identity() != identity:
            for path in [p for _, _, p in self.parts()] + [self.partial / "identity.json", *self.partial.glob("trace-*.h5")]:
                path.unlink(missing_ok=True)
            temporary = self.partial / "identity.tmp"
            temporary.write_text(json.dumps(identity))
            os.replace(temporary, self.partial / "identity.json")
        end = 0
        for start, stop, path in self.parts():
            if start < end or not _is_whole(path, stop - start):
                path.unlink()
            else:
                end = stop
        self._discard_results()
        shutil.rmtree(self.earlier, ignore_errors=True)
        self.results.mkdir()
        self.stage = "started"
        return sum(stop - start for start, stop, _ in self.parts())

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

    def add(self, start, batch, seconds):
        """Keep a Batch whose first image stands at `start`, and the wall time since the one before."""
        path = self.partial / f"part-{start}-{start + len(batch.readout)}.npz"
        with open(path.with_suffix(".tmp"), "wb") as file:
            np.savez(file, seconds=seconds, **{k: getattr(batch, k) for k in Batch.ARRAYS if getattr(batch, k) is not None})
        os.replace(path.with_suffix(".tmp"), path)

    def batches(self):
        """Yield (start, Batch, seconds) in order of images."""
        for start, _, path in self.parts():
            with np.load(path) as arrays:
                yield start, Batch(**{k: arrays[k] for k in Batch.ARRAYS if k in arrays}), float(arrays["seconds"])

    def finish(self):
        """Move the results to their place, instead of earlier ones if there are any."""
        self.stage = "finishing"
        self._check()
        for path in self.partial.glob("trace-*.h5"):
            os.replace(path, self.results / path.name)
        if self.out.exists():
            os.replace(self.out, self.earlier)
        try:
            os.replace(self.results, self.out)
        except OSError:
            if self.earlier.exists():
                os.replace(self.earlier, self.out)
            raise
        self.stage = "finished"
        self._remove()

    def _discard_results(self):
        """Remove results that did not come to their place, but for traces, which belong to batches that are kept."""
        for path in self.results.glob("trace-*.h5"):
            os.replace(path, self.partial / path.name)
        shutil.rmtree(self.results, ignore_errors=True)

    def _remove(self):
        """Remove the folder at work: first out of the way at once, so that no other run takes it up half removed."""
        aside = self.partial.with_name(f"{self.out.name}-{uuid.uuid4().hex[:8]}.partial")
        os.replace(self.partial, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _remove_made(self):
        """Remove the folders above that were made for this run and are empty."""
        for path in self.made:
            with suppress(OSError):
                path.rmdir()


def _is_whole(path, count):
    """Whether a part can be read and holds `count` images."""
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            return {len(arrays[k]) for k in Batch.ARRAYS if k in arrays} == {count} and arrays["seconds"] >= 0
    except FOREIGN:
        return False


class Totals:
    """Sums over images while batches pass by.

    steps: the numbers of steps to keep predictions for. predictions: int64 [N, len(steps)], classes;
    spikes, operations: int64 [L, T]; ties: int64 [L]; stage_one: int64 [2, L], SRP's spikes and
    operations; t_eq: int64 [N]; squared_errors: float64 [N, len(steps)], of the
    readout against the ANN's output, sum over classes; seconds: wall time.
    """

    def __init__(self, count, layers, time_steps, steps):
        self.at = np.array(steps) - 1
        self.predictions = np.zeros((count, len(steps)), np.int64)
        self.spikes, self.operations = (np.zeros((layers, time_steps), np.int64) for _ in range(2))
        self.ties, self.stage_one, self.seconds = np.zeros(layers, np.int64), np.zeros((2, layers), np.int64), 0.0
        self.t_eq, self.squared_errors = np.zeros(count, np.int64), np.zeros((count, len(steps)))

    def add(self, start, batch, seconds, simulation, ann_output):
        for i, step in enumerate(self.at + 1):
            error = simulation.output(batch.readout[:, step - 1], step) - ann_output[start:start + len(batch.readout)]
            self.squared_errors[start:start + len(batch.readout), i] = np.square(error).sum(axis=1)
        self.predictions[start:start + len(batch.readout)] = batch.readout[:, self.at].argmax(axis=2)
        self.spikes += batch.spikes.sum(axis=0)
        self.operations += batch.operations.sum(axis=0)
        self.ties += batch.ties.sum(axis=0)
        self.t_eq[start:start + len(batch.readout)] = batch.t_eq
        if batch.stage_one is not None:
            self.stage_one += batch.stage_one.sum(axis=0)
        self.seconds += seconds


def write_hdf5(path, folder, simulation, images, ann_output, steps, provenance, keep="counts"):
    """Write run.h5 from the folder's batches and return their Totals; each dataset says what it is and in what unit.

    steps: numbers of steps to keep predictions for. provenance: JSON-able; all that is needed to make
    the run again. keep: "none", without counts of spikes and operations; "counts"; with the event engine's hashes too else.
    """
    layers, count = simulation.network.layers, len(images)
    totals = Totals(count, len(layers), simulation.steps, steps)
    with open(path, "w+b", buffering=0) as disk, Patient(disk) as patient:
        with h5py.File(patient, "w") as file:
            file.attrs["format"], file.attrs["version"], file.attrs["id"] = "eventsnn.run", 1, provenance["id"]
            _put(file, "provenance", "none", "JSON: settings, semantics, network, data and versions of the run", json.dumps(provenance))
            _put(file, "images/index", "1", "[image]: position in the split of the data set", images.indices)
            if images.labels is not None:
                _put(file, "images/label", "1", "[image]: class", images.labels)
            _put(file, "images/ann_output", "ANN output", "[image, class]: output of the ANN", ann_output)
            _put_layers(file, layers)
            readout = _put_readout(file, simulation, count)
            spikes = operations = digests = None
            if keep != "none":
                spikes, operations = (_put(file, f"{name}_per_image", unit, "[image, layer]: all steps together", dtype=np.int64,
                                           shape=(count, len(layers))) for name, unit in (("spikes", "spikes"),
                                                                                          ("operations", "synaptic operations")))
            if keep not in ("none", "counts"):
                digests = _put(file, "digests", "64-bit hash", "[image, 2, layer, step]: hash of the spikes, dependent on their order, "
                               "and not", shape=(count, 2, len(layers), simulation.steps), dtype=np.uint64)
            for start, batch, seconds in folder.batches():
                here = slice(start, start + len(batch.readout))
                readout[here] = batch.readout
                if spikes is not None:
                    spikes[here], operations[here] = batch.spikes.sum(axis=2), batch.operations.sum(axis=2)
                if digests is not None:
                    digests[here] = batch.digests
                totals.add(start, batch, seconds, simulation, ann_output)
            if keep != "none":
                _put(file, "spikes", "spikes", "[layer, step]: sum over images", totals.spikes)
                _put(file, "operations", "synaptic operations",
                     "[target layer, step]: weights touched by delivered spikes, sum over images", totals.operations)
            _put(file, "t_eq", "steps", "[image]: the last step in which a neuron fired or charge arrived", totals.t_eq)
            if simulation.srp:
                _put(file, "stage_one", "spikes, synaptic operations", "[2, layer]: of SRP's first stage, sum over images",
                     totals.stage_one)
            _put(file, "ties", "evaluations", "[layer]: evaluations in which a potential met the threshold exactly, sum over images",
                 totals.ties)
    return totals


class Patient:
    """An unbuffered binary file that HDF5 can always write to; what the disk refused is raised at the end of the block.

    HDF5 itself does not survive a full disk: it cannot close the file then, and crashes at the end of the process.
    """

    def __init__(self, file):
        self.file, self.error = file, None
        self.read, self.readinto, self.seek, self.tell = file.read, file.readinto, file.seek, file.tell

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.error:
            raise self.error

    def write(self, data):
        rest = memoryview(data).cast("B")
        while len(rest) and not self.error:
            rest = rest[self._try(self.file.write, rest):]
        return len(data)

    def truncate(self, size=None):
        return self._try(self.file.truncate, size)

    def flush(self):
        self._try(self.file.flush)

    def _try(self, do, *what):
        try:
            return do(*what)
        except OSError as error:
            self.error = self.error or error


def _put(file, name, unit, description, data=None, **options):
    dataset = file.create_dataset(name, data=data, **options)
    dataset.attrs["unit"], dataset.attrs["description"] = unit, description
    return dataset


def _put_layers(file, layers):
    _put(file, "layers/name", "none", "[layer]: name of the ANN's activation; the last layer is the readout", [x.name for x in layers])
    _put(file, "layers/activation", "none", "[layer]: operator of that activation", [x.node.op if x.node else "readout" for x in layers])
    _put(file, "layers/theta", "ANN activation", "[layer]: threshold before normalisation; the mean where each neuron has its own",
         [x.scale for x in layers])
    for layer in layers:
        if np.ndim(layer.theta):
            _put(file, f"layers/thetas/{layer.name}", "ANN activation", "[neuron]: threshold before normalisation; 0: silent",
                 np.ravel(layer.theta))
    _put(file, "layers/shape", "neurons", "[layer, (C, H, W)]; neuron number = (y * W + x) * C + c", [x.grid for x in layers])


def _put_readout(file, simulation, count):
    arithmetic, steps, classes = simulation.arithmetic, simulation.steps, simulation.network.readout.size
    rows = max(1, min(steps, CHUNK // classes))
    chunks = (max(1, min(count, CHUNK // (rows * classes))), rows, classes)
    return _put(file, "readout", f"2^{arithmetic.readout_exponent - arithmetic.fraction_bits} ANN output",
                "[image, step, class]: charge that has arrived at the readout after each step; divide by the number of steps (not with "
                "encoding even) to compare with the ANN's output", shape=(count, steps, classes), dtype=simulation.result_dtype,
                chunks=chunks, compression="gzip", compression_opts=1, shuffle=True)
