"""Where each rule puts the thresholds, and what that does to accuracy and latency (DNISNM Fig. 4
and 7; TCL Fig. 1, 6 and 7).

    python analysis/neuron_thresholds.py --net vgg16_relu.h5 --data cifar-10-batches-bin --rules
    max,99.9,99.5,99,dni --layers relu5,relu13 python analysis/neuron_thresholds.py --net
    vgg16_tcl.h5 --data cifar-10-batches-bin --rules own,99,dni

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
layer).
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from tqdm import tqdm

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.network.thresholds import needs_calibration
from eventsnn.result import run
from eventsnn.studies import scripts
from eventsnn.views.tables import report_steps, text_table, write_csv

CHUNK = 16  # images whose activations are held at a time


def settings(rule):
    """The options of `convert` for a rule of --rules."""
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


def converted(graph, calibration, rule):
    """The network with this rule's thresholds, or None after a line that says why there is none."""
    chosen, why = settings(rule), "no layer brings thresholds of its own"
    try:
        if rule != "own" or not needs_calibration(graph, "auto"):
            return eventsnn.convert(graph, calibration=calibration, **chosen)
    except InputError as error:
        if rule != "dni":
            raise
        why = error
    print(f"left out: {rule} ({why})")
    return None


def activations(graph, layers, pixels):
    """layer -> (each neuron's largest activation [C, sites], all positive inputs of its activation
    function).
    """
    largest = {layer.name: np.zeros(graph.shapes[layer.name], np.float32) for layer in layers}
    positive: dict = {layer.name: [] for layer in layers}
    names = tuple({name for layer in layers for name in (layer.name, layer.node.inputs[0])})
    for first in range(0, len(pixels), CHUNK):
        values = ann.forward(graph, graph.preprocessing(pixels[first : first + CHUNK]), keep=names)
        for layer in layers:
            np.maximum(largest[layer.name], values[layer.name].max(axis=0), out=largest[layer.name])
            y = values[layer.node.inputs[0]]
            positive[layer.name].append(y[y > 0])
    return {
        layer.name: (
            largest[layer.name].reshape(layer.grid[0], -1),
            np.concatenate(positive[layer.name]),
        )
        for layer in layers
    }


def describe(layers, thetas, found):
    """One row for each rule and layer: theta (mean, least and largest) and the share of positive
    inputs above (dni: above the mean).
    """
    rows = []
    for rule, by_layer in thetas.items():
        for layer in layers:
            theta, y = np.asarray(by_layer[layer.name]), found[layer.name][1]
            above = np.count_nonzero(y > theta.mean()) / max(1, len(y))
            rows.append(
                {
                    "rule": rule,
                    "layer": layer.name,
                    "neurons": layer.size,
                    "theta": float(theta.mean()),
                    "least": float(theta.min()),
                    "largest": float(theta.max()),
                    "above": above,
                }
            )
    return rows


def correlation(a, b):
    """Pearson's, 0 where one of the two does not vary."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() and b.std() else 0.0


def draw_distributions(names, thetas, train, test, title):
    """One row a layer: distribution with thresholds, and each neuron's largest activation on
    training and on test images.
    """
    figure = Figure(figsize=(11.6, 2.9 * len(names)), layout="constrained")
    looks = {rule: look for rule, look in zip(thetas, scripts.LOOKS * len(thetas))}
    for axes, name in zip(figure.subplots(len(names), 3, squeeze=False), names):
        (most, y), (other, _) = train[name], test[name]
        edges = np.linspace(
            0, max(float(y.max(initial=0)), *(float(np.max(t[name])) for t in thetas.values())), 81
        )
        axes[0].hist(y, edges, histtype="stepfilled", color="0.8", label="positive inputs")
        for rule, by_layer in thetas.items():
            if rule == "dni":
                axes[0].hist(
                    np.ravel(by_layer[name]),
                    edges,
                    histtype="step",
                    color=looks[rule][0],
                    lw=1.3,
                    label="dni, one a neuron",
                )
            else:
                axes[0].axvline(
                    by_layer[name],
                    color=looks[rule][0],
                    ls=(0, (1 + 2 * len(rule), 1)),
                    lw=1.5,
                    label=rule,
                )
        axes[0].set_yscale("log", nonpositive="clip")
        axes[0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes[0].set(ylabel=f"{name}: number", xlabel="activation")
        scripts.plain(axes[0])
        pictures = (
            (axes[1], most, "training images"),
            (axes[2], other, f"test images, r = {correlation(most, other):.2f}"),
        )
        for place, values, words in pictures:
            picture = values if values.shape[1] > 1 else square(values)
            shown = place.imshow(
                picture,
                aspect="auto",
                cmap="viridis",
                vmin=0,
                vmax=max(most.max(), other.max()),
                interpolation="nearest",
            )
            place.set_title(f"largest on {words}", fontsize=9)
            place.set(
                xlabel="site" if values.shape[1] > 1 else "neuron",
                ylabel="channel" if values.shape[1] > 1 else "",
            )
        figure.colorbar(shown, ax=axes[2])
    handles = {
        label: line
        for axes in figure.axes
        for line, label in zip(*axes.get_legend_handles_labels())
    }
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=8,
    )
    return figure


def square(values):
    """[n, 1] as a picture that is about as wide as high, its last places empty."""
    side = int(np.ceil(np.sqrt(len(values))))
    return np.append(values.ravel(), np.full(side * side - len(values), np.nan)).reshape(side, side)


def draw_latency(rows, norms, ann_accuracy, title):
    """The norm-factor of each layer under each rule, and accuracy against T."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (colour, marker), (rule, mine) in zip(
        scripts.LOOKS * len(rows), scripts.grouped(norms, "rule").items()
    ):
        theta = [row["theta"] for row in mine]
        if rule == "dni":
            ends = ([row[end] for row in mine] for end in ("least", "largest"))
            left.fill_between(range(len(mine)), *ends, color=colour, alpha=0.15, lw=0)
        left.plot(theta, color=colour, marker=marker, ms=4.5, lw=1.3)
    scripts.layer_axis(left, [row["layer"] for row in mine])
    left.set_ylabel("threshold (dni: mean and range)")
    scripts.draw_accuracy(right, scripts.grouped(rows, "rule"), ann_accuracy)
    figure.suptitle(title, fontsize=10, parse_math=False)
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/neuron_thresholds")
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    parser.add_argument(
        "--rules", default="max,99.9,99,own,dni", help="rules as above, separated by commas"
    )
    parser.add_argument(
        "--layers",
        help="layers to show, separated by commas (default: one a third of the way, and the last)",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    rules = list(dict.fromkeys(args.rules.split(",")))
    for rule in rules:
        settings(rule)
    graph, images, calibration = scripts.given(args)
    ann_accuracy = float(np.mean(ann.predict(graph, images.pixels).argmax(axis=1) == images.labels))
    rows, thetas, network, first = [], {}, None, {}
    for rule in tqdm(rules, unit="rule", disable=None, delay=2):
        if (found := converted(graph, calibration, rule)) is None:
            continue
        network = found
        thetas[rule] = {layer.name: layer.theta for layer in network.spiking if not layer.pools}
        result = run(network, images, steps=args.steps, progress=sys.stderr.isatty())
        near = [t for t in range(1, args.steps + 1) if result.accuracy(t) >= ann_accuracy - 0.01]
        first[rule] = near[0] if near else None
        rows += [
            {
                "rule": rule,
                **row,
                "loss": ann_accuracy - row["accuracy"],
                "within a point from T": first[rule],
            }
            for row in scripts.by_step(result, report_steps(args.steps))
        ]
        write_csv(args.out / "accuracy.csv", rows)
    if network is None:
        raise InputError(
            "--rules",
            "at least one that the network has",
            args.rules,
            "max and percentiles always do",
        )
    layers = [layer for layer in network.spiking if not layer.pools]
    names = [layer.name for layer in layers]
    shown = (
        args.layers.split(",")
        if args.layers
        else list(dict.fromkeys((names[len(names) // 3], names[-1])))
    )
    if unknown := set(shown) - set(names):
        raise InputError("--layers", f"names among {', '.join(names)}", ", ".join(sorted(unknown)))
    seen = calibration.pixels, images.pixels[: scripts.CALIBRATION]
    train, test = (activations(network.graph, layers, pixels) for pixels in seen)
    norms = describe(layers, thetas, train)
    write_csv(args.out / "thresholds.csv", norms)
    write_csv(
        args.out / "neurons.csv",
        [
            {
                "layer": name,
                "correlation": correlation(train[name][0], test[name][0]),
                "mean on training": float(train[name][0].mean()),
                "mean on test": float(test[name][0].mean()),
            }
            for name in names
        ],
    )
    arch = graph.meta.get("arch", "network")
    title = f"{arch}, {len(seen[0])} training and {len(seen[1])} test images"
    scripts.save(
        draw_distributions(shown, thetas, train, test, title), args.out, "neuron_thresholds"
    )
    scripts.save(
        draw_latency(rows, norms, ann_accuracy, f"{arch}, IF neurons, {len(images)} images"),
        args.out,
        "latency",
    )
    print(
        text_table(
            [
                row
                | {
                    f"loss at {args.steps}": mine[-1]["loss"],
                    "within a point from T": first[row["rule"]],
                }
                for row, mine in zip(
                    scripts.side_by_side(rows, "rule", scripts.interval),
                    scripts.grouped(rows, "rule").values(),
                )
            ],
            {f"loss at {args.steps}": (f"loss at {args.steps}", ".1%")},
        )
    )
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images; pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
