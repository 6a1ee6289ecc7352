"""The share of images whose class no order of arrivals can change, beside the accuracy; and how
deep that reaches.

    python analysis/certified_accuracy.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 20
    --steps 8 --neurons if,snm

Of every neuron an interval of spike counts is computed that holds whatever the order of arrivals
was in asynchronous time, from the drive down to the readout (`eventsnn.intervals`); a class is
certified if it has the largest readout for all counts inside. The accuracy is that of clocked time.
An interval of a million spikes is given up, and its image with it. Where no image is certified, the
layers say why: the mean width of their intervals, and the share that is certified where order is
free in one layer alone, or in it and all before it, and all others are clocked (--whole leaves that
out: it takes as many times as long as there are layers). ST-BIF is released evenly (SpikeZIP 3.2).
Writes certified_accuracy.csv (by T), layers.csv (by layer, at the last T), depth.csv (by layer and
T), certified_accuracy.png and certified_accuracy.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

import eventsnn
from eventsnn.studies import scripts
from eventsnn.studies.certified import certify, share
from eventsnn.studies.intervals import LIMIT
from eventsnn.views.tables import report_steps, text_table, write_csv

LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))


def measure(network, images, neuron, steps, whole):
    """Rows by T, by layer, and by layer and T (none with `whole`) of a neuron model."""
    found = certify(
        network,
        images,
        steps=steps,
        neuron=neuron,
        encoding="even" if neuron == "st-bif" else "constant",
        one_by_one=not whole,
        progress=sys.stderr.isatty(),
    )

    def of(rows):
        return [{"neuron": neuron, "images": len(images), **row} for row in rows]

    depth = (
        []
        if whole
        else [
            {
                "T": t,
                "layer": row["layer"],
                **share("alone", alone[:, t - 1]),
                **share("up to", up_to[:, t - 1]),
            }
            for t in report_steps(steps)
            for row, alone, up_to in zip(found.layers, found.alone, found.up_to)
        ]
    )
    return of(found.table()), of([{"T": steps} | row for row in found.layers]), of(depth)


def draw(by_step, by_layer, title):
    """Accuracy and certified share against T, widths by layer, certified share by layer; a colour
    for each neuron model.
    """
    neurons, layers = (
        list(dict.fromkeys(row[key] for row in rows))
        for key, rows in (("neuron", by_step), ("layer", by_layer))
    )
    alone = "alone" in by_layer[0]
    figure = Figure(figsize=(9.6 + 0.1 * len(layers) if alone else 7.4, 4.0), layout="constrained")
    first, *others = figure.subplots(1, 3 if alone else 2)
    x = np.arange(len(layers))
    for k, (neuron, (colour, marker)) in enumerate(zip(neurons, LOOKS * len(neurons))):
        mine, here = (
            [row for row in rows if row["neuron"] == neuron] for rows in (by_step, by_layer)
        )
        thick = 1.3 + 1.1 * (len(neurons) - 1 - k)  # so that lines can be seen behind others
        look = dict(color=colour, marker=marker, ms=3 + thick, lw=thick)
        t = [row["T"] for row in mine]
        for key, style in (("accuracy", "-"), ("certified", "--")):
            first.plot(
                t,
                [100 * row[key] for row in mine],
                ls=style,
                **look,
                label=neuron.upper() if style == "-" else None,
                clip_on=False,
            )
            first.fill_between(
                t,
                *([100 * row[f"{key} {end}"] for row in mine] for end in ("low", "high")),
                color=colour,
                alpha=0.08,
                lw=0,
            )
        others[0].plot(x, [row["mean width"] for row in here], ls="-", **look)
        if alone:
            others[0].plot(x, [row["alone width"] for row in here], ls=":", mfc="white", **look)
            others[1].plot(
                x, [100 * row["alone"] for row in here], ls=":", mfc="white", **look, clip_on=False
            )
            others[1].plot(x, [100 * row["up to"] for row in here], ls="-", **look, clip_on=False)
    first.set_xscale("log", base=2)
    first.set_xticks(t, [str(step) for step in t])
    first.set(xlabel="time steps T", ylabel="images (%)", ylim=(0, 100))
    first.set_title("accuracy and certified share", fontsize=10)
    first.plot([], [], color="0.4", ls="-", label="accuracy")
    first.plot([], [], color="0.4", ls="--", label="certified")
    others[0].set_yscale("symlog", linthresh=1)
    others[0].set_ylim(0, None)
    others[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    others[0].set(ylabel=f"mean width (spikes), T = {by_layer[0]['T']}")
    others[0].set_title("intervals of spike counts", fontsize=10)
    if max(row["widest"] for row in by_layer) >= LIMIT:
        others[0].axhline(LIMIT, color="0.4", lw=1, ls="-.", label="given up")
    if alone:
        others[1].set(ylabel=f"certified images (%), T = {by_layer[0]['T']}", ylim=(0, 100))
        others[1].set_title("where order is free", fontsize=10)
        first.plot(
            [],
            [],
            color="0.4",
            ls=":",
            marker="o",
            mfc="white",
            ms=4,
            label="order free in this layer alone",
        )
        first.plot([], [], color="0.4", ls="-", marker="o", ms=4, label="and in all before it")
    for axes in others:
        scripts.layer_axis(axes, layers)
    scripts.plain(first, "y")
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(loc="outside lower center", ncols=8, frameon=False, fontsize=8)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=20, out="runs/certified_accuracy")
    parser.add_argument("--steps", type=int, default=8, help="the largest T")
    parser.add_argument(
        "--neurons", default="if,snm", help="models, separated by commas: if, gn, snm, st-bif"
    )
    parser.add_argument(
        "--whole", action="store_true", help="the whole network only, not layer by layer"
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph, images = eventsnn.load(args.net), eventsnn.load_images(args.data, limit=args.limit)
    network = eventsnn.convert(
        graph, calibration=eventsnn.load_images(args.data, split="train", limit=128)
    )
    tables: dict = {"certified_accuracy": [], "layers": [], "depth": []}
    for neuron in args.neurons.split(","):
        for (name, rows), more in zip(
            tables.items(), measure(network, images, neuron, args.steps, args.whole)
        ):
            rows += more
            if rows:
                write_csv(args.out / f"{name}.csv", rows)
    by_step, by_layer, _ = tables.values()
    scripts.save(
        draw(by_step, by_layer, f"{graph.meta.get('arch', 'network')}, {len(images)} images"),
        args.out,
        "certified_accuracy",
    )
    shares = {
        key: (key, ".1%")
        for key in (
            "accuracy",
            "certified",
            "certified and correct",
            "same as run",
            "given up",
            "alone",
            "up to",
            "exact",
        )
    }
    for rows, dropped in ((by_step, ("images",)), (by_layer, ("images", "T", "free"))):
        print(
            text_table(
                [
                    {
                        k: v
                        for k, v in row.items()
                        if k not in dropped and not k.endswith((" low", " high"))
                    }
                    for row in rows
                ],
                shares | {"neurons": ("neurons", ","), "widest": ("widest", ",")},
            ),
            end="\n\n",
        )
    print(f"pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
