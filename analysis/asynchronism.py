"""Asynchronism of every neuron: whether late inhibition and inversions foretell its error.

DNISNM Fig. 2, 3 and 6, on one's own network.

    python analysis/asynchronism.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --order random

Draws three pictures. asynchronism.png (no paper has it): for some layers, spikes beyond what the
charge is worth against the share of pairs of spikes, one excitatory and one inhibitory, in which
the inhibitory one came later (in the whole run: 1 is all inhibition last); and layer by layer how
well that, the same within single steps, and late inhibition itself foretell the error (Spearman's
correlation). mapping.png is DNISNM Fig. 2 of the layer with most superfluous spikes: spikes against
charge. (a) in clocked time with v(0) = 0, (b) with v(0) = theta / 2, (c) in the order asked for,
where the curve moves to the left. Lines: the ANN and the ideal staircase; dots: means of neurons
with about the same charge. Hatched: discreteness error; dotted: asynchronism error (in clocked
time: unevenness). neuron.png is DNISNM Fig. 3 and 6 on a neuron of that layer: its arrivals with
the inhibition of each step first (Fig. 3, left), as they came (Fig. 3, right), and as they came at
a signed neuron with memory, which takes spikes back (Fig. 6b; dashed: its memory). Writes these
also as SVG, asynchronism.csv (one row a layer, means with bootstrap intervals) and mapping.csv.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

import eventsnn
from eventsnn.exceptions import one_line
from eventsnn.neurons import IF, SNM
from eventsnn.neurons.contract import emit, settle
from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import bootstrap_words
from eventsnn.studies import scripts
from eventsnn.studies.asynchronism import Asynchronism, Neurons
from eventsnn.studies.sampled import with_intervals
from eventsnn.sweep import stored
from eventsnn.trace.microscope import DRIVE, ITSELF, Observation, observe
from eventsnn.trace.trace import record
from eventsnn.views.plots import BLUE, ORANGE, shown
from eventsnn.views.tables import write_csv

GREEN = "#009E73"
PREDICTORS = {
    "in run": ("inversions in the whole run", BLUE, "o-"),
    "weighted": ("inversions in steps, by charge", GREEN, "s--"),
    "inversions": ("inversions in steps", ORANGE, "^:"),
    "late": ("late inhibition", "0.35", "x-."),
}
SHOWN = 4  # layers in the scatter
BIN = 0.25  # thresholds
FEWEST = 10  # neurons that a mean needs


def draw(found: Asynchronism, names: Sequence[str], title: str) -> Figure:
    """Error against inversions in some layers, as densities with means; below correlations.

    found: what was measured. names: of the layers to draw. title: of the picture.
    """
    figure = scripts.sheet(2, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    shares = [found.neurons[name].inverted_in_run for name in names]
    far = max(np.nanmax(np.abs(share - 0.5), initial=0.05) for share in shares)
    for axes, name in zip(upper.subplots(1, len(names), sharey=True, squeeze=False)[0], names):
        (row,) = scripts.only(found.layers, layer=name)
        _draw_density(axes, found.neurons[name], far)
        words = f"{shown(name)}: r = {row['in run r']:.2f}, ρ = {row['in run rho']:.2f}"
        axes.set_title(words, fontsize=8, parse_math=False)
    upper.axes[0].set_ylabel("fired - ideal (spikes)", fontsize=9)
    words = "share of pairs in the run that are inverted (blue: density of neurons; orange: mean)"
    upper.supxlabel(words, fontsize=9)
    axes = lower.subplots()
    for key, (label, colour, style) in PREDICTORS.items():
        correlations = scripts.column(found.layers, f"{key} rho")
        axes.plot(correlations, style, color=colour, ms=4, lw=1.2, label=label)
    axes.axhline(0, color="0.6", lw=0.6)
    scripts.layer_axis(axes, scripts.column(found.layers, "layer"))
    axes.set_ylabel("correlation ρ with the error", fontsize=9)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _draw_density(axes: Axes, neurons: Neurons, far: float) -> None:
    """One layer's error against inversions, up to `far` from one half."""
    bins = 0.5 + np.linspace(-far, far, 41)
    chosen = neurons.pairs > 0
    x, y = neurons.inverted_in_run[chosen], neurons.error[chosen]
    levels = np.arange(y.min(initial=0) - 0.5, y.max(initial=1) + 1)
    axes.hist2d(x, y, (bins, levels), cmap="Blues", norm=LogNorm(0.3), rasterized=True)
    place, means = np.digitize(x, bins), []
    for k in range(len(bins) + 1):
        here = place == k
        if here.sum() >= FEWEST:
            means.append((x[here].mean(), y[here].mean()))
    axes.plot(*np.transpose(means).reshape(2, -1), ".-", color=ORANGE, lw=1.2, ms=4)
    axes.set_xlim(0.5 - far, 0.5 + far)
    axes.tick_params(labelsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def mapping(found: Asynchronism, name: str) -> list[scripts.Row]:
    """Spikes against charge, over neurons with about the same charge: one row a bin.

    All are in thresholds. found: what was measured. name: of the layer.
    """
    neurons, simulation = found.neurons[name], found.simulation
    quanta = simulation.quanta[_number(found, name)]
    x = neurons.arrived / (simulation.arithmetic.one.item() * quanta)
    chosen = (x >= -1) & (x < simulation.steps)
    which = np.floor(x[chosen] / BIN).astype(int)
    fired, ideal = neurons.fired / quanta, neurons.ideal / quanta
    rows = []
    for k in np.unique(which):
        here = which == k
        if here.sum() >= FEWEST:
            row = {"charge": x[chosen][here].mean(), "neurons": int(here.sum())}
            row["fired"] = fired[chosen][here].mean()
            row["ideal"] = ideal[chosen][here].mean()
            rows.append(row)
    return rows


def _number(found: Asynchronism, name: str) -> int:
    """The layer's place among the layers of neurons."""
    return list(found.neurons).index(name)


def draw_mapping(results: Mapping[str, Asynchronism], name: str, title: str) -> Figure:
    """DNISNM Fig. 2 of one layer.

    results: title of a panel -> what was measured. name: of the layer. title: of the picture.
    """
    figure = scripts.sheet(2, 3.4)
    for axes, (label, found) in zip(figure.subplots(1, len(results), sharey=True), results.items()):
        rows, x = mapping(found, name), np.linspace(-1, found.simulation.steps, 1801)
        charge, fired, ideal = (scripts.column(rows, key) for key in ("charge", "fired", "ideal"))
        start = found.simulation.initial[_number(found, name)].mean()
        stairs, ramp = np.maximum(0, np.floor(x + start)), np.maximum(x, 0)
        hatched = {"facecolor": "none", "lw": 0}
        words = "discreteness error"
        axes.fill_between(x, stairs, ramp, edgecolor="0.75", hatch="++++", label=words, **hatched)
        words = "unevenness, asynchronism error"
        look = {"edgecolor": BLUE, "hatch": "....", **hatched}
        axes.fill_between(charge, ideal, fired, label=words, **look)
        axes.plot(x, ramp, color=ORANGE, lw=1.2, label="ANN")
        axes.plot(x, stairs, color=BLUE, lw=1.2, label="ideal staircase")
        axes.plot(charge, fired, "o", color="black", ms=3, label="measured mean")
        axes.set_title(label, fontsize=9)
        axes.set_xlabel("charge (thresholds)", fontsize=9)
        axes.set_ylim(-0.3, found.simulation.steps + 1)
        axes.spines[["top", "right"]].set_visible(False)
    words = f"spikes of {shown(name)} (thresholds)"
    figure.axes[0].set_ylabel(words, fontsize=9, parse_math=False)
    scripts.legend_below(figure, figure.axes[0])
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def answers(
    neuron: Any, layer: int, potential: float, charges: Iterable[float]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(potentials charged, net spikes), after each arrival at a neuron that answers each at once.

    neuron: the model. layer: the neuron's. potential: at the beginning. charges: of the arrivals,
    in the model's numbers.
    """
    heights, spikes = [], []
    net = 0
    for charge in charges:
        potential += charge
        heights.append(potential)
        while n := emit(neuron, layer, potential, net):
            potential = settle(neuron, potential, n)
            net += n
        spikes.append(net)
    return np.array(heights), np.array(spikes)


def draw_neuron(seen: Observation, title: str) -> Figure:
    """The same arrivals three times: DNISNM Fig. 3 and 6.

    First inhibition comes first in each step, then all is as it came, and then as it came at SNM.
    seen: the neuron. title: of the picture.
    """
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    early = rows[np.lexsort((rows["charge"] >= 0, rows["source"] != DRIVE, rows["step"]))]
    one, start = seen.simulation.arithmetic.one.item(), seen.v0.item()
    panels = {
        "inhibition first in each step": (IF, early),
        "as it came: IF": (IF, rows),
        "as it came: SNM": (SNM, rows),
    }
    figure = scripts.sheet(2, 3.3)
    for axes, (label, (model, arrivals)) in zip(figure.subplots(1, 3, sharey=True), panels.items()):
        heights, spikes = answers(model(one), seen.layer, start, arrivals["charge"].tolist())
        axes.plot(heights / one, color=BLUE, lw=0.8, label="potential, charged")
        axes.plot(spikes, "--", color=GREEN, lw=1.4, label="net spikes: the memory")
        axes.axhline(seen.ideal, color=ORANGE, ls=":", lw=1.4, label="what all charge is worth")
        for at in np.flatnonzero(np.diff(arrivals["step"], prepend=-1)):
            axes.axvline(at, color="0.88", lw=0.6, zorder=0)
        axes.set_title(f"{label}: {spikes[-1]}", fontsize=9)
        axes.set_xlabel("arrivals (grey: steps)", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("potential (thresholds), spikes", fontsize=9)
    scripts.legend_below(figure, figure.axes[0])
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def worst(neurons: Neurons) -> tuple[int, int] | None:
    """(image, neuron) that fired most beyond the fewest spikes of any order within its steps.

    Without bounds it is that beyond its charge's worth. It is one of those with late inhibition; of
    several the one with the most charge, then the fewest pairs of arrivals. None where there is
    none. neurons: of a layer.
    """
    beyond = neurons.error if neurons.fewest is None else neurons.fired - neurons.fewest
    chosen = np.argwhere((neurons.late < 0) & (beyond > 0))
    if not len(chosen):
        return None
    keys = (neurons.pairs_in_run, -neurons.ideal, -beyond)
    first = np.lexsort([values[tuple(chosen.T)] for values in keys])[0]
    image, neuron = chosen[first].tolist()
    return image, neuron


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=8, out="runs/asynchronism")
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument("--order", default="random", help="order of arrival, as for eventsnn.run")
    parser.add_argument("--neuron", default="if", help="neuron model")
    words = f"layers to draw, separated by commas (default: {SHOWN} of all)"
    parser.add_argument("--layers", default="", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=4)


def ways(args: argparse.Namespace) -> dict[str, stored.Way]:
    """Title of a panel of mapping.png -> what is studied; the order asked for is the last.

    args: the options.
    """
    options = {"study": "asynchronism", "engine": "event", "steps": args.steps}
    options["neuron"] = args.neuron
    clocked = {**options, "order": "clocked"}
    every = {
        "(a) clocked, v(0) = 0": {**clocked, "initial": 0.0},
        "(b) clocked, v(0) = θ/2": {**clocked, "initial": 0.5},
        f"(c) {args.order}, v(0) = θ/2": {**options, "order": args.order},
    }
    return {words: stored.Way({}, its, [args.seed]) for words, its in every.items()}


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source, out = stored.source_of(args), args.out
    every = ways(args)
    *clocked, last = every
    (found,) = source.runs(every[last])
    decided = conditions(found.simulation)
    layers = [
        {**row, "conditions": decided}
        for row in with_intervals(found.layers, [found.samples], args.seed)
    ]
    write_csv(out / "asynchronism.csv", layers)
    chosen = _chosen(args.layers, scripts.column(found.layers, "layer"))
    title = scripts.title(source.graph, f"{len(source.images)} images")
    scripts.save(draw(found, chosen, title), out, "asynchronism", str(decided))
    print(found.table())
    print(f"in the CSV: {bootstrap_words(seed=args.seed)}")
    layer = max(found.layers, key=lambda row: row["fired more"])["layer"]
    results = {words: source.runs(every[words])[0] for words in clocked}
    results[last] = found
    rows = [
        {"panel": label, "layer": layer, **row, "conditions": conditions(measured.simulation)}
        for label, measured in results.items()
        for row in mapping(measured, layer)
    ]
    write_csv(out / "mapping.csv", rows)
    title = scripts.title(source.graph, f"{len(source.images)} images")
    scripts.save(draw_mapping(results, layer, title), out, "mapping", scripts.words(rows))
    if (place := worst(found.neurons[layer])) is None:
        print(
            f"no neuron of {one_line(layer)} fired too often and had late inhibition: no neuron.png"
        )
    else:
        image, neuron = place
        some = source.some(image + 1)
        pixels, number = some.pixels[image], int(some.indices[image])
        seen = observe(record(found.simulation, pixels, number)[1], layer, neuron)
        title = f"{seen.name}, image {seen.image}"
        scripts.save(draw_neuron(seen, title), out, "neuron", str(decided))


def _chosen(layers: str, names: list[str]) -> list[str]:
    """The layers that --layers names."""
    if not layers:
        return [names[i] for i in np.unique(np.linspace(1, len(names) - 1, SHOWN).astype(int))]
    chosen = layers.split(",")
    if unknown := set(chosen) - set(names):
        some = f"some of {', '.join(names)}"
        raise eventsnn.InputError("--layers", some, ", ".join(sorted(unknown)))
    return chosen


if __name__ == "__main__":
    sys.exit(main())
