"""Speed against C and against an earlier commit, in one run; what was found is kept in a file.

    python tests/benchmarks/history.py --net vgg16_qcfs.h5 --data cifar-10-batches-bin --limit 2
    python tests/benchmarks/history.py --against HEAD~5 --repeats 9 --keep speed.jsonl

A row for each engine, order, model and batch of one network: milliseconds of the processor an image
(of a batch on all cores: of the wall), and how many times longer than the same additions in C of
the same engine (limit.c; IF in clocked time, and under fifo) and than the same row of the commit
--against. All are measured in turn, so a slow minute is slow for all of them; a table without
--against has no such column. Each commit runs in a process of its own, from a copy that git makes
of it.

--keep FILE adds a line of JSON: commit, machine, network, T, and of each row its milliseconds and
times C. Of the last line of the same machine, network and T the table says times C, too: times C
can be compared from day to day, milliseconds cannot.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import measuring
import numpy as np

import eventsnn
from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time

HERE = Path(__file__).resolve()
BATCH = 16
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
# name -> (settings of a simulation, options of its time or None, images of a batch)
ROWS = {
    **{f"clocked, {neuron}": ({"neuron": neuron}, None, 1) for neuron in CLOCKED},
    f"clocked, if, batch {BATCH}": ({}, None, BATCH),
    **{f"event, {order}, if": ({}, options, 1) for order, options in ORDERS.items()},
    **{f"event, fifo, {neuron}": ({"neuron": neuron}, {}, 1) for neuron in ("snm", "gn:4")},
}
BY_HAND = {"clocked": "clocked, if", "event": "event, fifo, if"}


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = measuring.options(__doc__, limit=1)
    parser.add_argument("--against", metavar="COMMIT", help="a commit to compare with, as HEAD~1")
    parser.add_argument("--keep", metavar="FILE", help="where a line of JSON is added")
    parser.add_argument("--rows", default="", help="names of rows, separated by ; (default: all)")
    parser.add_argument("--serve", action="store_true", help="for the other commit's process")
    if "--serve" in argv:
        args = parser.parse_args(argv)
        args.steps = int(args.steps)
        serve(args)
        return 0
    return measuring.run(study, parser, argv)


def study(args):
    """Measures every row in turn, prints the table and keeps it."""
    names, kept = chosen(args.rows), last_of(args.keep, about(args))
    with ExitStack() as stack:
        here = Measured(args, names)
        there = stack.enter_context(other(args, names)) if args.against else None
        hand = {engine: here.by_hand(row) for engine, row in BY_HAND.items() if row in names}
        ways = {}
        for name in names:
            ways[name, "ours"] = lambda name=name: here.measure(name)
            if there:
                ways[name, "other"] = lambda name=name: there(name)
        for engine, call in hand.items():
            if call:
                ways[engine, "C"] = call
        seconds = measuring.alternate(ways, args.repeats)
    rows = [row_of(name, seconds, kept, here.images(name), args) for name in names]
    measuring.show(f"T = {args.steps}, {Path(args.net).stem}: an image", rows)
    if args.keep:
        line = about(args) | {"commit": commit(), "date": time.strftime("%Y-%m-%d"), "rows": {}}
        for row in rows:
            line["rows"][row[""]] = {"ms": row["ms"], "times C": row.get("times C", "")}
        with open(args.keep, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Measured:
    """The rows of this process's eventsnn, each compiled and ready. names: of which."""

    def __init__(self, args, names):
        self.network = eventsnn.convert(eventsnn.load(args.net))
        self.pixels = eventsnn.load_images(args.data, limit=max(args.limit, BATCH)).pixels
        self.limit, self.cores = args.limit, args.cores
        self.simulations = {}
        for name in names:
            settings, options, _ = ROWS[name]
            if options is not None:
                order = Time(**options)
                settings = {**settings, "engine": "event", "time": order, "fraction_bits": BITS}
            self.simulations[name] = Simulation(self.network, steps=args.steps, **settings)
            self.simulations[name].warm_up(self.pixels[0])

    def images(self, name):
        """How many images a row runs."""
        return min(self.limit if ROWS[name][2] == 1 else BATCH, len(self.pixels))

    def measure(self, name):
        """Seconds that a row's images take: of the processor, or of the wall for a batch."""
        simulation, pixels = self.simulations[name], self.pixels[: self.images(name)]
        clock = time.perf_counter if ROWS[name][2] > 1 else time.process_time
        start = clock()
        if ROWS[name][2] > 1:
            for _ in simulation.stream(pixels, workers=self.cores, batch=1):
                pass
        else:
            for image in pixels:
                simulation.image(image)
        return clock() - start

    def by_hand(self, name):
        """A call that does a row's additions in C, and returns the processor's seconds.

        None without gcc, and where 32 bits do not hold a potential.
        """
        from limit import compiled

        limit, simulation = compiled(), self.simulations[name]
        if limit is None:
            return None
        found = [simulation.image(image) for image in self.pixels[: self.images(name)]]
        if any(each.ran is not simulation for each in found):
            return None
        if simulation.engine.name == "event":
            calls = [limit.event(simulation, each.run) for each in found]
        else:
            calls = [limit.clocked(simulation, each.run, each.drive) for each in found]

        def timed():
            start = time.process_time()
            for call in calls:
                call()
            return time.process_time() - start

        return timed


def serve(args):
    """Answers each row's name on standard input with its seconds."""
    rows = Measured(args, chosen(args.rows))
    print("ready", flush=True)
    for line in sys.stdin:
        print(rows.measure(line.strip()), flush=True)


@contextmanager
def other(args, names):
    """A function that measures a row of the commit `args.against`, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        archive = git("archive", "--format=tar", args.against, "eventsnn", text=False)
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        options = ["--net", args.net, "--data", args.data, "--steps", str(args.steps)]
        options += ["--limit", str(args.limit), "--cores", str(args.cores)]
        code = f"import sys; sys.path[:0] = {[folder, str(HERE.parent)]!r}; import history; "
        code += "history.main(sys.argv[1:])"
        command = [sys.executable, "-c", code, "--serve", "--rows", ";".join(names), *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as process:

            def said():
                line = process.stdout.readline().strip()
                if not line:
                    found = "a process that ended, as its last lines say"
                    raise InputError("--against", "a commit that has these rows", found)
                return line

            def measure(name):
                process.stdin.write(name + "\n")
                process.stdin.flush()
                return float(said())

            said()
            yield measure  # that its input is closed behind this ends the process


def row_of(name, seconds, kept, images, args):
    """A row of the table. kept: rows of the last line that is alike, or {}."""
    ours = np.median(seconds[name, "ours"])
    low, middle, high = 1e3 * np.quantile(seconds[name, "ours"], (0, 0.5, 1)) / images
    row = {"": name, "ms": f"{middle:.2f} ({low:.2f}-{high:.2f})"}
    by_hand = seconds.get((name.partition(",")[0], "C"))
    if by_hand is not None and ROWS[name][2] == 1:
        row["times C"] = f"{ours / np.median(by_hand):.2f}"
    row.setdefault("times C", "")
    if kept:
        row["times C, kept"] = kept.get(name, {}).get("times C", "")
    if args.against:
        ratios = np.array(seconds[name, "ours"]) / np.array(seconds[name, "other"])
        low, middle, high = np.quantile(ratios, (0, 0.5, 1))
        row[f"times {args.against}"] = f"{middle:.2f} ({low:.2f}-{high:.2f})"
    return row


def chosen(words):
    """The names of rows. words: some of them, separated by semicolons, or "" for all."""
    names = [name.strip() for name in words.split(";") if name.strip()] or list(ROWS)
    for name in names:
        if name not in ROWS:
            raise InputError("--rows", f"names of {'; '.join(ROWS)}", repr(name))
    return names


def about(args):
    """What must be alike in two lines that are compared."""
    model = measuring.machine(args.cores).partition(",")[0]
    return {"machine": model, "network": Path(args.net).stem, "steps": args.steps}


def last_of(path, alike):
    """The rows of the last line of a file that is alike, or {}."""
    if not path or not Path(path).exists():
        return {}
    found = {}
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            if all(line[key] == alike[key] for key in alike):
                found = dict(line["rows"])
        except (ValueError, LookupError, TypeError, AttributeError):
            where, expected = f"--keep {path}, line {number}", "what this script has kept"
            raise InputError(where, expected, text[:60], "give another file") from None
    return found


def commit():
    """The commit of this copy, with "+" where files differ from it; "" where git knows none."""
    try:
        return git("describe", "--always", "--dirty=+", "--abbrev=12").strip()
    except InputError:
        return ""


def git(*words, text=True):
    """What git prints of this repository. Raises InputError where it refuses."""
    command = ["git", "-C", str(HERE.parents[2]), *words]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=text).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        found = getattr(error, "stderr", "") or error
        found = found.decode() if isinstance(found, bytes) else str(found)
        raise InputError("git", "a commit of this repository", found.strip()) from None


if __name__ == "__main__":
    sys.exit(main())
