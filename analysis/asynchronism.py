"""Asynchronism of every neuron: whether late inhibition and inversions foretell its error (DNISNM
Fig. 2, 3 and 6 on one's own network).

    python analysis/asynchronism.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 8
    --steps 8 --order random

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
also as SVG, asynchronism.csv (one row a layer) and mapping.csv.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import eventsnn
from eventsnn.neurons import IF, SNM
from eventsnn.neurons.contract import emit, settle
from eventsnn.studies import asynchronism, scripts
from eventsnn.trace.microscope import DRIVE, ITSELF, observe
from eventsnn.trace.trace import record
from eventsnn.views.plots import BLUE, ORANGE
from eventsnn.views.tables import text_table, write_csv

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


def draw(found, names, title):
    """Top: error against inversions in the layers `names`, as densities with means. Below:
    correlations by layer.
    """
    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    far = max(
        np.nanmax(np.abs(found.neurons[name].inverted_in_run - 0.5), initial=0.05) for name in names
    )
    bins = 0.5 + np.linspace(-far, far, 41)
    for axes, name in zip(upper.subplots(1, len(names), sharey=True, squeeze=False)[0], names):
        neurons, row = (
            found.neurons[name],
            next(row for row in found.layers if row["layer"] == name),
        )
        chosen = neurons.pairs > 0
        x, y = neurons.inverted_in_run[chosen], neurons.error[chosen]
        levels = np.arange(y.min(initial=0) - 0.5, y.max(initial=1) + 1)
        axes.hist2d(x, y, (bins, levels), cmap="Blues", norm=LogNorm(0.3), rasterized=True)
        place = np.digitize(x, bins)
        means = [
            (x[place == k].mean(), y[place == k].mean())
            for k in range(len(bins) + 1)
            if (place == k).sum() >= FEWEST
        ]
        axes.plot(*np.transpose(means).reshape(2, -1), ".-", color=ORANGE, lw=1.2, ms=4)
        axes.set_title(
            f"{name}: r = {row['in run r']:.2f}, ρ = {row['in run rho']:.2f}",
            fontsize=8,
            parse_math=False,
        )
        axes.set_xlim(0.5 - far, 0.5 + far)
        axes.tick_params(labelsize=8)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    upper.axes[0].set_ylabel("fired - ideal (spikes)", fontsize=9)
    upper.supxlabel(
        "share of pairs in the run that are inverted (blue: density of neurons; orange: mean)",
        fontsize=9,
    )
    axes = lower.subplots()
    for key, (label, colour, style) in PREDICTORS.items():
        axes.plot(
            range(len(found.layers)),
            [row[f"{key} rho"] for row in found.layers],
            style,
            color=colour,
            ms=4,
            lw=1.2,
            label=label,
        )
    axes.axhline(0, color="0.6", lw=0.6)
    scripts.layer_axis(axes, [row["layer"] for row in found.layers])
    axes.set_ylabel("correlation ρ with the error", fontsize=9)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def mapping(found, name):
    """Spikes against charge, both in thresholds, over neurons with about the same charge: one row a
    bin.
    """
    neurons, quanta = found.neurons[name], found.simulation.quanta[list(found.neurons).index(name)]
    x = neurons.arrived / (found.simulation.arithmetic.one.item() * quanta)
    chosen = (x >= -1) & (x < found.simulation.steps)
    which = np.floor(x[chosen] / BIN).astype(int)
    rows = []
    for k in np.unique(which):
        here = [
            values[chosen][which == k]
            for values in (x, neurons.fired / quanta, neurons.ideal / quanta)
        ]
        if len(here[0]) >= FEWEST:
            rows.append(
                {
                    "charge": here[0].mean(),
                    "neurons": len(here[0]),
                    "fired": here[1].mean(),
                    "ideal": here[2].mean(),
                }
            )
    return rows


def draw_mapping(results, name, title):
    """One panel for each of `results`, panel title -> Asynchronism: DNISNM Fig. 2."""
    figure = Figure(figsize=(7.8, 3.4), layout="constrained")
    for axes, (label, found) in zip(figure.subplots(1, len(results), sharey=True), results.items()):
        rows, x = mapping(found, name), np.linspace(-1, found.simulation.steps, 1801)
        charge, fired, ideal = ([row[key] for row in rows] for key in ("charge", "fired", "ideal"))
        stairs = np.maximum(
            0, np.floor(x + found.simulation.initial[list(found.neurons).index(name)].mean())
        )
        axes.fill_between(
            x,
            stairs,
            np.maximum(x, 0),
            facecolor="none",
            edgecolor="0.75",
            hatch="++++",
            lw=0,
            label="discreteness error",
        )
        axes.fill_between(
            charge,
            ideal,
            fired,
            facecolor="none",
            edgecolor=BLUE,
            hatch="....",
            lw=0,
            label="unevenness, asynchronism error",
        )
        axes.plot(x, np.maximum(x, 0), color=ORANGE, lw=1.2, label="ANN")
        axes.plot(x, stairs, color=BLUE, lw=1.2, label="ideal staircase")
        axes.plot(charge, fired, "o", color="black", ms=3, label="measured mean")
        axes.set_title(label, fontsize=9)
        axes.set_xlabel("charge (thresholds)", fontsize=9)
        axes.set_ylim(-0.3, found.simulation.steps + 1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"spikes of {name} (thresholds)", fontsize=9, parse_math=False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def answers(neuron, layer, potential, charges):
    """(potentials charged, net spikes), after each of the arrivals `charges`, of a neuron that
    answers each at once.
    """
    heights, spikes, net = [], [], 0
    for charge in charges:
        potential += charge
        heights.append(potential)
        while n := emit(neuron, layer, potential, net):
            potential, net = settle(neuron, potential, n), net + n
        spikes.append(net)
    return np.array(heights), np.array(spikes)


def draw_neuron(seen, title):
    """The same arrivals three times: inhibition first in each step, as they came, and as they came
    at SNM: DNISNM Fig. 3 and 6.
    """
    rows = seen.arrivals[seen.arrivals["source"] != ITSELF]
    early = rows[np.lexsort((rows["charge"] >= 0, rows["source"] != DRIVE, rows["step"]))]
    one, start = seen.simulation.arithmetic.one.item(), seen.start.item()
    panels = {
        "inhibition first in each step": (IF, early),
        "as it came: IF": (IF, rows),
        "as it came: SNM": (SNM, rows),
    }
    figure = Figure(figsize=(8.2, 3.2), layout="constrained")
    for axes, (label, (model, arrivals)) in zip(figure.subplots(1, 3, sharey=True), panels.items()):
        heights, spikes = answers(model(one), seen.layer, start, arrivals["charge"].tolist())
        axes.plot(heights / one, color=BLUE, lw=0.8, label="potential, charged (spikes)")
        axes.plot(spikes, "--", color=GREEN, lw=1.4, label="net spikes: the memory")
        axes.axhline(seen.ideal, color=ORANGE, ls=":", lw=1.4, label="what all charge is worth")
        for at in np.flatnonzero(np.diff(arrivals["step"], prepend=-1)):
            axes.axvline(at, color="0.88", lw=0.6, zorder=0)
        axes.set_title(f"{label}: {spikes[-1]}", fontsize=9)
        axes.set_xlabel("arrivals (grey: steps)", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def worst(neurons):
    """(image, neuron) that fired most beyond the fewest spikes of any order within its steps
    (without bounds: beyond its charge's worth), among those with late inhibition; of several the
    one with the most charge, then the fewest pairs of arrivals. None for none.
    """
    beyond = neurons.error if neurons.fewest is None else neurons.fired - neurons.fewest
    chosen = np.argwhere((neurons.late < 0) & (beyond > 0))
    if not len(chosen):
        return None
    beyond, ideal, pairs = (
        values[tuple(chosen.T)] for values in (beyond, neurons.ideal, neurons.pairs_in_run)
    )
    return tuple(chosen[np.lexsort((pairs, -ideal, -beyond))[0]].tolist())


def main(argv=None):
    parser = scripts.options(__doc__, limit=8, out="runs/asynchronism")
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument("--order", default="random", help="order of arrival, as for eventsnn.run")
    parser.add_argument("--neuron", default="if", help="neuron model")
    parser.add_argument(
        "--layers",
        default="",
        help=f"layers to draw, separated by commas (default: {SHOWN} of all)",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images = eventsnn.load(args.net), eventsnn.load_images(args.data, limit=args.limit)
    network = eventsnn.convert(
        graph, calibration=eventsnn.load_images(args.data, split="train", limit=128)
    )
    options = {"steps": args.steps, "neuron": args.neuron, "progress": sys.stderr.isatty()}
    found, out = asynchronism.measure(network, images, order=args.order, **options), args.out
    write_csv(out / "asynchronism.csv", found.layers)
    names = [row["layer"] for row in found.layers]
    shown = (
        args.layers.split(",")
        if args.layers
        else [names[i] for i in np.unique(np.linspace(1, len(names) - 1, SHOWN).astype(int))]
    )
    if unknown := set(shown) - set(names):
        raise eventsnn.InputError(
            "--layers", f"some of {', '.join(names)}", ", ".join(sorted(unknown))
        )
    title = f"{graph.meta.get('arch', 'network')}, {args.neuron}, order {args.order}, T = {args.steps}, {len(images)} images"
    scripts.save(draw(found, shown, title), out, "asynchronism")
    print(text_table(found.table()))
    layer = max(found.layers, key=lambda row: row["fired more"])["layer"]
    results = {
        f"({letter}) clocked, v(0) = {words}": asynchronism.measure(
            network, images, order="clocked", initial=initial, **options
        )
        for letter, words, initial in (("a", "0", 0.0), ("b", "θ/2", 0.5))
    } | {f"(c) {args.order}, v(0) = θ/2": found}
    scripts.save(draw_mapping(results, layer, title), out, "mapping")
    write_csv(
        out / "mapping.csv",
        [
            {"panel": label, "layer": layer, **row}
            for label in results
            for row in mapping(results[label], layer)
        ],
    )
    if (place := worst(found.neurons[layer])) is None:
        print(f"no neuron of {layer} fired too often and had late inhibition: no neuron.png")
    else:
        image, neuron = place
        seen = observe(
            record(found.simulation, images.pixels[image], int(images.indices[image]))[1],
            layer,
            neuron,
        )
        scripts.save(
            draw_neuron(
                seen, f"{seen.name}, image {seen.image}; order {args.order}, T = {args.steps}"
            ),
            out,
            "neuron",
        )
    print(f"pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
