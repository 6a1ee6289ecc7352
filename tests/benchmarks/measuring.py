"""What the benchmarks have in common: options, alternating repeats, tables, and the C kernels of limit.c."""
from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from eventsnn.checks import InputError
from eventsnn.neurons.integrate_and_fire import IF
from eventsnn.simulation import cores
from eventsnn.tables import text_table

FLAGS = ("-O3", "-march=native", "-fwrapv", "-shared", "-fPIC")


def options(words, *, steps=8, limit=64):
    """An ArgumentParser with what all benchmarks ask for; words: the script's docstring."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="sample", help="checkpoint, or 'sample'")
    parser.add_argument("--data", default="sample", help="images, as for eventsnn.run")
    parser.add_argument("--steps", type=int, default=steps, help="T")
    parser.add_argument("--limit", type=int, default=limit, help="number of images")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured, in turn")
    parser.add_argument("--cores", type=int, default=cores(), help="processor cores to use")
    return parser


def run(study, parser, argv=None):
    """Print the machine and call study(args); returns the exit status: 0, or 2 after one line for wrong input."""
    args = parser.parse_args(argv)
    try:
        for name in ("steps", "limit", "repeats", "cores"):
            if getattr(args, name) < 1:
                raise InputError(f"--{name}", "a whole number from 1", getattr(args, name))
        print(machine(args.cores))
        study(args)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def machine(count):
    """Processor, cores, load, versions and date, in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "processor")
    packages = ("numba", "torch", "spikingjelly", "brian2", "nest-simulator")
    found = [f"{p} {v}" for p in packages if (v := version(p))]
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {count} of {cores()} cores{load}; {', '.join(found)}; {time.strftime('%d %B %Y')}"


def version(package):
    """The version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def has_gcc():
    """Whether limit.c can be compiled."""
    return shutil.which("gcc") is not None


def alternate(ways, repeats):
    """Call each of `ways` (name -> function) once unmeasured, then `repeats` times in turn; returns name -> seconds of each call.

    A call that returns a float has measured itself.
    """
    for call in ways.values():
        call()
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, call in ways.items():
            start = time.perf_counter()
            took = call()
            seconds[name].append(took if isinstance(took, float) else time.perf_counter() - start)
    return seconds


def row(name, seconds, ours, *, each, operations, beside="times ours", **more):
    """A row of a table: milliseconds (median, lowest, highest) for each of `each` images, giga synaptic operations a second, and how many
    times longer than ours, in the column `beside`. seconds: of the repeats; operations: of one repeat; ours: our seconds, measured in
    turn with these."""
    low, middle, high = 1e3 * np.quantile(seconds, (0, 0.5, 1)) / each
    return {"": name, "ms": f"{middle:.2f} ({low:.2f}-{high:.2f})", "G ops/s": f"{operations / np.median(seconds) / 1e9:.2f}",
            beside: f"{np.median(seconds) / np.median(ours):.3g}"} | more


def absent(name):
    """The row of what cannot be measured here."""
    return {"": name, "ms": "not installed"}


def show(title, rows):
    """Print a table; what a row does not have stays empty."""
    rows = [{key: found.get(key, "") for key in rows[0]} for found in rows]
    print(f"\n{title}\n{text_table(rows)}", flush=True)


class Limit:
    """The kernels of limit.c, compiled here and now."""

    def __init__(self):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "limit.so"
            subprocess.run(["gcc", *FLAGS, str(Path(__file__).with_name("limit.c")), "-o", str(library)], check=True)
            self.library = ctypes.CDLL(str(library))
        self.library.event.restype = ctypes.c_int64

    def clocked(self, simulation, run, drive):
        """A function that adds up all charge of one image; its spikes are those of the `ClockedRun`. Checks that the sums are ours."""
        t, steps = _plain(simulation), simulation.steps
        listed = max(int(run.operations[t.target[q]].sum() // t.co[q]) for q in range(len(t.co)))
        rows, first_row = np.empty(listed + 1, np.int32), np.empty(t.sites.max() * steps + 1, np.int64)
        sums = np.zeros(len(run.v), np.int32)
        args = [len(t.sites), steps, t.channels, t.sites, t.first_neuron, t.first_site, t.into, t.source, t.ci, t.co, t.tap_base,
                t.first_tap, t.tap_site, t.tap_row, t.weights, run.log, run.first, rows, first_row, sums]
        call = self._bound("clocked", args)
        call()
        given = drive[np.minimum(np.arange(min(steps, simulation.drive_steps)), len(drive) - 1)].astype(np.int64).sum(axis=0)
        arrived = run.v.astype(np.int64) - simulation.resting - given + run.s * int(simulation.arithmetic.one)
        if (sums != arrived.astype(np.int32)).any():
            raise AssertionError("limit.c adds up other charge than the clocked engine")
        return call

    def event(self, simulation, run, inputs=None):
        """A function that runs one image spike by spike (IF, fifo), `run` being our finished `EventRun` of it. Checks that v and spikes are
        ours."""
        t, state = _plain(simulation), run.state
        inputs = np.zeros((0, 4), np.int64) if inputs is None else inputs
        numbers, first = np.ascontiguousarray(inputs[:, 2]), np.searchsorted(inputs[:, 0], np.arange(simulation.steps + 1)).astype(np.int64)
        v, counts = simulation.resting.copy(), np.zeros(len(state.v), np.int64)
        queue = np.zeros(int(state.tallies[0].sum()) + len(inputs), np.int64)
        call = self._bound("event", [
            simulation.steps, t.readout, t.layers, t.layer_of, t.out_first, t.out, t.projections, t.first_run, t.runs, t.weights,
            np.ascontiguousarray(run.drive[0]), numbers, first, int(simulation.arithmetic.one), v, counts, queue, len(queue)])

        def again():
            v[:], counts[:] = simulation.resting, 0
            return call()
        if again() != len(queue) or (v != state.v).any() or (counts != state.memory[:, 0]).any():
            raise AssertionError("limit.c fires otherwise than the event engine")
        return again

    def _bound(self, name, args):
        """A call of a kernel with these arguments, which it keeps alive."""
        function = getattr(self.library, name)
        given = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else (ctypes.c_int32 if name == "event" and i == 13 else
                 ctypes.c_int64)(int(a)) for i, a in enumerate(args)]

        def call(kept=args):
            return function(*given)
        return call


def _plain(simulation):
    """The tables of a simulation that limit.c can run."""
    network = simulation.network
    if any(layer.pools for layer in network.layers):
        raise InputError("limit.c", "a network without exact max pooling", network.graph.source)
    if simulation.tables.weights.dtype != np.int32 or type(simulation.neuron) is not IF:
        raise InputError("limit.c", "IF neurons in 32 bits", f"{simulation.neuron.words}, {simulation.arithmetic}", "choose fewer steps")
    return simulation.tables
