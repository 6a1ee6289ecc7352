"""The results folder: made beside its final place, batch by batch, and moved there when complete.

While a run is under way its batches are kept in `<out>.partial`. Each is written whole or not at
all, so a run that was killed goes on where it was. A lock keeps a second run out, where the file
system has locks. What stands at `<out>` is replaced in the end, and only if it holds nothing but
earlier results. What is to be removed is first moved to `<out>.removed-<digits>`; where a run was
killed then, the next one removes it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.formats import FOREIGN
from eventsnn.exceptions import InputError
from eventsnn.export.exporters import strangers
from eventsnn.simulation.batch import Batch

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing keeps two runs apart there
    fcntl = None  # type: ignore[assignment]

FILES = ("summary.json", "layers.csv", "accuracy.csv", "run.h5", "accuracy.png", "rates.png")
PART = re.compile(r"part-(\d+)-(\d+)\.npz")
TRACE = r"trace-\d+\.h5"
REPORT = "report.html"  # what `eventsnn report` adds
OF_REPORT = b'<meta name="generator" content="eventsnn report">'
RESULTS = re.compile("|".join([*map(re.escape, FILES), TRACE]))  # and what exporters leave
WORKING = re.compile(rf"lock|identity\.json|results|earlier|.*\.tmp|{PART.pattern}|{TRACE}")
ANOTHER = "choose another --out"
TRIES = 100  # to find the folder at work as it was made


class Folder:
    """A results folder in the making; use it as a context manager.

    Inside `with`, `open` begins or takes up a run, `add` keeps batches, the files of FILES are
    written to `results`, and `finish` moves them to `out`. Where the block ends before `finish`,
    only whole batches stay behind, for the next run of the same command. Where there are none,
    nothing stays behind.

    Attributes: notes: what the user should know of it, such as that nothing keeps a second run out.

    out: where the results go. Raises InputError if `out` cannot be written, holds anything that is
    not a result, or has another run at work on it.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.where = f"--out {out}"
        self.stage = "opened"
        self.made: list[Path] = []
        self.notes: list[str] = []
        try:
            self.out = Path(out).resolve()
            self.partial = self.out.with_name(self.out.name + ".partial")
            self._check()
            self.lock = self._acquire()
        except InputError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            self._remove_made()
            expected = "a folder that can be made and written"
            found = getattr(error, "strerror", None) or error
            raise InputError(self.where, expected, found, ANOTHER) from None
        self.results = self.partial / "results"
        self.earlier = self.partial / "earlier"
        self._remove_left()
        # killed between the two moves of `finish`
        if self.earlier.exists() and not self.out.exists():
            os.replace(self.earlier, self.out)

    def __repr__(self) -> str:
        return f"<Folder {self.out}: {self.stage}>"

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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

    def _check(self) -> None:
        """Raises InputError where the two folders cannot be used or hold what is not a result."""
        expected = "a folder, or nothing yet"
        if self.out in (Path.cwd(), *Path.cwd().parents):
            own = "a folder of its own for the results"
            raise InputError(self.where, own, "the current folder or one above it", ANOTHER)
        if self.out.is_symlink():  # still, after `resolve`
            found = "a link that leads round in a circle"
            raise InputError(self.where, expected, found, ANOTHER)
        if self.out.exists() and not self.out.is_dir():
            raise InputError(self.where, expected, "a file", ANOTHER)
        if self.partial.exists() and not self.partial.is_dir():
            expected = f"no file where the run is kept while it is under way: {self.partial}"
            raise InputError(self.where, expected, "a file", f"{ANOTHER}, or move it away")
        for folder, known in ((self.out, RESULTS), (self.partial, WORKING)):
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            foreign = [name for name in names if not known.fullmatch(name)]
            if folder == self.out:
                foreign = [
                    x for x in strangers(foreign) if x != REPORT or not is_report(folder / x)
                ]
            if foreign:
                expected = "an empty folder, earlier results alone, or nothing yet"
                more = " …" if len(foreign) > 3 else ""
                found = f"{', '.join(foreign[:3])}{more} in {folder}"
                raise InputError(self.where, expected, found, f"{ANOTHER}, or move these away")

    def _acquire(self) -> int:
        """Makes the folder at work; returns a file descriptor that holds its lock."""
        self.made = [path for path in (self.partial, *self.partial.parents) if not path.exists()]
        for _ in range(TRIES):
            self.partial.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another run has just removed the folder
                lock = os.open(self.partial / "lock", os.O_RDWR | os.O_CREAT, 0o644)
                if self._locks(lock):
                    return lock
                os.close(lock)
        raise OSError(None, "a folder that keeps disappearing")

    def _locks(self, lock: int) -> bool:
        """Whether the open file is locked now and still the folder's.

        Raises InputError where another run holds the lock.
        """
        if fcntl is None:
            self._say_unlocked("this system has no locks")
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode("ascii", "replace")
            os.close(lock)
            expected = "no other run that writes there"
            found = f"process {owner} at work on it"
            do = f"wait for it, stop it, or {ANOTHER}"
            raise InputError(self.where, expected, found, do) from None
        except OSError as error:  # a file system without locks
            self._say_unlocked(f"its file system gives no lock ({error.strerror})")
        if not os.path.samestat(os.fstat(lock), os.stat(self.partial / "lock")):
            return False
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return True

    def _say_unlocked(self, why: str) -> None:
        self.notes = [f"{self.where}: {why}: start no second run there until this one has ended"]

    def open(self, identity: dict[str, Any]) -> int:
        """Begins a run, or goes on with one of the same identity.

        What another run did not finish is thrown away. identity: JSON-able; all that decides the
        outcome. Returns how many images are there already.
        """
        if self._read_identity() != identity:
            unfinished = [path for _, _, path in self.parts()]
            unfinished += [self.partial / "identity.json", *self.partial.glob("trace-*.h5")]
            for path in unfinished:
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

    def _read_identity(self) -> Any:
        try:
            return json.loads((self.partial / "identity.json").read_text())
        except (OSError, ValueError):
            return None

    def parts(self) -> list[tuple[int, int, Path]]:
        """[(start, stop, path)] of the batches that are there, in order of images."""
        found = []
        for path in self.partial.iterdir():
            match = PART.fullmatch(path.name)
            if match:
                found.append((int(match[1]), int(match[2]), path))
        return sorted(found)

    def missing(self, count: int) -> NDArray[np.int64]:
        """The image positions below `count` that no part covers, int64 [M]."""
        todo = np.ones(count, bool)
        for start, stop, _ in self.parts():
            todo[start:stop] = False
        return np.flatnonzero(todo)

    def add(self, start: int, batch: Batch, seconds: float) -> None:
        """Keeps a batch.

        start: the position of its first image. batch: what its images gave. seconds: the wall time
        since the batch before.
        """
        path = self.partial / f"part-{start}-{start + len(batch.readout)}.npz"
        arrays = {name: getattr(batch, name) for name in Batch.ARRAYS}
        kept = {name: array for name, array in arrays.items() if array is not None}
        with open(path.with_suffix(".tmp"), "wb") as file:
            np.savez(file, seconds=seconds, **kept)
        os.replace(path.with_suffix(".tmp"), path)

    def keep(self) -> None:
        """Has the batches stay whatever is raised, since all are there.

        What fails behind them, such as an exporter, can be left out of the next run.
        """
        self.stage = "simulated"

    def batches(self) -> Iterator[tuple[int, Batch, float]]:
        """Yields (start, Batch, seconds) in order of images."""
        for start, _, path in self.parts():
            with np.load(path) as arrays:
                batch = Batch(**{name: arrays[name] for name in Batch.ARRAYS if name in arrays})
                yield start, batch, float(arrays["seconds"])

    def finish(self) -> None:
        """Moves the results to their place, instead of earlier ones if there are any.

        Raises InputError where something else has come to stand there, and OSError where the disk
        refuses; then earlier results stay.
        """
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

    def forget(self) -> None:
        """Removes a run that is kept here, since its results stand in their place already."""
        self.stage = "finished"
        self._remove()

    def _discard_results(self) -> None:
        """Removes results that did not come to their place.

        Traces stay: they belong to batches that are kept.
        """
        for path in self.results.glob("trace-*.h5"):
            os.replace(path, self.partial / path.name)
        shutil.rmtree(self.results, ignore_errors=True)

    def _remove(self) -> None:
        """Removes the folder at work.

        It is moved away at once first, so that no other run takes it up half removed.
        """
        aside = self.partial.with_name(f"{self.out.name}.removed-{uuid.uuid4().hex[:8]}")
        os.replace(self.partial, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _remove_left(self) -> None:
        """Removes what runs that were killed in `_remove` have left.

        Nothing in it is wanted any more, even where such a run is still at it.
        """
        with suppress(OSError):
            for path in _removed(self.out):
                if all(WORKING.fullmatch(inside) for inside in os.listdir(path)):
                    shutil.rmtree(path, ignore_errors=True)

    def _remove_made(self) -> None:
        """Removes the folders above that were made for this run and are empty."""
        for path in self.made:
            with suppress(OSError):
                path.rmdir()


def is_report(path: Path) -> bool:
    """Whether a file is a report that eventsnn wrote. path: of the file. Raises OSError."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return OF_REPORT in file.read(500)


def leftovers(out: Path) -> bool:
    """Whether there is what a run works in, or was removing. out: the place of its results."""
    return out.with_name(out.name + ".partial").exists() or bool(_removed(out))


def _removed(out: Path) -> list[Path]:
    """The folders that a run was removing when it was killed. out: its results'."""
    name = re.compile(rf"{re.escape(out.name)}\.removed-[0-9a-f]{{8}}")
    found = [path for path in out.parent.iterdir() if name.fullmatch(path.name)]
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _is_whole(path: Path, count: int) -> bool:
    """Whether a part can be read and holds `count` images."""
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            counts = {len(arrays[name]) for name in Batch.ARRAYS if name in arrays}
            return counts == {count} and bool(arrays["seconds"] >= 0)
    except FOREIGN:
        return False
