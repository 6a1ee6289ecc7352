"""The least edit of the order of arrival that flips a class, beside edits drawn at random.

    python analysis/adversary.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8

An attack moves deliveries of spikes in a run that has an image right, and drops and adds none. In
the clocked run deliveries come --within steps later at most (kind times). In the best of --orders
without a clock, if it has 70 % of the images right, deliveries change places among those that are
due together (kind order), and come later than these (kind times). For each image a search that is
guided by the margin's derivatives and confirmed by replays has --seconds (`eventsnn.adversary`).
ST-BIF, whose class at rest no order changes, runs --rest-steps. Beside each least edit stand
--draws draws of random edits, each with as many as it takes. With --last N only deliveries into the
last N layers are moved. With --certify M the largest budget up to M stands beside, of deliveries
into each of these layers in each step, within which nothing changes the class
(`eventsnn.budgets`), where a proof is built; every attack needs more. --save FOLDER keeps every
attack as a file of edits, which `eventsnn replay RUN --edits FILE` runs again; the same command
goes on there. Writes adversary.csv (a row for each model and kind), images.csv (for each image),
adversary.png and adversary.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, TooManyEvents
from eventsnn.inputs.loading import load_graph
from eventsnn.network.network import Network
from eventsnn.neurons import MODELS
from eventsnn.options import parsed
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.studies import scripts
from eventsnn.studies.adversary import Adversary
from eventsnn.studies.adversary.attacks import FORMATS, NAMES, TITLE, UNITS
from eventsnn.studies.proofs import Proofs
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

WELL_ABOVE = 0.7  # of the images that a base without a clock has right
CLOCKED = "clocked"
PICTURE = "images flipped (%)"
FORMATS = FORMATS | {"accuracy": ("accuracy", ".1%"), "at rest": ("at rest", ".0%")}
FORMATS |= {"B0": ("B0", ""), "random B0": ("random B0", "")}
FORMATS |= {"replays": ("replays", ",.0f")}
FORMATS |= {name: (name, ",.0f") for name in ("proven", "in a step")}
PROVEN = (
    "proven: the most deliveries of each step into each layer of which none changes the class, at "
    "most {}; in a step: as many the least edit found moves where it moves most; medians of {} "
    "images, those not flipped left out of the second"
)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What a plan has: the orders without a clock, the attacks on all of them, and proofs beside.

    args: the options. Raises InputError where a search would end by a clock.
    """
    check_clock(args)
    free = layers_of(args, stored.network_of(args, load_graph(args.settings)))
    every = []
    for neuron in args.neurons.split(","):
        bases = [attacks(args, free, neuron, CLOCKED, "times")]
        if not rests(neuron):
            for order in orders_of(args):
                every.append(base(args, neuron, order))
                every.append(attacks(args, free, neuron, order, "order"))
                bases.append(attacks(args, free, neuron, order, "times"))
        every += bases
        if args.certify:
            every += filter(None, (proof(args, free, way) for way in bases))
    return every


def check_clock(args: argparse.Namespace) -> None:
    """Raises InputError where a search would end by a clock. args: the options."""
    if args.seconds != float("inf") or args.save is not None:
        found = f"--seconds {args.seconds:g}" if args.save is None else "--save"
        expected = "--seconds inf, without --save: a store's numbers depend on no clock"
        raise InputError("--plan, --from", expected, found, "for example --replays 500")


def layers_of(args: argparse.Namespace, network: Network) -> list[str]:
    """The names of the layers into which deliveries are moved.

    args: the options. network: that runs. Raises InputError for more layers than there are.
    """
    layers = len(network.spiking)
    for name, most in (("last", layers), ("certify", None)):
        if not 0 <= getattr(args, name) <= (most or args.certify):
            expected = "a whole number from 0" + (f" to {most}" if most else "")
            raise InputError(f"--{name}", expected, getattr(args, name))
    return [layer.name for layer in network.spiking[-args.last :]]


def rests(neuron: str) -> bool:
    """Whether a model comes to rest, so that no order changes its class. neuron: the model."""
    _, model, _ = parsed(MODELS, neuron, "neuron")
    return bool(getattr(model, "confluent", False))


def orders_of(args: argparse.Namespace) -> list[str]:
    """The orders without a clock. args: the options."""
    return [*filter(None, args.orders.split(","))]


def base(args: argparse.Namespace, neuron: str, order: str) -> stored.Way:
    """A run without a clock. args: the options. neuron: the model."""
    options = {"engine": "event", "neuron": neuron, "steps": args.steps, "order": order}
    return stored.Way({}, options, [args.seed])


def attacks(
    args: argparse.Namespace, free: list[str], neuron: str, order: str, kind: str
) -> stored.Way:
    """Attacks on one kind of base run.

    args: the options. free: names of the layers into which deliveries are moved. neuron: the model.
    kind: of edits.
    """
    options = {"study": "attacks", **base(args, neuron, order).options, "kind": kind}
    options |= {"draws": args.draws, "replays": args.replays}
    if order == CLOCKED:
        options |= {"within": args.within, "ticks": 1}
    if args.last:
        options["into"] = tuple(free)
    if rests(neuron):
        options |= {"encoding": "even", "steps": args.rest_steps}
    return stored.Way({}, options, [args.seed])


def bases(
    args: argparse.Namespace,
    source: stored.Live | stored.Stored,
    free: list[str],
    neuron: str,
) -> Iterator[stored.Way]:
    """Yields the attacks on one model.

    args: the options. source: of the runs. free: as for `attacks`. neuron: the model.
    """
    yield attacks(args, free, neuron, CLOCKED, "times")
    if rests(neuron):
        return
    right = {}
    for order in orders_of(args):
        try:
            right[order] = float(scripts.hits(source.runs(base(args, neuron, order))).mean())
        except TooManyEvents:
            print(f"note: {neuron}, order {order}: firing multiplies", file=sys.stderr)
    if not right:
        return
    best = max(right, key=lambda order: right[order])
    if right[best] < WELL_ABOVE:
        said = ", ".join(f"{order} {share:.0%}" for order, share in right.items())
        print(f"note: {neuron}: no order without a clock has {WELL_ABOVE:.0%} ({said})")
        return
    for kind in ("order", "times"):
        yield attacks(args, free, neuron, best, kind)


def proof(args: argparse.Namespace, free: list[str], way: stored.Way) -> stored.Way | None:
    """The certificates of a base run; None where no proof is built, which a note says.

    args: the options. free: as for `attacks`. way: the attacks on it.
    """
    own = ("engine", "neuron", "steps", "order", "ticks", "encoding")
    options = {name: way.options[name] for name in own if name in way.options}
    options |= {"study": "largest", "most": args.certify, "last": len(free)}
    found = stored.Way({}, options, way.seeds)
    try:
        if (within := way.options.get("within", 1)) > 1:
            do = "leave --within out"
            raise InputError("budgets", "deliveries that come a step later", f"{within} steps", do)
        Proofs(stored.simulation_of(args, found), len(free))
    except InputError as error:
        about = f"{options['neuron']}, order {options['order']}"
        print(f"note: {about}: no proof: {error.flags}", file=sys.stderr)
        return None
    return found


def proven_of(
    args: argparse.Namespace,
    source: stored.Live | stored.Stored,
    free: list[str],
    way: stored.Way,
    found: Adversary,
) -> list[int] | None:
    """The largest budget proven of each attacked image; None where there is no proof.

    args: the options. source: of the runs. free, way: as for `proof`. found: the attacks.
    """
    its = proof(args, free, way) if args.certify else None
    if its is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundedWeights)  # the attack has said so
        (every,) = source.runs(its)
    proven: list[int] = every[[each.place for each in found.attacks]].tolist()
    for each, most in zip(found.attacks, proven):
        assert not each.flips or most < each.in_step, "an attack within a certified budget"
    return proven


def row_of(
    found: Adversary, neuron: str, order: str, proven: Sequence[int] | None = None
) -> scripts.Row:
    """A row of the table.

    found: the attacks. neuron, order: of the base runs. proven: of each attack (`proven_of`).
    """
    row = {"neuron": neuron, "order": order, "accuracy": len(found.attacks) / found.images}
    row |= found.row() | {"at rest": float(np.mean(found.resting))}
    if proven is not None:
        moved = [each.in_step for each in found.attacks if each.flips]
        row["proven"] = float(np.median(proven))
        row["in a step"] = float(np.median(moved)) if moved else float("nan")
    return {**row, "conditions": found.conditions}


def images_of(
    found: Adversary, neuron: str, order: str, proven: Sequence[int] | None = None
) -> list[scripts.Row]:
    """A row for each attacked image; parameters as in `row_of`."""
    rows = []
    for n, each in enumerate(found.attacks):
        row: scripts.Row = {"neuron": neuron, "order": order, "kind": found.kind}
        row |= {"image": each.image, "class": each.right, "becomes": each.predicted}
        row |= {"flipped": each.flips, "movable": each.movable}
        for name, words in NAMES.items():
            row |= {words: getattr(each.budget, name), f"random {words}": each.random_median(name)}
        row |= {"random flipped": sum(flips for _, flips in each.random)}
        row |= {"in a step": each.in_step, "proven": "" if proven is None else proven[n]}
        rows.append(row | {"replays": each.replays, "seconds": round(each.seconds, 1)})
    return rows


def draw(found: Sequence[tuple[str, str, Adversary]], title: str) -> Figure:
    """The share of images flipped against B0, adversary and random, a panel a base and kind.

    found: (neuron, order, attacks). title: of the picture.
    """
    panels: dict[str, list[tuple[str, Adversary]]] = {}
    for neuron, order, each in found:
        where = "clocked run" if order == CLOCKED else "run without a clock"
        panels.setdefault(f"{where}, edited {each.kind}", []).append((neuron, each))
    figure = scripts.sheet(max(2, len(panels)), 4.0)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, lines) in zip(every, panels.items()):
        _draw_lines(axes, lines)
        axes.set(xscale="log", xlabel="deliveries moved, B0", ylabel=PICTURE, ylim=(-2, 102))
        axes.set_title(name, fontsize=10)
        scripts.plain(axes)
    for style, name in (("-", "adversary"), ("--", "random edits")):
        every[0].plot([], [], color="0.4", ls=style, label=name)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, every[0])
    return figure


def _draw_lines(axes: Axes, lines: Sequence[tuple[str, Adversary]]) -> None:
    """The curves of one panel. lines: (neuron, attacks)."""
    most = max(max(attack.movable for attack in each.attacks) for _, each in lines)
    for (colour, _), (neuron, each) in zip(scripts.LOOKS, lines):
        curves = each.curves()
        draws = sum(len(attack.random) for attack in each.attacks)
        for name, style, count in (("adversary", "-", len(each.attacks)), ("random", "--", draws)):
            x, y = _stairs(curves[name], count, most)
            label = neuron.upper() if name == "adversary" else None
            look = {"color": colour, "ls": style, "lw": 1.6, "label": label, "clip_on": False}
            axes.step(x, 100 * y, where="post", **look)
    axes.set_xlim(0.9, most)


def _stairs(
    values: NDArray[np.float64], count: int, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(x, y): the share of `count` that values up to x are. most: where the line ends."""
    x = np.concatenate([[0.9], values, [most]])
    y = np.arange(len(values) + 1) / count
    return x, np.append(y, y[-1])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=20, out="runs/adversary")
    parser.add_argument("--steps", type=int, default=8, help="T, the number of time steps")
    words = "T of models that come to rest (st-bif), so long that they do"
    parser.add_argument("--rest-steps", type=int, default=32, metavar="T", help=words)
    words = "models, separated by commas: if, snm, gn:4, st-bif"
    parser.add_argument("--neurons", default="if,snm,gn:4,st-bif", help=words)
    words = "orders without a clock that are tried, separated by commas"
    parser.add_argument("--orders", default="fifo,random", help=words)
    words = "how many steps later deliveries of a clocked run come at most"
    parser.add_argument("--within", type=int, default=1, metavar="STEPS", help=words)
    words = "how long the search on one image goes on"
    parser.add_argument("--seconds", type=float, default=60.0, help=words)
    words = "how many replays an image takes at most"
    parser.add_argument("--replays", type=int, metavar="N", help=words)
    words = "how often random edits are drawn"
    parser.add_argument("--draws", type=int, default=3, metavar="N", help=words)
    words = "only deliveries into so many layers, the last ones, are moved; 0: all"
    parser.add_argument("--last", type=int, default=0, metavar="N", help=words)
    words = "the largest budget that is certified beside the attacks; 0: none"
    parser.add_argument("--certify", type=int, default=0, metavar="M", help=words)
    words = "a folder for the attacks as files of edits; what stands there is not sought again"
    parser.add_argument("--save", metavar="FOLDER", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=4)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    for name in ("steps", "rest_steps", "within", "draws"):
        if getattr(args, name) < 1:
            where = f"--{name.replace('_', '-')}"
            raise InputError(where, "a whole number from 1", getattr(args, name))
    if args.replays is not None and args.replays < 1:
        raise InputError("--replays", "a whole number from 1", args.replays)
    if args.store is not None:
        check_clock(args)
    source = stored.source_of(args)
    free = layers_of(args, source.network())
    rows: list[scripts.Row] = []
    each_image: list[scripts.Row] = []
    every: list[tuple[str, str, Adversary]] = []
    beside = {"seconds": args.seconds, "save": args.save}
    for neuron in args.neurons.split(","):
        for way in bases(args, source, free, neuron):
            (found,) = source.runs(way, **beside)
            order = way.options["order"]
            every.append((neuron, order, found))
            proven = proven_of(args, source, free, way, found)
            rows.append(row_of(found, neuron, order, proven))
            each_image += images_of(found, neuron, order, proven)
            write_csv(args.out / "adversary.csv", rows)
            write_csv(args.out / "images.csv", each_image)
    figure = draw(every, scripts.title(source.graph, f"{len(source.images)} images"))
    decided = scripts.words(rows)
    scripts.save(figure, args.out, "adversary", decided)
    for kind, unit in UNITS.items():
        if mine := scripts.only(rows, kind=kind):
            shown = scripts.bare([_shown(row) for row in mine])
            scripts.show(TITLE.format(unit=unit), shown, decided, FORMATS)
            print()
    if any("proven" in row for row in rows):
        print(PROVEN.format(args.certify, rows[0]["images"]))
    kept = "" if args.save is None else f"; every attack is a file in {args.save}"
    print(f"each least edit was confirmed by a replay{kept}")


def _shown(row: scripts.Row) -> scripts.Row:
    """What is printed of a row: its intervals of B0 alone."""
    shown = {key: value for key, value in row.items() if key != "kind"}
    for name in ("B0", "random B0"):
        ends = (f"{row[f'{name} {end}']:,.0f}" for end in ("low", "high"))
        shown[name] = f"{row[name]:,.0f} [{' to '.join(ends)}]"
    return shown


if __name__ == "__main__":
    sys.exit(main())
