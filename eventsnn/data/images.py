"""Image sets: a path is recognised by what it holds and read as raw pixels and labels.

Only the records that are asked for are read. Every fault of a file is an `InputError` that names
the file.
"""

from __future__ import annotations

import gzip
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsnn.ann.graph import Graph
from eventsnn.arguments import checked, checked_fields
from eventsnn.data.arrays import fits_idx, read_idx
from eventsnn.data.cifar import cifar_format, read_cifar
from eventsnn.data.formats import CONVERT, PICKLE, Reader, Window, is_pickle, peek, reading
from eventsnn.data.named import range_in, read_hdf5, read_npy, read_npz
from eventsnn.exceptions import InputError, one_line
from eventsnn.values import arrayed, as_array, shown

SPLITS = ("train", "test")
WHOLE = (np.uint8, np.int16, np.uint16, np.int32)  # types of pixels, the narrowest first
PHOTOS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


@checked_fields
@dataclass(frozen=True, eq=False)
class Images:
    """N raw images of one split, before preprocessing.

    name: what to call the set. split: "train" or "test". indices: int64 [N], positions within the
    split. pixels: uint8 or float32 [N, C, H, W]. labels: int64 [N], or None when the source has
    none. classes: the classes' names, () when unknown. pixel_range: (lowest, highest) raw pixel
    that images of the set may have, where its file says it (see `ranges.range_of`). Raises
    InputError for arrays that do not fit each other.

    images[3], and each that a loop gives, is (pixels [C, H, W], its label or None); images[2:5],
    and those at a list of positions or where a mask is True, are `Images`.
    """

    name: str
    split: str
    indices: NDArray[np.int64]
    pixels: NDArray[Any]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    pixel_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4:
            raise InputError("pixels", "[N, C, H, W]", f"shape {list(self.pixels.shape)}")
        count = len(self.pixels)
        for name, numbers in (("indices", self.indices), ("labels", self.labels)):
            if numbers is not None and numbers.shape != (count,):
                found = f"shape {list(numbers.shape)}"
                raise InputError(name, f"{count} numbers, one for each image", found)

    def __len__(self) -> int:
        return len(self.pixels)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], int | None]]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, positions: int | np.integer[Any]) -> tuple[NDArray[Any], int | None]: ...
    @overload
    def __getitem__(self, positions: slice | ArrayLike) -> Images: ...

    def __getitem__(self, positions: Any) -> Any:
        """(pixels, label) of one image, or `Images` of several; see the class."""
        if isinstance(positions, slice):
            return self.take(np.arange(len(self))[positions])
        chosen = as_array(positions)
        where = f"{self.name}: positions"
        if chosen is None or (chosen.dtype.kind == "b" and chosen.shape != (len(self),)):
            expected = f"whole numbers, a slice, or a mask of {len(self)}"
            raise InputError(where, expected, shown(positions))
        if chosen.dtype.kind == "b":
            chosen = np.flatnonzero(chosen)
        elif chosen.dtype.kind not in "iu":
            raise InputError(where, "whole numbers, a slice or a mask", shown(positions))
        else:
            chosen = np.where(chosen < 0, chosen + len(self), chosen)
        if chosen.ndim:
            return self.take(chosen)
        if not 0 <= chosen < len(self):
            raise InputError(where, f"0 to {len(self) - 1}", shown(positions))
        at = int(chosen)
        return self.pixels[at], None if self.labels is None else int(self.labels[at])

    def __repr__(self) -> str:
        labels = "no labels"
        if self.labels is not None:
            labels = f"labels {self.labels.min()} to {self.labels.max()}"
        size = "x".join(map(str, self.pixels.shape[1:]))
        pixels = f"{len(self):,} of {size} {self.pixels.dtype}"
        return f"<Images {self.name} ({self.split}): {pixels}, {labels}>"

    def take(self, positions: ArrayLike) -> Images:
        """The images at some positions, in the order of the positions.

        positions: integers [M], counted from 0 within these images. Raises InputError for anything
        else.
        """
        where = f"{self.name}: positions"
        chosen = arrayed(where, positions)
        if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
            found = f"{chosen.dtype} {list(chosen.shape)}"
            do = "give a flat list of integers"
            raise InputError(where, "one or more integers [M]", found, do)
        if chosen.min() < 0 or chosen.max() >= len(self):
            found = f"{chosen.min()} to {chosen.max()}"
            do = "count from 0 within these images"
            raise InputError(where, f"0 to {len(self) - 1}", found, do)
        labels = None if self.labels is None else self.labels[chosen]
        indices = self.indices[chosen]
        pixels = self.pixels[chosen]
        return replace(self, indices=indices, pixels=pixels, labels=labels)


@checked
def load_images(
    spec: str | os.PathLike[str], *, split: str = "test", limit: int | None = None, offset: int = 0
) -> Images:
    """Images of a split, as `Images`.

    split: "train" or "test". limit: how many images at most (None: to the end). offset: the
    position of the first, from 0. spec: "sample" (the bundled set) or a path, which is recognised
    by content:
    - a folder in CIFAR's binary layout (data_batch_*.bin and test_batch.bin, or train.bin and
      test.bin), or one such file; records of 3,073 bytes are CIFAR-10, of 3,074 CIFAR-100 (fine
      labels);
    - a folder of IDX files (MNIST), gzipped or not, or one IDX images file with its labels beside
      it;
    - an .npz or HDF5 file with x_train, y_train, x_test, y_test; or train/images, train/labels and
      so on; or, without splits, images and labels, or x and y;
    - an .npy file of images, with its labels beside it: labels.npy beside images.npy, y_test.npy
      beside x_test.npy.

    One CIFAR, IDX or .npy file has the split its name tells ("train", "data_batch", "test",
    "t10k"), whatever `split` says; where nothing tells, the split is the one asked for. Indices
    count from the start of what `spec` names. Arrays are [N, H, W], [N, C, H, W] or [N, H, W, C]:
    the last when the last axis is 1 or 3 and the second is neither. Vectors [N, K] become [N, K, 1,
    1], for networks on vectors and, row by row, on images of one channel. Pixels are uint8 or
    finite floats, which become float32. The attribute `pixel_range` of an HDF5 file, or such an
    array of an .npz, says the lowest and the highest pixel. Labels are whole numbers [N] or [N, 1],
    or one-hot [N, K].

    Raises InputError if the set cannot be found, recognised or trusted, or has no image at
    `offset`.
    """
    if not isinstance(split, str) or split not in SPLITS:
        raise InputError("split", "train or test", repr(split), "name one of the two")
    window = Window(offset, limit)
    if isinstance(spec, str) and spec == "sample":
        with resources.as_file(resources.files("eventsnn") / "sample" / "images.npz") as path:
            return _read(path, "sample", split, window)
    if not isinstance(spec, (str, os.PathLike)) or not os.fspath(spec):
        raise InputError("images", "sample or a path", repr(spec), "name a file or folder")
    path = Path(os.fsdecode(spec))
    return _read(path, one_line(Path(os.path.abspath(path)).name) or "images", split, window)


def _read(path: Path, name: str, split: str, window: Window) -> Images:
    with reading(path):
        if path.is_dir():
            read, paths = _recognise_folder(path, split)
        elif path.is_file():
            read = _recognise_file(path)
            paths = [path]
            if read in (read_cifar, read_idx, read_npy):
                split = _own_split(path.name) or split
        else:
            found = "something else" if path.exists() else "nothing there"
            do = "check the path; the bundled set is called sample"
            raise InputError(path, "a file or folder", found, do)
        pixels, labels, classes = read(paths, window, split)
        told = range_in(path) if read in (read_hdf5, read_npz) else None
    indices = np.arange(window.offset, window.offset + len(pixels), dtype=np.int64)
    return Images(name, split, indices, pixels, labels, classes, told)


def _recognise_folder(path: Path, split: str) -> tuple[Reader, list[Path]]:
    """(reader, paths of the split's files) of a folder."""
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
    if _has_photos(path):
        do = f"{CONVERT}, labels by sorted folder name"
        raise InputError(path, "images in arrays", "image files in folders", do)
    found = ", ".join(names[:8]) or "an empty folder"
    do = "give the folder that holds them, or an .npz or HDF5 file itself"
    raise InputError(path, "CIFAR .bin files or IDX files", found, do)


def _has_photos(path: Path) -> bool:
    """Whether an image file lies among the first 100 folders below a folder."""
    for _, _, files in islice(os.walk(path), 100):
        if any(name.lower().endswith(PHOTOS) for name in files):
            return True
    return False


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
        split = _own_split(name)
        if split and "images" in name and "idx" in name and not unpacked_twin:
            found[split].append(name)
    return found


def _own_split(name: str) -> str | None:
    """The split that the name of a single file tells, or None."""
    name = name.lower()
    if "train" in name or name.startswith("data_batch"):
        return "train"
    return "test" if "test" in name or "t10k" in name else None


def _recognise_file(path: Path) -> Reader:
    """The reader of a file, by its first bytes and its size."""
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
    others = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
    if head.startswith(others) or head[257:262] == b"ustar":
        expected = "an .npz, .npy, HDF5, IDX or CIFAR file"
        raise InputError(path, expected, "another kind of file", CONVERT)
    return read_cifar


@checked
def as_vectors(graph: Graph, images: Any) -> tuple[Any, str]:
    """(images that fit a graph, what was done to them, "" for nothing).

    Where a graph's input is a vector, (N, 1, 1), images of N pixels become vectors in the order H,
    W, C, as networks are trained on flattened images; so do vectors [n, N]. Where it is an image of
    one channel, vectors of H W numbers become images, row by row. Where it is a signal (C, 1, L),
    signals [n, C, L] or [n, L, C] get the height 1. graph: the ANN. images: raw pixels [n, C, H,
    W], or `Images`; what fits already, or cannot, stays as it is.
    """
    pixels = getattr(images, "pixels", images)
    size, height, width = graph.input_shape
    given = tuple(getattr(pixels, "shape", ()))
    if height == 1 < width and given[1:] != (size, height, width):
        signals = _as_signals(pixels, size, width)
        if signals is not None:
            done = "signals of one axis are taken as images of height 1"
            whole = isinstance(images, Images)
            return (replace(images, pixels=signals) if whole else signals), done
    if size == 1 < height * width and given[1:] in ((height * width,), (height * width, 1, 1)):
        rows = pixels.reshape(len(pixels), 1, height, width)
        done = f"vectors of {height * width:,} numbers are taken as images of 1x{height}x{width},"
        done += " row by row"
        return (replace(images, pixels=rows) if isinstance(images, Images) else rows), done
    of_vectors = (height, width) == (1, 1) and size > 1
    if not of_vectors or len(given) not in (2, 4) or math.prod(given[1:]) != size:
        return images, ""
    if given[1:] == (size, 1, 1):
        return images, ""
    rows = pixels.transpose(0, 2, 3, 1) if len(given) == 4 else pixels
    vectors = np.ascontiguousarray(rows).reshape(len(pixels), size, 1, 1)
    done = ""
    if len(given) == 4:
        shape = "x".join(map(str, given[1:]))
        done = f"images of {shape} are flattened in the order H, W, C: the network takes {size:,}"
        done += " numbers"
    return (replace(images, pixels=vectors) if isinstance(images, Images) else vectors), done


def _as_signals(pixels: Any, channels: int, length: int) -> NDArray[Any] | None:
    """Signals [n, C, L] or [n, L, C], or with an axis of size 1 behind n, as [n, C, 1, L]."""
    given = tuple(getattr(pixels, "shape", ()))
    shape = given[2:] if len(given) == 4 and given[1] == 1 else given[1:]
    if shape == (channels, length):
        return np.ascontiguousarray(pixels).reshape(len(pixels), channels, 1, length)
    if shape == (length, channels):
        last = np.asarray(pixels).reshape(len(pixels), length, channels)
        return np.ascontiguousarray(last.transpose(0, 2, 1))[:, :, None]
    return None


@checked
def check_images(
    graph: Graph,
    pixels: NDArray[Any],
    labels: NDArray[np.int64] | None = None,
    where: str = "images",
) -> None:
    """Raise InputError unless raw pixels (and labels) fit a graph.

    graph: the ANN that shall see them. pixels: [N, C, H, W], one or more, finite. labels: [N], from
    0 to the number of the graph's outputs less 1, or 0 and 1 where it has one output (None: there
    are none). where: what to call the images in the message.
    """
    expected = tuple(graph.input_shape)
    if getattr(pixels, "ndim", 0) != 4 or tuple(pixels.shape[1:]) != expected or not len(pixels):
        given = list(getattr(pixels, "shape", ()))
        do = "give images of the size the network was trained on"
        if given[2:] in ([], [1, 1]) and given[1:2] == [math.prod(expected)] and expected[0] > 1:
            do = "give images [N, C, H, W]: of vectors nobody can tell the order of the channels"
        raise InputError(
            where,
            f"one or more images of shape [C, H, W] = {list(expected)} for {graph.source}",
            f"an array of shape {given}",
            do,
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(where, "finite pixels", "NaN or infinity")
    if labels is None:
        return
    shape = graph.shapes[graph.output]
    if math.prod(shape[1:]) > 1:
        found = f"a map of {'x'.join(map(str, shape))}"
        raise InputError(
            where, f"an output of classes of {graph.source}", found, "leave labels out"
        )
    if len(labels) != len(pixels):
        raise InputError(where, f"{len(pixels)} labels", len(labels))
    outputs = math.prod(shape)
    classes = max(outputs, 2)  # one output decides between two
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            where,
            f"labels from 0 to {classes - 1}, the classes of {graph.source}"
            if outputs > 1
            else f"labels 0 and 1, as one output of {graph.source} decides between two classes",
            f"{labels.min()} to {labels.max()}",
            "give the data set the network was trained on",
        )
