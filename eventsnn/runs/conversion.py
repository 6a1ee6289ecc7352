"""The converted network of a run: its calibration images, and how far it is from the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images, check_images, load_images, pixel_range
from eventsnn.exceptions import InputError
from eventsnn.network import check, thresholds
from eventsnn.network.convert import convert
from eventsnn.network.network import Network
from eventsnn.runs.given import Given
from eventsnn.runs.say import Say
from eventsnn.settings import Settings

CHECKED_IMAGES = 8
EXPORT_AGAIN = "export the network again"


def convert_checked(
    graph: Graph, images: Images, settings: Settings, say: Say, given: Given | None = None
) -> tuple[Network, str]:
    """(the converted network, the calibration images in words); says how far it is from the graph.

    graph: the ANN. images: those to run, for their range of pixels. settings: of the conversion.
    say: where words go. given: the thresholds, where a file gives them. Raises InputError where the
    network has no spiking form, where thresholds do not fit it, or calibration images are needed
    and missing.
    """
    rule: thresholds.Thresholds = given.thresholds if given else settings.thresholds
    with _as_option(given):
        needed = thresholds.needs_calibration(graph, rule, settings.readout)
    pixels, name = calibration_pixels(graph, images, settings, needed)
    checked = pixels[:CHECKED_IMAGES]
    with np.errstate(all="ignore"):
        check_finite(graph, checked)
    with _as_option(given):
        network = convert(
            graph,
            thresholds=rule,
            percentile=settings.percentile,
            calibration=pixels,
            dead=settings.dead,
            max_pooling=settings.max_pooling,
            residual=settings.residual,
            readout=settings.readout,
        )
    if given:
        network = replace(network, thresholds=given.words)
    worst, where = check.check(network, checked)
    for note in network.notes:
        say(f"note: {note}")
    say(
        f"conversion: {len(network.spiking)} layers, {network.neurons:,} neurons, "
        f"{network.synapses:,} synapses; thresholds {network.thresholds}"
        + (f", found on {name}" if needed else "")
    )
    kind = "random images" if name == "none" else f"images of {name}"
    say(
        f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value "
        f"(layer {where}; on {len(checked)} {kind})"
    )
    return network, name


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


def calibration_pixels(
    graph: Graph, images: Images, settings: Settings, needed: bool
) -> tuple[NDArray[Any], str]:
    """(raw pixels [N, C, H, W], where they are from) of the calibration images.

    Where there are none and none are needed, the pixels are random and come from "none". graph: the
    ANN. images: those to run, for their range of pixels. settings: of the conversion. needed:
    whether a threshold is found on them. Raises InputError where calibration images are needed, or
    asked for, and missing.
    """
    try:
        calibration = load_calibration(graph, settings)
    except InputError as error:
        if needed or settings.calibration is not None:
            where = f"--calibration {settings.calibration or 'train:0-127'}: {error.where}"
            raise InputError(where, error.expected, error.found, error.do) from None
        low, high = pixel_range(images.pixels)
        shape = (CHECKED_IMAGES, *graph.input_shape)
        random = np.random.default_rng(settings.seed).uniform(low, high, shape)
        return random.astype(np.float32), "none"
    split = f"{calibration.name} {calibration.split}"
    return calibration.pixels, f"{split}:{calibration.indices[0]}-{calibration.indices[-1]}"


def check_finite(graph: Graph, pixels: NDArray[Any]) -> None:
    """Raises InputError if the ANN's numbers overflow, as they do with damaged weights.

    graph: the ANN. pixels: raw images [N, C, H, W] on which it is tried.
    """
    for image in graph.preprocessing(pixels):
        outputs = ann.forward(graph, image[None], keep=(graph.input, *graph.by_name))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                where = f"{graph.source}: node {name!r}"
                do = f"weights, thresholds or preprocessing are damaged: {EXPORT_AGAIN}"
                raise InputError(where, "outputs that float32 can hold", "infinity or NaN", do)


def load_calibration(graph: Graph, settings: Settings) -> Images:
    """The calibration images that the settings name.

    graph: the ANN that they must fit. Raises InputError unless they are all there and, by default,
    are no test images.
    """
    split, first, last = settings.calibration_range
    do = (
        "give --data with a train split, or say which images to use: "
        "--calibration test:0-127 calibrates on the test images"
    )
    try:
        images = load_images(settings.data, split=split, limit=last - first + 1, offset=first)
    except InputError as error:
        raise InputError(error.where, error.expected, error.found, do) from None
    expected = f"a {split} split"
    if images.split != split:
        raise InputError("--data", expected, f"{images.split} images", do)
    if settings.calibration is not None and len(images) <= last - first:
        count = f"{last + 1:,} images in its {split} split"
        raise InputError("--data", count, f"{first + len(images):,}", "ask for fewer")
    if split != settings.split and _are_tested(images, first, settings):
        raise InputError("--data", expected, "the same images, whatever the split", do)
    check_images(graph, images.pixels, where="--data")
    return images


def _are_tested(images: Images, first: int, settings: Settings) -> bool:
    """Whether these images, from position `first` on, are also those of the split to run."""
    count = min(len(images), CHECKED_IMAGES)
    try:
        tested = load_images(settings.data, split=settings.split, limit=count, offset=first)
    except InputError:  # a smaller split, so another one
        return False
    return np.array_equal(tested.pixels, images.pixels[:count])
