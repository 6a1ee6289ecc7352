"""The images of a run without --data: the network's own where they are found, or random ones."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.ann.pixels import expected_range
from eventsnn.data.classes import as_classes
from eventsnn.data.images import Images, as_vectors, check_images, load_images
from eventsnn.data.kinds import SPLITS
from eventsnn.exceptions import InputError
from eventsnn.files.cache import root as cache_root
from eventsnn.settings import Settings

VARIABLE = "EVENTSNN_DATA"
BUNDLED = "Fashion-MNIST"  # what the bundled images are part of
BUNDLED_CLASSES = ("T-shirt/top", "Trouser", "Pullover")  # the first of its classes
RANDOM = 64  # images, without --limit
TRIED = 16  # of a data set, to see whether it fits
MOST = 100  # data sets in a folder that are looked at
SMOOTH = 0.06  # cycles a pixel: the width of what random noise is filtered with


def data_of(graph: Graph, settings: Settings) -> tuple[str | None, str]:
    """(the data set of a run, None for random images; what to say of it, or "").

    It is --data, where that is given; "sample" for the bundled network, and for those that say that
    they were trained on its data set; what the variable EVENTSNN_DATA names, if it fits; or what is
    in the user's cache, folder `data`, if it fits and the network names it or has its classes.

    graph: the ANN. settings: of the run.
    """
    if settings.data is not None:
        return settings.data, ""
    if settings.net == "sample":
        return "sample", ""
    classes = tuple(graph.meta.get("classes", ()))
    said = BUNDLED in _words(graph) or classes[: len(BUNDLED_CLASSES)] == BUNDLED_CLASSES
    if said and not _unfit(graph, "sample", settings):
        return "sample", "no --data: the bundled images, as the network was trained on such"
    given, why = os.environ.get(VARIABLE), ""
    if given:
        why = _unfit(graph, given, settings)
        if not why:
            return given, f"no --data: {given}, as {VARIABLE} says"
    for folder in _folders(given):
        for path in _inside(folder):
            if _is_own(graph, path, settings):
                return str(path), f"no --data: {path}, which fits what the network says of itself"
    count, seed = settings.limit or RANDOM, settings.seed
    low, high = expected_range(graph.preprocessing)
    found = f"{VARIABLE} does not fit: {why}" if why else f"none in {VARIABLE} or the cache"
    return None, (
        f"NO DATA: --data is not given, {found}; {count:,} smooth RANDOM images (seed {seed}, "
        f"pixels {low:g} to {high:g}) take its place, others for calibration: rates, agreement "
        "with the ANN and costs, but no accuracy; give --data for that"
    )


def places(settings: Settings) -> list[Path]:
    """What `data_of` may look at without --data: files and folders, whether they are there or not.

    settings: of the run; the bundled network looks nowhere.
    """
    if settings.net == "sample":
        return []
    given = os.environ.get(VARIABLE)
    return list(_folders(given))


def random_images(graph: Graph, count: int, seed: int, split: str = "test") -> Images:
    """Smooth random images without labels: uniform noise, its high frequencies filtered out.

    graph: the ANN, for its input's shape and the range of pixels that its preprocessing expects.
    count: how many. seed: of the noise. split: "train" or "test", which have different images.
    """
    noise = np.random.default_rng([seed, SPLITS.index(split)]).random((count, *graph.input_shape))
    height, width = graph.input_shape[1:]
    if height * width > 1:
        across = np.fft.rfftfreq(width)[None] ** 2 + np.fft.fftfreq(height)[:, None] ** 2
        passed = np.exp(-across / (2 * SMOOTH**2))
        for k, image in enumerate(noise):
            noise[k] = np.fft.irfft2(np.fft.rfft2(image) * passed, s=(height, width))
    least = noise.min(axis=(1, 2, 3), keepdims=True)
    spread = noise.max(axis=(1, 2, 3), keepdims=True) - least
    low, high = expected_range(graph.preprocessing)
    pixels = low + (high - low) * (noise - least) / np.maximum(spread, 1e-12)
    whole = high == 255
    pixels = np.round(pixels).astype(np.uint8) if whole else pixels.astype(np.float32)
    name = f"random images, seed {seed}"
    return Images(name, split, np.arange(count, dtype=np.int64), pixels, None, ())


def _words(graph: Graph) -> str:
    """What the network's file says of itself, in one text."""
    return " ".join(str(graph.meta.get(key, "")) for key in ("arch", "note", "data"))


def how_of(graph: Graph, settings: Settings, split: str) -> dict[str, Any]:
    """How `load_images` is to read what settings name, name of an argument -> value.

    graph: the ANN, whose input has channels. settings: of the run. split: "train" or "test".
    """
    channels = graph.input_shape[0]
    return {
        "split": split,
        "resize": settings.resize,
        "crop": settings.crop,
        "channels": channels if channels in (1, 3) else None,
    }


def _unfit(graph: Graph, data: str, settings: Settings) -> str:
    """Why a data set is not the network's, or ""."""
    split = settings.split
    try:
        images = load_images(data, limit=TRIED, **how_of(graph, settings, split))
        images, _ = as_vectors(graph, as_classes(graph, images)[0])
        check_images(graph, images.pixels, images.labels, data)
    except InputError as error:
        return error.flags
    outputs = max(2, int(np.prod(graph.shapes[graph.output])))  # one decides between two classes
    if images.classes and len(images.classes) != outputs:
        return f"{data} has {len(images.classes):,} classes, the network {outputs:,}"
    own = tuple(graph.meta.get("classes", ()))
    if own and images.classes and own != tuple(images.classes):
        return f"{data} has other classes than the network says"
    return ""


def _is_own(graph: Graph, path: Path, settings: Settings) -> bool:
    """Whether a data set fits the network, which names it or has its classes."""
    name = re.sub(r"batches|binary|\bbin\b", "", path.stem.lower())
    parts = "[-_ ]?".join(re.findall("[a-z]+|[0-9]+", name))
    # "mnist" is not named by Fashion-MNIST, nor cifar10 by CIFAR-100
    pattern = rf"(?<![-_0-9a-z])(?<!fashion ){parts}(?!\d)"
    named = len(name) > 3 and re.search(pattern, _words(graph).lower()) is not None
    own = tuple(graph.meta.get("classes", ()))
    if not named and not own:
        return False
    if _unfit(graph, str(path), settings):
        return False
    images = load_images(path, limit=1, **how_of(graph, settings, settings.split))
    return named or tuple(images.classes) == own


def _folders(given: str | None) -> Iterator[Path]:
    """The folders in which data sets are looked for. given: what the variable says."""
    if given:
        yield Path(given)
    with suppress(RuntimeError):  # a user without a home
        yield cache_root() / "data"


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, in order; nothing where it cannot be read."""
    try:
        return sorted(folder.iterdir())[:MOST]
    except OSError:
        return []
