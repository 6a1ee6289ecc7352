"""Folders of image files: which images there are, of which classes, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from eventsnn.data.formats import reading
from eventsnn.exceptions import InputError

ENDS = (".png", ".jpg", ".jpeg")
# image files by other names, which nobody should leave out by mistake
OTHERS = (".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
NAMES_OF_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
MOST_FILES = 10**7
MOST_CLASSES = 10**5
DEEPEST = 8  # folders below a class
NAMED = 3  # files in a message


class Listing(NamedTuple):
    """The files of a split.

    files: their paths, in the order of the positions. labels: the class of each; None for a flat
    folder. classes: the classes' names, sorted; () for a flat folder. folder: where the split
    stands. split: "train" or "test". note: what to say of it, or "".
    """

    files: list[Path]
    labels: list[int] | None
    classes: tuple[str, ...]
    folder: Path
    split: str
    note: str


def list_files(path: Path, split: str, ends: Sequence[str] = ENDS) -> Listing:
    """The files of a split in a folder, or the folder's own where it has no splits.

    Folders in it are classes, in the order of their names; without any, its files have no labels.
    The order is one of each class in turn: what stands at the beginning is a fair sample. Hidden
    files do not count. path: the folder. split: "train" or "test"; folders called so (or training,
    val, validation) are splits where there is nothing else. ends: of the names of the files that
    are meant, in small letters.

    Raises InputError where nothing is found, where a link leads out of the folder, and where the
    classes cannot be told.
    """
    seen = _Seen(path, tuple(ends))
    folder, own, other = _split_of(path, split)
    names = _classes(seen, folder)
    if not names:
        files = list(seen.files(folder, 0))
        if not files:
            raise _nothing(seen, folder)
        return Listing(files, None, (), folder, own, seen.left_out())
    classes = names
    if other is not None:
        known = _classes(seen, other)
        if split == "test" and known:
            classes = known  # what the network was trained on
        strange = sorted(set(names) - set(classes))
        if strange:
            do = "name the classes of both splits alike"
            raise InputError(folder, f"classes that {other.name} has", strange[0], do)
    if len(classes) == 1:
        do = "give that folder itself, whose images then have no labels"
        raise InputError(folder, "a folder for each class", f"one alone, {classes[0]!r}", do)
    groups = [list(seen.files(folder / name, 0)) for name in names]
    numbers = [classes.index(name) for name in names]
    files, labels = [], []
    for row in zip_longest(*groups):
        for number, file in zip(numbers, row):
            if file is not None:
                files.append(file)
                labels.append(number)
    if not files:
        raise _nothing(seen, folder)
    return Listing(files, labels, tuple(classes), folder, own, seen.left_out())


def holds_files(path: Path, ends: Sequence[str] = ENDS + OTHERS) -> bool:
    """Whether one of the first folders below a folder has files with such names.

    path: the folder. ends: of the names, in small letters. Links to folders are not followed.
    """
    for number, (_, folders, files) in enumerate(os.walk(path)):
        folders.sort()
        if any(name.lower().endswith(tuple(ends)) for name in files if name[0] != "."):
            return True
        if number == 100:
            return False
    return False


class _Seen:
    """What was met below a folder. root: the folder. ends: of names that are meant."""

    def __init__(self, root: Path, ends: tuple[str, ...]) -> None:
        self.root = Path(os.path.realpath(root))
        self.ends = ends
        self.count = 0
        self.others: list[str] = []
        self.more = 0

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is in a folder, by name, without hidden files. Raises InputError for links out."""
        with reading(folder), os.scandir(folder) as scanned:
            found = []
            for entry in scanned:
                self.count += 1
                if self.count > MOST_FILES:
                    do = "give a part of it"
                    raise InputError(self.root, f"at most {MOST_FILES:,} files", "more", do)
                if entry.name[0] != ".":
                    found.append(entry)
        for entry in found:
            if entry.is_symlink():
                self._check_link(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _check_link(self, entry: os.DirEntry[str]) -> None:
        target = Path(os.path.realpath(entry.path))
        if self.root not in target.parents or entry.is_dir():
            expected = "files of the folder itself"
            found = "a link to a folder" if entry.is_dir() else "a link out of it"
            raise InputError(entry.path, expected, found, "copy the files into the folder")

    def files(self, folder: Path, depth: int) -> Iterator[Path]:
        """Yields the files in a folder that are meant, then those in the folders in it."""
        if depth > DEEPEST:
            expected = f"at most {DEEPEST} folders in each other"
            raise InputError(folder, expected, "more", "give the folder that holds the files")
        folders = []
        for entry in self.entries(folder):
            name = entry.name.lower()
            if entry.is_dir():
                folders.append(entry)
            elif not name.endswith(self.ends):
                self._pass_over(entry)
            elif not entry.is_file():
                do = "remove what is in its place"
                raise InputError(entry.path, "a file", "something else", do)
            else:
                yield Path(entry.path)
        for entry in folders:
            yield from self.files(Path(entry.path), depth + 1)

    def _pass_over(self, entry: os.DirEntry[str]) -> None:
        if self.ends == ENDS and entry.name.lower().endswith(OTHERS):
            do = "convert it to PNG, or take it out"
            raise InputError(entry.path, "PNG and JPEG files", "an image of another kind", do)
        if len(self.others) < NAMED:
            self.others.append(entry.name)
        else:
            self.more += 1

    def left_out(self) -> str:
        """What to say of files that are not meant, or ""."""
        if not self.others:
            return ""
        more = f" and {self.more:,} more" if self.more else ""
        names = ", ".join(self.others) + more
        return f"files left out, as their names do not end in {_listed(self.ends)}: {names}"


def _split_of(path: Path, split: str) -> tuple[Path, str, Path | None]:
    """(where the files of a split are, its name, where those of the other are, or None)."""
    with reading(path):
        names = sorted(name for name in os.listdir(path) if name[0] != ".")
        folders = [name for name in names if (path / name).is_dir()]
    known = [n for group in NAMES_OF_SPLITS.values() for n in group]
    if not folders or not all(name.lower() in known for name in folders):
        return path, split, None
    for name in folders:
        if (path / name).is_symlink():
            do = "give the folder that it leads to"
            raise InputError(path / name, "a folder", "a link to a folder", do)
    found = {}
    for each, group in NAMES_OF_SPLITS.items():
        mine = [name for n in group for name in folders if name.lower() == n]
        if len(mine) > 1:
            # ImageNet's test images have no classes; its validation images have
            mine = [name for name in mine if any(p.is_dir() for p in (path / name).iterdir())]
        if mine:
            found[each] = path / mine[0]
    if split not in found:
        do = "ask for the other split, or give the folder itself"
        raise InputError(path, f"a folder of the split {split}", ", ".join(folders), do)
    other = found.get("train" if split == "test" else "test")
    return found[split], split, other


def _classes(seen: _Seen, folder: Path) -> tuple[str, ...]:
    """The names of the folders in a folder; () where there are none. Raises InputError for both."""
    entries = seen.entries(folder)
    names = tuple(entry.name for entry in entries if entry.is_dir())
    loose = [e.name for e in entries if not e.is_dir() and e.name.lower().endswith(seen.ends)]
    if names and loose:
        found = f"{loose[0]!r} beside the folder {names[0]!r}"
        do = "put them into folders of classes, or give one folder"
        raise InputError(folder, "files, or folders of classes with files", found, do)
    if len(names) > MOST_CLASSES:
        raise InputError(folder, f"at most {MOST_CLASSES:,} classes", f"{len(names):,}", "")
    if names:
        for entry in entries:
            if not entry.is_dir():
                seen._pass_over(entry)
    return names


def _nothing(seen: _Seen, folder: Path) -> InputError:
    found = ", ".join(seen.others) or "no such file"
    do = "give the folder that holds them"
    return InputError(folder, f"files whose names end in {_listed(seen.ends)}", found, do)


def _listed(ends: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(ends[:-1]), ends[-1])))
