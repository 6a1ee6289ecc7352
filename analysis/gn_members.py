"""Group neurons with tau members: staircase, accuracy, distance to the ANN (GN Fig. 2, 3, Tab. 1).

    python analysis/gn_members.py --net resnet20_qcfs.h5 --data cifar-10-batches-bin --members 1,4

On the left the output phi of one neuron, after 4 steps of an even input x, beside the ANN's own
first activation (Fig. 2; all in thresholds; tau = 1 is IF, whose stairs are tau times as wide). In
the middle accuracy against T for each tau (Fig. 3), with 95 % intervals. On the right the mean
squared error of the readout against the ANN's logits, which the printed table has in percent of
IF's (Tab. 1); the CSV also has the mean error and the size that 95 % of the errors stay below.
Writes gn_members.csv, curve.csv, gn_members.png and gn_members.svg.
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
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn import Network, statistics
from eventsnn.ann import forward as ann
from eventsnn.neurons import GN
from eventsnn.studies import scripts
from eventsnn.studies.setting import activation_of, neuron_layers
from eventsnn.sweep import stored
from eventsnn.views.tables import write_csv

CURVE_STEPS = 4  # GN Fig. 2
INPUTS = np.arange(-0.1, 1.25, 1 / 512) + 1 / 1024  # between the stairs' edges, never on them


def staircase(tau: int, x: float) -> float:
    """phi of a neuron, from v(0) = q / 2, after CURVE_STEPS steps (GN eq. 8-12).

    tau: its members. x: what it gets in each step, in thresholds.
    """
    neuron: Any = GN(1 / tau, tau)
    p, spikes = 0.5 / tau, 0
    for _ in range(CURVE_STEPS):
        p += x
        fired = neuron.emit(neuron, 0, p, spikes)
        p = neuron.settle(neuron, p, fired)
        spikes += fired
    return spikes / (tau * CURVE_STEPS)


def curves(network: Network, members: Sequence[int]) -> list[scripts.Row]:
    """One row for each input x: the ANN's first activation and phi for each tau, in thresholds.

    network: whose first activation it is. members: all tau.
    """
    layer = next(iter(neuron_layers(network).values()))
    activation = ann.activation_function(activation_of(layer))(INPUTS * layer.scale) / layer.scale
    rows = []
    for x, a in zip(INPUTS.tolist(), activation.tolist()):
        phi = {f"tau = {tau}": staircase(tau, x) for tau in members}
        rows.append({"x": x, "ANN": a, **phi})
    return rows


def way(args: argparse.Namespace, tau: int) -> stored.Way:
    """How a group neuron is run. args: the options. tau: members."""
    return stored.Way({}, {"neuron": "gn", "tau": tau, "steps": args.steps}, [args.seed])


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --members. args: the options."""
    return [way(args, tau) for tau in taus(args)]


def taus(args: argparse.Namespace) -> list[int]:
    """The numbers of members, 1 among them. args: the options."""
    return sorted({1, *scripts.whole_numbers(args.members, "--members")})


def measure(
    result: Any, logits: NDArray[Any], tau: int, times: Sequence[int], seed: int
) -> list[scripts.Row]:
    """One row for each T: accuracy and cost, and how the readout differs from the ANN.

    result: what ran. logits: the ANN's, [N, classes]. tau: members. times: the numbers T. seed: of
    the bootstrap.
    """
    rows = scripts.by_step(result, times, seed)
    squares = scripts.squared_errors(result, times, logits, seed)
    for row in rows:
        error = result.readout(row["T"]) - logits
        row |= {
            **squares[row["T"]],
            "mean error": float(error.mean()),
            "95 % of errors below": float(np.quantile(np.abs(error), 0.95)),
        }
    return [{"tau": tau, **row} for row in rows]


def draw(
    curve: list[scripts.Row], rows: list[scripts.Row], ann_accuracy: float, title: str
) -> Figure:
    """Staircases of two taus; accuracy and mean squared error against T, a line for each tau.

    curve: rows of `curves`, drawn for the smallest and the middle tau. rows: of `measure`.
    ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(3, 3.9, -1.2)
    stairs, middle, right = figure.subplots(1, 3)
    groups = scripts.grouped(rows, "tau")
    lines = {f"τ = {tau}" + " (IF)" * (tau == 1): mine for tau, mine in groups.items()}
    x, members = scripts.column(curve, "x"), list(groups)
    stairs.plot(x, scripts.column(curve, "ANN"), color="0.45", ls="--", lw=1.5)
    for k in dict.fromkeys((0, len(members) // 2)):
        phi = scripts.column(curve, f"tau = {members[k]}")
        stairs.plot(x, phi, color=scripts.LOOKS[k % len(scripts.LOOKS)][0], lw=1.6)
    stairs.set(xlabel="input x (thresholds a step)", ylabel="output φ (thresholds)")
    stairs.set_title(f"one neuron, T = {CURVE_STEPS}", fontsize=10)
    scripts.plain(stairs)
    scripts.draw_accuracy(middle, lines, ann_accuracy)
    middle.set_title(title, fontsize=10, parse_math=False)
    scripts.draw_errors(right, lines)
    scripts.legend_below(figure, middle)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/gn_members")
    scripts.add_steps(parser, 32)
    words = "numbers of members (tau), separated by commas; 1, IF, is always there"
    parser.add_argument("--members", default="1,2,4,6,8", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    members = taus(args)
    source = stored.source_of(args)
    logits = source.logits
    rows: list[scripts.Row] = []
    right, squares = {}, {}
    for tau in scripts.each(members, "tau"):
        (result,) = source.runs(way(args, tau))
        found = measure(result, logits, tau, scripts.times(args), args.seed)
        times = scripts.column(found, "T")
        right |= {(tau, t): scripts.hits(result, t) for t in times}
        squares |= {(tau, t): np.square(result.readout(t) - logits).mean(axis=1) for t in times}
        plain = {(tau, t): squares[1, t] for t in times}
        its = {key: squares[key] for key in plain}
        ratios = statistics.bootstraps(its, divisors=plain, seed=args.seed)
        for row in found:
            ratio = ratios[tau, row["T"]]
            ends = ratio[:3] if np.isfinite(ratio.value) else (None,) * 3
            row |= dict(zip(("mse / IF's", "mse / IF's low", "mse / IF's high"), ends))
        rows += found
        scripts.paired(rows, right, lambda row: (row["tau"], row["T"]), lambda key: (1, key[1]))
        write_csv(args.out / "gn_members.csv", rows)
    curve = curves(source.network(), members)
    write_csv(args.out / "curve.csv", curve)
    ann_accuracy = stored.right_of(source)
    figure = draw(
        curve, rows, ann_accuracy, scripts.title(source.graph, f"{len(source.labels)} images")
    )
    decided = scripts.words(rows)
    scripts.save(figure, args.out, "gn_members", decided)
    accuracies = scripts.side_by_side(rows, "tau", scripts.interval)
    scripts.show("Accuracy (%) after T steps [95 % interval], by members tau", accuracies, decided)
    print()
    several = [row for row in rows if row["p"] is not None]
    if several:
        heading = "Images right with tau members and wrong with IF : the other way round, p"
        scripts.show(heading, scripts.side_by_side(several, "tau", scripts.discordant), decided)
        print(f"{scripts.footnote('IF', args.seed)}\n")
    errors = scripts.side_by_side(rows, "tau", _of_plain)
    heading = "Mean squared error of the readout, % of IF's [95 % interval], by members tau"
    scripts.show(heading, errors, decided)
    print()
    print(f"ANN {ann_accuracy:.1%} on {len(source.labels)} images")


def _of_plain(row: scripts.Row) -> str:
    """A row's error in percent of IF's, as a cell of a table."""
    if row["mse / IF's"] is None:
        return ""
    low, high = (100 * row[f"mse / IF's {end}"] for end in ("low", "high"))
    share = row["mse / IF's"]
    return f"{share:.1%} [{low:.0f}-{high:.0f}]"


if __name__ == "__main__":
    sys.exit(main())
