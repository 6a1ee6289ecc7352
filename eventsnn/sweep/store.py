"""The store of a sweep: a folder with a Zarr hierarchy, what there is in it, and what failed.

    STORE/sweep.json      what it holds: groups, runs, images, versions
    STORE/arrays.zarr     a group a network (`arrays.py`)
    STORE/cells/ab/…      a file for each cell that is done, and for each that failed
    STORE/lease.json      who works on it (`lease.py`)

A cell is done when its file says so, and that is written after its chunks are on the disk.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.inputs.made import hash_of_sources, of_other_versions, versions
from eventsnn.sweep.cells import Cell

FORMAT, VERSION = "eventsnn.sweep", 1
DONE, FAILED = ".done", ".failed"
KEPT = ("eventsnn", "sources")  # versions that must be the store's own

Record = dict[str, Any]


class Store:
    """A store's folder. path: of the folder, which need not be there yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"<Store {self.path}>"

    @property
    def arrays(self) -> Path:
        """The Zarr hierarchy."""
        return self.path / "arrays.zarr"

    def read(self) -> Record | None:
        """sweep.json; None where there is no store yet.

        Raises InputError for a folder with anything else in it, and for a store of another format.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(self._names())):
            return None
        where = f"store {self.path}"
        try:
            found = json.loads((self.path / "sweep.json").read_text("utf-8"))
        except FileNotFoundError:
            if self.path.is_dir() and not set(self._names()) - {"cells", "arrays.zarr", "slurm"}:
                return None  # one whose driver was killed before it could say what it is
            do = "name another folder, or none that is there"
            raise InputError(where, "the store of a sweep", "no sweep.json in it", do) from None
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else error
            raise InputError(where, "the store of a sweep", words or error) from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise InputError(where, "the store of a sweep", "another file called sweep.json")
        if found.get("version") != VERSION:
            do = "open it with the version of eventsnn that made it"
            raise InputError(where, f"format {VERSION}", found.get("version"), do)
        return found

    def _names(self) -> Iterator[str]:
        for name in os.listdir(self.path):
            if not name.startswith(("lease", ".")):
                yield name

    def record(self) -> Record:
        """sweep.json of a store that is there. Raises InputError where there is none."""
        found = self.read()
        if found is None:
            do = "run it first: eventsnn sweep PLAN"
            raise InputError(f"store {self.path}", "the store of a sweep", "nothing there", do)
        return found

    def write(self, record: Record) -> None:
        """Writes sweep.json, whole or not at all. record: what is in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "sweep.json", record)

    def check_versions(self, record: Record) -> None:
        """Raises InputError for a store of another version of eventsnn. record: sweep.json."""
        there, now = record.get("versions") or {}, own_versions()
        if any(there.get(name) != now[name] for name in KEPT):
            others = of_other_versions(there, {"eventsnn": now["eventsnn"]})
            found = ", ".join(others) or "one of another state of eventsnn's own code"
            do = "go on with that version, or choose another --store"
            raise InputError(f"store {self.path}", f"one of eventsnn {now['eventsnn']}", found, do)

    def _file(self, cell_id: str, kind: str) -> Path:
        return self.path / "cells" / cell_id[:2] / (cell_id + kind)

    def files(self, kind: str) -> set[str]:
        """The ids of the cells that are done, or failed. kind: DONE or FAILED."""
        found = set()
        with suppress(FileNotFoundError):
            for folder in os.scandir(self.path / "cells"):
                for name in os.listdir(folder.path) if folder.is_dir() else ():
                    if name.endswith(kind):
                        found.add(name.removesuffix(kind))
        return found

    def finish(self, cell: Cell, record: Record) -> None:
        """Says that a cell is done; its chunks are on the disk. record: what is kept of it."""
        write_json(self._file(cell.id, DONE), record)
        with suppress(FileNotFoundError):
            self._file(cell.id, FAILED).unlink()

    def fail(self, cell: Cell, record: Record) -> None:
        """Keeps why a cell failed. record: of its error."""
        write_json(self._file(cell.id, FAILED), record)

    def forget_failures(self, ids: set[str]) -> int:
        """Forgets failures, so that they are tried again; returns how many there were.

        ids: of the cells whose failures are meant.
        """
        failed = self.files(FAILED) & ids
        for cell_id in failed:
            with suppress(FileNotFoundError):
                self._file(cell_id, FAILED).unlink()
        return len(failed)

    def of_cell(self, cell_id: str, kind: str = DONE) -> Record | None:
        """What is kept of a cell; None where there is nothing whole. kind: DONE or FAILED."""
        try:
            found = json.loads(self._file(cell_id, kind).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def own_versions() -> dict[str, str]:
    """Name -> version of what computes here, with that of eventsnn's own code."""
    return {**versions(), "sources": _sources()}


@cache
def _sources() -> str:
    """A hash of eventsnn's own code, as it was when this process first asked."""
    return hash_of_sources()[:16]


def write_json(path: Path, record: Record) -> None:
    """Writes a file of JSON, on the disk, whole or not at all. path: of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(part, "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
