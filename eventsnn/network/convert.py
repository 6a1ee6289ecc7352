"""From an ANN to a spiking network: passes over the graph, thresholds, and a check of the result.

    net = convert(graph, thresholds="auto")

The steps, in order: passes over the graph (`passes`) give it a form with spikes; each activation gets
its threshold; linear paths are composed into projections and normalised to thresholds
of 1 (`network.connect`). `check` compares the outcome with the graph.
"""
from __future__ import annotations

from functools import partial

import numpy as np

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.network import linear
from eventsnn.network.network import INPUT, Network, connect
from eventsnn.network.passes import activations_first, average_for_max, fire_at_output, reroute, split_pools
from eventsnn.network.presets import with_preset

RULES = ("auto", "max", "percentile", "tcl", "qcfs", "lsq", "dni")
DEAD = ("layer_max", "silent")
MAX_POOLING = ("exact", "average")
RESIDUAL = ("keep", "reroute")
READOUT = ("adds", "fires")
TOLERANCE = 1e-9
CALIBRATED = ("max", "percentile", "dni")
OWN = {"ClippedRelu": "tcl", "QCFS": "qcfs", "QuantRelu": "lsq"}
CHUNK = 2**24


def convert(graph, *, thresholds="auto", percentile=99.9, calibration=None, dead="layer_max", max_pooling="exact",
            residual="keep", readout="adds", compat=None):
    """The spiking `Network` of a graph.

    thresholds: a rule of semantics section 2. `auto` takes the activation's own parameter where it has
    one (tcl: lambda, TCL eq. 9; qcfs: lambda, SRP eq. 7; lsq: scale * levels, SpikeZIP eq. 2) and the
    percentile elsewhere. `dni`: one threshold a neuron, its largest activation (DNISNM section 4.1); every
    synapse then has a weight of its own, in float64. calibration: raw images [N, C, H, W] or `Images`;
    `max`, `percentile` and `dni` need them. dead: for `dni`, neurons never active on them take the
    layer's largest threshold ("layer_max") or never fire ("silent"). max_pooling: "exact" pools running
    sums of spikes (semantics section 10); "average" replaces MaxPool by AveragePool (TCL section II-B;
    another function). residual: "reroute" adds shortcuts behind activations (SpikeZIP section 3.3; another
    function, for networks trained so). readout: "fires" puts neurons at the output, whose spikes are added
    up (as in DNISNM's code); "adds" adds up the charge that arrives there.

    compat: a paper's own code (`compat.PRESETS`), which decides some of these.

    Raises InputError where a node has no spiking form or a threshold cannot be had.
    """
    decided = with_preset(convert, compat, dict(thresholds=thresholds, dead=dead, readout=readout))
    thresholds, dead, readout = decided["thresholds"], decided["dead"], decided["readout"]
    if thresholds not in RULES:
        raise InputError("thresholds", f"one of {', '.join(RULES)}", repr(thresholds))
    for name, value, choices in (("dead", dead, DEAD), ("max_pooling", max_pooling, MAX_POOLING), ("residual", residual, RESIDUAL),
                                 ("readout", readout, READOUT)):
        if value not in choices:
            raise InputError(name, f"one of {', '.join(choices)}", repr(value))
    if not 0 < percentile <= 100:
        raise InputError("percentile", "a number above 0, at most 100", percentile)
    notes: tuple[str, ...] = ()
    for change, wanted in ((average_for_max, max_pooling == "average"), (reroute, residual == "reroute"),
                           (fire_at_output, readout == "fires"), (activations_first, True), (split_pools, True)):
        if wanted:
            graph, note = change(graph)
            notes += (note,) if note else ()
    pixels = getattr(calibration, "pixels", calibration)
    thetas = choose_thresholds(graph, thresholds, percentile, pixels, dead)
    silent = sum(np.count_nonzero(np.equal(theta, 0)) for theta in thetas.values())
    if silent:
        notes += (f"{silent:,} neurons, never active on the calibration images, are silent: the network may compute another function",)
    layers, projections = connect(graph, thetas)
    return Network(layers, projections, graph, describe_rules(graph, thresholds, percentile), notes)


def rule_of(node, thresholds):
    """The rule that decides a node's threshold: `thresholds` itself, or what `auto` stands for."""
    return OWN.get(node.op, "percentile") if thresholds == "auto" else thresholds


def describe_rules(graph, thresholds, percentile):
    """The rules in use, in words."""
    rules = dict.fromkeys(rule_of(node, thresholds) for node in graph.activations)
    return ", ".join(f"percentile {percentile:g}" if rule == "percentile" else rule for rule in rules)


def needs_calibration(graph, thresholds, readout="adds"):
    """Whether a threshold has to be found on images."""
    if readout == "fires":
        graph, _ = fire_at_output(graph)
    return any(rule_of(node, thresholds) in CALIBRATED for node in graph.activations)


def choose_thresholds(graph, thresholds, percentile=99.9, pixels=None, dead="layer_max"):
    """Name of activation -> theta, in units of the activation: a float, or for `dni` float64 of the activation's shape."""
    wanted: dict[str, float] = {}
    thetas: dict = {}
    for node in graph.activations:
        rule = rule_of(node, thresholds)
        if rule in CALIBRATED:
            wanted[node.name] = 100.0 if rule == "max" else percentile
        elif OWN.get(node.op) != rule:
            raise InputError(f"{graph.source}: node {node.name!r}", f"an activation with a parameter for thresholds={rule!r}", node.op,
                             "choose thresholds 'auto', or 'percentile' with calibration images")
        else:
            thetas[node.name] = node.attrs["scale"] * node.attrs["levels"] if rule == "lsq" else node.attrs["lambda"]
    if wanted:
        if pixels is None or not len(pixels):
            raise InputError("calibration", "images (the thresholds are found on them)", "none",
                             "give calibration images, or thresholds the network brings itself")
        thetas.update(_maxima(graph, pixels, wanted) if thresholds == "dni" else _percentiles(graph, pixels, wanted))
    for name, theta in thetas.items():
        most = np.max(theta)
        if not (np.isfinite(most) and most > 0):
            raise InputError(f"{graph.source}: node {name!r}", "a threshold above 0", f"{most:g}",
                             "the layer is silent on the calibration images: give more of them, or another rule")
        if thresholds == "dni" and dead == "layer_max":
            theta[theta == 0] = most
    return thetas


def _activations(graph, pixels, names):
    """Yield name -> activations, float32 [n, ...], of some images at a time."""
    batch = max(1, CHUNK // max(int(np.prod(graph.shapes[name])) for name in names))
    for start in range(0, len(pixels), batch):
        values = ann.forward(graph, graph.preprocessing(pixels[start:start + batch]), keep=tuple(names))
        yield {name: values[name] for name in names}


def _maxima(graph, pixels, names):
    """Each neuron's largest activation, float64 of the activation's shape (DNISNM section 4.1)."""
    result = {name: np.zeros(graph.shapes[name]) for name in names}
    for activations in _activations(graph, pixels, names):
        for name, values in activations.items():
            np.maximum(result[name], values.max(axis=0), out=result[name])
    return result


def _percentiles(graph, pixels, wanted):
    """Percentiles over images and neurons, exact: of each layer only the largest values are kept."""
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
                values = np.partition(values, len(values) - keep[name])[-keep[name]:]
            largest[name] = values
    result = {}
    for name, values in largest.items():
        values = np.sort(values).astype(np.float64)
        low, high = values[0], values[min(1, len(values) - 1)]
        result[name] = float(low + (high - low) * (ranks[name] - np.floor(ranks[name])))
    return result


def deviation(network, pixels):
    """The largest difference between the network's linear paths and its graph.

    Every layer is given the graph's own activations (float64, silent neurons at 0), so a difference is that
    layer's alone: |difference| of what reaches its neurons (of a pool's output), relative to the largest
    value there. Returns (largest, layer's name).
    """
    graph: Graph = network.graph
    x = graph.preprocessing(pixels)
    names = [layer.node.name for layer in network.spiking]
    end = graph.by_name[graph.output]
    targets = [layer.name if layer.pools else layer.node.inputs[0] for layer in network.spiking]
    targets.append(end.inputs[0] if end.op == "Softmax" else end.name)
    silent = {layer.name: _as_in_graph(layer.theta == 0, graph.shapes[layer.name]) for layer in network.layers if np.ndim(layer.theta)}
    keep = {*names, *targets, graph.input}
    batch = max(1, CHUNK // sum(int(np.prod(graph.shapes[name])) for name in keep))
    errors, largest = np.zeros(len(targets)), np.full(len(targets), 1e-300)
    for start in range(0, len(x), batch):
        outputs = ann.forward(graph, x[start:start + batch], keep=keep, dtype=np.float64, silent=silent)
        for i, (layer, target) in enumerate(zip(network.layers, targets)):
            total = np.repeat(layer.bias[None], len(outputs[graph.input]), axis=0)
            for p in network.into(i):
                source, theta = (graph.input, 1.0) if p.source == INPUT else (names[p.source], network.layers[p.source].theta)
                apply = partial(linear.largest, p.map) if layer.pools else p.map
                total += apply(_by_site(outputs[source], p.map.sites[0]) / np.where(theta, theta, np.inf))
            expected = np.where(layer.theta, _by_site(outputs[target], len(layer.bias)), 0)
            errors[i] = np.maximum(errors[i], np.abs(total * layer.theta - expected).max())
            largest[i] = np.maximum(largest[i], np.abs(expected).max())
    worst, where = 0.0, network.readout.name
    for layer, error in zip(network.layers, errors / largest):
        if not error <= worst:
            worst, where = float(error), layer.name
    return worst, where


def check(network, pixels):
    """Like `deviation`, but a difference above 1e-9 raises ArithmeticError: the conversion itself would be wrong."""
    worst, where = deviation(network, pixels)
    if not worst <= TOLERANCE:
        raise ArithmeticError(f"the converted network differs from {network.graph.source} by {worst:.3g} at layer {where!r} "
                              f"(allowed: {TOLERANCE:g}); this is a defect of eventsnn, please report it with the checkpoint")
    return worst, where


def _by_site(values, sites):
    """[N, C, H, W] or flat [N, C * H * W] -> [N, sites, C]."""
    return np.asarray(values, np.float64).reshape(len(values), -1, sites).transpose(0, 2, 1)


def _as_in_graph(values, shape):
    """[sites, C] -> (C, H, W) or a flat vector, as `shape` says."""
    return values.T.reshape(shape)
