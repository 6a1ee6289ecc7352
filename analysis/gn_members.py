"""Group neurons with tau members: their staircase, accuracy and distance to the ANN (GN Fig. 2,
Fig. 3, Tab. 1).

    python analysis/gn_members.py --net resnet20_qcfs.h5 --data cifar-10-batches-bin --limit 500
    --members 1,2,4,8

On the left the output phi of one neuron, after 4 steps of an even input x, beside the ANN's own
first activation (Fig. 2; all in thresholds; tau = 1 is IF, whose stairs are tau times as wide). In
the middle accuracy against T for each tau (Fig. 3), with 95 % intervals. On the right the mean
squared error of the readout against the ANN's output, which the printed table has in percent of
IF's (Tab. 1); the CSV also has the mean error and the size that 95 % of the errors stay below.
Writes gn_members.csv, curve.csv, gn_members.png and gn_members.svg.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import eventsnn
from eventsnn.ann import forward as ann
from eventsnn.neurons import GN
from eventsnn.result import run
from eventsnn.studies import scripts
from eventsnn.views.tables import report_steps, text_table, write_csv

CURVE_STEPS = 4  # GN Fig. 2
INPUTS = np.arange(-0.1, 1.25, 1 / 512) + 1 / 1024  # between the stairs' edges, never on them


def staircase(tau, x):
    """phi of a neuron of tau members that gets x thresholds in each of CURVE_STEPS steps, from v(0)
    = q / 2 (GN eq. 8-12).
    """
    neuron, p, spikes = GN(1 / tau, tau), 0.5 / tau, 0
    for _ in range(CURVE_STEPS):
        p += x
        fired = neuron.emit(neuron, 0, p, spikes)
        p, spikes = neuron.settle(neuron, p, fired), spikes + fired
    return spikes / (tau * CURVE_STEPS)


def curves(network, members):
    """One row for each input x: the ANN's first activation and phi for each tau, all in
    thresholds.
    """
    layer = next(layer for layer in network.spiking if not layer.pools)
    activation = ann.activation_function(layer.node)(INPUTS * layer.scale) / layer.scale
    return [
        {"x": float(x), "ANN": float(a)}
        | {f"tau = {tau}": staircase(tau, float(x)) for tau in members}
        for x, a in zip(INPUTS, activation)
    ]


def measure(network, images, outputs, tau, steps, progress):
    """One row for each T: accuracy and cost, and how the readout differs from the ANN's output."""
    result = run(network, images, steps=steps, neuron="gn", tau=tau, batch=4, progress=progress)
    rows = scripts.by_step(result, report_steps(steps))
    for row in rows:
        error = result.readout(row["T"]) - outputs
        row |= {
            "mse": float(np.square(error).mean()),
            "mean error": float(error.mean()),
            "95 % of errors below": float(np.quantile(np.abs(error), 0.95)),
        }
    return [{"tau": tau, **row} for row in rows]


def draw(curve, rows, ann_accuracy, title):
    """The staircases of the smallest and the middle tau; accuracy and mean squared error against T,
    a line for each tau.
    """
    figure = Figure(figsize=(12.4, 3.9), layout="constrained")
    stairs, middle, right = figure.subplots(1, 3)
    lines = {
        f"τ = {tau}" + " (IF)" * (tau == 1): mine
        for tau, mine in scripts.grouped(rows, "tau").items()
    }
    x, members = [row["x"] for row in curve], list(scripts.grouped(rows, "tau"))
    stairs.plot(x, [row["ANN"] for row in curve], color="0.45", ls="--", lw=1.5)
    for k in dict.fromkeys((0, len(members) // 2)):
        stairs.plot(
            x,
            [row[f"tau = {members[k]}"] for row in curve],
            color=scripts.LOOKS[k % len(scripts.LOOKS)][0],
            lw=1.6,
        )
    stairs.set(xlabel="input x (thresholds a step)", ylabel="output φ (thresholds)")
    stairs.set_title(f"one neuron, T = {CURVE_STEPS}", fontsize=10)
    scripts.plain(stairs)
    scripts.draw_accuracy(middle, lines, ann_accuracy)
    middle.set_title(title, fontsize=10, parse_math=False)
    for (colour, marker), mine in zip(scripts.LOOKS * len(lines), lines.values()):
        right.plot(
            [row["T"] for row in mine],
            [row["mse"] for row in mine],
            color=colour,
            marker=marker,
            ms=4.5,
            lw=1.3,
        )
    scripts.step_axis(right, rows[-1]["T"])
    scripts.error_axis(right, [row["mse"] for row in rows])
    figure.legend(
        *middle.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    return figure


def main(argv=None):
    parser = scripts.options(__doc__, limit=200, out="runs/gn_members")
    parser.add_argument("--steps", type=int, default=32, help="the largest T")
    parser.add_argument(
        "--members",
        default="1,2,4,6,8",
        help="numbers of members (tau), separated by commas; 1, IF, is always there",
    )
    return scripts.run(study, parser, argv)


def study(args):
    """Run everything and write the results."""
    members = sorted({1, *scripts.whole_numbers(args.members, "--members")})
    graph, images, calibration = scripts.given(args)
    network, outputs, rows = (
        eventsnn.convert(graph, calibration=calibration),
        ann.predict(graph, images.pixels),
        [],
    )
    for tau in tqdm(members, unit="tau", disable=None, delay=2):
        rows += measure(network, images, outputs, tau, args.steps, sys.stderr.isatty())
        plain = {row["T"]: row["mse"] for row in rows if row["tau"] == 1}
        for row in rows:
            row["mse / IF's"] = row["mse"] / plain[row["T"]] if plain[row["T"]] else None
        write_csv(args.out / "gn_members.csv", rows)
    curve = curves(network, members)
    write_csv(args.out / "curve.csv", curve)
    ann_accuracy = float(np.mean(outputs.argmax(axis=1) == images.labels))
    figure = draw(
        curve, rows, ann_accuracy, f"{graph.meta.get('arch', 'network')}, {len(images)} images"
    )
    scripts.save(figure, args.out, "gn_members")
    print(
        "accuracy (%)",
        text_table(scripts.side_by_side(rows, "tau", scripts.interval)),
        sep="\n",
        end="\n\n",
    )
    print(
        "mean squared error of the readout, % of IF's",
        text_table(
            scripts.side_by_side(
                rows,
                "tau",
                lambda row: "" if row["mse / IF's"] is None else format(row["mse / IF's"], ".1%"),
            )
        ),
        sep="\n",
    )
    print(f"\nANN {ann_accuracy:.1%} on {len(images)} images; pictures and tables in {args.out}")


if __name__ == "__main__":
    sys.exit(main())
