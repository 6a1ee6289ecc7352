"""What a run costs: rates by layer, counted operations beside two papers' formulas, and memory.

DNISNM Fig. 9 and Tab. 5, SpikeZIP Fig. 7 and what section 4.5 says of Tab. 7, on one's own network.

    python analysis/energy.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --neurons if,snm
    python analysis/energy.py --neurons if,if+srp,snm,st-bif --fraction-bits 16

Counted: one operation for each weight that a delivered spike touches. DNISNM eq. 25 estimates them
as spikes / neurons * MACs of the ANN, layer by layer, and eq. 26 their energy (0.9 pJ; 4.6 pJ in
the first layer and for the ANN's MACs). SpikeZIP takes 77 fJ for each operation, and 12.5 pJ a FLOP
of the ANN. The drive of the first layer costs only in eq. 26, and there only as its spikes do.
ST-BIF is released evenly (SpikeZIP 3.2); +srp behind a model is SRP with 4 steps first, whose cost
counts. Means and ratios have bootstrap intervals in the CSV files, and energy in the picture.

The state of a neuron is what it keeps between two steps, in bits: the potential, as wide as is
proven to be enough (--fraction-bits of it behind the point, in the runs, too), S where the model
asks for it, and the mask of SRP. Writes energy.csv (by T), rates.csv (by layer), states.csv (bits,
by layer), energy and states, each as .png and .svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from eventsnn import Network
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.studies import cost, scripts, states
from eventsnn.studies.sampled import Sample, with_intervals
from eventsnn.studies.setting import pick
from eventsnn.sweep import stored
from eventsnn.views.tables import in_unit, write_csv

ENERGIES = {
    "counted": ("counted, 0.9 / 4.6 pJ", "-"),
    "dnisnm": ("DNISNM eq. 26", ":"),
    "spikezip": ("SpikeZIP, 77 fJ / 12.5 pJ", "--"),
}
TITLE = (
    "Cost of an image after T steps; drop: of the ANN's accuracy; rate: spikes per neuron and "
    "step; counted: synaptic operations; eq. 25: DNISNM's estimate of them; / ANN: energy, of "
    "the ANN's"
)
SRP = "+srp"  # behind a model
FIRST = 4  # steps of its first stage
BITS = (
    "State of a neuron in bits, mean of the layers' neurons; potential: the least bits that are "
    "proven to be enough; S: net spikes; KiB: of all neurons; nJ: counted operations of an image"
)
# columns of the table of states -> (heading, format)
STATES = {
    "neuron": ("neuron", ""),
    "potential": ("potential", ".1f"),
    "S": ("S", ".1f"),
    "mask": ("mask", ".0f"),
    "own": ("own", ".0f"),
    "bits": ("bits", ".1f"),
    "KiB": ("KiB", ",.1f"),
    "nJ": ("nJ", ",.0f"),
    "nJ a neuron": ("nJ a neuron", ".2g"),
}
PARTS = {"potential": "potential", "S": "S, net spikes", "mask": "mask (SRP)", "own": "own states"}
PUBLISHED = (
    "published (SpikeZIP 4.5, of ST-BIF in 65 nm CMOS; of its Tab. 7 the text has no more)"
    ":\na tracer of spikes (S) of 4 bits, for at most 11 steps; 1.22 % more power than an IF neuron"
)
# columns of the printed table -> (heading, format)
COLUMNS = {
    "neuron": ("neuron", ""),
    "T": ("T", ""),
    "accuracy": ("accuracy", ".1%"),
    "accuracy drop": ("drop", ".1%"),
    "rate": ("rate", ".1%"),
    "counted_operations": ("counted", ",.0f"),
    "dnisnm_operations": ("eq. 25", ",.0f"),
    "counted / ANN": ("counted / ANN", ".1%"),
    "dnisnm / ANN": ("eq. 26 / ANN", ".1%"),
    "spikezip / ANN": ("SpikeZIP / ANN", ".1%"),
}


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --neurons. args: the options."""
    found = []
    for name in args.neurons.split(","):
        neuron = name.removesuffix(SRP)
        if "+" in neuron:
            raise InputError("--neurons", f"{SRP} behind a model, or nothing", repr(name))
        encoding = "even" if neuron == "st-bif" else "constant"
        options = {"neuron": neuron, "encoding": encoding, "steps": args.steps}
        if name != neuron:
            options["srp"] = FIRST
        if args.fraction_bits is not None:
            options["fraction_bits"] = args.fraction_bits
        found.append(stored.Way({}, options, [args.seed]))
    return found


def measure(
    source: stored.Live | stored.Stored,
    network: Network,
    neuron: str,
    way: stored.Way,
    times: Sequence[int],
    seed: int,
) -> tuple[list[scripts.Row], list[scripts.Row], dict[tuple[str, int], NDArray[np.bool_]]]:
    """(one row for each T, one row for each layer, (neuron, T) -> hits) of a neuron model.

    source: what is run. network: its spiking network. neuron: the model's name. way: how it is run.
    times: the numbers T. seed: of the bootstrap.
    """
    steps = way.options["steps"]
    (result,) = source.runs(way)
    decided = result.conditions
    ann_right = np.asarray(ann.classes_of(source.logits) == source.labels, np.float64)
    before = result.batch.stage_one  # [N, 2, L] of SRP, which costs, too
    first = np.zeros((2, 1, 1)) if before is None else np.moveaxis(before, 1, 0)
    rows, samples, right = [], {}, {}
    for t in times:
        spikes = result.spikes[:, :, :t].sum(axis=2).astype(np.float64)
        operations = result.operations[:, :, :t].sum(axis=2).astype(np.float64)
        right[neuron, t] = scripts.hits(result, t)
        found = {"accuracy drop": Sample(right[neuron, t] - ann_right, ann_right)}
        found["rate"] = Sample(spikes.sum(axis=1) / (network.neurons * t))
        costs = cost.by_image(network, spikes + first[0], operations + first[1])
        found |= {name: Sample(values) for name, values in costs.items()}
        found |= {f"{name} / ANN": Sample(values) for name, values in _of_ann(network, costs)}
        row = {"neuron": neuron, "T": t, **scripts.accuracy(result, t)}
        row["ann_macs"] = int(cost.macs(network).sum())
        row |= {name: sample.mean for name, sample in found.items()}
        row["spikezip_ann_microjoule"] = cost.spikezip_ann(network)
        rows.append(row | {"conditions": decided})
        samples |= {((neuron, t), name): sample for name, sample in found.items()}
    by_step = with_intervals(rows, [samples], seed, lambda row: (row["neuron"], row["T"]))
    rows, samples = [], {}
    for i, layer in enumerate(network.spiking):
        rates = result.spikes[:, i].sum(axis=1) / (layer.size * steps)
        into = result.operations[:, i].sum(axis=1) + first[1][:, min(i, first.shape[2] - 1)]
        row = {"neuron": neuron, "layer": layer.name, "neurons": layer.size}
        row |= {"rate": float(rates.mean()), "operations into": float(into.mean())}
        row["counted_nanojoule"] = 1e-3 * cost.ADDITION * row["operations into"]
        row["spikezip_nanojoule"] = 1e-3 * cost.SYNAPTIC_OPERATION * row["operations into"]
        rows.append(row | {"conditions": decided})
        samples[layer.name, "rate"] = Sample(rates)
        samples[layer.name, "operations into"] = Sample(into)
    return by_step, with_intervals(rows, [samples], seed), right


def _of_ann(
    network: Network, costs: dict[str, NDArray[np.float64]]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """(name, energy of each image as a share of the ANN's). costs: of `cost.by_image`."""
    yield "counted", costs["counted_microjoule"] / (cost.MAC * cost.macs(network).sum() * 1e-6)
    yield "dnisnm", 1 + costs["dnisnm_energy_drop"]
    yield "spikezip", costs["spikezip_microjoule"] / cost.spikezip_ann(network)


def draw(by_step: list[scripts.Row], by_layer: list[scripts.Row], title: str) -> Figure:
    """Rates by layer; operations against T; energy as a share of the ANN's against T.

    by_step, by_layer: rows of `measure`, of which each neuron model has a colour. title: of the
    picture.
    """
    neurons = scripts.distinct(by_step, "neuron")
    layers = scripts.distinct(by_layer, "layer")
    figure = scripts.sheet(3, 3.9, max(-1.5, 0.16 * len(layers) - 3))
    bars, counts, energy = figure.subplots(1, 3, width_ratios=[max(1.0, len(layers) / 14), 1, 1])
    unit, factor = in_unit(scripts.column(by_step, "ann_macs"))
    for k, (neuron, (colour, marker)) in enumerate(zip(neurons, scripts.LOOKS * len(neurons))):
        mine, width = scripts.only(by_step, neuron=neuron), 0.8 / len(neurons)
        rates = scripts.column(scripts.only(by_layer, neuron=neuron), "rate", 100)
        places = np.arange(len(rates)) + (k - (len(neurons) - 1) / 2) * width
        bars.bar(places, rates, width, color=colour)
        t = scripts.column(mine, "T")
        thick = 1.3 + 1.1 * (len(neurons) - 1 - k)  # so that lines can be seen behind others
        look = {"color": colour, "marker": marker, "ms": 4, "lw": thick}
        counted = scripts.column(mine, "counted_operations", factor)
        estimated = scripts.column(mine, "dnisnm_operations", factor)
        counts.plot(t, counted, **look, label=neuron.upper())
        counts.plot(t, estimated, **look, mfc="white", ls=":")
        for name, (_, style) in ENERGIES.items():
            energy.plot(t, scripts.column(mine, f"{name} / ANN", 100), **look, ls=style)
            ends = (scripts.column(mine, f"{name} / ANN {end}", 100) for end in ("low", "high"))
            energy.fill_between(t, *ends, color=colour, alpha=0.2, lw=0)
    counts.axhline(factor * by_step[0]["ann_macs"], color="0.4", lw=1, ls="-.", label="ANN (MACs)")
    counts.plot([], [], color="0.4", marker="o", ms=4, label="counted")
    counts.plot([], [], color="0.4", marker="o", mfc="white", ms=4, ls=":", label="DNISNM eq. 25")
    energy.axhline(100, color="0.4", lw=1, ls="-.")
    for label, style in ENERGIES.values():
        energy.plot([], [], color="0.4", ls=style, label=label)
    scripts.layer_axis(bars, layers)
    bars.set_title("firing rate", fontsize=10)
    bars.set_ylabel(f"spikes per neuron and step (%), T = {by_step[-1]['T']}")
    counts.set_title("operations", fontsize=10)
    counts.set_ylabel(f"operations an image ({unit})")
    energy.set_title("energy", fontsize=10)
    energy.set_ylabel("% of the ANN's")
    _logarithmic(counts, t, (1, 2, 5))
    _logarithmic(energy, t, (1,))
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def draw_states(totals: list[scripts.Row], by_layer: list[scripts.Row], title: str) -> Figure:
    """Bits of a neuron by model, and energy by layer.

    totals: of `total_of`, a row for each model. by_layer: of `measure`. title: of the picture.
    """
    layers = scripts.distinct(by_layer, "layer")
    figure = scripts.sheet(2, 3.9, max(-1.0, 0.16 * len(layers) - 2))
    left, right = figure.subplots(1, 2, width_ratios=[1, max(1.0, len(layers) / 14)])
    neurons = scripts.column(totals, "neuron")
    bottom = np.zeros(len(neurons))
    for (part, label), (colour, _) in zip(PARTS.items(), scripts.LOOKS):
        its = np.array(scripts.column(totals, part), np.float64)
        if its.any():
            left.bar(neurons, its, 0.6, bottom, color=colour, label=label)
            bottom += its
    for x, (total, row) in enumerate(zip(bottom, totals)):
        words = f"{row['KiB']:,.0f} KiB" if row["KiB"] >= 10 else f"{row['KiB']:.1f} KiB"
        left.annotate(
            words, (x, total), (0, 2), textcoords="offset points", ha="center", fontsize=7
        )
    left.set_ylim(0, 1.12 * bottom.max())
    left.set_title("state of a neuron, and of all", fontsize=10)
    left.set_ylabel("bits, mean of the neurons")
    left.legend(
        frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=len(PARTS)
    )
    scripts.plain(left, "y")
    width = 0.8 / len(neurons)
    for k, (neuron, (colour, _)) in enumerate(zip(neurons, scripts.LOOKS * len(neurons))):
        energy = scripts.column(scripts.only(by_layer, neuron=neuron), "counted_nanojoule")
        places = np.arange(len(energy)) + (k - (len(neurons) - 1) / 2) * width
        right.bar(places, energy, width, color=colour, label=neuron)
    right.set_title("energy of an image, by layer", fontsize=10)
    right.set_ylabel("nJ, 0.9 pJ a counted operation")
    right.legend(frameon=False, fontsize=7)
    scripts.layer_axis(right, layers)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def total_of(neuron: str, by_state: list[scripts.Row], by_layer: list[scripts.Row]) -> scripts.Row:
    """A row of a model: the mean bits of its neurons' state, what all take, and energy.

    neuron: the model. by_state: its rows of `states.bits`. by_layer: its rows of `measure`.
    """
    sizes = np.array(scripts.column(by_state, "neurons"), np.float64)
    row: scripts.Row = {"neuron": neuron}
    for part in ("potential", "S", "mask", "own", "bits"):
        row[part] = float(np.average(scripts.column(by_state, part), weights=sizes))
    energy = sum(scripts.column(by_layer, "counted_nanojoule"))
    row["KiB"] = row["bits"] * sizes.sum() / 8 / 1024
    return row | {"nJ": energy, "nJ a neuron": energy / sizes.sum()}


def _logarithmic(axes: Axes, t: list[int], subs: tuple[int, ...]) -> None:
    """Both axes logarithmic, with ticks at t and at `subs` of each power of ten, and a legend."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(t, [str(step) for step in t])
    axes.set_xlabel("time steps T")
    axes.legend(frameon=False, fontsize=7)
    scripts.plain(axes, "y")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/energy")
    scripts.add_steps(parser, 16)
    words = "models, separated by commas: if, if-hard, snm, gn, st-bif, each with +srp or without"
    parser.add_argument("--neurons", default="if", help=words)
    words = "F of potentials, weights and drive (default: the most that 32 bits allow)"
    parser.add_argument("--fraction-bits", type=int, metavar="F", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source = stored.source_of(args)
    network, out = source.network(), args.out
    right: dict[tuple[str, int], NDArray[np.bool_]] = {}
    neurons = args.neurons.split(",")
    by_step: list[scripts.Row] = []
    by_layer: list[scripts.Row] = []
    of_neurons = dict(zip(neurons, ways(args)))
    by_state: list[scripts.Row] = []
    totals: list[scripts.Row] = []
    for neuron in scripts.each(neurons, "model"):
        steps, layers, its = measure(
            source, network, neuron, of_neurons[neuron], scripts.times(args), args.seed
        )
        right |= its
        by_step += steps
        by_layer += layers
        scripts.paired(
            by_step, right, lambda row: (row["neuron"], row["T"]), lambda key: (neurons[0], key[1])
        )
        write_csv(out / "energy.csv", by_step)
        write_csv(out / "rates.csv", by_layer)
        its = states.bits(stored.simulation_of(args, of_neurons[neuron]))
        totals.append(total_of(neuron, its, layers))
        by_state += [{"neuron": neuron, **row} for row in its]
        write_csv(out / "states.csv", by_state)
    figure = draw(by_step, by_layer, scripts.title(source.graph, f"{len(source.labels)} images"))
    decided = scripts.words(by_step)
    scripts.save(figure, out, "energy", decided)
    shown = [pick(row, (*COLUMNS, *scripts.PAIRED)) for row in by_step]
    scripts.show(TITLE, scripts.compact(shown), decided, COLUMNS)
    print(f"\n{scripts.footnote(neurons[0], args.seed)}")
    print(f"\nANN: {by_step[0]['ann_macs']:,} MACs\n")
    title = scripts.title(source.graph, f"T = {args.steps}", f"{len(source.labels)} images")
    scripts.save(draw_states(totals, by_layer, title), out, "states", decided)
    scripts.show(BITS, totals, decided, STATES)
    print(f"\n{PUBLISHED}")


if __name__ == "__main__":
    sys.exit(main())
