"""How each layer's threshold is found (semantics, section 2)."""

from __future__ import annotations

from collections.abc import Iterator
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
    """The rule that decides a node's threshold: `thresholds` itself, or what `auto` stands for."""
    return OWN.get(node.op, "percentile") if thresholds == "auto" else thresholds


def describe_rules(graph: Graph, thresholds: str, percentile: float) -> str:
    """The rules in use, in words."""
    rules = dict.fromkeys(rule_of(node, thresholds) for node in graph.activations)
    return ", ".join(
        f"percentile {percentile:g}" if rule == "percentile" else rule for rule in rules
    )


def needs_calibration(graph: Graph, thresholds: str, readout: str = "adds") -> bool:
    """Whether a threshold has to be found on images."""
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
    """Name of activation -> theta, in units of the activation: a float, or for `dni` float64 of the
    activation's shape.
    """
    wanted: dict[str, float] = {}
    thetas: dict = {}
    for node in graph.activations:
        rule = rule_of(node, thresholds)
        if rule in CALIBRATED:
            wanted[node.name] = 100.0 if rule == "max" else percentile
        elif OWN.get(node.op) != rule:
            raise InputError(
                f"{graph.source}: node {node.name!r}",
                f"an activation with a parameter for thresholds={rule!r}",
                node.op,
                "choose thresholds 'auto', or 'percentile' with calibration images",
            )
        else:
            thetas[node.name] = (
                node.attrs["scale"] * node.attrs["levels"]
                if rule == "lsq"
                else node.attrs["lambda"]
            )
    if wanted:
        if pixels is None or not len(pixels):
            raise InputError(
                "calibration",
                "images (the thresholds are found on them)",
                "none",
                "give calibration images, or thresholds the network brings itself",
            )
        thetas.update(
            _maxima(graph, pixels, wanted)
            if thresholds == "dni"
            else _percentiles(graph, pixels, wanted)
        )
    for name, theta in thetas.items():
        most = np.max(theta)
        if not (np.isfinite(most) and most > 0):
            raise InputError(
                f"{graph.source}: node {name!r}",
                "a threshold above 0",
                f"{most:g}",
                "the layer is silent on the calibration images: give more of them, or another rule",
            )
        if thresholds == "dni" and dead == "layer_max":
            theta[theta == 0] = most
    return thetas


def _activations(
    graph: Graph, pixels: NDArray[Any], names: dict[str, float]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield name -> activations, float32 [n, ...], of some images at a time."""
    batch = max(1, CHUNK // max(int(np.prod(graph.shapes[name])) for name in names))
    for start in range(0, len(pixels), batch):
        values = ann.forward(
            graph, graph.preprocessing(pixels[start : start + batch]), keep=tuple(names)
        )
        yield {name: values[name] for name in names}


def _maxima(graph: Graph, pixels: NDArray[Any], names: dict[str, float]) -> dict[str, NDArray[Any]]:
    """Each neuron's largest activation, float64 of the activation's shape (DNISNM section 4.1)."""
    result = {name: np.zeros(graph.shapes[name]) for name in names}
    for activations in _activations(graph, pixels, names):
        for name, values in activations.items():
            np.maximum(result[name], values.max(axis=0), out=result[name])
    return result


def _percentiles(graph: Graph, pixels: NDArray[Any], wanted: dict[str, float]) -> dict[str, float]:
    """Percentiles over images and neurons, exact: of each layer only the largest values are
    kept.
    """
    per_image = {name: int(np.prod(graph.shapes[name])) for name in wanted}
    ranks, keep = {}, {}
    for name, percentile in wanted.items():
        rank = (per_image[name] * len(pixels) - 1) * percentile / 100
        ranks[name] = rank
        keep[name] = per_image[name] * len(pixels) - int(np.floor(rank))
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
        low, high = values[0], values[min(1, len(values) - 1)]
        result[name] = float(low + (high - low) * (ranks[name] - np.floor(ranks[name])))
    return result
