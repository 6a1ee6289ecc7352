"""What a run costs: rates by layer, and counted operations against two papers' formulas (DNISNM
Fig. 9 and Tab. 5, SpikeZIP Fig. 7).

    python analysis/energy.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200 --steps 16
    --neurons if,snm

Counted: one operation for each weight that a delivered spike touches. DNISNM eq. 25 estimates them
as spikes / neurons * MACs of the ANN, layer by layer, and eq. 26 their energy (0.9 pJ; 4.6 pJ in
the first layer and for the ANN's MACs). SpikeZIP takes 77 fJ for each operation, and 12.5 pJ a FLOP
of the ANN. The drive of the first layer costs only in eq. 26, and there only as its spikes do.
ST-BIF is released evenly (SpikeZIP 3.2). Writes energy.csv (by T), rates.csv (by layer), energy.png
and energy.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from tqdm import tqdm

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.result import run
from eventsnn.studies import cost, scripts
from eventsnn.views.tables import in_unit, report_steps, text_table, write_csv

ENERGIES = {
    "counted": ("counted, 0.9 / 4.6 pJ", "-"),
    "dnisnm": ("DNISNM eq. 26", ":"),
    "spikezip": ("SpikeZIP, 77 fJ / 12.5 pJ", "--"),
}


def measure(network, images, outputs, neuron, steps, progress):
    """(one row for each T, one row for each layer) of a neuron model."""
    result = run(
        network,
        images,
        steps=steps,
        neuron=neuron,
        encoding="even" if neuron == "st-bif" else "constant",
        progress=progress,
    )
    by_step = []
    for t in report_steps(steps):
        spikes, operations = (
            a[:, :, :t].sum(axis=(0, 2)) / len(images) for a in (result.spikes, result.operations)
        )
        costs = cost.costs(network, spikes, operations)
        found = scripts.accuracy(result, t)
        by_step.append(
            {
                "neuron": neuron,
                "T": t,
                **found,
                "accuracy drop": found["accuracy"]
                * len(images)
                / max(1, np.sum(outputs.argmax(axis=1) == images.labels))
                - 1,
                "rate": float(spikes.sum() / (network.neurons * t)),
                **costs,
                "counted / ANN": costs["counted_microjoule"]
                / (cost.MAC * costs["ann_macs"] * 1e-6),
                "dnisnm / ANN": 1 + costs["dnisnm_energy_drop"],
                "spikezip / ANN": costs["spikezip_microjoule"] / costs["spikezip_ann_microjoule"],
            }
        )
    spikes = result.spikes.sum(axis=(0, 2)) / len(images)
    operations = result.operations.sum(axis=(0, 2)) / len(images)
    by_layer = [
        {
            "neuron": neuron,
            "layer": layer.name,
            "neurons": layer.size,
            "rate": float(spikes[i] / (layer.size * steps)),
            "operations into": float(operations[i]),
        }
        for i, layer in enumerate(network.layers[:-1])
    ]
    return by_step, by_layer


def draw(by_step, by_layer, title):
    """Rates by layer; operations against T; energy as a share of the ANN's against T. A colour for
    each neuron model.
    """
    neurons = list(dict.fromkeys(row["neuron"] for row in by_step))
    layers = list(dict.fromkeys(row["layer"] for row in by_layer))
    figure = Figure(figsize=(max(10.5, 8.2 + 0.16 * len(layers)), 3.9), layout="constrained")
    bars, counts, energy = figure.subplots(1, 3, width_ratios=[max(1.0, len(layers) / 14), 1, 1])
    unit, factor = in_unit([row["ann_macs"] for row in by_step])
    for k, (neuron, (colour, marker)) in enumerate(zip(neurons, scripts.LOOKS * len(neurons))):
        mine, width = [row for row in by_step if row["neuron"] == neuron], 0.8 / len(neurons)
        rates = [100 * row["rate"] for row in by_layer if row["neuron"] == neuron]
        bars.bar(
            np.arange(len(rates)) + (k - (len(neurons) - 1) / 2) * width, rates, width, color=colour
        )
        t, thick = (
            [row["T"] for row in mine],
            1.3 + 1.1 * (len(neurons) - 1 - k),
        )  # so that lines can be seen behind others
        look = dict(color=colour, marker=marker, ms=4, lw=thick)
        counts.plot(
            t, [factor * row["counted_operations"] for row in mine], **look, label=neuron.upper()
        )
        counts.plot(
            t, [factor * row["dnisnm_operations"] for row in mine], **look, mfc="white", ls=":"
        )
        for name, (_, style) in ENERGIES.items():
            energy.plot(t, [100 * row[f"{name} / ANN"] for row in mine], **look, ls=style)
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
    for axes in (counts, energy):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if axes is counts else (1,)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(t, [str(step) for step in t])
        axes.set_xlabel("time steps T")
        axes.legend(frameon=False, fontsize=7)
        scripts.plain(axes, "y")
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/energy")
    parser.add_argument("--steps", type=int, default=16, help="the largest T")
    parser.add_argument(
        "--neurons", default="if", help="models, separated by commas: if, if-hard, snm, gn, st-bif"
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images, calibration = scripts.given(args)
    network = eventsnn.convert(graph, calibration=calibration)
    outputs, out, by_step, by_layer = ann.predict(graph, images.pixels), args.out, [], []
    for neuron in tqdm(args.neurons.split(","), unit="model", disable=None, delay=2):
        for rows, more in zip(
            (by_step, by_layer),
            measure(network, images, outputs, neuron, args.steps, sys.stderr.isatty()),
        ):
            rows += more
        write_csv(out / "energy.csv", by_step)
        write_csv(out / "rates.csv", by_layer)
    figure = draw(by_step, by_layer, f"{graph.meta.get('arch', 'network')}, {len(images)} images")
    scripts.save(figure, out, "energy")
    shown = {
        "neuron": "neuron",
        "T": "T",
        "accuracy": "accuracy",
        "accuracy drop": "drop",
        "rate": "rate",
        "counted_operations": "counted",
        "dnisnm_operations": "eq. 25",
        "counted / ANN": "counted / ANN",
        "dnisnm / ANN": "eq. 26 / ANN",
        "spikezip / ANN": "SpikeZIP / ANN",
    }
    shares = (
        "accuracy",
        "accuracy drop",
        "rate",
        "counted / ANN",
        "dnisnm / ANN",
        "spikezip / ANN",
    )
    formats = {
        key: (name, ".1%" if key in shares else ",.0f" if "operations" in key else "")
        for key, name in shown.items()
    }
    print(text_table([{key: row[key] for key in shown} for row in by_step], formats))
    print(f"\nANN: {by_step[0]['ann_macs']:,} MACs; pictures and tables in {out}")


if __name__ == "__main__":
    sys.exit(main())
