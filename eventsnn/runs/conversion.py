"""The converted network of a run: its calibration images, and how far it is from the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.exceptions import InputError
from eventsnn.inputs.given import Given
from eventsnn.inputs.loading import CHECKED_IMAGES, EXPORT_AGAIN, calibration_pixels, converted
from eventsnn.network import check
from eventsnn.network.network import Network
from eventsnn.runs.copies import begun
from eventsnn.runs.say import Say
from eventsnn.settings import Settings

AT_ONCE = 2**22  # values of all nodes that are held at a time
CHECKED = 2**26  # of all images that are checked, but for one
BESIDE = 2**24  # and of those that are checked while the run goes on


def convert_checked(
    graph: Graph,
    images: Images,
    settings: Settings,
    say: Say,
    given: Given | None = None,
    locks: Sequence[int] = (),
) -> tuple[Network, str, Callable[[], None]]:
    """(the converted network, the calibration images in words, what says how far it is from graph).

    The last waits for the comparison, which a copy of this process makes where it takes little
    memory. graph: the ANN. images: those to run, for their range of pixels. settings: of the
    conversion. say: where words go. given: the thresholds, where a file gives them. locks: open
    files that the copy is not to hold. Raises InputError where the network has no spiking form,
    where thresholds do not fit it, or calibration images are needed and missing.
    """
    pixels, name, needed = calibration_pixels(graph, images, settings, given)
    checked = pixels[: _how_many(graph)]
    with np.errstate(all="ignore"):
        check_finite(graph, checked)
    network = converted(graph, pixels, settings, given)
    compare = partial(check.check, network, checked)
    beside = len(checked) * _values(graph) <= BESIDE
    wait = begun(compare, *locks) if beside else partial(tuple, compare())
    for note in network.notes:
        say(f"note: {note}")
    say(
        f"conversion: {len(network.spiking)} layers, {network.neurons:,} neurons, "
        f"{network.synapses:,} synapses; thresholds {network.thresholds}"
        + (f", found on {name}" if needed else "")
    )
    which = "changed" if network.changed else "loaded"
    kind = "random images" if name == "none" else f"images of {name}"

    def tell() -> None:
        worst, where = wait()
        say(
            f"check: converted and {which} ANN differ by at most {worst:.1e} of a layer's largest "
            f"value (layer {where}; on {len(checked)} {kind})"
        )

    return network, name, tell


def _values(graph: Graph) -> int:
    """How many values all nodes have for one image."""
    return sum(int(np.prod(shape)) for shape in graph.shapes.values())


def _how_many(graph: Graph) -> int:
    """On how many images a network is checked: on fewer where it is large."""
    return max(1, min(CHECKED_IMAGES, CHECKED // _values(graph)))


def check_finite(graph: Graph, pixels: NDArray[Any]) -> None:
    """Raises InputError if the ANN's numbers overflow, as they do with damaged weights.

    graph: the ANN. pixels: raw images [N, C, H, W] on which it is tried.
    """
    x = graph.preprocessing(pixels)
    batch = max(1, AT_ONCE // _values(graph))
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        outputs = ann.forward(graph, part, keep=(graph.input, *graph.by_name))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                where = f"{graph.source}: node {name!r}"
                do = f"weights, thresholds or preprocessing are damaged: {EXPORT_AGAIN}"
                raise InputError(where, "outputs that float32 can hold", "infinity or NaN", do)
