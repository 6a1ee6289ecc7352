"""From an ANN to a spiking network: passes over the graph, thresholds, and a check of the result.

    net = convert(graph, thresholds="auto")

The steps, in order: passes over the graph (`passes`) give it a form with spikes; each activation
gets its threshold; linear paths are composed into projections and normalised to thresholds of 1
(`network.connect`). `check` compares the outcome with the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images, as_vectors
from eventsnn.exceptions import InputError, named_options
from eventsnn.network.connect import connect
from eventsnn.network.network import Network
from eventsnn.network.passes import (
    activations_first,
    average_for_max,
    fire_at_output,
    reroute,
    split_pools,
)
from eventsnn.network.presets import with_preset
from eventsnn.network.thresholds import (
    Thresholds,
    check_thresholds,
    choose_thresholds,
    describe_rules,
)

DEAD = ("layer_max", "silent")
MAX_POOLING = ("exact", "average")
RESIDUAL = ("keep", "reroute")
READOUT = ("adds", "fires")


@named_options
def convert(
    graph: Graph,
    *,
    thresholds: Thresholds = "auto",
    percentile: float = 99.9,
    calibration: Images | NDArray[Any] | None = None,
    dead: str = "layer_max",
    max_pooling: str = "exact",
    residual: str = "keep",
    readout: str = "adds",
    compat: str | None = None,
) -> Network:
    """The spiking `Network` of a graph.

    graph: the ANN, as `eventsnn.load` returns it.
    thresholds: the name of a rule in `rules.RULES` (semantics, section 2). "auto" takes the
        activation's own parameter where it has one ("tcl": lambda, TCL eq. 9; "qcfs": lambda, SRP
        eq. 7; "lsq": scale * levels, SpikeZIP eq. 2) and the percentile elsewhere. "max" is the
        largest activation. "dni" gives one threshold a neuron, its largest activation (DNISNM
        section 4.1); every synapse then has a weight of its own, in float64.
        Or the thresholds themselves, in units of the activation: a mapping, name of each activation
        (and of no other node, after the passes) -> a number, or an array of the activation's shape,
        [C, H, W] or [features]. For maps, [C] gives each channel its own.
        Or a function of (name: str, activations: float32 [N, ...]) that gives a number or such an
        array. It is called once a layer, with the activations on all calibration images. Those of
        one layer are held, at 4 bytes each, and those of more layers up to 512 MiB.
        Every number must be above 0. An array makes weights of their own, as "dni" does.
    percentile: of a layer's activations, above 0 and at most 100, where the rule is "percentile" or
        "auto".
    calibration: raw images [N, C, H, W], or `Images`, on which "max", "percentile" and "dni" are
        found, and a function's thresholds; None where no layer needs them.
    dead: for "dni", whether neurons that are never active on the calibration images take the
        layer's largest threshold ("layer_max") or never fire ("silent").
    max_pooling: "exact" pools running sums of spikes (semantics, section 10); "average" replaces
        MaxPool by AveragePool (TCL section II-B), which is another function.
    residual: "keep"; or "reroute", which adds shortcuts behind activations (SpikeZIP section 3.3),
        another function, for networks trained so.
    readout: "adds" adds up the charge that arrives at the output; "fires" puts neurons there, whose
        spikes are added up (as in DNISNM's code).
    compat: a paper's own code (`presets.PRESETS`), which decides some of these options.

    Raises InputError where a node has no spiking form, where a threshold cannot be had or is no
    number above 0, where layers are missing or unknown, for a function that fails, and for
    `percentile` or `dead` without a rule that uses it; OptionError for an option that there is not.
    """
    decided = with_preset(convert, compat, dict(thresholds=thresholds, dead=dead, readout=readout))
    thresholds = decided["thresholds"]
    dead = decided["dead"]
    readout = decided["readout"]
    _expect_choice("dead", dead, DEAD)
    _expect_choice("max_pooling", max_pooling, MAX_POOLING)
    _expect_choice("residual", residual, RESIDUAL)
    _expect_choice("readout", readout, READOUT)
    if not 0 < percentile <= 100:
        raise InputError("percentile", "a number above 0, at most 100", percentile)
    check_thresholds(thresholds, {"percentile": percentile, "dead": dead})
    passes: list[Callable[[Graph], tuple[Graph, str]]] = []
    if max_pooling == "average":
        passes.append(average_for_max)
    if residual == "reroute":
        passes.append(reroute)
    if readout == "fires":
        passes.append(fire_at_output)
    passes += [activations_first, split_pools]
    notes: list[str] = []
    for change in passes:
        graph, note = change(graph)
        if note:
            notes.append(note)
    changed = bool(notes)
    calibration, _ = as_vectors(graph, calibration)
    pixels: Any = getattr(calibration, "pixels", calibration)
    thetas = choose_thresholds(graph, thresholds, percentile, pixels, dead)
    silent = sum(np.count_nonzero(np.equal(theta, 0)) for theta in thetas.values())
    if silent:
        notes.append(
            f"{silent:,} neurons, never active on the calibration images, are silent: the network "
            "may compute another function"
        )
    layers, projections = connect(graph, thetas)
    rules = describe_rules(graph, thresholds, percentile)
    return Network(layers, projections, graph, rules, tuple(notes), changed)


def _expect_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises InputError for an option's value that is none of its choices."""
    if value not in choices:
        raise InputError(name, f"one of {', '.join(choices)}", repr(value))
