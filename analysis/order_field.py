"""What keeps a network alive without a clock: neuron models under orders, spread drive, groups.

    python analysis/order_field.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 50

Two tables. The field: each model under each order of arrival; models that the grid does not have
also under fifo with each spread and each group, the other of the two being 1. The grid: each spread
by each group (1: none; all: all that wait), as a phase diagram. Its colour is the accuracy, its
line the border at which a network falls apart: an accuracy below half of the same model's in
clocked time, or firing that explodes. `analysis/arrival_order.py` has rests, windows and what
happens layer by layer. Models: as for eventsnn.run; st-bif runs with even release, as SpikeZIP has
it, all others with constant drive. The field's orders that draw are run with --seeds N seeds, the
grid's with one. No paper has the picture; groups are those of Koopman et al. (TMLR 2025). Writes
field.csv, grid.csv, order_field.png and order_field.svg.

A grid of a large network takes long. So that it may stop and go on:

    python analysis/order_field.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --plan field.toml
    eventsnn sweep field.toml --store runs/field
    python analysis/order_field.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --from runs/field
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn import neurons
from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.inputs.loading import load_graph
from eventsnn.simulation.time import MOST_GROUP
from eventsnn.studies import alive, scripts, seeds
from eventsnn.sweep import exploding, stored
from eventsnn.views.progress import following
from eventsnn.views.tables import write_csv

CLOCKED = "clocked"
ORDERS: dict[str, dict[str, Any]] = {
    CLOCKED: {"order": "clocked"},
    "fifo": {"order": "fifo"},
    "lifo": {"order": "lifo"},
    "index": {"order": "index"},
    "random": {"order": "random"},
    "priority": {"order": "priority"},
    "inhibitory first": {"order": "inhibitory_first"},
    "excitatory first": {"order": "excitatory_first"},
    "jitter, up to 1 step": {"order": "jitter", "jitter": "uniform:1"},
    "delay of 1/4 step": {"order": "delays", "delays": 0.25},
    "cores without times": {"order": "cores"},
}
OWN = {"st-bif": {"encoding": "even"}}  # options of a model
ONE_STAGE = ("cores without times",)  # orders that models of two stages refuse
ALL = "all"
SPREADS, TICKS = "1,2,4,8,16,64", 64
GROUPS = f"1,8,64,512,4096,32768,{ALL}"
COLOURS, LINE = "cividis", "#D55E00"
BORDER = "half of clocked: falls apart (∞: explodes)"
OF_FIELD = (
    "Accuracy with its 95 % interval, low to high, after T steps by model, order, spread and "
    "group; of clocked: share of the model's accuracy in clocked time; inf: firing explodes"
)
OF_GRID = "The same by spread and group"
FORMATS = {key: (key, ".1%") for key in ("accuracy", "low", "high")}
FORMATS |= {key: (key, ",.0f") for key in ("spikes", "operations")}
FORMATS |= {alive.KEPT: (alive.KEPT, ".0%")}
# (model, order, spread, group), the order and the group in words
Place = tuple[str, str, int, Any]
Ways = dict[Place, stored.Way]
Found = dict[Place, tuple[scripts.Row, NDArray[np.bool_] | None]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=50, out="runs/order_field", several=True)
    add = parser.add_argument
    add("--steps", type=int, default=8, help="T")
    models = "if,snm,gn:4,st-bif,tpp,adaptive:0.1"
    add("--neurons", default=models, help='models of the field, separated by commas ("": none)')
    words = 'models of the grid, separated by commas ("": none)'
    add("--grid-neurons", default="if,snm,gn:4", help=words)
    add("--grid-orders", default="fifo,random", help="the grid's orders, separated by commas")
    add("--spreads", default=SPREADS, help="parts of a step's drive, separated by commas, rising")
    add("--groups", default=GROUPS, help="deliveries of a group, or all; with commas, rising")
    words = "whole parts of a step; a spread that is as many is one part at every tick"
    add("--ticks", type=int, default=TICKS, help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run, each way once. args: the options."""
    size = _size(args, load_graph(args.settings))
    every = {**of_field(args, size), **of_grid(args, size)}
    return [way for way, _ in _once(every)]


def _size(args: argparse.Namespace, graph: Graph) -> int:
    """The neurons of a network. args: the options. graph: the ANN."""
    return stored.network_of(args, graph).neurons


def _once(every: Ways) -> Iterator[tuple[stored.Way, list[Place]]]:
    """Yields each way and its places, of which the grid and the field share some."""
    found: dict[str, tuple[stored.Way, list[Place]]] = {}
    for place, way in every.items():
        found.setdefault(repr(way), (way, []))[1].append(place)
    yield from found.values()


def of_field(args: argparse.Namespace, size: int) -> Ways:
    """The ways of the field. args: the options. size: the network's neurons."""
    found: Ways = {}
    grid = _names(args.grid_neurons)
    spreads, groups = _axes(args)
    for neuron in _names(args.neurons):
        two = neurons.stages_of(neurons.parsed(neuron)) == 2
        for label, time in ORDERS.items():
            if not (two and label in ONE_STAGE):
                found[neuron, label, 1, 1] = _way(args, size, neuron, time)
        if two or neuron in grid:
            continue
        for spread, group in [*((n, 1) for n in spreads), *((1, n) for n in groups)]:
            if (spread, group) != (1, 1):
                place = neuron, "fifo", spread, group
                found[place] = _way(args, size, neuron, ORDERS["fifo"], spread, group)
    return found


def of_grid(args: argparse.Namespace, size: int) -> Ways:
    """The ways of the grid, clocked time among them. args, size: as for `of_field`."""
    found: Ways = {}
    spreads, groups = _axes(args)
    orders = _names(args.grid_orders)
    for label in orders:
        if label not in ORDERS or label == CLOCKED:
            raise InputError("--grid-orders", f"some of {', '.join([*ORDERS][1:])}", repr(label))
    for neuron in _names(args.grid_neurons):
        found[neuron, CLOCKED, 1, 1] = _way(args, size, neuron, ORDERS[CLOCKED])
        for label in orders:
            for spread in spreads:
                for group in groups:
                    place = neuron, label, spread, group
                    way = _way(args, size, neuron, ORDERS[label], spread, group)
                    found[place] = way._replace(seeds=[args.seed])
    return found


def _names(words: str) -> list[str]:
    return words.split(",") if words else []


def _axes(args: argparse.Namespace) -> tuple[list[int], list[Any]]:
    """(spreads, groups) of the grid, "all" among the groups. args: the options."""
    spreads = scripts.whole_numbers(args.spreads, "--spreads")
    *some, last = args.groups.split(",")
    groups: list[Any] = scripts.whole_numbers(",".join(some), "--groups") if some else []
    groups += [ALL] if last == ALL else scripts.whole_numbers(last, "--groups")
    for name, values in (("--spreads", spreads), ("--groups", [g for g in groups if g != ALL])):
        if values != sorted(set(values)):
            raise InputError(name, "numbers that rise", ",".join(map(str, values)))
    return spreads, groups


def _way(
    args: argparse.Namespace,
    size: int,
    neuron: str,
    time: Mapping[str, Any],
    spread: int = 1,
    group: Any = 1,
) -> stored.Way:
    """How one model is run. time: the order's options. Parameters as in a `Place`."""
    options = {**OWN.get(neuron, {}), **time}
    if spread > 1:
        options |= {"spread": spread, "ticks": args.ticks}
    if group != 1:
        options["group"] = MOST_GROUP if group == ALL else group
    drawn = seeds.seeds_of(args, {"neuron": neuron, **options})
    return exploding.way(size, args.steps, neuron, drawn, **options)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    if not args.neurons and not args.grid_neurons:
        raise InputError("--neurons", "models here or with --grid-neurons", "none")
    source = stored.source_of(args)
    network = source.network()
    field, grid = of_field(args, network.neurons), of_grid(args, network.neurons)
    every = list(_once({**field, **grid}))
    found: Found = {}
    with following(len(every), "run", True) as bar:
        for way, places in every:
            row, hits = exploding.measure(source, network, way)
            for neuron, label, spread, group in places:
                own = {"neuron": neuron, "order": label, "spread": spread, "group": group}
                found[neuron, label, spread, group] = {**own, **row}, hits
            bar.update()
    title = scripts.title(source.graph, f"T = {args.steps}", f"{len(source.images)} images")
    footnote = scripts.footnote("the same model in clocked time", args.seed, args.seeds)
    for heading, ways_, file in ((OF_FIELD, field, "field"), (OF_GRID, grid, "grid")):
        rows = table(found, ways_)
        if not rows:
            continue
        write_csv(args.out / f"{file}.csv", rows)
        scripts.show(heading, scripts.compact(rows), scripts.words(rows), FORMATS)
        print(f"{footnote}\n")
        print("\n".join(words_of(rows, file == "grid")), end="\n\n")
        if file == "grid":
            scripts.save(draw(rows, title), args.out, "order_field", scripts.words(rows))


def table(found: Found, ways_: Ways) -> list[scripts.Row]:
    """The rows of a table, each compared with its model in clocked time: one Holm family.

    found: of all ways. ways_: the table's.
    """
    rows = [dict(found[place][0]) for place in ways_]
    right = {place: hits for place in ways_ if (hits := found[place][1]) is not None}
    clocked = {row["neuron"]: row["accuracy"] for row in scripts.only(rows, order=CLOCKED)}
    alive.kept(rows, clocked)
    scripts.paired(
        rows,
        right,
        lambda row: (row["neuron"], row["order"], row["spread"], row["group"]),
        lambda place: (place[0], CLOCKED, 1, 1),
    )
    return rows


def words_of(rows: list[scripts.Row], grid: bool) -> list[str]:
    """What a table says, a line for each model, or each model and order of the grid.

    rows: of `table`. grid: whether they are the grid's.
    """
    lines = []
    for neuron, mine in scripts.grouped(rows, "neuron").items():
        if not grid:
            plain = scripts.only(mine, spread=1, group=1)
            lines.append(f"{neuron}: {alive.of_orders(plain)}")
            continue
        for label, its in scripts.grouped(mine, "order").items():
            if label != CLOCKED:
                lines.append(f"{neuron}, {label}: {alive.of_grid(its)}")
    return lines


def draw(rows: list[scripts.Row], title: str) -> Figure:
    """The phase diagram: a row of panels for each model, one for each order.

    rows: of the grid's `table`. title: of the picture.
    """
    free = [row for row in rows if row["order"] != CLOCKED]
    models, orders = scripts.distinct(free, "neuron"), scripts.distinct(free, "order")
    figure = scripts.sheet(0, 1.2 + 1.9 * len(models), max(4.2, 1.1 + 2.1 * len(orders)))
    grid = figure.subplots(len(models), len(orders), squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for panels, neuron in zip(grid, models):
        (clocked,) = scripts.column(scripts.only(rows, neuron=neuron, order=CLOCKED), "accuracy")
        for axes, order in zip(panels, orders):
            image = _panel(axes, scripts.only(free, neuron=neuron, order=order))
            words = f"{neuron.upper()}, {order} (clocked {100 * clocked:.0f} %)"
            axes.set_title(words, fontsize=9)
        panels[0].set_ylabel("spread (parts of a step)")
    for axes in grid[-1]:
        axes.set_xlabel("group (deliveries)")
    figure.colorbar(image, ax=grid, label="accuracy (%)", aspect=40, pad=0.02)
    grid[0, 0].plot([], [], color=LINE, lw=2.5, label=BORDER)
    scripts.legend_below(figure)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _panel(axes: Axes, rows: list[scripts.Row]) -> Any:
    """Draws one panel, and returns its colours. rows: of one model and order."""
    spreads, groups = (scripts.distinct(rows, key) for key in ("spread", "group"))
    shares = alive.square(rows, "spread", "group", "accuracy")
    image = axes.pcolormesh(100 * shares, cmap=COLOURS, vmin=0, vmax=100)
    axes.set_facecolor("0.85")  # where firing explodes
    for (i, j), share in np.ndenumerate(shares):
        words = "∞" if np.isnan(share) else f"{100 * share:.0f}"
        colour = "white" if share < 0.5 else "black"
        axes.text(j + 0.5, i + 0.5, words, ha="center", va="center", fontsize=8.5, color=colour)
    lives = [{**row, "lives": alive.lives(row)} for row in rows]
    border = alive.line(alive.square(lives, "spread", "group", "lives") > 0)
    for colour, width in (("white", 4.5), (LINE, 2.5)):
        axes.add_collection(LineCollection(border, colors=colour, lw=width, capstyle="projecting"))
    axes.set_xticks(np.arange(len(groups)) + 0.5, [_short(group) for group in groups], fontsize=8)
    axes.set_yticks(np.arange(len(spreads)) + 0.5, [str(n) for n in spreads], fontsize=8)
    return image


def _short(group: Any) -> str:
    """A group's size on the axis: 4k for 4,096."""
    return f"{group // 1024}k" if group != ALL and group >= 1024 else str(group)


if __name__ == "__main__":
    sys.exit(main())
