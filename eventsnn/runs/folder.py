"""The results folder: made beside its final place, batch by batch, and moved there when complete.

While a run is under way its batches are kept in `<out>.partial`, each written whole or not at all,
so a run that was killed goes on where it was. A lock keeps a second run out. What stands at `<out>`
is replaced in the end, and only if it holds nothing but earlier results. 
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
TRIES = 100  # to find the folder at work as it was made


class Folder:
    """A results folder in the making; use it as a context manager.

    Inside `with`, `start` begins or takes up a run, `add` keeps batches, the files of FILES are
    written to `results`, and `finish` moves them to `out`. Whatever ends the block before `finish`,
    only whole batches stay behind, for the next run of the same command; without any, nothing does.
    Raises InputError if `out` cannot be written, holds anything that is not a result, or has
    another run at work on it. 
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
        # killed between the two moves of `finish`
        if self.earlier.exists() and not self.out.exists():
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
                # the same command would fail again
                useless = isinstance(error, InputError) and self.stage == "started"
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
        """Whether the open file is locked now and still the folder's; InputError where another run
        holds it.
        """
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
        """Begin a run, or go on with one of the same `identity` (JSON-able: all that decides the
        outcome).

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
        """Keep a Batch whose first image stands at `start`, and the wall time since the one
        before.
        """
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
        """Remove results that did not come to their place, but for traces, which belong to batches
        that are kept.
        """
        for path in self.results.glob("trace-*.h5"):
            os.replace(path, self.partial / path.name)
        shutil.rmtree(self.results, ignore_errors=True)

    def _remove(self):
        """Remove the folder at work: first out of the way at once, so that no other run takes it up
        half removed.
        """
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

