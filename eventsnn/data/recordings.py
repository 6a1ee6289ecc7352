"""Recordings of events: one file each, or a folder of them, by class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked, checked_fields
from eventsnn.data.event_files import ENDS, read_events
from eventsnn.data.folders import Listing, list_files
from eventsnn.data.formats import Window, check_size, reading
from eventsnn.data.kinds import SPLITS
from eventsnn.exceptions import InputError, one_line


@checked_fields
@dataclass(frozen=True, eq=False)
class Recordings:
    """N recordings of events.

    name: what to call the set. split: "train" or "test". indices: int64 [N], positions within the
    split. events: of each, records with the fields t (microseconds from the first event), x, y and
    p (0 or 1), in the order of time. labels: int64 [N], or None. classes: their names, () when
    unknown. sensor: its width and height, or None where the files do not say. note: what to say of
    how they were read, or "".

    recordings[3], and each that a loop gives, is (events, its label or None).
    """

    name: str
    split: str
    indices: NDArray[np.int64]
    events: tuple[Any, ...]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    sensor: tuple[int, int] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.events)
        for name, numbers in (("indices", self.indices), ("labels", self.labels)):
            if numbers is not None and numbers.shape != (count,):
                expected = f"{count} numbers, one for each recording"
                raise InputError(name, expected, f"shape {list(numbers.shape)}")

    @property
    def by_folder(self) -> bool:
        """Whether the classes are the names of folders, of which a label is the number."""
        return self.labels is not None and len(self.classes) > 0

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, position: int) -> tuple[NDArray[Any], int | None]:
        """(events, label) of one recording. position: from 0, or from the end below 0."""
        events = self.events[position]
        return events, None if self.labels is None else int(self.labels[position])

    def __iter__(self) -> Iterator[tuple[NDArray[Any], int | None]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        labels = "no labels" if self.labels is None else f"{len(self.classes)} classes"
        total = sum(map(len, self.events))
        sensor = "" if self.sensor is None else f", sensor {self.sensor[0]}x{self.sensor[1]}"
        words = f"{len(self):,} with {total:,} events, {labels}{sensor}"
        return f"<Recordings {one_line(self.name)} ({self.split}): {words}>"


@checked
def load_events(
    spec: str | os.PathLike[str], *, split: str = "test", limit: int | None = None, offset: int = 0
) -> Recordings:
    """Recordings of events, as `Recordings`, for `simulate` with encoding "events".

    spec: a file, or a folder of them, as `load_images` has folders: a folder for each class or
    none, with splits or without, one recording of each class in turn. A file is one recording:
    - AEDAT 4 (.aedat4), with one stream of events; packed ones need the package lz4 or zstandard;
    - HDF5 (.h5, .hdf5) with t, x, y, p, arrays or a structured one, in CD/events, events or the
      root;
    - .npy with a structured array of t, x, y, p, or .npz with these or with `events`;
    - N-MNIST's .bin.

    split: "train" or "test". limit: how many recordings at most (None: to the end). offset: the
    position of the first. Times in files are microseconds; they count from each file's first event.
    Raises InputError for what cannot be found, recognised or trusted.
    """
    if split not in SPLITS:
        raise InputError("split", "train or test", repr(split), "name one of the two")
    path = Path(os.fsdecode(spec))
    window = Window(offset, limit)
    with reading(path):
        if path.is_dir():
            listing = list_files(path, split, ENDS)
        elif path.is_file():
            listing = Listing([path], None, (), path, split, "")
        else:
            found = "something else" if path.exists() else "nothing there"
            raise InputError(path, "a file or folder of events", found, "check the path")
    start, stop = window.rows(len(listing.files), 1, listing.folder)
    events: list[NDArray[Any]] = []
    sensors: dict[tuple[int, int], Path] = {}
    size = 0
    for file in listing.files[start:stop]:
        found_events, sensor = read_events(file)
        size += found_events.nbytes
        check_size(size, path)
        events.append(found_events)
        if sensor is not None:
            sensors.setdefault(sensor, file)
    if len(sensors) > 1:
        (first, _), (other, file), *_ = sensors.items()
        expected = f"a sensor of {first[0]}x{first[1]}, as in the first"
        raise InputError(file, expected, f"{other[0]}x{other[1]}", "give those of one sensor")
    labels = None if listing.labels is None else np.array(listing.labels[start:stop], np.int64)
    return Recordings(
        one_line(Path(os.path.abspath(path)).name) or "events",
        listing.split,
        np.arange(start, stop, dtype=np.int64),
        tuple(events),
        labels,
        listing.classes,
        next(iter(sensors), None),
        listing.note,
    )
