"""From an ANN to a spiking network: passes over the graph, thresholds, and a check of the result.

    net = convert(graph, thresholds="auto")

The steps, in order: passes over the graph (`passes`) give it a form with spikes; each activation
gets its threshold; linear paths are composed into projections and normalised to thresholds of 1
(`network.connect`). `check` compares the outcome with the graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eventsnn.ann.graph import Graph
from eventsnn.arguments import checked_by
from eventsnn.data.accepting import GivenImages, accept
from eventsnn.exceptions import InputError, named
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
from eventsnn.network.room import check_room
from eventsnn.network.specification import Conversion
from eventsnn.network.thresholds import (
    Thresholds,
    check_thresholds,
    check_used,
    choose_thresholds,
    describe_rules,
)


@checked_by(Conversion)
def convert(
    graph: Graph,
    *,
    thresholds: Thresholds = Conversion.thresholds,
    percentile: float = Conversion.percentile,
    calibration: GivenImages | None = None,
    dead: str = Conversion.dead,
    steps: int | None = Conversion.steps,
    threshold_scale: float = Conversion.threshold_scale,
    max_pooling: str = Conversion.max_pooling,
    residual: str = Conversion.residual,
    readout: str = Conversion.readout,
    compat: str | None = Conversion.compat,
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
    calibration: `Images`, raw pixels [N, C, H, W] or batches (`data.accept`), on which "max",
        "percentile", "dni", "mse", "spike-norm" and "local" are found, and a function's
        thresholds; None where no layer needs them.
    dead: for "dni", whether neurons that are never active on the calibration images take the
        layer's largest threshold ("layer_max") or never fire ("silent").
    steps: T, for "mse" and "spike-norm", which find thresholds for a run of so many steps.
    threshold_scale: a factor that all thresholds have, above 0 and at most 1000.
    max_pooling: "exact" pools running sums of spikes (semantics, section 10); "average" replaces
        MaxPool by AveragePool (TCL section II-B), which is another function.
    residual: "keep"; or "reroute", which adds shortcuts behind activations (SpikeZIP section 3.3),
        another function, for networks trained so.
    readout: "adds" adds up the charge that arrives at the output; "fires" puts neurons there, whose
        spikes are added up (as in DNISNM's code).
    compat: a paper's own code (`presets.PRESETS`), which decides some of these options.

    Raises InputError where a node has no spiking form, where the network does not fit into memory,
    where a threshold cannot be had or is no number above 0, where layers are missing or unknown,
    for a function that fails, and for `percentile`, `dead`, `steps`, `max_pooling` and `residual`
    where they have no effect; OptionError for an option that there is not.
    """
    decided = with_preset(convert, compat, dict(thresholds=thresholds, dead=dead, readout=readout))
    thresholds = decided["thresholds"]
    dead = decided["dead"]
    readout = decided["readout"]
    Conversion(
        percentile=percentile,
        dead=dead,
        steps=steps,
        threshold_scale=threshold_scale,
        max_pooling=max_pooling,
        residual=residual,
        readout=readout,
        compat=compat,
    )
    options = {"percentile": percentile, "dead": dead, "steps": steps}
    check_thresholds(thresholds, options)
    # (pass, the option that asks for it, what it needs in a network)
    passes: list[tuple[Callable[[Graph], tuple[Graph, str]], str, str]] = []
    if max_pooling == "average":
        passes.append((average_for_max, named("max_pooling", max_pooling), "a MaxPool"))
    if residual == "reroute":
        passes.append((reroute, named("residual", residual), "a shortcut to reroute"))
    if readout == "fires":
        passes.append((fire_at_output, "", ""))
    passes += [(activations_first, "", ""), (split_pools, "", "")]
    notes: list[str] = []
    for change, asked, needed in passes:
        graph, note = change(graph)
        if note:
            notes.append(note)
        elif asked:
            do = "leave it out: it has no effect"
            raise InputError(asked, f"a network with {needed}", "none", do)
    changed = bool(notes)
    pixels = None
    if calibration is not None:
        given = accept(graph, calibration, labelled=False, where="calibration")
        pixels = given.pixels
    check_room(graph)
    check_used(graph, thresholds, options)
    thetas = choose_thresholds(graph, thresholds, percentile, pixels, dead, steps, threshold_scale)
    silent = sum(np.count_nonzero(np.equal(theta, 0)) for theta in thetas.values())
    if silent:
        notes.append(
            f"{silent:,} neurons, never active on the calibration images, are silent: the network "
            "may compute another function"
        )
    layers, projections = connect(graph, thetas)
    notes += [
        f"layer {layer.name!r} is a flat vector in the graph, channels first; its neurons are "
        f"numbered (y * W + x) * C + c on the map of {'x'.join(map(str, layer.grid))} before it, "
        "and (i,) stands for index i of the vector"
        for layer in layers
        if layer.flat
    ]
    rules = describe_rules(graph, thresholds, percentile, steps, threshold_scale)
    return Network(layers, projections, graph, rules, tuple(notes), changed)
