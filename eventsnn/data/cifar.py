"""CIFAR's binary files: records of one or two label bytes and 3 x 32 x 32 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.formats import Found, Window, open_file, peek, read_bytes, reading
from eventsnn.exceptions import InputError, one_line


class Cifar(NamedTuple):
    """A format: how many classes each label byte has, bytes of a record, the file of class names.

    The last label byte is the one that is read.
    """

    label_limits: tuple[int, ...]
    record: int
    class_file: str


CIFAR_10 = Cifar((10,), 3073, "batches.meta.txt")
CIFAR_100 = Cifar((20, 100), 3074, "fine_label_names.txt")


def cifar_format(path: Path) -> Cifar | None:
    """The format whose record length divides the file's size, or None; if both do, labels decide.

    path: the file.
    """
    size = path.stat().st_size
    fits = [cifar for cifar in (CIFAR_10, CIFAR_100) if size and size % cifar.record == 0]
    if len(fits) == 2 and max(peek(path, 64 * 3073)[::3073]) >= 10:
        return CIFAR_100
    return fits[0] if fits else None


def read_cifar(paths: list[Path], window: Window, split: str) -> Found:
    """CIFAR-10 or CIFAR-100 (fine labels) from binary files that follow one another.

    paths: the files of the split, in order. window: positions among all their records. split: its
    name, which changes nothing here. Returns pixels uint8 [n, 3, 32, 32], labels int64 [n] and the
    class names, () where no file has them. Raises InputError where a file is damaged.
    """
    sizes = [path.stat().st_size for path in paths]
    cifar = cifar_format(paths[0])
    if cifar is None:
        expected = "IDX, .npz, HDF5, or CIFAR records of 3,073 or 3,074 bytes"
        found = f"{sizes[0]:,} bytes of none of them"
        raise InputError(paths[0], expected, found, "the file may be truncated")
    for path, size in zip(paths, sizes):
        if not size or size % cifar.record:
            expected = f"records of {cifar.record:,} bytes"
            raise InputError(path, expected, f"{size:,} bytes", "the file may be truncated")
    folder = paths[0].parent
    where = paths[0] if len(paths) == 1 else folder
    start, stop = window.rows(sum(sizes) // cifar.record, cifar.record, where)
    pixels = np.empty((stop - start, 3, 32, 32), np.uint8)
    labels = np.empty(stop - start, np.int64)
    first = 0
    for path, size in zip(paths, sizes):
        end = first + size // cifar.record
        low = max(start, first)
        high = min(stop, end)
        if low < high:
            records = _records(path, cifar, low - first, high - first)
            pixels[low - start : high - start] = records[:, -3072:].reshape(-1, 3, 32, 32)
            labels[low - start : high - start] = records[:, -3073]
        first = end
    return pixels, labels, _class_names(folder / cifar.class_file, cifar.label_limits[-1])


def _records(path: Path, cifar: Cifar, start: int, stop: int) -> NDArray[np.uint8]:
    """Records [stop - start, 3073 or 3074] as uint8, their labels checked."""
    with open_file(path) as stream, reading(path):
        data = read_bytes(stream, start * cifar.record, (stop - start) * cifar.record, path)
    records = np.frombuffer(data, np.uint8).reshape(-1, cifar.record)
    for byte, bound in enumerate(cifar.label_limits):
        wrong = np.flatnonzero(records[:, byte] >= bound)
        if len(wrong):
            where = f"{path}: record {start + wrong[0]:,}"
            found = records[wrong[0], byte]
            do = "the file is damaged or of another kind"
            raise InputError(where, f"a label from 0 to {bound - 1}", found, do)
    return records


def _class_names(path: Path, count: int) -> tuple[str, ...]:
    if not path.exists():
        return ()
    with reading(path):
        lines = [one_line(line) for line in peek(path, 1 << 16).decode().splitlines()]
    names = tuple(line for line in lines if line)
    if len(names) != count:
        raise InputError(path, f"{count} class names", len(names), "complete the file or remove it")
    return names
