"""Conversion methods of many papers in one table: the same network and images for all of them.

    python analysis/zoo.py --net fashion_qcfs --data fashion-mnist --methods all
    python analysis/zoo.py --net fashion_relu --also fashion_tcl,fashion_qcfs --data fashion-mnist
    python analysis/zoo.py --net fashion_qcfs --data fashion-mnist --table gn-2

A method is a row of `eventsnn.studies.zoo.methods.METHODS`: a name, its paper, options of a run,
and what it needs. Each is compared with `if` (integrate-and-fire, v(0) = theta / 2) image by image.
--methods all leaves out what the network cannot have, and says why; a method that is named and
cannot run is an error. --also names further networks for the same images: methods of trained
activations (tcl, opi, rts, qcfs, lsq, slip) run on them, too. --table gn-2, srp-1, dnisnm-2,
spikezip-3 and tcl-2 run the rows of a paper's table, and print the published figures below, with
their networks and images. Methods that come to rest (st-bif) have a row for it and, under "outputs
apart", how many outputs differ there from the quantised ANN's (SpikeZIP Theorem 1). Methods that
calibrate v(0) do so for the largest T, and run anew beside a store. --seeds N runs what draws
something N times. Writes zoo.csv, published.csv with --table, zoo.png and zoo.svg (bars; accuracy
against energy with the Pareto front of each network, as SpikeZIP Fig. 1).
"""

from __future__ import annotations

from eventsnn.console import begin

if __name__ == "__main__":
    begin()

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eventsnn.ann.graph import Graph
from eventsnn.exceptions import InputError
from eventsnn.inputs.loading import load_calibration, load_graph, load_part
from eventsnn.network.network import Network
from eventsnn.result import simulate
from eventsnn.studies import scripts, seeds
from eventsnn.studies.zoo import measured, pictures, published
from eventsnn.studies.zoo.choosing import Chosen, choose
from eventsnn.studies.zoo.methods import METHODS, REFERENCE, Method, named
from eventsnn.sweep import exploding, stored, studies
from eventsnn.views.tables import write_csv

FEW = 6  # methods of which one line tells all conditions
OWN_ROWS = "what decides each row stands in zoo.csv, column conditions"


def steps_of(args: argparse.Namespace) -> list[int]:
    """The numbers T that are reported. args: the options."""
    if args.table is None:
        return scripts.times(args)
    if args.report_steps is None:
        return list(published.table(args.table).steps)
    return sorted(set(scripts.whole_numbers(args.report_steps, "--report-steps")))


def names_of(args: argparse.Namespace) -> tuple[list[str], bool]:
    """(the methods that are asked for, whether others than those that can run are left out)."""
    if args.table is None:
        return named(args.methods), args.methods == "all"
    if args.methods != "all":
        do = "leave one of the two out"
        raise InputError(f"--table {args.table}", "--methods all", args.methods, do)
    return [name for name in published.table(args.table).methods if name in METHODS], True


def with_net(args: argparse.Namespace, net: str) -> argparse.Namespace:
    """The options with another network. args: the options. net: its name or file."""
    return argparse.Namespace(**{**vars(args), "settings": replace(args.settings, net=net)})


def nets_of(args: argparse.Namespace) -> list[str]:
    """--net, and those of --also. args: the options."""
    return list(dict.fromkeys([args.settings.net, *(args.also.split(",") if args.also else ())]))


class Tried:
    """Tries methods by making what would run. args: the options. steps: the numbers T."""

    def __init__(self, args: argparse.Namespace, steps: Sequence[int]) -> None:
        self.args, self.steps = args, steps
        self.of = {net: with_net(args, net) for net in nets_of(args)}
        self.graphs: dict[str, Graph] = {}
        for net, its in self.of.items():
            self.graphs[net] = load_graph(its.settings)
        self.networks: dict[str, Network] = {}

    def network(self, net: str, method: Method) -> Network:
        """As it is converted for a method and the largest T; the last conversion is kept."""
        chosen = method.conversion(self.steps[-1])
        key = json.dumps([net, chosen])
        if key not in self.networks:
            its = stored.network_of(self.of[net], self.graphs[net], **chosen)
            self.networks = {key: its}
        return self.networks[key]

    def __call__(self, net: str, method: Method) -> list[stored.Way]:
        """The ways of a method: one for all T, or one for each. Raises InputError for none."""
        network = self.network(net, method)
        found = []
        for t in self.steps if method.apart else self.steps[-1:]:
            options = method.options(t)
            if method.asynchronous:
                most = exploding.MOST * network.neurons * t
                options |= exploding.limit(most, options)
            drawn = seeds.seeds_of(self.args, options)
            if options.get("times") == "shuffled":
                drawn = range(self.args.seed, self.args.seed + self.args.seeds)
            found.append(stored.Way(method.conversion(t), options, drawn))
        if method.compared:
            options = {**method.options(self.steps[-1]), "study": "rest"}
            found.append(stored.Way(method.conversion(t), options, [self.args.seed]))
        images, _ = load_part(self.graphs[net], self.of[net].settings, 1)
        stored.prepared(studies.settings_of(found[-1].options), network, images)
        return found


def chosen(args: argparse.Namespace, say: Any = print) -> tuple[list[Chosen], Tried]:
    """(the methods that run, each with its ways; what tried them). args: the options."""
    names, every = names_of(args)
    tried = Tried(args, steps_of(args))
    return choose(tried.graphs, names, every, tried, say), tried


def ways(args: argparse.Namespace) -> list[stored.Way]:
    """What is run, but for methods that calibrate v(0). args: the options."""
    found = []
    for each in chosen(args)[0]:
        if each.method.prepare is None:
            net = {} if each.network == args.settings.net else {"net": each.network}
            found += [way._replace(changes={**way.changes, **net}) for way in each.tried]
    return found


def runs_of(
    source: stored.Live | stored.Stored, each: Chosen, way: stored.Way, graph: Graph
) -> list[Any]:
    """A result of each seed. source: of the runs. each: the method. way: of it. graph: its ANN."""
    if each.method.prepare is None:
        found = source.runs(way, progress=False)
        return [its.result for its in found] if "study" in way.options else found
    network, images = source.network(**way.changes), source.some(len(source.images))
    training = load_calibration(graph, source.args.settings)
    results = []
    for seed in way.seeds:
        options = {**way.options, "seed": seed}
        ready, more = each.method.prepare(network, training, **options)
        results.append(simulate(ready, images, progress=False, **{**options, **more}))
    return results


def measure(
    source: stored.Live | stored.Stored, each: Chosen, graph: Graph, steps: list[int], seed: int
) -> tuple[list[scripts.Row], measured.Hits]:
    """(the rows of a method, the hits of each T).

    source: what is run. each: the method. graph: its ANN. steps: the numbers T. seed: of the
    bootstrap.
    """
    label = each.network, each.name
    of_runs, rest = each.tried, None
    if each.method.compared:
        *of_runs, rest = each.tried
    rows: list[scripts.Row] = []
    right: measured.Hits = {}
    for way in of_runs:
        network = source.network(**way.changes)
        last = way.options["steps"]
        reported = (
            [last] if each.method.apart else [*steps, last][: len(steps) + (last > steps[-1])]
        )
        try:
            runs = runs_of(source, each, way, graph)
        except stored.EXPLOSIONS:
            decided = exploding.decided(network, way)
            count = len(source.labels)
            rows.append(measured.exploded(label, each.method, len(way.seeds), count, last, decided))
            continue
        found = measured.rows_of(label, each.method, network, runs, reported, source.logits, seed)
        rows += found[0]
        right |= found[1]
    if each.method.rests:
        measured.at_rest(rows, right, each.method.options(steps[-1])["steps"], steps[-1])
    if rest is not None:
        (at_rest,) = source.runs(rest, progress=False)
        rows[-1][measured.APART] = int(at_rest.outputs.sum())
    return rows, right


def study(args: argparse.Namespace) -> None:
    """Runs everything and writes the results. args: the options."""
    steps = steps_of(args)
    every, tried = chosen(args)
    seeds.check_ways(args, [way.options for each in every for way in each.tried], "--methods rate")
    sources = {net: stored.source_of(its) for net, its in tried.of.items()}
    rows: list[scripts.Row] = []
    right: measured.Hits = {}
    first = args.settings.net

    def reference(key: tuple[str, str, Any]) -> tuple[str, str, Any]:
        return first, REFERENCE, steps[-1] if key[2] == measured.RESTING else key[2]

    for each in scripts.each(every, "method"):
        source = sources[each.network]
        found, its = measure(source, each, tried.graphs[each.network], steps, args.seed)
        rows += found
        right |= its
        scripts.paired(
            rows, right, lambda row: (row["network"], row["method"], row["T"]), reference
        )
        write_csv(args.out / "zoo.csv", rows)
    accuracies = {
        net: stored.right_of(source)
        for net, source in sources.items()
        if any(row["network"] == net for row in rows)
    }
    images = len(sources[first].labels)
    several = len(accuracies) > 1
    decided = OWN_ROWS if len(measured.by_method(rows)) > FEW else scripts.words(rows)
    title = scripts.title(sources[first].graph, f"{images} images")
    scripts.save(pictures.draw(rows, accuracies, title), args.out, "zoo", decided)
    scripts.show(measured.TITLE, measured.by_accuracy(rows, several), decided, measured.FORMATS)
    print(f"\n{scripts.footnote(f'{REFERENCE} on {first}', args.seed, args.seeds)}\n")
    scripts.show(measured.OF_COST, measured.by_cost(rows, several), decided, measured.FORMATS)
    for net, accuracy in accuracies.items():
        print(f"ANN {net}: {accuracy:.1%} on {images} images")
    if args.table is not None:
        its_table = published.table(args.table)
        write_csv(args.out / "published.csv", its_table.rows)
        print()
        scripts.show(its_table.title, its_table.shown(), its_table.note_lines)
    ran = len({each.name for each in every})
    with_networks = len(measured.by_method(rows))
    print(f"\n{ran} methods ran" + (f", {with_networks} with their networks" if several else ""))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script. argv: its arguments (None: the command line's). Returns the exit status."""
    parser = scripts.options(__doc__, limit=200, out="runs/zoo", several=True)
    words = "names as above, separated by commas, or all"
    parser.add_argument("--methods", default="all", help=f"{words}: {', '.join(METHODS)}")
    words = "the rows of a paper's table, and the published figures below"
    parser.add_argument("--table", choices=sorted(published.TABLES), help=words)
    words = "further networks for the same images, on which methods of trained activations run"
    parser.add_argument("--also", metavar="NET,…", default="", help=words)
    scripts.add_steps(parser, 32)
    stored.add_options(parser)
    return stored.run(study, parser, ways, argv)


if __name__ == "__main__":
    sys.exit(main())
