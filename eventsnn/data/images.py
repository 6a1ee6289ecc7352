"""Image sets: a path is recognised by what it holds and read as raw pixels and labels.

Only the records that are asked for are read. Every fault of a file is an `InputError` that names
it.
"""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path

import h5py
import numpy as np

from eventsnn.data import formats as imagefiles
from eventsnn.data.formats import CONVERT, PICKLE, Window
from eventsnn.exceptions import InputError, one_line

SPLITS = ("train", "test")
PHOTOS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class Images:
    """N raw images of one split, before preprocessing.

    Attributes: `name` (what to call the set), `split` ("train" or "test"), `indices` (int64 [N],
    positions within the split), `pixels` (uint8 or float32 [N, C, H, W]), `labels` (int64 [N], or
    None when the source has none), `classes` (class names, () when unknown).
    """

    name: str
    split: str
    indices: np.ndarray
    pixels: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]

    def __len__(self):
        return len(self.pixels)

    def __repr__(self):
        labels = (
            "no labels"
            if self.labels is None
            else f"labels {self.labels.min()} to {self.labels.max()}"
        )
        size = "x".join(map(str, self.pixels.shape[1:]))
        return f"<Images {self.name} ({self.split}): {len(self):,} of {size} {self.pixels.dtype}, {labels}>"

    def take(self, positions):
        """The images at `positions` (integers [M], counted from 0 within these images), in that
        order.
        """
        positions = np.asarray(positions)
        where = f"{self.name}: positions"
        if positions.ndim != 1 or not positions.size or positions.dtype.kind not in "iu":
            raise InputError(
                where,
                "one or more integers [M]",
                f"{positions.dtype} {list(positions.shape)}",
                "give a flat list of integers",
            )
        if positions.min() < 0 or positions.max() >= len(self):
            raise InputError(
                where,
                f"0 to {len(self) - 1}",
                f"{positions.min()} to {positions.max()}",
                "count from 0 within these images",
            )
        labels = None if self.labels is None else self.labels[positions]
        return Images(
            self.name,
            self.split,
            self.indices[positions],
            self.pixels[positions],
            labels,
            self.classes,
        )


def load_images(spec, *, split="test", limit=None, offset=0):
    """The images from `offset` on, at most `limit` of them, of a split, as `Images`.

    `spec` is "sample" (the bundled set) or a path, recognised by content:
    - a folder in CIFAR's binary layout (data_batch_*.bin and test_batch.bin, or train.bin and
      test.bin), or one such file; records of 3,073 bytes are CIFAR-10, of 3,074 CIFAR-100 (fine
      labels);
    - a folder of IDX files (MNIST), gzipped or not, or one IDX images file with its labels beside
      it;
    - an .npz or HDF5 file with x_train, y_train, x_test, y_test; or train/images, train/labels and
      so on; or, without splits, images and labels, or x and y.

    One CIFAR or IDX file has the split its name tells ("train", "data_batch", "test", "t10k"),
    whatever `split` says; where nothing tells, the split is the one asked for. Indices count from
    the start of what `spec` names. Arrays are [N, H, W], [N, C, H, W] or [N, H, W, C]: the last
    when the last axis is 1 or 3 and the second is neither. Pixels are uint8 or finite floats, which
    become float32; labels are whole numbers [N] or [N, 1], or one-hot [N, K].

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


def _read(path, name, split, window):
    with imagefiles.reading(path):
        if path.is_dir():
            read, paths = _recognise_folder(path, split)
        elif path.is_file():
            read, paths = _recognise_file(path), [path]
            if read in (imagefiles.read_cifar, imagefiles.read_idx):
                split = _own_split(path.name) or split
        else:
            raise InputError(
                path,
                "a file or folder",
                "something else" if path.exists() else "nothing there",
                "check the path; the bundled set is called sample",
            )
        pixels, labels, classes = read(paths, window, split)
    indices = np.arange(window.offset, window.offset + len(pixels), dtype=np.int64)
    return Images(name, split, indices, pixels, labels, classes)


def _recognise_folder(path, split):
    """(reader, paths of the split's files) of a folder."""
    names = sorted(os.listdir(path))
    for read, files in (
        (imagefiles.read_cifar, _find_cifar(names, path)),
        (imagefiles.read_idx, _find_idx(names)),
    ):
        if files[split]:
            return read, [path / name for name in files[split]]
        if any(files.values()):
            raise InputError(
                path, f"files of the split {split}", ", ".join(names), "ask for the other split"
            )
    for name in "test_batch", "data_batch_1", "test", "train":
        if (path / name).is_file() and imagefiles.is_pickle(imagefiles.peek(path / name, 2)):
            raise InputError(path / name, *PICKLE)
    if any(
        name.lower().endswith(PHOTOS)
        for _, _, files in islice(os.walk(path), 100)
        for name in files
    ):
        raise InputError(
            path,
            "images in arrays",
            "image files in folders",
            f"{CONVERT}, labels by sorted folder name",
        )
    raise InputError(
        path,
        "CIFAR .bin files or IDX files",
        ", ".join(names[:8]) or "an empty folder",
        "give the folder that holds them, or an .npz or HDF5 file itself",
    )


def _find_cifar(names, where):
    """Split -> names of its files in CIFAR's binary layout, in order."""
    matches = [re.fullmatch(r"data_batch_([1-9][0-9]*)\.bin", name) for name in names]
    numbers = sorted(int(match[1]) for match in matches if match)
    if numbers and numbers[-1] != len(numbers):
        raise InputError(
            where,
            f"data_batch_1.bin to data_batch_{numbers[-1]}.bin",
            f"only {numbers}",
            "complete the folder: with a gap the positions of the images shift",
        )
    train = [f"data_batch_{n}.bin" for n in numbers] or [n for n in names if n == "train.bin"]
    return {"train": train, "test": [n for n in ("test_batch.bin", "test.bin") if n in names][:1]}


def _find_idx(names):
    """Split -> names of its IDX images files; a gzipped file beside its unpacked twin is left
    out.
    """
    images = [
        n
        for n in names
        if "images" in n and "idx" in n and not (n.endswith(".gz") and n[:-3] in names)
    ]
    return {split: [n for n in images if _own_split(n) == split] for split in SPLITS}


def _own_split(name):
    """The split that the name of a single file tells, or None."""
    name = name.lower()
    if "train" in name or name.startswith("data_batch"):
        return "train"
    return "test" if "test" in name or "t10k" in name else None


def _recognise_file(path):
    """The reader of a file, by its first bytes and its size."""
    head = imagefiles.peek(path, 512)
    if head[:2] == b"PK":
        return imagefiles.read_npz
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as stream:
            if stream.read(512)[257:262] == b"ustar":
                raise InputError(
                    path, "images", "a packed archive", "unpack it and give the folder"
                )
        return imagefiles.read_idx
    if imagefiles.is_pickle(head):
        raise InputError(path, *PICKLE)
    # A CIFAR file may begin like an IDX file (label 0, dark pixels): the size decides.
    if head[:2] == b"\0\0" and (imagefiles.fits_idx(path) or not imagefiles.cifar_format(path)):
        return imagefiles.read_idx
    if h5py.is_hdf5(path):
        return imagefiles.read_hdf5
    if (
        head.startswith((b"\x93NUMPY", b"\x89PNG", b"\xff\xd8\xff", b"GIF8"))
        or head[257:262] == b"ustar"
    ):
        raise InputError(path, "an .npz, HDF5, IDX or CIFAR file", "another kind of file", CONVERT)
    return imagefiles.read_cifar


def check_images(graph, pixels, labels=None, where="images"):
    """Raise InputError unless raw pixels (and labels) fit the graph."""
    expected = tuple(graph.input_shape)
    if getattr(pixels, "ndim", 0) != 4 or tuple(pixels.shape[1:]) != expected or not len(pixels):
        raise InputError(
            where,
            f"one or more images of shape [C, H, W] = {list(expected)} for {graph.source}",
            f"an array of shape {list(getattr(pixels, 'shape', ()))}",
            "give images of the size the network was trained on",
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(where, "finite pixels", "NaN or infinity")
    if labels is None:
        return
    classes = int(np.prod(graph.shapes[graph.output]))
    if len(labels) != len(pixels):
        raise InputError(where, f"{len(pixels)} labels", len(labels))
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            where,
            f"labels from 0 to {classes - 1}, the outputs of {graph.source}",
            f"{labels.min()} to {labels.max()}",
            "give the data set the network was trained on",
        )


def pixel_range(pixels):
    """(lowest, highest) raw pixel: of the type for whole numbers, of the given images for floating
    point.
    """
    if pixels.dtype.kind in "iu":
        return np.iinfo(pixels.dtype).min, np.iinfo(pixels.dtype).max
    return float(pixels.min()), float(pixels.max())
