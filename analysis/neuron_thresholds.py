"""Where each rule puts the thresholds, and what that does to accuracy and latency.

DNISNM Fig. 4 and 7, TCL Fig. 1, 6 and 7, on one's own network.

    python analysis/neuron_thresholds.py --net vgg16_relu.h5 --data cifar-10-batches-bin \\
        --rules max,99.9,99.5,99,dni --layers relu5,relu13
    python analysis/neuron_thresholds.py --net vgg16_tcl.h5 --data cifar-10-batches-bin \\
        --rules own,99,dni

Rules: max (the layer's largest activation), a number (that percentile of its activations), own
(what the network was trained with: lambda of TCL or QCFS, scale times levels of QuantRelu) and dni
(DNISNM: one a neuron, its own largest activation), all found on 128 training images. A rule that
the network does not have is left out, and a line says so; where a network clips its activations,
the largest and high percentiles are lambda itself, so TCL Fig. 6 takes a network of each kind. Two
pictures. neuron_thresholds: for each of --layers the positive inputs of its activations and where
the thresholds lie (TCL Fig. 1a), and the largest activation of each neuron on training and on test
images (up to 128), channels by sites (DNISNM Fig. 4). latency: the norm-factor of each layer (TCL
Fig. 7), and accuracy of IF neurons against T (DNISNM Fig. 7) with 95 % intervals. The table has the
conversion loss (TCL Fig. 6) and the first T within a point of the ANN. Writes both as PNG and SVG,
accuracy.csv, thresholds.csv (with the share of positive inputs above each threshold) and
neurons.csv (how the neurons' largest activations on training and on test images correlate, layer by
layer). With --from STORE accuracy comes from a store; thresholds and activations are found anew.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from eventsnn import Graph, Layer, Network
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.inputs.loading import load_calibration, load_graph
from eventsnn.network.thresholds import needs_calibration
from eventsnn.studies import scripts
from eventsnn.studies.setting import activation_of, neuron_layers
from eventsnn.sweep import stored
from eventsnn.views import plots
from eventsnn.views.tables import write_csv

CHUNK = 16  # images whose activations are held at a time

# rule -> layer -> theta
Thetas = dict[str, dict[str, Any]]
# layer -> (each neuron's largest activation [C, sites], all positive inputs of its activation)
Activations = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


def settings(rule: str) -> dict[str, Any]:
    """The options of `convert` for a rule of --rules. Raises InputError for rules there are not."""
    if rule in ("max", "dni", "own"):
        return {"thresholds": "auto" if rule == "own" else rule}
    try:
        return {"thresholds": "percentile", "percentile": float(rule)}
    except ValueError:
        raise InputError(
            "--rules",
            "max, own, dni or percentiles, separated by commas",
            repr(rule),
            "for example max,99.9,own",
        ) from None


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --rules that the network has. args: the options."""
    graph = load_graph(args.settings)
    rules = dict.fromkeys(args.rules.split(","))
    possible = [rule for rule in rules if has(graph, rule, partial(stored.network_of, args, graph))]
    return [way(args, rule) for rule in possible]


def way(args: argparse.Namespace, rule: str) -> stored.Way:
    """How the network is run with a rule's thresholds. args: the options."""
    return stored.Way(settings(rule), {"steps": args.steps}, [args.seed])


def has(graph: Graph, rule: str, convert: Callable[..., Network]) -> bool:
    """Whether a network has a rule's thresholds; where it has not, a line says why.

    graph: the ANN. rule: of --rules. convert: converts it, with options of the conversion.
    """
    chosen = settings(rule)
    why: object = "no layer brings thresholds of its own"
    if rule == "own" and needs_calibration(graph, "auto"):
        print(f"left out: {rule} ({why})")
        return False
    if rule == "dni":
        try:
            convert(**chosen)
        except InputError as error:
            print(f"left out: {rule} ({error})")
            return False
    return True


def activations(graph: Graph, layers: Sequence[Layer], pixels: NDArray[Any]) -> Activations:
    """What the ANN's activations are on some images, by layer.

    graph: the ANN. layers: of neurons. pixels: raw images [N, C, H, W].
    """
    inputs = {layer.name: activation_of(layer).inputs[0] for layer in layers}
    largest = {layer.name: np.zeros(graph.shapes[layer.name], np.float32) for layer in layers}
    positive: dict[str, list[NDArray[np.float32]]] = {layer.name: [] for layer in layers}
    names = tuple({*inputs, *inputs.values()})
    for first in range(0, len(pixels), CHUNK):
        values = ann.forward(graph, graph.preprocessing(pixels[first : first + CHUNK]), keep=names)
        for name, most in largest.items():
            np.maximum(most, values[name].max(axis=0), out=most)
            y = values[inputs[name]]
            positive[name].append(y[y > 0])
    found = {}
    for layer in layers:
        most = largest[layer.name].reshape(layer.grid[0], -1)
        found[layer.name] = most, np.concatenate(positive[layer.name])
    return found


def describe(layers: Sequence[Layer], thetas: Thetas, found: Activations) -> list[scripts.Row]:
    """One row for each rule and layer: theta, and the share of positive inputs above it.

    theta is its mean, with the least and the largest; dni: the share is that above the mean.
    layers: of neurons. thetas: by rule and layer. found: the activations.
    """
    rows = []
    for rule, by_layer in thetas.items():
        for layer in layers:
            theta, y = np.asarray(by_layer[layer.name]), found[layer.name][1]
            above = np.count_nonzero(y > theta.mean()) / max(1, len(y))
            row = {"rule": rule, "layer": layer.name, "neurons": layer.size}
            row["theta"] = float(theta.mean())
            row["least"] = float(theta.min())
            row["largest"] = float(theta.max())
            row["above"] = above
            rows.append(row)
    return rows


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation of two arrays of one shape, 0 where one of them does not vary."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() and b.std() else 0.0


def draw_distributions(
    names: Sequence[str], thetas: Thetas, train: Activations, test: Activations, title: str
) -> Figure:
    """One row a layer: distribution with thresholds, and each neuron's largest activations.

    names: of the layers. thetas: by rule and layer. train, test: activations on training and on
    test images. title: of the picture.
    """
    figure = scripts.sheet(3, 2.7 * len(names), -1.0)
    for (left, *others), name in zip(figure.subplots(len(names), 3, squeeze=False), names):
        (most, y), (other, _) = train[name], test[name]
        _draw_thresholds(left, y, {rule: by_layer[name] for rule, by_layer in thetas.items()})
        left.set_xlabel("activation")
        left.set_ylabel(f"{plots.shown(name)}: neurons and images", parse_math=False)
        scripts.plain(left)
        words = ("training images", f"test images, r = {correlation(most, other):.2f}")
        look = {"vmin": 0, "vmax": max(most.max(), other.max()), "cmap": "viridis"}
        for place, values, word in zip(others, (most, other), words):
            maps = values.shape[1] > 1
            picture = values if maps else square(values)
            image = place.imshow(picture, aspect="auto", interpolation="nearest", **look)
            place.set_title(f"largest on {word}", fontsize=9)
            for axis in (place.xaxis, place.yaxis):
                axis.set_major_locator(MaxNLocator(5, integer=True) if maps else NullLocator())
            place.set(xlabel="site" if maps else "neurons, in rows", ylabel="channel" * maps)
        figure.colorbar(image, ax=others[-1], label="activation")
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure)
    return figure


def _draw_thresholds(axes: Axes, y: NDArray[np.float32], thetas: Mapping[str, Any]) -> None:
    """A layer's positive inputs as a histogram, and its threshold under each rule."""
    end = max(float(y.max(initial=0)), *(float(np.max(theta)) for theta in thetas.values()))
    edges = np.linspace(0, end, 81)
    axes.hist(y, edges, histtype="stepfilled", color="0.8", label="positive inputs")
    for (rule, theta), (colour, _) in zip(thetas.items(), scripts.LOOKS * len(thetas)):
        if rule == "dni":
            look: dict[str, Any] = {"histtype": "step", "color": colour, "lw": 1.3}
            axes.hist(np.ravel(theta), edges, label="dni, one a neuron", **look)
        else:
            dashes = (0, (1 + 2 * len(rule), 1))
            axes.axvline(theta, color=colour, ls=dashes, lw=1.5, label=rule)
    axes.set_yscale("log", nonpositive="clip")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def square(values: NDArray[Any]) -> NDArray[Any]:
    """[n, 1] as a picture that is about as wide as high, its last places empty (NaN)."""
    side = int(np.ceil(np.sqrt(len(values))))
    return np.append(values.ravel(), np.full(side * side - len(values), np.nan)).reshape(side, side)


def draw_latency(
    rows: list[scripts.Row], norms: list[scripts.Row], ann_accuracy: float, title: str
) -> Figure:
    """The norm-factor of each layer under each rule, and accuracy against T.

    rows: of accuracies. norms: of `describe`. ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(2, 3.9)
    left, right = figure.subplots(1, 2)
    groups = scripts.grouped(norms, "rule")
    for (colour, marker), (rule, mine) in zip(scripts.LOOKS * len(rows), groups.items()):
        if rule == "dni":
            ends = (scripts.column(mine, end) for end in ("least", "largest"))
            left.fill_between(range(len(mine)), *ends, color=colour, alpha=0.15, lw=0)
        left.plot(scripts.column(mine, "theta"), color=colour, marker=marker, ms=4.5, lw=1.3)
    scripts.layer_axis(left, scripts.distinct(norms, "layer"))
    left.set_ylabel("threshold (dni: mean and range)")
    scripts.draw_accuracy(right, scripts.grouped(rows, "rule"), ann_accuracy)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, right)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    decided = ("thresholds", "percentile")
    parser = scripts.options(__doc__, limit=200, out="runs/neuron_thresholds", without=decided)
    scripts.add_steps(parser, 32)
    words = "rules as above, separated by commas"
    parser.add_argument("--rules", default="max,99.9,99,own,dni", help=words)
    words = "layers to show, separated by commas (default: one a third of the way, and the last)"
    parser.add_argument("--layers", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    rules, out = list(dict.fromkeys(args.rules.split(","))), args.out
    for rule in rules:
        settings(rule)
    source = stored.source_of(args)
    graph = load_graph(args.settings)
    calibration = load_calibration(graph, args.settings)
    ann_accuracy = stored.right_of(source)
    rows: list[scripts.Row] = []
    right: dict[tuple[Any, int], NDArray[np.bool_]] = {}
    thetas: Thetas = {}
    network = None
    for rule in scripts.each(rules, "rule"):
        if not has(graph, rule, source.network):
            continue
        network = source.network(**settings(rule))
        thetas[rule] = {layer.name: layer.theta for layer in neuron_layers(network).values()}
        more, its = measure(source, way(args, rule), rule, scripts.times(args), ann_accuracy)
        rows += more
        right |= its
        first = next(iter(thetas))
        scripts.paired(
            rows,
            right,
            lambda row: (row["rule"], row["T"]),
            lambda key, first=first: (first, key[1]),
        )
        write_csv(out / "accuracy.csv", rows)
    if network is None:
        words = "at least one that the network has"
        raise InputError("--rules", words, args.rules, "max and percentiles always do")
    layers = list(neuron_layers(network).values())
    shown = _chosen(args.layers, [layer.name for layer in layers])
    seen = calibration.pixels, source.some(len(calibration)).pixels
    train, test = (activations(network.graph, layers, pixels) for pixels in seen)
    norms = describe(layers, thetas, train)
    write_csv(out / "thresholds.csv", norms)
    write_csv(out / "neurons.csv", [_alike(layer.name, train, test) for layer in layers])
    title = scripts.title(graph, f"{len(seen[0])} training and {len(seen[1])} test images")
    figure = draw_distributions(shown, thetas, train, test, title)
    scripts.save(figure, out, "neuron_thresholds", "")
    title = scripts.title(graph, "IF neurons", f"{len(source.labels)} images")
    decided = scripts.words(rows)
    scripts.save(draw_latency(rows, norms, ann_accuracy, title), out, "latency", decided)
    table = scripts.side_by_side(rows, "rule", scripts.interval)
    loss = f"loss at {args.steps}"
    for row, mine in zip(table, scripts.grouped(rows, "rule").values()):
        row[loss] = mine[-1]["loss"]
        row["within a point from T"] = mine[-1]["within a point from T"]
        row["gained : lost"] = scripts.discordant(mine[-1])
    heading = (
        "Accuracy (%) of IF neurons after T steps [95 % interval], by rule of thresholds; "
        f"loss: the ANN's accuracy less the SNN's at T = {args.steps}; the first T "
        "within a point of the ANN"
    )
    scripts.show(heading, table, decided, {loss: (loss, ".1%")})
    print(f"\n{scripts.footnote(next(iter(thetas)), args.seed)}")
    print(f"ANN {ann_accuracy:.1%} on {len(source.labels)} images")


def measure(
    source: stored.Live | stored.Stored,
    way: stored.Way,
    rule: str,
    times: Sequence[int],
    ann_accuracy: float,
) -> tuple[list[scripts.Row], dict[tuple[Any, int], NDArray[np.bool_]]]:
    """(one row for each T of a rule: accuracy, cost, conversion loss; (rule, T) -> hits).

    source: of the run. way: how the network is run. rule: its name. times: the numbers T.
    ann_accuracy: the ANN's.
    """
    steps, (seed,) = way.options["steps"], way.seeds
    (result,) = source.runs(way)
    shares = [scripts.hits(result, t).mean() for t in range(1, steps + 1)]
    near = [t for t, share in enumerate(shares, 1) if share >= ann_accuracy - 0.01]
    rows = []
    for row in scripts.by_step(result, times, seed):
        loss = ann_accuracy - row["accuracy"]
        first = near[0] if near else None
        rows.append({"rule": rule, **row, "loss": loss, "within a point from T": first})
    return rows, {(rule, t): scripts.hits(result, t) for t in times}


def _chosen(layers: str | None, names: list[str]) -> list[str]:
    """The layers that --layers names."""
    if not layers:
        return list(dict.fromkeys((names[len(names) // 3], names[-1])))
    shown = layers.split(",")
    if unknown := set(shown) - set(names):
        raise InputError("--layers", f"names among {', '.join(names)}", ", ".join(sorted(unknown)))
    return shown


def _alike(name: str, train: Activations, test: Activations) -> scripts.Row:
    """How a layer's largest activations on training and on test images correlate."""
    (ours, _), (theirs, _) = train[name], test[name]
    return {
        "layer": name,
        "correlation": correlation(ours, theirs),
        "mean on training": float(ours.mean()),
        "mean on test": float(theirs.mean()),
    }


if __name__ == "__main__":
    sys.exit(main())
