"""How long it takes until something runs: a command, the first command ever, a large network.

    python tests/benchmarks/start.py --net resnet20_qcfs.h5 --data cifar-10-batches-bin --steps 8
    python tests/benchmarks/start.py --against HEAD~5 --repeats 3 --rows "warm; clocked"

The commands are `eventsnn run` with one image (--limit), each in a process of its own: warm, and
with an empty folder for kernels, as in the first run ever. The large network is DenseNet-121 with
random weights, made by code: conversion, the comparison with its graph, and the tables of both
engines. CPU: seconds of the processor in all processes; wall: seconds that pass; peak: memory of
the largest process. Median, lowest and highest of the repeats; with --against all of them are
measured of an earlier commit, too, in turn. --rows chooses kinds of rows. Bytecode is kept, as
where eventsnn is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import measuring
import numpy as np
from keeping import git

import eventsnn
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError

HERE = Path(__file__).parent
LAYERS = (6, 12, 24, 16)  # of each of DenseNet-121's blocks
GROWTH, FIRST, CLASSES = 32, 64, 1000
KINDS = ("warm", "first", "clocked", "event")
CODE = "import sys; sys.path[:0] = {paths!r}; import start; start.large({side}, {engine!r})"
MEGABYTE = 2**20
# what ru_maxrss counts in
UNIT = 1 if sys.platform == "darwin" else 2**10


def main(argv=None):
    parser = measuring.options(__doc__, limit=1)
    parser.add_argument("--against", metavar="COMMIT", help="a commit to compare with, as HEAD~1")
    parser.add_argument("--rows", default="; ".join(KINDS), help="of these, separated by ;")
    parser.add_argument("--side", type=int, default=224, help="of DenseNet's images, in pixels")
    return measuring.run(study, parser, argv)


def study(args):
    """Measures each way in turn, and prints the table."""
    if args.side % 32:
        raise InputError("--side", "a multiple of 32", args.side)
    kinds = [kind.strip() for kind in args.rows.split(";")]
    if not set(kinds) <= set(KINDS):
        raise InputError("--rows", f"some of {'; '.join(KINDS)}", repr(args.rows))
    with ExitStack() as stack:
        trees = {"ours": str(Path(eventsnn.__file__).parents[1])}
        if args.against:
            trees["other"] = stack.enter_context(tempfile.TemporaryDirectory())
            archive = git("archive", "--format=tar", args.against, "eventsnn", text=False)
            subprocess.run(["tar", "-x", "-C", trees["other"]], input=archive, check=True)
        found = {}
        for turn in range(args.repeats + 1):
            for name, tree in trees.items():
                for row, figures in measured(args, kinds, tree).items():
                    if turn:  # the first compiles, and is not measured
                        found.setdefault((row, name), []).append(figures)
    names = [row for row, name in found if name == "ours"]
    show = partial(row_of, found=found, against=args.against)
    measuring.show(f"T = {args.steps}, {Path(args.net).stem}", [show(name) for name in names])


def measured(args, kinds, tree):
    """name of a row -> (CPU seconds, wall seconds, peak memory in bytes).

    kinds: some of KINDS. tree: whose eventsnn.
    """
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        net, data = (
            str(Path(x).resolve()) if Path(x).exists() else x for x in (args.net, args.data)
        )
        command = [sys.executable, "-m", "eventsnn.run", "--net", net, "--data", data]
        command += ["--limit", str(args.limit), "--steps", str(args.steps)]
        command += ["--out", f"{folder}/out", "--overwrite"]
        if "warm" in kinds:
            rows["run, warm"] = of_process(command, tree)[0]
        if "first" in kinds:
            rows["run, the first ever"] = of_process(command, tree, f"{folder}/kernels")[0]
        for engine in ("clocked", "event"):
            if engine in kinds:
                code = CODE.format(paths=[tree, str(HERE)], side=args.side, engine=engine)
                said = json.loads(of_process([sys.executable, "-c", code], tree)[1])
                rows |= {f"DenseNet-121: {name}": figures for name, figures in said.items()}
    return rows


def of_process(command, tree, kernels=None):
    """((CPU seconds, wall seconds, peak memory) of a process, what it prints).

    command: its words. tree: from where it imports. kernels: a folder to keep them in.
    """
    environment = {**os.environ, "PYTHONPATH": tree}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if kernels:
        environment["EVENTSNN_CACHE_DIR"] = kernels
    begin = time.perf_counter()
    options = {"env": environment, "cwd": tree, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as process:
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError("a process", "one that ends well", f"status {process.returncode}")
    wall = time.perf_counter() - begin
    return (used.ru_utime + used.ru_stime, wall, used.ru_maxrss * UNIT), said


def row_of(name, found, against):
    """A row of the table. found: (row, "ours" or "other") -> figures of each repeat."""
    figures = np.array(found[name, "ours"])
    row = {"": name}
    for column, values in zip(("CPU s", "wall s"), figures.T):
        low, middle, high = np.quantile(values, (0, 0.5, 1))
        row[column] = f"{middle:.2f} ({low:.2f}-{high:.2f})"
    row["peak MB"] = f"{figures[:, 2].max() / MEGABYTE:,.0f}"
    if against:
        other = np.array(found.get((name, "other"), np.full(figures.shape, np.nan)))
        for column, ratios in zip(("CPU", "wall", "peak"), (figures / other).T):
            row[f"{column}, times {against}"] = f"{np.median(ratios):.2f}"
    return row


def large(side, engine):
    """Prints as JSON what DenseNet-121 takes: name -> (CPU seconds, wall seconds, peak memory).

    side: of its images, in pixels. engine: for which it is compiled; "clocked" converts and checks.
    """
    import resource

    from eventsnn.network.check import check
    from eventsnn.simulation.simulation import Simulation

    rows = {}

    def measure(name, action):
        cpu, wall = time.process_time(), time.perf_counter()
        result = action()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        if name:
            rows[name] = cpu, wall, peak
        return result

    graph = densenet(side)
    network = measure("convert" * (engine == "clocked"), lambda: eventsnn.convert(graph))
    measure(f"tables, {engine}", lambda: Simulation(network, engine=engine, steps=8))
    if engine == "clocked":
        pixels = np.random.default_rng(1).integers(0, 256, (1, 3, side, side), np.uint8)
        measure("compare with the graph, an image", lambda: check(network, pixels))
    print(json.dumps(rows))


def densenet(side, layers=LAYERS):
    """DenseNet-121 (Huang et al. 2017) with random weights and stairs (QCFS), a Graph.

    side: of its images, in pixels. layers: of each block.
    """
    made = _Made(side)
    x = made.fires(made.conv("input", 3, FIRST, 7, 2), FIRST)
    x = made.add("MaxPool", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
    channels = FIRST
    for number, count in enumerate(layers, 1):
        parts = [x]
        for _ in range(count):
            y = made.fires(made.joined(parts), channels)
            y = made.fires(made.conv(y, channels, 4 * GROWTH, 1), 4 * GROWTH)
            parts.append(made.conv(y, 4 * GROWTH, GROWTH, 3))
            channels += GROWTH
        x = made.fires(made.joined(parts), channels)
        if number < len(layers):
            x = made.conv(x, channels, channels // 2, 1)
            x = made.add("AveragePool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
            channels //= 2
    x = made.add("Flatten", [made.add("GlobalAveragePool", [x])])
    weights = {"B": made.normal((CLASSES, channels), channels), "C": np.zeros(CLASSES, np.float32)}
    x = made.add("Gemm", [x], {"transB": 1}, weights)
    return Graph(tuple(made.nodes), "input", x, (3, side, side), source="DenseNet-121")


class _Made:
    """Nodes in the making, with random weights that keep activity about the same."""

    def __init__(self, side):
        self.random = np.random.default_rng(side)
        self.nodes = []

    def __repr__(self):
        return f"<_Made: {len(self.nodes)} nodes>"

    def add(self, op, inputs, attrs=None, params=None):
        """Adds a node; returns its name."""
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(Node(name, op, tuple(inputs), attrs or {}, params or {}))
        return name

    def normal(self, shape, fan_in):
        """Random weights, float32."""
        return self.random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)

    def conv(self, x, channels, maps, side, stride=1):
        """A convolution that keeps the size of the map, but for its stride."""
        shape = {"kernel_shape": [side] * 2, "pads": [side // 2] * 4, "strides": [stride] * 2}
        weights = self.normal((maps, channels, side, side), channels * side**2)
        return self.add("Conv", [x], shape, {"W": weights})

    def fires(self, x, channels):
        """A normalisation and an activation."""
        factors, shifts = self.random.uniform(0.5, 1.5, (2, channels)), np.zeros(channels)
        params = {"scale": factors[0], "B": shifts, "input_mean": shifts, "input_var": factors[1]}
        params = {role: values.astype(np.float32) for role, values in params.items()}
        y = self.add("BatchNormalization", [x], {}, params)
        return self.add("QCFS", [y], {"lambda": 2.0, "levels": 4})

    def joined(self, parts):
        """Maps, one after the other."""
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, {"axis": 1})


if __name__ == "__main__":
    sys.exit(main())
