"""The diagnosis of a network: what is wrong, of which layer, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.ann.graph import Graph
from eventsnn.arguments import checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.data.images import Images
from eventsnn.data.ranges import PixelRange, outwards, range_of
from eventsnn.doubts import ENOUGH
from eventsnn.exceptions import InputError, check_options
from eventsnn.network.check import TOLERANCE, deviation
from eventsnn.network.convert import convert
from eventsnn.network.network import Network
from eventsnn.network.thresholds import needs_calibration
from eventsnn.simulation.specification import Specification
from eventsnn.simulation.time import Time
from eventsnn.statistics import p_words
from eventsnn.studies.diagnosis import numbers, output, parts, preprocessing, streams, thresholds
from eventsnn.studies.diagnosis.measured import Measured, measure
from eventsnn.studies.diagnosis.remedies import Maker, Remedy, candidates, tried
from eventsnn.studies.diagnosis.report import BELOW, Diagnosis
from eventsnn.studies.diagnosis.verdict import FINE, FOUND, NOTED, UNKNOWN, Verdict

FAMILIES = (thresholds, parts, streams, numbers, output)
OPTIONS = {*(f.name for c in (Specification, Time) for f in fields(c)), "engine", "encoding"}
OWN = {"labels", "calibration", "pixel_range", "remedies", "progress"}
PERHAPS = 0.05  # of the images: such a loss is worth more images
CHECKED = 4  # images on which the conversion is compared with the graph
# (graph, options of `convert`) -> the network
Make = Callable[[Graph, dict[str, Any]], Network]


@checked
def diagnose(
    network: Network | Graph,
    images: GivenImages,
    *,
    labels: GivenLabels = None,
    steps: int = Specification.steps,
    calibration: GivenImages | None = None,
    pixel_range: tuple[float, float] | None = None,
    remedies: bool = True,
    progress: bool | None = None,
    **settings: Any,
) -> Diagnosis:
    """Why a network is below its ANN, layer by layer, and what helps: a `Diagnosis`; print it.

    A hundred images are enough for what is badly wrong. Remedies are tried on every other image,
    where the network is below its ANN by more than chance; the best is confirmed on the rest.

    network: what `eventsnn.convert` returns; or a graph, which is converted with thresholds "auto".
    images: as for `eventsnn.simulate`. labels: theirs; without them the ANN's own classes stand in.
    steps: T. calibration: images on which other thresholds are found, as for `convert`.
    pixel_range: lowest and highest raw pixel; None: as for `simulate`, or what the pixels have.
    remedies: whether they are tried. progress: whether progress bars are shown, as for
    `simulate`. settings: of the run that is diagnosed, as for `simulate`: engine, neuron, encoding,
    srp, readout_from, order and the like. Raises InputError for an output that is a map, and what
    `convert` and `simulate` raise.
    """
    check_options("eventsnn.diagnose", settings, OPTIONS | OWN)
    graph = network.graph if isinstance(network, Network) else network
    given = accept(graph, images, labels)
    if calibration is not None:
        calibration = accept(graph, calibration, labelled=False, where="calibration").images
    if pixel_range is not None:
        range_of(graph, given.pixels, pixel_range)
    own_set = images if isinstance(images, Images) else None
    own = Images(
        own_set.name if own_set else "images",
        own_set.split if own_set else "test",
        np.asarray(given.numbers),
        given.pixels,
        given.labels,
        (),
        pixel_range or (own_set.pixel_range if own_set else None),
    )

    def make(of: Graph, changes: dict[str, Any]) -> Network:
        if isinstance(network, Network) and not changes and of is graph:
            return network
        rule = _rule(network)
        if isinstance(network, Network) and not changes and (rule is None or calibration is None):
            return replace(network, graph=of)
        options = changes if "thresholds" in changes else {**(rule or {}), **changes}
        options = {"thresholds": "auto", **options}
        needed = needs_calibration(of, options["thresholds"])
        return convert(of, calibration=calibration if needed else None, **options)

    found = examine(
        graph,
        make,
        own,
        {"steps": steps, **settings},
        calibrated=calibration is not None,
        remedies=remedies,
        progress=progress,
    )
    if found.advice and calibration is None and _rule(network) is not None:
        words = "they were found with the wrong preprocessing: convert again, with the right one"
        found.verdicts.append(Verdict("thresholds", "", NOTED, None, words))
    return found


def _rule(network: Network | Graph) -> dict[str, Any] | None:
    """The options of `convert` by which a network's thresholds are found on images, or None."""
    words = network.thresholds if isinstance(network, Network) else ""
    name, _, percentile = words.partition(" ")
    if name == "percentile" and "," not in percentile:
        return {"thresholds": name, "percentile": float(percentile)}
    return {"thresholds": name} if name in ("max", "dni") else None


def examine(
    graph: Graph,
    make: Make,
    images: Images,
    options: dict[str, Any],
    *,
    calibrated: bool,
    remedies: bool = True,
    progress: bool | None = None,
) -> Diagnosis:
    """The `Diagnosis` of what a graph becomes; `diagnose` is for callers.

    graph: the ANN. make: the network of it, with other options. images: with labels or without.
    options: of `simulate`. calibrated: whether thresholds can be found anew. remedies, progress: as
    for `diagnose`.
    """
    if is_map(graph):
        shape = "x".join(map(str, graph.shapes[graph.output]))
        do = "the error by layer is what eventsnn.errors tells"
        raise InputError("diagnose", "an output of classes", f"a map of {shape}", do)
    first = preprocessing.tried(graph, images, progress)
    verdicts = [first.verdict]
    if first.way is not None:
        graph = replace(graph, preprocessing=first.way.preprocessing)
    classes, right = preprocessing.ann_hits(graph, images)
    own_labels = images.labels is not None
    if not own_labels:
        images = replace(images, labels=classes)
        right = np.ones(len(images), bool)
    images = replace(images, pixel_range=_range(graph, images).ends)
    network = make(graph, {})
    verdicts.append(_conversion(network, images.pixels[:CHECKED]))
    m = measure(graph, network, images, own_labels, right, options, progress)
    for family in FAMILIES:
        verdicts += family.verdicts(m)
    found: list[Remedy] = []
    if remedies and m.below:
        maker: Maker = lambda changes: make(graph, changes)  # noqa: E731
        found = tried(m, list(candidates(m, verdicts, calibrated)), maker, progress)
    verdicts += _below(m, verdicts)
    advice = dict(first.way.options) if first.way is not None else {}
    return Diagnosis(m, verdicts, found, advice, f"{images.name} {images.split}")


def _below(m: Measured, verdicts: list[Verdict]) -> list[Verdict]:
    """What is said where no verdict tells why a network is below its ANN, or it cannot be told."""
    pair, count = m.against_ann, len(m.images)
    if m.below:
        words = "the network is below its ANN, and none of the verdicts tells why"
        told = any(v.state == FOUND for v in verdicts)
        return [] if told else [Verdict(BELOW, "", FOUND, pair.difference, words)]
    lost = pair.counts
    if count < ENOUGH:
        words = f"{count} images are too few to tell (gained : lost {lost}): give more images"
    elif -pair.difference >= PERHAPS:
        words = (
            f"{count} images cannot tell (gained : lost {lost}, {p_words(pair.p)}): "
            "give more images"
        )
    else:
        return []
    return [Verdict(BELOW, "", UNKNOWN, pair.difference, words)]


def _range(graph: Graph, images: Images) -> PixelRange:
    """The range of pixels in force, or, where the images have others, theirs."""
    try:
        return range_of(graph, images)
    except InputError:
        least, most = float(images.pixels.min()), float(images.pixels.max())
        return PixelRange(*outwards(min(least, 0.0), max(most, 1.0)), "those of the images")


def _conversion(network: Network, pixels: NDArray[Any]) -> Verdict:
    """Whether the converted network computes what its graph does."""
    worst, where = deviation(network, pixels)
    words = f"converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value"
    if worst <= TOLERANCE:
        return Verdict("conversion", "", FINE, worst, words)
    words += f", at {where}: this is a defect of eventsnn, please report it"
    return Verdict("conversion", "", FOUND, worst, words)
