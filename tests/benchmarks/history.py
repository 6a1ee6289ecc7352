"""Speed against C, an earlier commit and other programs, in one run; what was found is kept.

    python tests/benchmarks/history.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 2
    python tests/benchmarks/history.py --against HEAD~5 --repeats 9 --keep speed.jsonl
    python tests/benchmarks/history.py --net vgg16_qcfs.h5,resnet20_qcfs.h5
    --data cifar-10-batches-bin --batches 1,64 --layer act9 --peers --keep speed.jsonl

A row for each engine, order, model, network and batch. Milliseconds an image, of the processor on
one core, as they hold on a busy machine, too; with --cores 2 or more they are of the wall, and
torch, batches of ours and of C take all cores. All rows of a network are measured in turn, so a
slow minute is slow for all of them, and a ratio is the median (lowest to highest) of the ratios of
each turn:

times C: against the same additions in C of the same engine (limit.c; IF in clocked time, and under
fifo). times COMMIT: against the same row of the commit --against, which runs in a process of its
own, from a copy that git makes of it. times ours: a peer's, against our row beside it.

--layer NAME adds rows of that layer alone, fed the spikes that a clocked run has there (event.py).
--peers adds other programs: torch and SpikingJelly beside clocked IF (clocked.py); Brian2, NEST and
brainevent beside the row of the layer whose spikes are theirs. Structured connectivity: these three
keep each synapse of a convolution by itself, as they are made for random ones. What is not
installed is left out, and a line says how to install it. "spikes" counts those of an image, and
"differ" is the largest difference from ours in a layer.

--keep FILE adds a line of JSON for each network and T: machine, versions, commit, load and rows. A
ratio in the last line of the same machine, cores, network and T stands in the table as "kept":
ratios can be compared from day to day, milliseconds cannot.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keeping
import layer
import measuring
import numpy as np
from clocked import in_threads
from limit import compiled
from peers import Peers

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies.scripts import whole_numbers

HERE = Path(__file__).resolve()
BITS = 20  # of the event engine's rows: F with which 32 bits hold what they run
CLOCKED = ("if", "snm", "gn:4", "signed", "lif:0.9")
ORDERS = {
    "fifo": {},
    "random": {"order": "random"},
    "lifo": {"order": "lifo"},
    "index": {"order": "index"},
    "inhibitory_first": {"order": "inhibitory_first"},
    "delays": {"order": "delays", "delays": 0.25},
    "jitter": {"order": "jitter", "jitter": "uniform:0.5"},
    "refractory": {"refractory": 1.0},
    "window": {"window": 0.25},
    "cores": {"order": "cores", "service": (0.0, 1 / 1024)},
}
# what -> (settings of a simulation, options of its time or None)
ROWS = {
    **{f"clocked, {neuron}": ({"neuron": neuron}, None) for neuron in CLOCKED},
    **{f"event, {order}, if": ({}, options) for order, options in ORDERS.items()},
    **{f"event, fifo, {neuron}": ({"neuron": neuron}, {}) for neuron in ("snm", "gn:4")},
}
BATCHED = ("clocked, if",)  # what runs batches, too
BY_HAND = {"clocked": "clocked, if", "event": "event, fifo, if"}
OF_LAYER = {  # what -> (neuron, order)
    "event, fifo, if": ("if", "fifo"),
    "event, clocked, if": ("if", "clocked"),
    "event, clocked, if-hard": ("if-hard", "clocked"),
}


class Row(NamedTuple):
    """What is measured: engine, order and model; the network or a layer of it; images at once."""

    what: str
    network: str
    layer: str = ""
    batch: int = 1

    @property
    def cells(self):
        """The first cells of a row of the table, which `keeping.name_of` joins."""
        place = f"{self.layer} of {self.network}" if self.layer else self.network
        return {"": self.what, "of": place, "batch": str(self.batch)}

    def __str__(self) -> str:
        return keeping.name_of(self.cells)

    @property
    def by_hand(self):
        """The row whose additions C does."""
        return self._replace(what=BY_HAND.get(self.what.partition(",")[0], ""))


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = measuring.options(__doc__, limit=1)
    parser.set_defaults(cores=1)
    parser.add_argument("--batches", default="1,16", help="images at once, separated by commas")
    parser.add_argument("--layer", help="a layer that is measured alone, too")
    parser.add_argument("--peers", action="store_true", help="measure other programs, too")
    parser.add_argument("--against", metavar="COMMIT", help="a commit to compare with, as HEAD~1")
    parser.add_argument("--keep", metavar="FILE", help="where a line of JSON is added")
    parser.add_argument("--rows", default="", help="which of ours, separated by ; (default: all)")
    parser.add_argument("--serve", action="store_true", help="for the other commit's process")
    if "--serve" in argv:
        args = parser.parse_args(argv)
        args.steps = int(args.steps)
        serve(args)
        return 0
    return measuring.run(study, parser, argv)


def study(args):
    """Measures the rows of each network, prints its table and keeps it."""
    nets = args.net.split(",")
    networks = [loaded(net) for net in nets]  # all before JAX, as a file is tried in a fork
    for net, network in zip(nets, networks):
        one_network(Namespace(**vars(args) | {"net": net}), network)


def loaded(net):
    """The converted `Network` of a file."""
    return eventsnn.convert(eventsnn.load(net))


def one_network(args, network):
    """One table."""
    kept = keeping.last_of(args.keep, keeping.about(args))
    with ExitStack() as stack:
        here = Measured(args, network)
        peers = Peers(args, here) if args.peers else None
        there = stack.enter_context(keeping.other(args, HERE)) if args.against else None
        hand = {row: here.by_hand(row) for row in here.simulations if row == row.by_hand}
        ways = {}
        for row in here.simulations:
            ways[row, "ours"] = partial(here.measure, row)
            if there:
                ways[row, "other"] = partial(there, str(row))
            if hand.get(row):
                ways[row, "C"] = hand[row]
            for way, (call, _) in peers.beside(row).items() if peers else ():
                ways[row, way] = call
        found = measuring.alternate(ways, args.repeats)
    rows = table(args, here, peers, found, kept)
    measuring.show(f"T = {args.steps}, {Path(args.net).stem}: an image", rows)
    for words in peers.left_out if peers else ():
        print(words)
    if args.keep:
        keeping.add(args, rows)


def table(args, here, peers, found, kept):
    """The rows of a table. found: (row, way) -> seconds. kept: rows kept before, by name."""
    rows = []
    for row in here.simulations:
        spikes = here.spikes(row)
        cells = row.cells | milliseconds(found[row, "ours"], here.images(row))
        cells["times C"] = ratio(found[row, "ours"], found.get((row.by_hand, "C")))
        if args.against:
            cells[f"times {args.against}"] = ratio(found[row, "ours"], found[row, "other"])
        cells["times ours"] = ""
        cells["spikes"] = f"{spikes.sum() / here.images(row):,.0f}"
        cells["differ"] = ""
        rows.append(cells)
        for way, (_, count) in peers.beside(row).items() if peers else ():
            theirs = count()
            off = np.abs(theirs - spikes) / np.maximum(spikes, 1)
            rows.append(
                row._replace(what=way).cells
                | milliseconds(found[row, way], here.images(row))
                | {
                    "times ours": ratio(found[row, way], found[row, "ours"]),
                    "spikes": f"{theirs.sum() / here.images(row):,.0f}",
                    "differ": f"{off.max():.2%}",
                }
            )
    if kept:
        for cells in rows:
            before = kept.get(keeping.name_of(cells), {})
            cells["kept"] = before.get("times C") or before.get("times ours", "")
    return rows


def milliseconds(seconds, images):
    """The cell of milliseconds an image: median, lowest and highest."""
    low, middle, high = 1e3 * np.quantile(seconds, (0, 0.5, 1)) / images
    return {"ms": f"{middle:.2f} ({low:.2f}-{high:.2f})"}


def ratio(seconds, others):
    """Median, lowest and highest of the ratios of each turn; "" without others."""
    if others is None:
        return ""
    low, middle, high = np.quantile(np.array(seconds) / np.array(others), (0, 0.5, 1))
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


class Measured:
    """The rows of this process's eventsnn, each compiled and ready.

    simulations: row -> `Simulation`.
    """

    def __init__(self, args, network):
        batches = whole_numbers(args.batches, "--batches")
        self.network = network
        count = max(args.limit, *batches)
        self.pixels = eventsnn.load_images(args.data, limit=count).pixels
        self.limit, self.cores = args.limit, args.cores
        self.layer = None
        if args.layer:
            name = layer.layer_of(self.network, args.layer)
            self.layer = layer.OneLayer(self.network, self.pixels[0], name, args.steps)
        self.simulations = {}
        for row in rows_of(args, batches):
            if row.layer:
                simulation = self.layer.simulation(*OF_LAYER[row.what], BITS)
            else:
                settings, options = ROWS[row.what]
                if options is not None:
                    order = Time(**options)
                    settings = {**settings, "engine": "event", "time": order, "fraction_bits": BITS}
                simulation = Simulation(self.network, steps=args.steps, **settings)
            simulation.warm_up(self.given(row)[0])
            self.simulations[row] = simulation

    def given(self, row):
        """What a row runs: images, or the events that come to a layer."""
        if row.layer:
            return [self.layer.events]
        return self.pixels[: self.limit if row.batch == 1 else row.batch]

    def images(self, row):
        """How many images a row runs."""
        return len(self.given(row))

    def clock(self, row):
        """What measures a row: one core's time, or the wall."""
        on_one = self.cores == 1 or not row.what.startswith("clocked")
        return time.process_time if on_one else time.perf_counter

    def measure(self, row):
        """Seconds that a row's images take."""
        simulation, given, clock = self.simulations[row], self.given(row), self.clock(row)
        start = clock()
        if clock is time.process_time:
            for image in given:
                simulation.image(image)
        else:
            for at in range(0, len(given), row.batch):
                part = given[at : at + row.batch]
                for _ in simulation.stream(part, workers=self.cores, batch=1):
                    pass
        return clock() - start

    def spikes(self, row):
        """The spikes of a row's images, int64 [layers]; of one layer alone, [1]."""
        simulation, given = self.simulations[row], self.given(row)
        if row.layer:
            return np.array([self.layer.spikes(simulation.image(given[0]).run)])
        return simulation.run(given).spikes[:, :-1].sum(axis=(0, 2))

    def by_hand(self, row):
        """A call that does a row's additions in C, and returns its seconds.

        None without gcc, and where 32 bits do not hold a potential.
        """
        limit, simulation = compiled(), self.simulations[row]
        if limit is None:
            return None
        given = self.given(row)
        found = [simulation.image(each) for each in given]
        if any(each.ran is not simulation for each in found):
            return None
        if simulation.engine.name == "event":
            come = [given[0]] if row.layer else [None] * len(given)
            calls = [limit.event(simulation, each.run, e) for each, e in zip(found, come)]
        else:
            calls = [limit.clocked(simulation, each.run, each.drive) for each in found]
        workers = 1 if row.batch == 1 else self.cores
        clock = self.clock(row)

        def timed():
            start = clock()
            in_threads(calls, workers)
            return clock() - start

        return timed


def rows_of(args, batches):
    """The rows that --rows chooses, all without it; a layer's behind the network's."""
    chosen = [name.strip() for name in args.rows.split(";") if name.strip()]
    known = [*ROWS, *OF_LAYER] if args.layer else [*ROWS]
    for name in chosen:
        if name not in known:
            raise InputError("--rows", f"names of {'; '.join(known)}", repr(name))
    network = Path(args.net).stem
    rows = [
        Row(what, network, batch=batch)
        for what in ROWS
        for batch in batches
        if batch == 1 or what in BATCHED
    ]
    rows += [Row(what, network, args.layer) for what in OF_LAYER if args.layer]
    return [row for row in rows if not chosen or row.what in chosen]


def serve(args):
    """Answers each row's name on standard input with its seconds."""
    here = Measured(args, loaded(args.net))
    rows = {str(row): row for row in here.simulations}
    print("ready", flush=True)
    for line in sys.stdin:
        print(here.measure(rows[line.strip()]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
