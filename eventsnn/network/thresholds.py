"""How each layer's threshold is found (semantics, section 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError
from eventsnn.network.passes import fire_at_output

CHUNK = 2**24

RULES = ("auto", "max", "percentile", "tcl", "qcfs", "lsq", "dni")
CALIBRATED = ("max", "percentile", "dni")
OWN = {"ClippedRelu": "tcl", "QCFS": "qcfs", "QuantRelu": "lsq"}


def rule_of(node: Node, thresholds: str) -> str:
    """The rule that decides a node's threshold: `thresholds` itself, or what "auto" stands for.

    node: an activation. thresholds: one of RULES.
    """
    return OWN.get(node.op, "percentile") if thresholds == "auto" else thresholds


def describe_rules(graph: Graph, thresholds: str, percentile: float) -> str:
    """The rules in use, in words.

    graph: the ANN. thresholds: one of RULES. percentile: that of the rule "percentile".
    """
    rules = dict.fromkeys(rule_of(node, thresholds) for node in graph.activations)
    return ", ".join(
        f"percentile {percentile:g}" if rule == "percentile" else rule for rule in rules
    )


def needs_calibration(graph: Graph, thresholds: str, readout: str = "adds") -> bool:
    """Whether a threshold has to be found on images.

    graph: the ANN. thresholds: one of RULES. readout: "adds", or "fires" for a readout that is
    an activation, too.
    """
    if readout == "fires":
        graph, _ = fire_at_output(graph)
    return any(rule_of(node, thresholds) in CALIBRATED for node in graph.activations)


def choose_thresholds(
    graph: Graph,
    thresholds: str,
    percentile: float = 99.9,
    pixels: NDArray[Any] | None = None,
    dead: str = "layer_max",
) -> dict[str, float | NDArray[Any]]:
    """Name of activation -> theta, in units of the activation (semantics, section 2).

    graph: the ANN. thresholds: one of RULES. percentile: that of the rule "percentile". pixels: raw
    calibration images [N, C, H, W]; None where no rule needs them. dead: what "dni" does with
    neurons that are never active: "layer_max" or "silent".

    A theta is a float, or for "dni" float64 of the activation's shape. Raises InputError for an
    activation without the parameter that the rule takes, where images are missing, and for a
    threshold that is not above 0.
    """
    thetas: dict[str, float | NDArray[Any]] = {}
    wanted: dict[str, float] = {}
    for node in graph.activations:
        rule = rule_of(node, thresholds)
        if rule in CALIBRATED:
            wanted[node.name] = 100.0 if rule == "max" else percentile
        else:
            thetas[node.name] = _own_theta(graph, node, rule)
    if wanted:
        if pixels is None or not len(pixels):
            expected = "images (the thresholds are found on them)"
            do = "give calibration images, or thresholds the network brings itself"
            raise InputError("calibration", expected, "none", do)
        if thresholds == "dni":
            thetas.update(_maxima(graph, pixels, wanted))
        else:
            thetas.update(_percentiles(graph, pixels, wanted))
    for name, theta in thetas.items():
        most = np.max(theta)
        if not (np.isfinite(most) and most > 0):
            raise InputError(
                f"{graph.source}: node {name!r}",
                "a threshold above 0",
                f"{most:g}",
                "the layer is silent on the calibration images: give more of them, or another rule",
            )
        if isinstance(theta, np.ndarray) and dead == "layer_max":
            theta[theta == 0] = most
    return thetas


def _own_theta(graph: Graph, node: Node, rule: str) -> float:
    """The threshold that an activation's own parameters give."""
    if OWN.get(node.op) != rule:
        raise InputError(
            f"{graph.source}: node {node.name!r}",
            f"an activation with a parameter for thresholds={rule!r}",
            node.op,
            "choose thresholds 'auto', or 'percentile' with calibration images",
        )
    if rule == "lsq":
        return node.attrs["scale"] * node.attrs["levels"]
    return node.attrs["lambda"]


def _activations(
    graph: Graph, pixels: NDArray[Any], names: Collection[str]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields name -> activations, float32 [n, ...], of some images at a time."""
    batch = max(1, CHUNK // max(int(np.prod(graph.shapes[name])) for name in names))
    for start in range(0, len(pixels), batch):
        x = graph.preprocessing(pixels[start : start + batch])
        values = ann.forward(graph, x, keep=tuple(names))
        yield {name: values[name] for name in names}


def _maxima(
    graph: Graph, pixels: NDArray[Any], names: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    """Each neuron's largest activation, float64 of the activation's shape (DNISNM section 4.1)."""
    result = {name: np.zeros(graph.shapes[name]) for name in names}
    for activations in _activations(graph, pixels, names):
        for name, values in activations.items():
            np.maximum(result[name], values.max(axis=0), out=result[name])
    return result


def _percentiles(
    graph: Graph, pixels: NDArray[Any], wanted: Mapping[str, float]
) -> dict[str, float]:
    """Exact percentiles over images and neurons.

    wanted: name of an activation -> percentile. Of each layer only the largest values are kept.
    """
    ranks: dict[str, float] = {}
    keep: dict[str, int] = {}
    for name, percentile in wanted.items():
        count = int(np.prod(graph.shapes[name])) * len(pixels)
        ranks[name] = (count - 1) * percentile / 100
        keep[name] = count - int(np.floor(ranks[name]))
    largest = {name: np.empty(0, np.float32) for name in wanted}
    for activations in _activations(graph, pixels, wanted):
        for name, values in activations.items():
            values = np.concatenate([largest[name], values.reshape(-1)])
            if len(values) > keep[name]:
                values = np.partition(values, len(values) - keep[name])[-keep[name] :]
            largest[name] = values
    result = {}
    for name, values in largest.items():
        values = np.sort(values).astype(np.float64)
        low = values[0]
        high = values[min(1, len(values) - 1)]
        result[name] = float(low + (high - low) * (ranks[name] - np.floor(ranks[name])))
    return result
