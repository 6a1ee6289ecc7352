"""What a script in analysis/ leaves: made beside its final place, and moved there when complete.

A finished study is not made again by the same command. What another command left is not replaced,
unless --overwrite says so. study.json, in the folder, is what tells them apart.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.inputs.made import differing, of_other_versions, refusal

RECORD = "study.json"
LEFT = re.compile(r"[-\w]+\.(csv|png|svg)|study\.json|network\.h5|thresholds\.json")

Record = dict[str, Any]


class StudyFolder:
    """The folder of a study.

    out: where tables and pictures go. command: JSON-able, {"options", "read", "versions"}, all that
    decides what the study finds. overwrite: whether what another command left may be replaced.

    Attributes: printed: what the study printed, where this very command has finished it; otherwise
    None. Raises InputError where the folder holds other files, or what another command left.
    """

    def __init__(self, out: Path, command: Record, overwrite: bool) -> None:
        self.given, self.overwrite = out, overwrite
        self.command: Record = json.loads(json.dumps(command))
        self.out = out.resolve()
        self.partial = self.out.with_name(self.out.name + ".partial")
        self._check()
        self._settle()
        self.printed: str | None = None
        for folder in () if overwrite else (self.out, self.partial):
            record = self._record(folder)
            files = sorted(set(_names(folder)) - {RECORD})
            if not files:
                continue
            finished = folder == self.out
            if not self._is_own(record):
                what = "a finished study" if finished else "an unfinished study"
                raise refusal(out, f"{what} ({', '.join(files[:3])})", self._differences(record))
            if finished and set(files) == set(record.get("left", ())):
                self.printed = str(record.get("printed", ""))
                return

    def __repr__(self) -> str:
        return f"<StudyFolder {self.out}>"

    @contextmanager
    def at_work(self, goes_on: Collection[str] = ()) -> Iterator[Path]:
        """A folder for the study's files inside the block; `finish` moves it to its place.

        It is empty, but for files with which this very command, killed before, goes on. Where the
        block ends before, its files stay for the user to see, and the folder goes if it has none.
        goes_on: ends of their names. Raises OSError where the disk refuses.
        """
        made = [path for path in (self.partial, *self.partial.parents) if not path.exists()]
        kept = goes_on if self.is_own(self.partial) and not self.overwrite else ()
        for name in _names(self.partial):
            if not name.endswith(tuple(kept)):
                (self.partial / name).unlink()
        self.partial.mkdir(parents=True, exist_ok=True)
        self._write(self.command)
        try:
            yield self.partial
        finally:
            if _names(self.partial) == [RECORD]:
                (self.partial / RECORD).unlink()
                for path in made or [self.partial]:
                    with suppress(OSError):
                        path.rmdir()

    def finish(self, printed: str) -> None:
        """Moves what the study left to its place. printed: what it printed.

        Raises InputError where other files have come to stand there.
        """
        self._check()
        left = [name for name in _names(self.partial) if name != RECORD]
        self._write(self.command | {"left": left, "printed": printed})
        self._settle()

    def _settle(self) -> None:
        """Moves a finished study to its place, also one that was killed before it could."""
        if "left" not in self._record(self.partial):
            return
        if self.out.is_dir():
            shutil.rmtree(self.out)  # nothing but a study's files: `_check`
        os.replace(self.partial, self.out)

    def _check(self) -> None:
        """Raises InputError where a folder cannot be used or holds what no study leaves."""
        where, do = f"--out {self.given}", "choose another --out"
        if self.out in (Path.cwd(), *Path.cwd().parents):
            own = "a folder of its own for tables and pictures"
            raise InputError(where, own, "the current folder or one above it", do)
        for folder in (self.out, self.partial):
            if folder.exists() and not folder.is_dir():
                raise InputError(where, "a folder, or nothing yet", f"a file, {folder.name}", do)
            names = _names(folder)
            record = self._record(folder)
            known = {RECORD, *record["left"]} if "left" in record else set()
            foreign = [
                name
                for name in names
                if RECORD not in names or not LEFT.fullmatch(name) or (known and name not in known)
            ]
            if foreign:
                expected = "an empty folder, what a study left, or nothing yet"
                more = " …" if len(foreign) > 3 else ""
                found = f"{', '.join(foreign[:3])}{more} in {folder}"
                raise InputError(where, expected, found, f"{do}, or move these away")

    def _record(self, folder: Path) -> Record:
        """A folder's study.json; {} where there is none that can be read."""
        try:
            found = json.loads((folder / RECORD).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        good = isinstance(found, dict) and isinstance(found.get("left", []), list)
        return found if good else {}

    def _write(self, record: Record) -> None:
        temporary = self.partial / "study.tmp"
        temporary.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        os.replace(temporary, self.partial / RECORD)

    def is_own(self, folder: Path) -> bool:
        """Whether a folder is what this very command left. folder: the study's, or another."""
        return self._is_own(self._record(folder))

    def _is_own(self, record: Record) -> bool:
        """Whether a record is of this very command."""
        return all(record.get(key) == value for key, value in self.command.items())

    def _differences(self, record: Record) -> list[str]:
        """In what a record is another command's, in words."""
        before = {key: record.get(key) or {} for key in self.command}
        found = differing(before["options"], self.command["options"])
        read, now = before["read"], self.command["read"]
        if not found and read != now:
            changed = [path for path in now if read.get(path) != now[path]]
            names = ", ".join(Path(path).name for path in changed) or "the data"
            found = [f"other files: {names} changed since"]
        return found or of_other_versions(before["versions"], self.command["versions"])


def _names(folder: Path) -> list[str]:
    """What is in a folder, but for a record half written; nothing where there is none."""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [name for name in names if name != "study.tmp"]
