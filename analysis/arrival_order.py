"""What the order of arrival costs: accuracy of each neuron model under each order, and against the
integration window.

    python analysis/arrival_order.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200
    --steps 8

Draws two pictures (no paper has them; DNISNM section 3.3 and SRP Fig. 1 argue about single
neurons): accuracy under each order policy for each neuron model, with 95 % intervals; and the curve
between asynchronous and clocked time, accuracy against the integration window for spikes delayed by
a jitter of up to one step. A third table says layer by layer how fifo parts from clocked time on
the first 16 images: the rates, the share of neurons that fired more than all their charge was worth
(late inhibition, DNISNM section 3.3), and the correlation of spike counts with clocked ones. A
fourth, and a picture, has unevenness error I in SRP's four cases (SRP Def. 1, Fig. 3a) under each
order: what layers make themselves of the spikes they are sent, with L := T. Writes
arrival_order.csv, window.csv, layers.csv, cases.csv, and arrival_order.png, window.png and
cases.png (each also as SVG).
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn.exceptions import PotentialsTooLarge, TooManyEvents
from eventsnn.result import run
from eventsnn.studies import errors, scripts
from eventsnn.views.plots import BLUE, CASES, ORANGE
from eventsnn.views.tables import text_table, wilson, write_csv

ORDERS = {
    "clocked": dict(order="clocked"),
    "fifo": dict(order="fifo"),
    "random": dict(order="random"),
    "inhibitory first": dict(order="inhibitory_first"),
    "excitatory first": dict(order="excitatory_first"),
    "fifo, 1 spike a step": dict(order="fifo", refractory=1.0),
    "random, 1 spike a step": dict(order="random", refractory=1.0),
    "inhibitory first, 1 spike a step": dict(order="inhibitory_first", refractory=1.0),
    "excitatory first, 1 spike a step": dict(order="excitatory_first", refractory=1.0),
}
EXPLOSIONS = (TooManyEvents, PotentialsTooLarge)
MOST = 4  # events for each neuron and step, beyond which firing counts as exploding
WINDOWS = (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 1.5, 2)
COLOURS = {"if": BLUE, "snm": ORANGE, "if-hard": "#009E73"}


def measure(network, images, steps, neuron, label, most=MOST, **time):
    """One row: accuracy with its interval, spikes and operations per image; an order under which
    firing explodes has none.
    """
    try:
        result = run(
            network,
            images,
            steps=steps,
            engine="event",
            neuron=neuron,
            max_events=most * network.neurons * steps,
            **time,
        )
    except EXPLOSIONS:
        return {
            "neuron": neuron,
            "order": label,
            "T": steps,
            "images": len(images),
            "accuracy": float("nan"),
            "low": float("nan"),
            "high": float("nan"),
            "spikes": float("inf"),
            "operations": float("inf"),
        }
    hits = round(result.accuracy() * len(images))
    low, high = wilson(hits, len(images))
    return {
        "neuron": neuron,
        "order": label,
        "T": steps,
        "images": len(images),
        "accuracy": hits / len(images),
        "low": low,
        "high": high,
        "spikes": float(result.spikes.sum() / len(images)),
        "operations": float(result.operations.sum() / len(images)),
    }


def cases(network, images, steps, neuron, label, **time):
    """One row a layer: neurons with unevenness error I in percent, by case; none where firing
    explodes.
    """
    try:
        found = errors.cases(
            network,
            images,
            steps=steps,
            engine="event",
            neuron=neuron,
            max_events=MOST * network.neurons * steps,
            **time,
        )
    except EXPLOSIONS:
        return []
    return [
        {
            "neuron": neuron,
            "order": label,
            "T": steps,
            "images": len(images),
            "layer": row["layer"],
            "neurons": row["neurons"],
            **{f"case {k}": row[f"I case {k}"] for k in CASES},
            "error I": row["I"],
        }
        for row in found.layers
    ]


def in_all(rows):
    """The mean of the layers' rows of `cases`, weighted by neurons, for each neuron model and
    order.
    """
    keys, means = [f"case {k}" for k in CASES] + ["error I"], []
    for neuron, order in dict.fromkeys((row["neuron"], row["order"]) for row in rows):
        mine = [row for row in rows if (row["neuron"], row["order"]) == (neuron, order)]
        shares = np.average(
            [[row[key] for key in keys] for row in mine],
            axis=0,
            weights=[row["neurons"] for row in mine],
        )
        means.append({"neuron": neuron, "order": order, **dict(zip(keys, shares.tolist()))})
    return means


def by_layer(network, images, steps):
    """One row a layer: how IF neurons under fifo part from clocked time."""
    clocked, fifo = (
        run(network, images, steps=steps, engine="event", order=order, neurons=True)
        for order in ("clocked", "fifo")
    )
    first = np.cumsum([0] + [layer.size for layer in network.layers])
    rows = []
    for i, layer in enumerate(network.spiking):
        here = slice(first[i], first[i + 1])
        a, b = clocked.batch.counts[:, here], fifo.batch.counts[:, here]
        worth = np.maximum(
            np.floor(fifo.batch.potentials[:, here] / fifo.simulation.arithmetic.one + b), 0
        )
        rows.append(
            {
                "layer": layer.name,
                "rate clocked": float(a.mean() / steps),
                "rate fifo": float(b.mean() / steps),
                "fired more than worth": float(np.mean(b > worth)),
                "correlation": float(np.corrcoef(a.ravel(), b.ravel())[0, 1]),
            }
        )
    return rows


def draw_orders(rows, title):
    """Bars of accuracy by order, one colour a model."""
    labels, neurons = (
        list(dict.fromkeys(r["order"] for r in rows)),
        list(dict.fromkeys(r["neuron"] for r in rows)),
    )
    figure = Figure(figsize=(6.4, 0.9 + 0.42 * len(labels)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(neurons)
    for k, neuron in enumerate(neurons):
        for row in (r for r in rows if r["neuron"] == neuron):
            y = labels.index(row["order"]) + (k - (len(neurons) - 1) / 2) * height
            if row["accuracy"] != row["accuracy"]:
                axes.text(
                    1, y, "spikes without end", va="center", fontsize=7, color=COLOURS[neuron]
                )
                continue
            error = [
                [100 * (row["accuracy"] - row["low"])],
                [100 * (row["high"] - row["accuracy"])],
            ]
            axes.barh(
                y,
                100 * row["accuracy"],
                height,
                xerr=error,
                color=COLOURS[neuron],
                ecolor="#333333",
                error_kw={"lw": 0.8},
                label=neuron.upper()
                if row is next(r for r in rows if r["neuron"] == neuron)
                else None,
            )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xlabel="accuracy (%)", title=title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(
        frameon=False, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(neurons), fontsize=8
    )
    return figure


def draw_cases(means, title):
    """Stacked bars of error I by order, one panel a model; an order under which firing explodes has
    none.
    """
    labels, neurons = list(ORDERS), list(dict.fromkeys(row["neuron"] for row in means))
    figure = Figure(
        figsize=(3.0 + 2.6 * len(neurons), 1.4 + 0.3 * len(labels)), layout="constrained"
    )
    for axes, neuron in zip(
        figure.subplots(1, len(neurons), sharex=True, sharey=True, squeeze=False)[0], neurons
    ):
        mine = [row for row in means if row["neuron"] == neuron]
        places, left = [labels.index(row["order"]) for row in mine], np.zeros(len(mine))
        for k, (colour, meaning) in CASES.items():
            share = np.array([row[f"case {k}"] for row in mine])
            axes.barh(places, share, 0.75, left, color=colour, label=meaning)
            left += share
        for place in set(range(len(labels))) - set(places):
            axes.text(0.3, place, "spikes without end", va="center", fontsize=7)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title(neuron.upper(), fontsize=10)
        axes.set_xlabel("neurons with error I (%)")
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def draw_windows(rows, clocked, title):
    """Accuracy against the window, one line a model; dashed: clocked time."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for neuron in dict.fromkeys(r["neuron"] for r in rows):
        mine = [r for r in rows if r["neuron"] == neuron]
        x = [r["window"] for r in mine]
        axes.fill_between(
            x,
            [100 * r["low"] for r in mine],
            [100 * r["high"] for r in mine],
            color=COLOURS[neuron],
            alpha=0.2,
            lw=0,
        )
        axes.plot(
            x,
            [100 * r["accuracy"] for r in mine],
            "o-",
            ms=4,
            color=COLOURS[neuron],
            label=neuron.upper(),
        )
        axes.axhline(100 * clocked[neuron], color=COLOURS[neuron], ls="--", lw=1)
    axes.set(
        xlabel="integration window (steps); spikes are delayed by up to 1 step",
        ylabel="accuracy (%)",
        title=title,
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=100, out="runs/arrival_order")
    parser.add_argument(
        "--window-limit", type=int, default=100, help="number of those to measure windows on"
    )
    parser.add_argument(
        "--case-limit", type=int, default=50, help="number of those to count error cases on"
    )
    parser.add_argument("--steps", type=int, default=8, help="T")
    parser.add_argument("--neurons", default="if,snm", help="models, separated by commas")
    parser.add_argument(
        "--windows", default=",".join(map(str, WINDOWS)), help="integration windows in steps"
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    graph = eventsnn.load(args.net)
    images = eventsnn.load_images(args.data, limit=args.limit)
    network = eventsnn.convert(
        graph, calibration=eventsnn.load_images(args.data, split="train", limit=128)
    )
    neurons, windows = args.neurons.split(","), [float(w) for w in args.windows.split(",")]
    few = images.take(np.arange(min(args.window_limit, len(images))))
    out = args.out
    title = f"{graph.meta.get('arch', 'network')}, T = {args.steps}, {len(images)} images"
    counted = images.take(np.arange(min(args.case_limit, len(images))))
    rows, curve, found = [], [], []
    with tqdm(
        total=len(neurons) * (2 * len(ORDERS) + len(windows)), unit="run", disable=None, delay=2
    ) as bar:
        for neuron in neurons:
            for label, time in ORDERS.items():
                rows.append(measure(network, images, args.steps, neuron, label, **time))
                write_csv(out / "arrival_order.csv", rows)
                bar.update()
                found += cases(network, counted, args.steps, neuron, label, **time)
                write_csv(out / "cases.csv", found)
                bar.update()
        for neuron in neurons:
            for window in windows:
                row = measure(
                    network,
                    few,
                    args.steps,
                    neuron,
                    "jitter",
                    order="jitter",
                    jitter="uniform:1",
                    window=window,
                    most=64,
                )
                curve.append({**row, "window": window})
                write_csv(out / "window.csv", curve)
                bar.update()
    layers = by_layer(network, images.take(np.arange(min(16, len(images)))), args.steps)
    write_csv(out / "layers.csv", layers)
    clocked = {row["neuron"]: row["accuracy"] for row in rows if row["order"] == "clocked"}
    few_title = f"{graph.meta.get('arch', 'network')}, T = {args.steps}, {len(few)} images (dashed: clocked, {len(images)} images)"
    means = in_all(found)
    for name, figure in (
        ("arrival_order", draw_orders(rows, title)),
        ("window", draw_windows(curve, clocked, few_title)),
        (
            "cases",
            draw_cases(
                means,
                f"{graph.meta.get('arch', 'network')}, T = {args.steps}, {len(counted)} images",
            ),
        ),
    ):
        scripts.save(figure, out, name)
    formats = {k: (k, ".1%") for k in ("accuracy", "low", "high", "fired more than worth")}
    formats |= {k: (k, ",.0f") for k in ("spikes", "operations")}
    formats |= {k: (k, ".3f") for k in ("rate clocked", "rate fifo", "correlation")}
    print(
        *(text_table(table, formats) for table in (rows, curve, layers, means)),
        f"pictures and tables in {out}",
        sep="\n\n",
    )


if __name__ == "__main__":
    sys.exit(main())
