"""What the order of arrival costs: accuracy of each neuron model under each order and window.

    python analysis/arrival_order.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 200

Draws two pictures (no paper has them; DNISNM section 3.3 and SRP Fig. 1 argue about single
neurons): accuracy under each order policy for each neuron model, with 95 % intervals; and the curve
between asynchronous and clocked time, accuracy against the integration window for spikes delayed by
a jitter of up to one step. A third table says layer by layer how fifo parts from clocked time on
the first 16 images: the rates, the share of neurons that fired more than all their charge was worth
(late inhibition, DNISNM section 3.3), and the correlation of spike counts with clocked ones. A
fourth, and a picture, has unevenness error I in SRP's four cases (SRP Def. 1, Fig. 3a) under each
order: what layers make themselves of the spikes they are sent, with L := T. Orders that draw
(random, jitter) are run with --seeds N seeds. `analysis/order_field.py` has more models and orders,
and spread drive by groups. Writes
arrival_order.csv, window.csv, layers.csv, cases.csv, and arrival_order.png, window.png and
cases.png (each also as SVG).
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn import Network
from eventsnn.inputs.loading import load_graph
from eventsnn.simulation.conditions import conditions, together
from eventsnn.studies import scripts, seeds
from eventsnn.studies.sampled import with_intervals
from eventsnn.studies.setting import pick
from eventsnn.sweep import exploding, stored
from eventsnn.sweep.stored import EXPLOSIONS
from eventsnn.views.plots import BLUE, CASES, ORANGE
from eventsnn.views.progress import following
from eventsnn.views.tables import write_csv

ORDERS: dict[str, dict[str, Any]] = {
    "clocked": {"order": "clocked"},
    "fifo": {"order": "fifo"},
    "random": {"order": "random"},
    "inhibitory first": {"order": "inhibitory_first"},
    "excitatory first": {"order": "excitatory_first"},
    "fifo, 1 spike a step": {"order": "fifo", "refractory": 1.0},
    "random, 1 spike a step": {"order": "random", "refractory": 1.0},
    "inhibitory first, 1 spike a step": {"order": "inhibitory_first", "refractory": 1.0},
    "excitatory first, 1 spike a step": {"order": "excitatory_first", "refractory": 1.0},
}
WINDOWS = (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 1.5, 2)
COLOURS = {"if": BLUE, "snm": ORANGE, "if-hard": "#009E73"}
JITTER = {"order": "jitter", "jitter": "uniform:1"}
PARTED = 16  # images of the third table

BY_ORDER = (
    "Accuracy with its 95 % interval, low to high, after T steps by order of arrival; spikes "
    "and synaptic operations: of an image; inf: firing explodes, and there is no accuracy"
)
BY_WINDOW = "The same by integration window (steps), spikes delayed by up to a step (jitter)"
BY_LAYER = (
    "How fifo parts from clocked time; rate: spikes per neuron and step; the share of neurons "
    "that fired more than their charge is worth; correlation of their spike counts"
)
BY_CASE = (
    "Neurons (%) with unevenness error I by order, all layers; case 1, 2: too many spikes "
    "(ANN at 0, between), 3, 4: too few (between, at the threshold)"
)
FORMATS = {key: (key, ".1%") for key in ("accuracy", "low", "high", "fired more than worth")}
FORMATS |= {key: (key, ",.0f") for key in ("spikes", "operations")}
FORMATS |= {key: (key, ".3f") for key in ("rate clocked", "rate fifo", "correlation")}


def measure(
    source: stored.Live | stored.Stored, network: Network, way: stored.Way, label: str
) -> tuple[scripts.Row, NDArray[np.bool_] | None]:
    """`exploding.measure`, the model and the order first. label: the order's."""
    row, hits = exploding.measure(source, network, way)
    return {"neuron": way.options["neuron"], "order": label, **row}, hits


def cases(source: stored.Live | stored.Stored, way: stored.Way, label: str) -> list[scripts.Row]:
    """One row a layer: neurons with unevenness error I in percent, by case, with intervals.

    There are none where firing explodes. source: of the study. way: how the model is run under the
    order. label: the order's.
    """
    try:
        found = source.runs(counted(way), progress=False)
    except EXPLOSIONS:
        return []
    of_order = {"neuron": way.options["neuron"], "order": label, "seeds": len(way.seeds)}
    of_order |= {"T": way.options["steps"], "images": found[0].images}
    rows = []
    for its in with_intervals(found[0].layers, [each.samples for each in found], way.seeds[0]):
        row = {**of_order, "layer": its["layer"], "neurons": its["neurons"]}
        for end in ("", " low", " high"):
            row |= {f"case {k}{end}": its[f"I case {k}{end}"] for k in CASES}
            row[f"error I{end}"] = its[f"I{end}"]
        row["conditions"] = conditions(found[0].simulation)
        rows.append(row)
    return rows


def counted(way: stored.Way) -> stored.Way:
    """The same way, whose error cases are counted."""
    return way._replace(options={**way.options, "study": "cases"})


def in_all(rows: list[scripts.Row]) -> list[scripts.Row]:
    """The mean of the layers' rows of `cases`, weighted by neurons.

    rows: of all neuron models and orders. There is one row for each of both.
    """
    keys, means = [f"case {k}" for k in CASES] + ["error I"], []
    for neuron, order in dict.fromkeys((row["neuron"], row["order"]) for row in rows):
        mine = scripts.only(rows, neuron=neuron, order=order)
        values = [list(pick(row, keys).values()) for row in mine]
        shares = np.average(values, axis=0, weights=scripts.column(mine, "neurons"))
        under = {"conditions": together(scripts.column(mine, "conditions"))}
        means.append(
            {"neuron": neuron, "order": order, **dict(zip(keys, shares.tolist())), **under}
        )
    return means


def draw_orders(rows: list[scripts.Row], title: str) -> Figure:
    """Bars of accuracy by order, one colour a model.

    rows: of `measure`. title: of the picture.
    """
    labels, neurons = scripts.distinct(rows, "order"), scripts.distinct(rows, "neuron")
    figure = scripts.sheet(1, 0.9 + 0.42 * len(labels), 2.2)
    axes = figure.subplots()
    height = 0.8 / len(neurons)
    for k, neuron in enumerate(neurons):
        colour = _colour(neuron, k)
        look: dict[str, Any] = {"color": colour, "ecolor": "#333333", "error_kw": {"lw": 0.8}}
        label = neuron.upper()
        for place, row in enumerate(scripts.only(rows, neuron=neuron)):
            y = labels.index(row["order"]) + (k - (len(neurons) - 1) / 2) * height
            share = row["accuracy"]
            if np.isnan(share):
                axes.text(1, y, "spikes without end", va="center", fontsize=7, color=colour)
                continue
            bars = [[100 * (share - row["low"])], [100 * (row["high"] - share)]]
            words = None if place else label
            axes.barh(y, 100 * share, height, xerr=bars, label=words, **look)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy (%)")
    axes.set_title(title, fontsize=10, parse_math=False)
    scripts.plain(axes, "x")
    scripts.legend_below(figure)
    return figure


def _colour(neuron: str, k: int) -> str:
    """The colour of a neuron model, the k-th of those drawn."""
    return COLOURS.get(neuron, scripts.LOOKS[(k + 3) % len(scripts.LOOKS)][0])


def draw_cases(means: list[scripts.Row], title: str) -> Figure:
    """Stacked bars of error I by order, one panel a model.

    An order under which firing explodes has none. means: rows of `in_all`. title: of the picture.
    """
    labels, neurons = list(ORDERS), scripts.distinct(means, "neuron")
    figure = scripts.sheet(0, 1.4 + 0.3 * len(labels), 2.4 + 2.4 * len(neurons))
    panels = figure.subplots(1, len(neurons), sharex=True, sharey=True, squeeze=False)[0]
    for axes, neuron in zip(panels, neurons):
        mine = scripts.only(means, neuron=neuron)
        places, left = [labels.index(row["order"]) for row in mine], np.zeros(len(mine))
        for k, (colour, meaning) in CASES.items():
            share = np.array(scripts.column(mine, f"case {k}"))
            axes.barh(places, share, 0.75, left, color=colour, label=meaning)
            left += share
        for place in set(range(len(labels))) - set(places):
            axes.text(0.3, place, "spikes without end", va="center", fontsize=7)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title(neuron.upper(), fontsize=10)
        axes.set_xlabel("neurons with error I (%)")
        scripts.plain(axes, "x")
    most = max(row["error I"] for row in means) if means else 0
    panels[0].set_xlim(0, 1.05 * max(most, 1))  # the words above stand at 0.3
    scripts.legend_below(figure, figure.axes[0])
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def draw_windows(rows: list[scripts.Row], clocked: Mapping[str, float], title: str) -> Figure:
    """Accuracy against the window, one line a model; dashed: clocked time.

    rows: of `measure`, with the window. clocked: model -> accuracy. title: of the picture.
    """
    figure = scripts.sheet(1, 3.7, 1.9)
    axes = figure.subplots()
    for k, (neuron, mine) in enumerate(scripts.grouped(rows, "neuron").items()):
        x, colour = scripts.column(mine, "window"), _colour(neuron, k)
        ends = (scripts.column(mine, end, 100) for end in ("low", "high"))
        axes.fill_between(x, *ends, color=colour, alpha=0.2, lw=0)
        share = scripts.column(mine, "accuracy", 100)
        axes.plot(x, share, "o-", ms=4, color=colour, label=neuron.upper())
        axes.axhline(100 * clocked[neuron], color=colour, ls="--", lw=1)
    words = "integration window (steps); spikes are delayed by up to 1 step"
    axes.set(xlabel=words, ylabel="accuracy (%)")
    axes.set_title(title, fontsize=10, parse_math=False)
    scripts.plain(axes)
    scripts.legend_below(figure)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=100, out="runs/arrival_order", several=True)
    add = parser.add_argument
    add("--window-limit", type=int, default=100, help="number of those to measure windows on")
    add("--case-limit", type=int, default=50, help="number of those to count error cases on")
    add("--steps", type=int, default=8, help="T")
    add("--neurons", default="if,snm", help="models, separated by commas")
    windows = ",".join(map(str, WINDOWS))
    add("--windows", default=windows, help="integration windows in steps")
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --neurons, order and window. args: the options."""
    network = stored.network_of(args, load_graph(args.settings))
    orders = [way for _, _, way in of_orders(args, network)]
    windows = [way for _, _, way in of_windows(args, network)]
    cases = [counted(way)._replace(images=args.case_limit) for way in orders]
    return [*orders, *windows, *cases, parted(args)]


def parted(args: argparse.Namespace) -> stored.Way:
    """How IF neurons under fifo part from clocked time. args: the options."""
    options = {"study": "parting", "engine": "event", "order": "fifo", "steps": args.steps}
    return stored.Way({}, options, [args.seed], PARTED)


def of_orders(args: argparse.Namespace, network: Network) -> list[tuple[str, str, stored.Way]]:
    """(model, label, way) of each order. args: the options. network: what runs."""
    found = []
    for neuron in args.neurons.split(","):
        for label, time in ORDERS.items():
            drawn = seeds.seeds_of(args, {"neuron": neuron, **time})
            found.append(
                (neuron, label, exploding.way(network.neurons, args.steps, neuron, drawn, **time))
            )
    return found


def of_windows(args: argparse.Namespace, network: Network) -> list[tuple[str, float, stored.Way]]:
    """(model, window, way) of each window. args: the options. network: what runs."""
    found = []
    for neuron in args.neurons.split(","):
        for window in map(float, args.windows.split(",")):
            time = {**JITTER, "window": window}
            drawn = seeds.seeds_of(args, JITTER)
            how = exploding.way(network.neurons, args.steps, neuron, drawn, 64, **time)
            found.append((neuron, window, how._replace(images=args.window_limit)))
    return found


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    source = stored.source_of(args)
    network = source.network()
    steps, out, seed = args.steps, args.out, args.seed
    orders, windows = of_orders(args, network), of_windows(args, network)
    rows: list[scripts.Row] = []
    curve: list[scripts.Row] = []
    right: dict[Any, NDArray[np.bool_]] = {}
    in_windows: dict[Any, NDArray[np.bool_]] = {}
    found: list[scripts.Row] = []
    with following(2 * len(orders) + len(windows), "run", True) as bar:
        for neuron, label, how in orders:
            row, hits = measure(source, network, how, label)
            rows.append(row)
            if hits is not None:
                right[neuron, label] = hits
            scripts.paired(
                rows,
                right,
                lambda row: (row["neuron"], row["order"]),
                lambda key: (key[0], "clocked"),
            )
            write_csv(out / "arrival_order.csv", rows)
            bar.update()
            found += cases(source, how._replace(images=args.case_limit), label)
            write_csv(out / "cases.csv", found)
            bar.update()
        for neuron, window, how in windows:
            row, hits = measure(source, network, how, "jitter")
            curve.append({**row, "window": window})
            clocked_hits = right.get((neuron, "clocked"))
            if hits is not None and clocked_hits is not None:
                in_windows[neuron, window] = hits
                in_windows[neuron, None] = clocked_hits[: row["images"]]
            scripts.paired(
                curve,
                in_windows,
                lambda row: (row["neuron"], row["window"]),
                lambda key: (key[0], None),
            )
            write_csv(out / "window.csv", curve)
            bar.update()
    clocked = {row["neuron"]: row["accuracy"] for row in scripts.only(rows, order="clocked")}

    def title(count: int) -> str:
        return scripts.title(source.graph, f"T = {steps}", f"{count} images")

    some = f"{title(curve[0]['images'])} (dashed: clocked, {len(source.images)} images)"
    whole = draw_orders(rows, title(len(source.images)))
    scripts.save(whole, out, "arrival_order", scripts.words(rows))
    scripts.save(draw_windows(curve, clocked, some), out, "window", scripts.words(curve))
    footnote = scripts.footnote("clocked time", seed, args.seeds)
    for heading, table in ((BY_ORDER, rows), (BY_WINDOW, curve)):
        scripts.show(heading, scripts.compact(table), scripts.words(table), FORMATS)
        print(f"{footnote}\n")
    (part,) = source.runs(parted(args))
    layers = part.rows(seed)
    write_csv(out / "layers.csv", layers)
    means = in_all(found)
    figure = draw_cases(means, title(min(args.case_limit, len(source.images))))
    scripts.save(figure, out, "cases", scripts.words(means))
    for heading, table in ((BY_LAYER, layers), (BY_CASE, means)):
        scripts.show(heading, scripts.bare(table), scripts.words(table), FORMATS)
        print()


if __name__ == "__main__":
    sys.exit(main())
