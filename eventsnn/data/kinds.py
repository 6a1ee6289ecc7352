"""Which reader a path needs, by what it holds."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Sequence
from pathlib import Path

import h5py

from eventsnn.data.arrays import fits_idx, read_idx
from eventsnn.data.cifar import cifar_format, read_cifar
from eventsnn.data.folders import holds_files
from eventsnn.data.formats import CONVERT, PICKLE, Reader, is_pickle, peek
from eventsnn.data.named import read_hdf5, read_npy, read_npz
from eventsnn.data.pictures import is_picture
from eventsnn.exceptions import InputError, named

SPLITS = ("train", "test")
# GIF, BMP, TIFF, WebP, damaged PNG
OTHER_KINDS = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"\x89PNG")


def recognise_folder(path: Path, split: str) -> tuple[Reader, list[Path]] | None:
    """(reader, paths of the split's files) of a folder; None for one of image files.

    split: "train" or "test". Raises InputError for a folder of anything else.
    """
    names = sorted(os.listdir(path))
    kinds: tuple[tuple[Reader, dict[str, list[str]]], ...] = (
        (read_cifar, _find_cifar(names, path)),
        (read_idx, _find_idx(names)),
    )
    for read, files in kinds:
        if files[split]:
            return read, [path / name for name in files[split]]
        if any(files.values()):
            found = ", ".join(names)
            raise InputError(path, f"files of the split {split}", found, "ask for the other split")
    for name in "test_batch", "data_batch_1", "test", "train":
        if (path / name).is_file() and is_pickle(peek(path / name, 2)):
            raise InputError(path / name, *PICKLE)
    if holds_files(path):
        return None
    found = ", ".join(names[:8]) or "an empty folder"
    do = "give the folder that holds them, or an .npz or HDF5 file itself"
    raise InputError(path, "CIFAR .bin files, IDX files, or PNG and JPEG files", found, do)


def _find_cifar(names: Sequence[str], where: Path) -> dict[str, list[str]]:
    """Split -> names of its files in CIFAR's binary layout, in order."""
    matches = [re.fullmatch(r"data_batch_([1-9][0-9]*)\.bin", name) for name in names]
    numbers = sorted(int(match[1]) for match in matches if match)
    if numbers and numbers[-1] != len(numbers):
        expected = f"data_batch_1.bin to data_batch_{numbers[-1]}.bin"
        do = "complete the folder: with a gap the positions of the images shift"
        raise InputError(where, expected, f"only {numbers}", do)
    train = [f"data_batch_{n}.bin" for n in numbers] or [n for n in names if n == "train.bin"]
    test = [n for n in ("test_batch.bin", "test.bin") if n in names][:1]
    return {"train": train, "test": test}


def _find_idx(names: Sequence[str]) -> dict[str, list[str]]:
    """Split -> names of its IDX images files, without packed ones beside their unpacked twins."""
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name in names:
        unpacked_twin = name.endswith(".gz") and name[:-3] in names
        split = own_split(name)
        if split and "images" in name and "idx" in name and not unpacked_twin:
            found[split].append(name)
    return found


def own_split(name: str) -> str | None:
    """The split that the name of a single file tells, or None. name: the file's."""
    name = name.lower()
    if "train" in name or name.startswith("data_batch"):
        return "train"
    return "test" if "test" in name or "t10k" in name else None


def recognise_file(path: Path) -> Reader | None:
    """The reader of a file, by its first bytes and its size; None for an image file.

    Raises InputError for what is known and cannot be read.
    """
    head = peek(path, 512)
    if head[:2] == b"PK":
        return read_npz
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as stream:
            if stream.read(512)[257:262] == b"ustar":
                do = "unpack it and give the folder"
                raise InputError(path, "images", "a packed archive", do)
        return read_idx
    if is_pickle(head):
        raise InputError(path, *PICKLE)
    # a CIFAR file may begin like an IDX file (label 0, dark pixels): the size decides
    if head[:2] == b"\0\0" and (fits_idx(path) or not cifar_format(path)):
        return read_idx
    if h5py.is_hdf5(path):
        return read_hdf5
    if head.startswith(b"\x93NUMPY"):
        return read_npy
    if is_picture(head):
        return None
    if head.startswith(b"#!AER-DAT"):
        do = f"give {named('encoding', 'events')} and {named('time_scale')}; load_events in Python"
        raise InputError(path, "images", "a recording of events", do)
    if head.startswith(OTHER_KINDS) or head[257:262] == b"ustar":
        expected = "a PNG, JPEG, .npz, .npy, HDF5, IDX or CIFAR file"
        raise InputError(path, expected, "another kind of file", CONVERT)
    return read_cifar
