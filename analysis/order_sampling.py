"""A class is a distribution: each image under many random orders of arrival.

    python analysis/order_sampling.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --neurons snm

Every image is run under --orders random orders. A table says how many images are stable: the lower
end of the 95 % interval of P(class) of their most frequent class is above 1/2; how many have one
class in all orders; P, the entropy of the class (Miller-Madow), the accuracy of a random order; and
of how many no order of all can change the class (certified, on the first --certify images): sampled
extremes bound the worst order from inside, a certificate from outside. A second table has the
images that are least sure. A third splits the variance of the margin: between images and orders;
and, on other runs with input spikes drawn (encoding rate), between images, --encoding-seeds,
fraction bits F and orders, in a crossed and nested design (Searle, Casella and McCulloch 1992).
Writes order_sampling.csv (by image), summary.csv, components.csv, order_sampling.png and
order_sampling.svg; and for each neuron model, as if-orders.csv and if-split.csv, the readouts of
all orders, with which the same command goes on after it was killed.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eventsnn import Images, Network
from eventsnn.exceptions import InputError
from eventsnn.simulation.conditions import conditions
from eventsnn.statistics import bootstrap_words, share
from eventsnn.studies import order_sampling, scripts
from eventsnn.studies.certified import certify
from eventsnn.studies.setting import pick
from eventsnn.views.tables import write_csv

KEPT = ("orders.csv", "split.csv")  # ends of names: one file for each neuron model
SHOWN = 10  # images in the second table
STEADY, DRAWN = "constant", "rate"  # encodings of the two splits
COLOURS = ("0.8", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "0.2")
SUMMARY = (
    "Images (%) under random orders; stable: P(class) of the most frequent class is above 1/2, at "
    "95 %; one class: in all orders sampled; certified: in all orders there are, of the first "
    "images; P: of the most frequent class, accuracy: of a random order, entropy (bits): means"
)
LEAST = "The images with the smallest P, of {} orders; margin: of that class over the next"
SPLIT = (
    "Variance of the margin by what draws it, % of all components above 0; constant: no input "
    "is drawn; df: degrees of freedom"
)
SHARES = ("stable", "one class", "certified", "right", "stable and right", "P", "accuracy")
FORMATS = order_sampling.FORMATS | {key: (key, ".1%") for key in SHARES}


def sample(
    args: argparse.Namespace, network: Network, images: Images, neuron: str
) -> order_sampling.OrderSampling:
    """All orders of one neuron model; args: the options."""
    return _measured(args, network, images, neuron, KEPT[0], orders=args.orders)


def split(
    args: argparse.Namespace,
    network: Network,
    images: Images,
    neuron: str,
    fractions: Sequence[int],
) -> order_sampling.OrderSampling:
    """The crossed and nested runs of one neuron model. fractions: numbers F."""
    more = {"encoding_seeds": args.encoding_seeds, "fractions": fractions, "encoding": DRAWN}
    return _measured(args, network, images, neuron, KEPT[1], orders=args.split_orders, **more)


def _measured(
    args: argparse.Namespace, network: Network, images: Images, neuron: str, kept: str, **more: Any
) -> order_sampling.OrderSampling:
    """Runs of one neuron model. kept: the file of finished orders. more: of `measure`."""
    its = {"steps": args.steps, "neuron": neuron, "order": args.order, "seed": args.seed}
    path = args.out / _of(neuron, kept)
    return order_sampling.measure(network, images, **its, **more, kept=path, progress=True)


def _of(neuron: str, name: str) -> str:
    """The file of a neuron model."""
    return f"{''.join(c if c.isalnum() else '-' for c in neuron)}-{name}"


def split_rows(
    found: order_sampling.OrderSampling, neuron: str, encoding: str, seed: int
) -> list[scripts.Row]:
    """Rows of the components of one model and encoding. seed: of the bootstrap."""
    decided = {"conditions": conditions(found.simulation)}
    fractions = " ".join(map(str, found.fractions))
    of = {"neuron": neuron, "encoding": encoding, "F": fractions}
    return [of | row | decided for row in found.components(seed=seed)]


def certified(
    args: argparse.Namespace, network: Network, images: Images, neuron: str
) -> list[bool]:
    """Of the first images, whether no order can change the class; [] for a model without proof."""
    if not args.certify:
        return []
    some = images.take(np.arange(min(args.certify, len(images))))
    try:
        found = certify(network, some, steps=args.steps, neuron=neuron, progress=True)
    except InputError as error:
        print(f"note: no certificates: {error.flags}", file=sys.stderr)
        return []
    return (found.classes[:, -1] >= 0).tolist()


def draw(
    rows: list[scripts.Row], parts: list[scripts.Row], neurons: Sequence[str], title: str
) -> Figure:
    """P by image, margins of all orders by image, and the split of their variance.

    rows: by neuron model and image. parts: of `split_rows`. title: of the picture.
    """
    figure = scripts.sheet(3, 4.2)
    shares, margins, bars = figure.subplots(1, 3)
    for (colour, marker), neuron in zip(scripts.LOOKS * len(neurons), neurons):
        mine = sorted(scripts.only(rows, neuron=neuron), key=lambda row: (row["P"], row["margin"]))
        x = np.arange(len(mine))
        ends = (scripts.column(mine, end, 100) for end in ("P low", "P high"))
        shares.fill_between(x, *ends, color=colour, alpha=0.15, lw=0)
        look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 3}
        shares.plot(x, scripts.column(mine, "P", 100), lw=0.8, label=neuron.upper(), **look)
        mine.sort(key=lambda row: row["margin"])
        ends = (scripts.column(mine, end) for end in ("least", "greatest"))
        margins.vlines(x, *ends, color=colour, alpha=0.5, lw=1.2)
        margins.plot(x, scripts.column(mine, "margin"), ls="", **look)
        proven = [k for k, row in enumerate(mine) if row["certified"] == "yes"]
        values = [mine[k]["least"] for k in proven]
        margins.plot(proven, values, ls="", marker="_", color="black", ms=7)
    shares.plot([], [], ls="", marker="_", color="black", ms=7, label="certified in all orders")
    shares.axhline(50, color="0.4", ls="--", lw=1)
    shares.set(xlabel="images, by P", ylabel="P of the most frequent class (%)", ylim=(0, 102))
    margins.axhline(0, color="0.4", ls="--", lw=1)
    margins.set(xlabel="images, by mean margin", ylabel="margin, least to greatest")
    _draw_parts(bars, parts)
    for axes, words in zip(
        (shares, margins, bars),
        ("how sure is the class", "margin of that class in all orders", "variance of the margin"),
    ):
        axes.set_title(words, fontsize=10)
        if axes is not bars:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        scripts.plain(axes, "y")
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure)
    return figure


def _draw_parts(axes: Axes, parts: list[scripts.Row]) -> None:
    """Stacked bars, one for each model and encoding. parts: of `split_rows`."""
    ways = list(dict.fromkeys((row["neuron"], row["encoding"]) for row in parts))
    names = scripts.distinct(sorted(parts, key=lambda row: -len(row["F"])), "of")
    below = np.zeros(len(ways))
    for colour, name in zip(COLOURS, names):
        heights = np.zeros(len(ways))
        for k, (neuron, encoding) in enumerate(ways):
            its = scripts.only(parts, neuron=neuron, encoding=encoding, of=name)
            heights[k] = 100 * its[0]["share"] if its else 0
        axes.bar(range(len(ways)), heights, 0.7, below, color=colour, label=name)
        below += heights
    labels = [f"{neuron.upper()}\n{encoding}" for neuron, encoding in ways]
    axes.set_xticks(range(len(ways)), labels, fontsize=8)
    axes.set(ylabel="share (%)", ylim=(0, 100))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=100, out="runs/order_sampling")
    add = parser.add_argument
    add("--steps", type=int, default=8, help="T")
    add("--neurons", default="if,snm", help="models, separated by commas")
    add("--order", default="random", help="order that draws, as for eventsnn.run")
    add("--orders", type=int, default=100, metavar="N", help="orders of each image")
    words = "orders of each image, encoding seed and F, for the split with drawn input; 0: none"
    add("--split-orders", type=int, default=4, metavar="N", help=words)
    words = "seeds of the input in that split"
    add("--encoding-seeds", type=int, default=4, metavar="N", help=words)
    words = "numbers of fraction bits in it, by commas (default: a run's own, and 2 and 4 fewer)"
    add("--fractions", default=None, metavar="F,F,…", help=words)
    words = "images, from the first on, that are certified beside; 0: none"
    add("--certify", type=int, default=20, metavar="N", help=words)
    return scripts.run(study, parser, argv, goes_on=KEPT)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    neurons = args.neurons.split(",")
    fractions = None
    if args.fractions is not None:
        fractions = scripts.whole_numbers(args.fractions, "--fractions")
    for name, least in (("--certify", args.certify), ("--split-orders", args.split_orders)):
        if least < 0:
            raise InputError(name, "a number from 0", least)
    if args.split_orders == 1:
        raise InputError("--split-orders", "2 or more, or 0 for no split", 1)
    graph, images, _ = scripts.given(args)
    if len(images) < 2:
        raise InputError("--limit", "2 images or more, whose margins vary", len(images))
    network, out = scripts.network_of(args, graph, images), args.out
    rows: list[scripts.Row] = []
    summary: list[scripts.Row] = []
    parts: list[scripts.Row] = []
    for neuron in neurons:
        found = sample(args, network, images, neuron)
        proven = certified(args, network, images, neuron)
        words = ["yes" if its else "no" for its in proven] + ["-"] * (len(images) - len(proven))
        under = {"conditions": conditions(found.simulation)}
        for row, its in zip(found.rows(), words):
            rows.append({"neuron": neuron, **row, "certified": its, **under})
        row = found.summary(args.seed)
        row |= share("certified", proven) if proven else dict.fromkeys(_NONE)
        summary.append({"neuron": neuron, **row, **under})
        parts += split_rows(found, neuron, STEADY, args.seed)
        if args.split_orders:
            most = found.fractions[0]
            its = fractions or [most, most - 2, most - 4]
            drawn = split(args, network, images, neuron, its)
            parts += split_rows(drawn, neuron, DRAWN, args.seed)
        write_csv(out / "order_sampling.csv", rows)
        write_csv(out / "summary.csv", summary)
        write_csv(out / "components.csv", parts)
    title = scripts.title(graph, f"T = {args.steps}", f"{len(images)} images")
    figure = draw(rows, parts, neurons, f"{title}, {args.orders} orders of each")
    decided = scripts.words(summary)
    scripts.save(figure, out, "order_sampling", decided)
    show(args, rows, summary, parts)


_NONE = ("certified", "certified low", "certified high")


def show(
    args: argparse.Namespace,
    rows: list[scripts.Row],
    summary: list[scripts.Row],
    parts: list[scripts.Row],
) -> None:
    """Prints the three tables. rows: by image. summary: by model. parts: of `split_rows`."""
    scripts.show(SUMMARY, scripts.bare(summary), scripts.words(summary), FORMATS)
    if args.certify:
        print(f"certified: of the first {min(args.certify, summary[0]['images'])} images")
    print(f"{bootstrap_words(seed=args.seed)}\n")
    least = sorted(rows, key=lambda row: row["P"])[:SHOWN]
    keys = [key for key in rows[0] if key not in ("conditions", "bias")]
    heading = LEAST.format(args.orders)
    scripts.show(heading, [pick(row, keys) for row in least], scripts.words(rows), FORMATS)
    print()
    scripts.show(SPLIT, [_bare(row) for row in parts], scripts.words(parts), FORMATS)


def _bare(row: scripts.Row) -> scripts.Row:
    """A row without what decided it."""
    return {key: value for key, value in row.items() if key != "conditions"}


if __name__ == "__main__":
    sys.exit(main())
