"""What settings name, for runs and studies: network, images, calibration images, thresholds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.ann.graph import Graph, with_preprocessing
from eventsnn.ann.pixels import misfit
from eventsnn.data.classes import as_classes
from eventsnn.data.images import Images, as_vectors, check_images, load_images
from eventsnn.data.ranges import checked, range_of
from eventsnn.exceptions import InputError
from eventsnn.inputs.given import Given
from eventsnn.inputs.recorded import load_recorded, of_events, without_preprocessing
from eventsnn.inputs.without import RANDOM, data_of, how_of, random_images
from eventsnn.network import thresholds
from eventsnn.network.convert import convert
from eventsnn.network.network import Network
from eventsnn.network.own import own_words
from eventsnn.readers import load
from eventsnn.settings import Settings

CHECKED_IMAGES = 8
EXPORT_AGAIN = "export or download the network again"


@contextmanager
def advice(do: str) -> Iterator[None]:
    """In its block, wrong input says what to do: its own advice, or else `do`."""
    try:
        yield
    except InputError as error:
        if error.do:
            raise error from None
        raise InputError(error.where, error.expected, error.found, do) from None


def load_inputs(settings: Settings, any_range: bool = False) -> tuple[Graph, Images, list[str]]:
    """The network and the images that the settings name, and what to say of these.

    settings: without --data, the images are the network's own, or random (`inputs.without`).
    any_range: whether pixels outside the range that is expected are let pass. What is said: where
    images are from, how they were flattened, whether their pixels fit, and that labels are left out
    where the output is a map. Raises InputError for files that cannot be read,
    and for images that do not fit the network.
    """
    graph = load_graph(settings)
    images, notes = load_part(graph, settings, settings.limit, any_range=any_range)
    return graph, images, notes


def load_graph(settings: Settings) -> Graph:
    """The network that the settings name, with its preprocessing; as events see it for recordings.

    settings: of the run. Raises InputError for a file that cannot be read.
    """
    with advice(f"{EXPORT_AGAIN}, or give another --net"):
        graph = with_preprocessing(
            load(settings.net, settings.arch, output=settings.output),
            settings.input_scale,
            settings.input_mean,
            settings.input_std,
            None if settings.input_channels is None else settings.input_channels == "reversed",
        )
    with advice("repair the data, or give another --data"):
        return without_preprocessing(graph, settings) if of_events(settings) else graph


def load_part(
    graph: Graph,
    settings: Settings,
    limit: int | None,
    offset: int = 0,
    any_range: bool = False,
) -> tuple[Images, list[str]]:
    """Some of the images that the settings name, as the network takes them, and what to say.

    graph: of `load_graph`. settings: of the run. limit: how many at most (None: to the end).
    offset: the position of the first. any_range, what is said and raised: as in `load_inputs`.
    """
    with advice("repair the data, or give another --data"):
        data, origin = data_of(graph, settings)
        images = _load(graph, settings, settings.split, limit, offset)
        images, named = as_classes(graph, images)
        images, flattened = (images, "") if of_events(settings) else as_vectors(graph, images)
        told = ""
        if is_map(graph):
            shape = "x".join(map(str, graph.shapes[graph.output]))
            told = f"the output is a map of {shape}, without classes: there is no accuracy"
            images = replace(images, labels=None)
        check_images(graph, images.pixels, images.labels, f"--data {data}")
        if not any_range:
            range_of(graph, images, settings.pixel_range or None, f"--data {data}")
        if settings.pixel_range:
            images = replace(images, pixel_range=checked(settings.pixel_range))
    notes = (
        own_words(graph),
        origin,
        images.note,
        named,
        flattened,
        told,
        "" if of_events(settings) else misfit(graph.preprocessing, images.pixels),
    )
    return images, [note for note in notes if note]


def _load(
    graph: Graph, settings: Settings, split: str, limit: int | None, offset: int = 0
) -> Images:
    """Images of a run's data set, or random ones where it has none.

    split: "train" or "test". limit: how many at most; None: all, or 64 random ones. offset: the
    position of the first.
    """
    if of_events(settings):
        return load_recorded(graph, settings, split, limit, offset)
    data, _ = data_of(graph, settings)
    if data is not None:
        how = how_of(graph, settings, split)
        return load_images(data, limit=limit, offset=offset, **how)
    for name in ("resize", "crop"):
        if getattr(settings, name):
            do = f"give --data a folder of them, or leave --{name} out"
            raise InputError(f"--{name}", "PNG and JPEG files", "random images", do)
    images = random_images(graph, offset + (limit or RANDOM), settings.seed, split)
    return images.take(np.arange(offset, len(images)))


def calibration_pixels(
    graph: Graph, images: Images, settings: Settings, given: Given | None = None
) -> tuple[NDArray[Any], str, bool]:
    """(raw pixels [N, C, H, W], where they are from, whether they are needed) for calibration.

    They are needed where a threshold is found on them. Where there are none and none are needed,
    the pixels are random and come from "none". graph: the ANN. images: those to run, for their
    range of pixels. settings: of the conversion. given: the thresholds, where a file gives them.
    Raises InputError where calibration images are needed, or asked for, and missing.
    """
    rule: thresholds.Thresholds = given.thresholds if given else settings.thresholds
    with _as_option(given):
        needed = thresholds.needs_calibration(graph, rule, settings.readout)
    try:
        calibration = load_calibration(graph, settings)
    except InputError as error:
        if needed or settings.calibration is not None:
            where = f"--calibration {settings.calibration or 'train:0-127'}: {error.where}"
            raise InputError(where, error.expected, error.found, error.do) from None
        low, high = range_of(graph, images).ends
        shape = (CHECKED_IMAGES, *graph.input_shape)
        random = np.random.default_rng(settings.seed).uniform(low, high, shape)
        return random.astype(np.float32), "none", needed
    split = f"{calibration.name} {calibration.split}"
    where = f"{split}:{calibration.indices[0]}-{calibration.indices[-1]}"
    return calibration.pixels, where, needed


def _other(last: int) -> str:
    """What to do without images to calibrate on. last: the position of the last that there is."""
    return (
        "give --data with a train split, or say which images to use: "
        f"--calibration test:0-{last} calibrates on the test images"
    )


def load_calibration(graph: Graph, settings: Settings) -> Images:
    """The calibration images that the settings name.

    graph: the ANN that they must fit. Raises InputError unless they are all there and, by default,
    are no test images.
    """
    split, first, last = settings.calibration_range
    try:
        images = _load(graph, settings, split, last - first + 1, first)
    except InputError as error:
        raise InputError(error.where, error.expected, error.found, _other(last)) from None
    do = _other(min(last, max(0, len(images) - 1)))
    expected = f"a {split} split"
    if images.split != split:
        raise InputError("--data", expected, f"{images.split} images", do)
    if settings.calibration is not None and len(images) <= last - first:
        count = f"{last + 1:,} images in its {split} split"
        raise InputError("--data", count, f"{first + len(images):,}", "ask for fewer")
    if split != settings.split and _are_tested(graph, images, first, settings):
        raise InputError("--data", expected, "the same images, whatever the split", do)
    if not of_events(settings):
        images, _ = as_vectors(graph, images)
    check_images(graph, images.pixels, where="--data")
    return images


def _are_tested(graph: Graph, images: Images, first: int, settings: Settings) -> bool:
    """Whether these images, from position `first` on, are also those of the split to run."""
    count = min(len(images), CHECKED_IMAGES)
    try:
        tested = _load(graph, settings, settings.split, count, first)
    except InputError:  # a smaller split, so another one
        return False
    return np.array_equal(tested.pixels, images.pixels[:count])


def converted(
    graph: Graph, pixels: NDArray[Any], settings: Settings, given: Given | None = None
) -> Network:
    """The spiking network that the settings ask for.

    graph: the ANN. pixels: raw calibration images [N, C, H, W]. settings: of the conversion. given:
    the thresholds, where a file gives them. Raises InputError where the network has no spiking
    form, and where thresholds do not fit it.
    """
    with _as_option(given):
        network = convert(
            graph,
            thresholds=given.thresholds if given else settings.thresholds,
            percentile=settings.percentile,
            calibration=pixels,
            dead=settings.dead,
            steps=settings.steps_of_rule,
            threshold_scale=settings.threshold_scale,
            max_pooling=settings.max_pooling,
            residual=settings.residual,
            readout=settings.readout,
        )
    return replace(network, thresholds=given.words) if given else network


@contextmanager
def _as_option(given: Given | None) -> Iterator[None]:
    """In its block, `thresholds` is called as on the command line. given: the file, or None."""
    try:
        yield
    except InputError as error:
        found = re.fullmatch(r"thresholds($|:.*| '.*)", error.where)
        if found is None:
            raise
        where = "--thresholds" + (f" {given.path}" if given else "") + found.group(1)
        expected, told, do = error.expected, error.found, error.do
        raise InputError(where, expected, told, do, error.limit) from None
