"""Images and labels in the forms that people have in Python, as a network takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from os import PathLike
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.ann.graph import Graph
from eventsnn.arguments import OWN, checked
from eventsnn.data.arrays import to_labels
from eventsnn.data.classes import as_classes
from eventsnn.data.formats import check_size
from eventsnn.data.images import Images, as_vectors, check_images
from eventsnn.exceptions import InputError
from eventsnn.values import as_array, shown

# what `accept` makes of both is told there
GivenImages = Annotated[Images | NDArray[Any] | Iterable[Any], OWN]
GivenLabels = Annotated[NDArray[Any] | Iterable[Any] | None, OWN]
FORMS = "Images, raw pixels [N, C, H, W], or batches of (pixels, labels)"


class Accepted(NamedTuple):
    """Images that fit a network.

    images: `Images`, or raw pixels. pixels: raw, [N, C, H, W]. labels: int64 [N], or None. numbers:
    int64 [N], the images' positions in their data set. note: what was done to them, or "".
    """

    images: Any
    pixels: NDArray[Any]
    labels: NDArray[np.int64] | None
    numbers: NDArray[np.int64]
    note: str


@checked
def accept(
    graph: Graph,
    images: GivenImages,
    labels: GivenLabels = None,
    *,
    labelled: bool = True,
    where: str = "images",
) -> Accepted:
    """Images and labels as a graph takes them.

    graph: the ANN. images: `Images`; raw pixels [N, C, H, W] or [N, H, W, C], [N, H, W] of one
    channel, or one image without its first axis, as an array, nested lists, a tensor of any package
    and device, or pictures; or what gives batches of pixels, or pairs of pixels and labels, such as
    a DataLoader or a data set of torch, of 4 GiB at most. A network on vectors takes what
    `as_vectors` says. labels: of images that bring none, see `labels_in`. labelled: whether labels
    matter; otherwise those that come with images are left alone. where: what to call the images.

    Raises InputError for anything else, for images that do not fit, and for labels beside images
    that have their own.
    """
    given: Any = images
    notes: list[str] = []
    if isinstance(images, Images):
        notes.append(images.note)
        if labelled and labels is None:
            given, named = as_classes(graph, images)
            notes.append(named)
        own: Any = given.labels
    else:
        given, own = _pixels_of(images, where)
    if labels is not None and own is not None:
        expected = "none, as the images bring labels of their own"
        do = "leave labels out, or give the pixels alone"
        raise InputError("labels", expected, shown(labels), do)
    fitting, laid = _laid_out(graph, given)
    fitting, flat = as_vectors(graph, fitting)
    pixels = getattr(fitting, "pixels", fitting)
    check_images(graph, pixels, where=where)
    notes += [laid, flat]
    found = None
    if labelled and (labels is not None or own is not None):
        found, said = labels_in(graph, own if labels is None else labels, len(pixels))
        notes.append(said)
    if found is not None and is_map(graph) and labels is None:
        found = None  # a map has no classes, whatever the images bring
    if found is not None:
        check_images(graph, pixels, found, where if labels is None else "labels")
    numbers = getattr(fitting, "indices", np.arange(len(pixels)))
    return Accepted(fitting, pixels, found, numbers, "; ".join(filter(None, notes)))


@checked
def labels_in(
    graph: Graph, labels: GivenLabels, count: int
) -> tuple[NDArray[np.int64] | None, str]:
    """(the classes of images, int64 [N]; what to say of how they were read, or "").

    graph: whose classes. labels: whole numbers [N] or [N, 1], or one-hot [N, K], as an array, a
    list or a tensor; not read for an output that is a map. count: N. Raises InputError for anything
    else.
    """
    array = as_array(labels)
    if array is None or array.ndim == 0 or array.dtype.kind not in "iufb":
        expected = "whole numbers, one for each image, or one-hot rows"
        raise InputError("labels", expected, shown(labels))
    if is_map(graph):
        return np.zeros(0, np.int64), ""  # who asks says that a map has none
    classes = max(graph.shapes[graph.output][0], 2)  # one output decides between two
    columns = array.shape[1] if array.ndim == 2 else 1
    if columns not in (1, classes):
        expected = f"one-hot labels of {classes} classes"
        raise InputError("labels", expected, f"{columns} columns", "give labels [N]")
    found = to_labels(array, count, "labels")
    if array.ndim == 2 and columns == 1 and (found == 1).all():
        return found, "labels [N, 1], all of them 1, are taken as class 1, not as one-hot"
    return found, ""


def _pixels_of(images: Any, where: str) -> tuple[NDArray[Any], Any]:
    """(pixels of any shape, labels or None) of what is no `Images`."""
    array = as_array(images)
    if array is not None and array.ndim and array.dtype.kind in "biuf":
        return array, None
    batches = None if array is not None else _batches(images)
    if batches is None:
        path = isinstance(images, (str, PathLike))
        do = "eventsnn.load_images reads files and folders" if path else ""
        raise InputError(where, FORMS, shown(images), do)
    return _gathered(batches, where)


def _batches(given: Any) -> Iterator[Any] | None:
    """What a loader or a data set gives, one after the other; None for what is neither."""
    if isinstance(given, (str, bytes, PathLike, Mapping, type, np.ndarray)):
        return None
    if hasattr(given, "__iter__"):
        return iter(given)
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        return (given[i] for i in range(len(given)))
    return None


def _gathered(batches: Iterator[Any], where: str) -> tuple[NDArray[Any], Any]:
    """(all pixels, all labels or None) of batches, or of single images."""
    pixels: list[NDArray[Any]] = []
    labels: list[NDArray[Any]] = []
    size = 0
    for place, batch in enumerate(batches):
        x, y = _pair(batch)
        if x is None or x.ndim < 1 or x.dtype.kind not in "biuf":
            raise InputError(f"{where}: batch {place}", "pixels, or (pixels, labels)", shown(batch))
        alone = y.ndim == 0 if y is not None else x.ndim == 3
        pixels.append(x[None] if alone else x)
        if y is not None:
            labels.append(y[None] if alone else y)
        size += x.nbytes
        check_size(size, where)
        if pixels[-1].shape[1:] != pixels[0].shape[1:] or len(labels) not in (0, len(pixels)):
            expected = f"pixels of shape {list(pixels[0].shape[1:])} as in the first, and labels "
            expected += "in all batches or in none"
            raise InputError(f"{where}: batch {place}", expected, shown(batch))
    if not pixels:
        raise InputError(where, "one or more images", "none", "a generator gives its images once")
    try:
        return np.concatenate(pixels), np.concatenate(labels) if labels else None
    except ValueError:
        shapes = sorted({y.shape[1:] for y in labels})
        raise InputError(f"{where}: labels", "one shape in all batches", shapes) from None


def _pair(batch: Any) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """(pixels, labels) of a batch; None for what is not there."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        x, y = as_array(batch[0]), as_array(batch[1])
        if x is not None and y is not None and y.ndim < x.ndim and y.dtype.kind in "biuf":
            return x, y
    return as_array(batch), None


def _laid_out(graph: Graph, images: Any) -> tuple[Any, str]:
    """(images with the axes [N, C, H, W] where a graph tells them; what was done, or "")."""
    pixels = getattr(images, "pixels", images)
    shape, fits = pixels.shape, tuple(graph.input_shape)
    c, h, w = fits
    changed, done = pixels, ""
    if (h, w) == (1, 1) and c > 1:  # a network on vectors
        channels_last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
        if math.prod(shape[1:]) == c and channels_last:
            changed = np.moveaxis(pixels, 3, 1)
        elif len(shape) == 3 and math.prod(shape[1:]) == c:
            changed = pixels[:, None]
        elif shape == (c,):
            changed, done = pixels[None], "one image"
    elif len(shape) == 4 and shape[1:] != fits and shape[1:] == (h, w, c):
        changed, done = np.moveaxis(pixels, 3, 1), "images have their channels last"
    elif shape == fits:
        changed, done = pixels[None], "one image"
    elif len(shape) == 3 and c == 1 and shape[1:] == (h, w):
        changed = pixels[:, None]
    elif shape == (h, w, c):
        changed, done = np.moveaxis(pixels, 2, 0)[None], "one image, its channels last"
    if changed is pixels:
        return images, ""
    changed = np.ascontiguousarray(changed)
    return (replace(images, pixels=changed) if isinstance(images, Images) else changed), done
