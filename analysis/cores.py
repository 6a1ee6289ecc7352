"""What cores cost: accuracy against a deadline, latency, and which core all wait for.

    python analysis/cores.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 8

Every layer is a core that serves one event after the other (order cores; semantics, section 12),
and is busy with each for the times of --service. Each way of choosing among the events that wait
(--arbitrations) runs on the same images. An image's class is read at a deadline: what the readout
says at the end of that tick; after an image's end it stays. Deadlines are powers of two unless
--deadlines names them. A second table says, core by core, how busy it was and how long its queue
became. The picture shows both. --seeds N runs what draws something N times. Writes cores.csv,
layers.csv, cores.png and cores.svg.
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsnn.engine.event.cores import ARBITRATIONS
from eventsnn.exceptions import InputError
from eventsnn.option_texts import add_option, given_values, help_of
from eventsnn.settings import Settings
from eventsnn.simulation.conditions import together
from eventsnn.statistics import bootstraps
from eventsnn.studies import scripts
from eventsnn.studies.deadlines import Deadlines
from eventsnn.studies.sampled import Sample, with_intervals
from eventsnn.sweep import stored
from eventsnn.views.tables import CORES, write_csv

# options of a run that it takes, too
TAKEN = ("neuron", "service", "latency", "refractory", "free_running", "ticks", "max_events")
SHOWN = 6  # deadlines that are printed, at most
SIZES = (8.0, 6.5, 5.0, 4.0)  # of marks, so that those of equal lines are seen
TITLE = (
    "Accuracy (%) where the class is read at the end of a tick [95 % interval]; latency: the tick "
    "from whose end on it stays, and end: the tick at which a run ends, mean of images; "
    "gained : lost: at the last deadline"
)
OF_LAYERS = (
    "Cores; busy: share of the ticks of a run in which it is in service, mean of images; queue: "
    "events that wait at once at most, mean of images, longest: of all images; undelivered: events "
    "on their way when a run ends, mean of images"
)
FORMATS = {"latency": ("latency", ",.0f"), "end": ("end", ",.0f")}
# of the panels by core: column, what it is, factor
PANELS = (("busy", "core in service (% of the time)", 100), ("queue", "longest queue (events)", 1))


def asked(args: argparse.Namespace) -> Settings:
    """The options of the run. args: the script's. Raises InputError for those that cannot be."""
    given = {name: getattr(args, name) for name in (*TAKEN, "steps")}
    values = given_values(argparse.Namespace(**given))
    return Settings(engine="event", order="cores", **values)


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run: a way for each of --arbitrations. args: the options."""
    names = list(dict.fromkeys(args.arbitrations.split(",")))
    unknown = [name for name in names if name not in ARBITRATIONS]
    if unknown:
        expected = f"names among {', '.join(ARBITRATIONS)}"
        raise InputError("--arbitrations", expected, repr(unknown[0]))
    settings = asked(args)
    time = settings.time
    options: dict[str, Any] = {
        "study": "deadlines",
        "deadlines": None if args.deadlines is None else tuple(deadlines_of(args.deadlines, ())),
        "steps": settings.steps,
        "neuron": settings.neuron,
        "engine": "event",
        "order": "cores",
        "service": time.service,
        "latency": time.latency,
        "refractory": time.refractory,
        "barrier": time.barrier,
        "max_events": time.max_events,
        "ticks": time.ticks,
    }
    found = []
    for name in names:
        drawn = range(args.seed, args.seed + (args.seeds if name == "random" else 1))
        found.append(stored.Way({}, {**options, "arbitration": name}, drawn))
    return found


def deadlines_of(words: str | None, runs: Sequence[Deadlines]) -> list[int]:
    """The deadlines, in ticks, rising.

    words: of --deadlines; None: powers of two, from the first change of any class to the last end
    of any image. runs: all. Raises InputError for anything but whole numbers.
    """
    if words is not None:
        return sorted(set(scripts.whole_numbers(words, "--deadlines")))
    first, last = [], 1
    for run in runs:
        later = run.changed[run.changed > 0]
        first += [int(later.min())] if later.size else []
        last = max(last, int(run.ended.max()))
    lowest = int(math.log2(min(first, default=1)))
    return [2**k for k in range(lowest, max(lowest, math.ceil(math.log2(last))) + 1)]


def by_deadline(
    way: str, runs: Sequence[Deadlines], deadlines: Sequence[int], seed: int
) -> tuple[list[scripts.Row], dict[tuple[str, int], NDArray[np.bool_]]]:
    """(one row for each deadline; (way, deadline) -> which images are right, [N] or [seeds, N]).

    way: the arbitration. runs: of it, one a seed. deadlines: in ticks. seed: of the bootstrap.
    """
    columns: dict[str, list[NDArray[Any]]] = {"latency": [], "end": []}
    for run in runs:
        columns["latency"].append(run.latency)
        columns["end"].append(run.ended)
    found = bootstraps(columns, seed=seed)
    means: scripts.Row = {}
    for name in columns:
        means[name], means[f"{name} low"], means[f"{name} high"] = found[name][:3]
    rows, right = [], {}
    for tick in deadlines:
        hits = np.stack([run.predictions_by(tick) == run.labels for run in runs])
        right[way, tick] = hits if len(hits) > 1 else hits[0]
        share = scripts.share_of_hits(right[way, tick], seed)
        under = {"conditions": together(run.conditions for run in runs)}
        row = {"arbitration": way, "seeds": len(runs), "deadline": tick}
        row["steps"] = tick / runs[0].simulation.time.ticks
        rows.append({**row, **share, **means, **under})
    return rows, right


def by_core(way: str, runs: Sequence[Deadlines], seed: int) -> list[scripts.Row]:
    """One row for each core, with bootstrap intervals; parameters as for `by_deadline`."""
    samples = []
    names = [layer.name for layer in runs[0].simulation.network.layers]
    rows = [dict(row) for row in runs[0].cores()]
    for run in runs:
        its: dict[tuple[Any, str], Sample] = {}
        for row in rows:
            i = names.index(row["layer"])
            its[row["layer"], "busy"] = Sample(run.busy[:, i] / np.maximum(run.ended, 1))
            its[row["layer"], "queue"] = Sample(run.longest_queue[:, i])
            its[row["layer"], "undelivered"] = Sample(run.undelivered[:, i])
            row["longest"] = max(row["longest"], int(run.longest_queue[:, i].max()))
        samples.append(its)
    under = {"conditions": together(run.conditions for run in runs)}
    return [
        {"arbitration": way, "seeds": len(runs), **row, **under}
        for row in with_intervals(rows, samples, seed)
    ]


def draw(
    lines: Mapping[str, list[scripts.Row]],
    layers: Mapping[str, list[scripts.Row]],
    ann_accuracy: float,
    title: str,
) -> Figure:
    """Accuracy against the deadline; how busy each core was, and how long its queue became.

    lines: arbitration -> rows, one for each deadline. layers: arbitration -> rows, one for each
    core. ann_accuracy: the ANN's. title: of the picture.
    """
    figure = scripts.sheet(3, 4.3)
    left, *others = figure.subplots(1, 3)
    _draw_deadlines(left, lines, ann_accuracy)
    names = scripts.column(next(iter(layers.values())), "layer")
    for axes, (key, label, factor) in zip(others, PANELS):
        for look, size, rows in zip(scripts.LOOKS, SIZES, layers.values()):
            values = scripts.column(rows, key, factor)
            axes.plot(
                np.arange(len(values)), values, color=look[0], marker=look[1], ms=size, lw=1.2
            )
        axes.set_ylabel(label)
        scripts.layer_axis(axes, names)
    others[0].set_ylim(0, 105)
    others[1].set_yscale("symlog", linthresh=1)
    most = max(row["queue"] for rows in layers.values() for row in rows)
    others[1].set_ylim(0, 2 * most + 1)
    figure.suptitle(title, fontsize=10, parse_math=False)
    scripts.legend_below(figure, left)
    return figure


def _draw_deadlines(
    axes: Axes, lines: Mapping[str, list[scripts.Row]], ann_accuracy: float
) -> None:
    """Accuracy against the deadline; bands are 95 % intervals, dashes the ANN."""
    ticks = scripts.column(next(iter(lines.values())), "deadline")
    for look, size, (way, rows) in zip(scripts.LOOKS, SIZES, lines.items()):
        colour, marker = look
        values, low, high = (scripts.column(rows, key, 100) for key in ("accuracy", "low", "high"))
        axes.fill_between(ticks, low, high, color=colour, alpha=0.12, lw=0)
        axes.plot(ticks, values, color=colour, marker=marker, ms=size, lw=1.3, label=way)
    axes.axhline(100 * ann_accuracy, color="0.45", ls="--", lw=1, label="ANN")
    axes.set_xscale("log", base=2)
    axes.set_ylabel("accuracy (%)")
    axes.set_xlabel("deadline (ticks)")
    scripts.plain(axes)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=100, out="runs/cores", several=True)
    parser.add_argument("--steps", default="8", metavar="N", help="T, the number of time steps")
    default = {"service": "0,0.0009765625"}
    for f in fields(Settings):
        if f.name in TAKEN:
            add_option(parser, f, help_of(f, default.get(f.name)), default.get(f.name))
    words = "which of the events that wait a core takes; names, separated by commas, of "
    words += ", ".join(ARBITRATIONS)
    parser.add_argument("--arbitrations", default=",".join(ARBITRATIONS), help=words)
    words = "deadlines in ticks, separated by commas; default: powers of two that cover the runs"
    parser.add_argument("--deadlines", metavar="N,N,…", help=words)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv, size=20)


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    every = ways(args)
    source = stored.source_of(args)
    runs = {way.options["arbitration"]: source.runs(way) for way in scripts.each(every, "way")}
    deadlines = deadlines_of(args.deadlines, [run for its in runs.values() for run in its])
    rows: list[scripts.Row] = []
    layers: list[scripts.Row] = []
    right: dict[tuple[str, int], NDArray[np.bool_]] = {}
    for way, its in runs.items():
        found, hits = by_deadline(way, its, deadlines, args.seed)
        rows += found
        right |= hits
        layers += by_core(way, its, args.seed)
    scripts.paired(
        rows,
        right,
        lambda row: (row["arbitration"], row["deadline"]),
        lambda key: (next(iter(runs)), key[1]),
    )
    write_csv(args.out / "cores.csv", rows)
    write_csv(args.out / "layers.csv", layers)
    ann_accuracy = stored.right_of(source)
    images = len(source.images)
    ticks = next(iter(runs.values()))[0].simulation.time.ticks
    title = scripts.title(source.graph, f"{images} images", f"a step is {ticks:,} ticks")
    figure = draw(
        scripts.grouped(rows, "arbitration"),
        scripts.grouped(layers, "arbitration"),
        ann_accuracy,
        title,
    )
    decided = scripts.words(rows)
    scripts.save(figure, args.out, "cores", decided)
    show(rows, layers, decided, args)
    print(f"ANN {ann_accuracy:.1%} on {images} images; a step is {ticks:,} ticks")


def show(
    rows: list[scripts.Row], layers: list[scripts.Row], decided: str, args: argparse.Namespace
) -> None:
    """Prints both tables. rows: by way and deadline. layers: by way and core. decided: the
    conditions. args: the options.
    """
    deadlines = scripts.distinct(rows, "deadline")
    places = np.linspace(0, len(deadlines) - 1, min(SHOWN, len(deadlines))).round().astype(int)
    table = []
    for way, mine in scripts.grouped(rows, "arbitration").items():
        cells = {f"by {mine[i]['deadline']:,}": scripts.interval(mine[i]) for i in places}
        last = mine[-1]
        more = {key: last[key] for key in ("latency", "end")}
        paired = {"gained : lost": scripts.discordant(last)}
        table.append({"arbitration": way, "seeds": last["seeds"], **cells, **more, **paired})
    scripts.show(TITLE, table, decided, FORMATS)
    print(f"\n{scripts.footnote(rows[0]['arbitration'], args.seed, args.seeds)}\n")
    kept = [{key: x for key, x in row.items() if key != "seeds"} for row in scripts.bare(layers)]
    scripts.show(OF_LAYERS, kept, decided, CORES)


if __name__ == "__main__":
    sys.exit(main())
