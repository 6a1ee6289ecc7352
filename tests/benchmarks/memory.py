"""Seconds and memory of networks from LeNet to ResNet-50: to convert, and to simulate one image.

    python tests/benchmarks/memory.py
    python tests/benchmarks/memory.py --nets lenet,resnet50 --engines event --steps 2
    python tests/benchmarks/memory.py --traces 1,11,115

The networks are made here, with random weights of such a size that neurons fire. Each row is a
process of its own, on one core. Memory is the most that the process holds of the machine's while it
does the work, less what it held once a network of four neurons had run: Python, libraries and
kernels, and less the ANN's own weights, which the caller holds. `weights + state` is what a run
needs: each weight in the simulation's numbers, and for each neuron five of them (bias, drive, v(0),
potential, net spikes); `times` is the memory divided by that. Seconds are the processor's.

--traces is another table: a network of ten convolutions with 200,704 neurons each, of which about
a half fire in a step, and its trace streamed to a file in T steps. Then one of its neurons is
explained, from the file and with the chain of causes behind its last spike, twice; these seconds
are of the wall, as a copy of the process tries the file first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import measuring
import numpy as np

import eventsnn
from eventsnn.ann.graph import Graph, Node
from eventsnn.exceptions import InputError
from eventsnn.simulation.simulation import ENGINES, Simulation
from eventsnn.studies.scripts import whole_numbers
from eventsnn.trace.explain import explain_neuron, explain_spike
from eventsnn.trace.files import TraceFile
from eventsnn.trace.stored import open_trace

STATE = 5  # numbers of a neuron
THRESHOLD = 2.0
VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
RESNETS = {
    "resnet20": (32, (16, 32, 64), (3, 3, 3), 1),
    "resnet18": (224, (64, 128, 256, 512), (2, 2, 2, 2), 1),
    "resnet50": (224, (64, 128, 256, 512), (3, 4, 6, 3), 4),
}


class Builder:
    """Nodes of a network of convolutions, each with an activation of its own.

    shape: (C, H, W) of the input. The weights are random numbers of mean 0, as large as keeps the
    size of activations.
    """

    def __init__(self, shape):
        self.shape = shape
        self.nodes = []
        self.random = np.random.default_rng(0)

    def add(self, op, *inputs, **attributes):
        """Add a node without parameters; returns its name."""
        return self.put(op, inputs, attributes, {})

    def put(self, op, inputs, attributes, parameters):
        """Add a node; returns its name."""
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, op, tuple(inputs), attributes, parameters))
        return name

    def weights(self, shape, gain):
        """Random float32 weights [out, …] whose sums have the variance `gain`."""
        found = self.random.standard_normal(shape, np.float32)
        found *= np.float32(np.sqrt(gain / np.prod(shape[1:])))
        return found

    def conv(self, x, before, after, size=3, stride=1, gain=1.0, bias=0.05):
        """Add a convolution, its BatchNormalization folded into it."""
        parameters = {"W": self.weights((after, before, size, size), gain)}
        parameters["B"] = np.full(after, bias, np.float32)
        pad = size // 2
        attributes = {"pads": [pad] * 4, "strides": [stride, stride]}
        return self.put("Conv", (x,), attributes, parameters)

    def gemm(self, x, before, after):
        """Add a matrix."""
        parameters = {"B": self.weights((after, before), 1.0), "C": np.zeros(after, np.float32)}
        return self.put("Gemm", (x,), {"transB": 1}, parameters)

    def fires(self, x):
        """Add an activation."""
        return self.add("ClippedRelu", x, **{"lambda": THRESHOLD})

    def graph(self, output):
        """The graph of the nodes so far."""
        scale = eventsnn.Preprocessing(1 / 255, np.full(1, 0.5), np.full(1, 0.25))
        return Graph(tuple(self.nodes), "input", output, self.shape, scale, "benchmark")


def lenet():
    """LeNet-5 on 1 x 28 x 28."""
    b = Builder((1, 28, 28))
    x = b.fires(b.conv("input", 1, 6, 5))
    x = b.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.fires(b.conv(x, 6, 16, 5))
    x = b.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.fires(b.gemm(b.add("Flatten", x), 16 * 49, 120))
    x = b.fires(b.gemm(x, 120, 84))
    return b.graph(b.gemm(x, 84, 10))


def vgg16(size):
    """VGG-16 on 3 x size x size; of 224 with its two wide layers."""
    b = Builder((3, size, size))
    x, before = "input", 3
    for channels in VGG16:
        if channels:
            x, before = b.fires(b.conv(x, before, channels)), channels
        else:
            x, size = b.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), size // 2
    x, before = b.add("Flatten", x), before * size * size
    for wide in (4096, 4096) if size > 1 else ():
        x, before = b.fires(b.gemm(x, before, wide)), wide
    return b.graph(b.gemm(x, before, 1000 if size > 1 else 10))


def resnet(size, widths, depths, wider):
    """A ResNet on 3 x size x size. wider: 4 for blocks of three convolutions, 1 of two."""
    b = Builder((3, size, size))
    before = widths[0]
    if size > 32:
        x = b.fires(b.conv("input", 3, before, 7, 2))
        x = b.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    else:
        x = b.fires(b.conv("input", 3, before))
    for stage, (width, depth) in enumerate(zip(widths, depths)):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            after = width * wider
            shortcut = x
            if stride > 1 or before != after:
                shortcut = b.conv(x, before, after, 1, stride, 0.5)
            if wider > 1:
                y = b.fires(b.conv(x, before, width, 1))
                y = b.fires(b.conv(y, width, width, 3, stride))
                y = b.conv(y, width, after, 1, 1, 0.25)
            else:
                y = b.fires(b.conv(x, before, width, 3, stride))
                y = b.conv(y, width, after, 3, 1, 0.25)
            x, before = b.fires(b.add("Add", y, shortcut)), after
    x = b.add("Flatten", b.add("GlobalAveragePool", x))
    return b.graph(b.gemm(x, before, 1000 if size > 32 else 10))


NETS = {
    "lenet": lenet,
    "resnet20": lambda: resnet(*RESNETS["resnet20"]),
    "vgg16": lambda: vgg16(32),
    "resnet18": lambda: resnet(*RESNETS["resnet18"]),
    "resnet50": lambda: resnet(*RESNETS["resnet50"]),
    "vgg16-224": lambda: vgg16(224),
}


def main(argv=None):
    """Measure and print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nets", default=",".join(NETS), help="which, separated by commas")
    parser.add_argument("--engines", default=",".join(ENGINES), help="likewise")
    parser.add_argument("--steps", type=int, default=2, help="T")
    parser.add_argument("--traces", help="T of each trace, separated by commas")
    parser.add_argument("--folder", default=".", help="where the trace is while it is measured")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    try:
        nets = chosen(args.nets, "--nets", NETS)
        engines = chosen(args.engines, "--engines", ENGINES)
        if args.steps < 1:
            raise InputError("--steps", "a whole number from 1", args.steps)
        steps = whole_numbers(args.traces, "--traces") if args.traces else []
        if args.one:
            found = traced(steps[0], args.folder) if steps else one(nets[0], engines[0], args.steps)
            print(json.dumps(found))
            return 0
        print(measuring.machine(1))
        if steps:
            rows = [
                trace_row(t, in_a_process("--traces", str(t), "--folder", args.folder))
                for t in steps
            ]
            measuring.show("traces; MB (10^6 bytes), s of the processor", rows)
            return 0
        rows = []
        for net in nets:
            for engine in engines:
                options = ["--nets", net, "--engines", engine, "--steps", str(args.steps)]
                rows.append(row(net, engine, in_a_process(*options)))
        measuring.show(f"T = {args.steps}, one image; MB (10^6 bytes), s of the processor", rows)
        return 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def chosen(text, option, among):
    """The names in a list; raises InputError for another."""
    names = text.split(",")
    for name in names:
        if name not in among:
            raise InputError(option, f"names among {', '.join(among)}", repr(name))
    return names


def in_a_process(*options):
    """What a fresh process finds with these options."""
    command = [sys.executable, __file__, "--one", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(" ".join(options), "a run", done.stderr.strip().splitlines()[-1:])
    return json.loads(done.stdout)


def trace_row(steps, found):
    """A row of the table of traces."""
    return {
        "": f"T = {steps}",
        "spikes": f"{found['spikes']:,}",
        "without a trace: s": f"{found['alone'][0]:.1f}",
        "MB": f"{found['alone'][1] / 1e6:,.0f}",
        "with it: s": f"{found['streamed'][0]:.1f}",
        "MB ": f"{found['streamed'][1] / 1e6:,.0f}",
        "file, MB": f"{found['file'] / 1e6:,.0f}",
        "open, again: s": ", ".join(f"{seconds:.2f}" for seconds in found["open"]),
        "explain, again: s": ", ".join(f"{seconds:.2f}" for seconds in found["explain"]),
        "explain: MB more": f"{found['more'] / 1e6:,.0f}",
        "arrivals": f"{found['arrivals']:,}",
    }


def traced(steps, folder):
    """What a trace takes: a dict of numbers, bytes and (seconds, bytes)."""
    path = Path(folder) / f"trace-{steps}.h5"
    small = (1, 8, 8)
    sample = np.random.default_rng(1).integers(0, 256, small).astype(np.uint8)
    options = {"steps": steps, "engine": "event", "fraction_bits": 20}
    simulation = Simulation(eventsnn.convert(_deep(small)), **options)
    simulation.image(sample, sink=TraceFile(path, simulation, 0))
    simulation.image(sample)
    base = held()
    shape = (1, 224, 224)
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    simulation = Simulation(eventsnn.convert(_deep(shape)), **options)
    forget()
    start = time.process_time()
    spikes = int(simulation.image(image).spikes.sum())
    alone = time.process_time() - start, most() - base
    forget()
    start = time.process_time()
    simulation.image(image, sink=TraceFile(path, simulation, 0))
    streamed = time.process_time() - start, most() - base
    layer, neuron = len(simulation.network.layers) - 2, 100_003
    opened, explained = [], []
    for _ in range(2):
        before = held()
        forget()
        start = time.perf_counter()
        trace = open_trace(path, simulation)
        opened.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = explain_neuron(trace, layer, neuron)
        if len(found.observation.spikes):
            explain_spike(trace, int(found.observation.spikes["seq"][-1]))
        explained.append(time.perf_counter() - start)
        more = most() - before
    size = path.stat().st_size
    path.unlink()
    return {
        "spikes": spikes,
        "alone": alone,
        "streamed": streamed,
        "file": size,
        "open": opened,
        "explain": explained,
        "more": more,
        "arrivals": len(found.observation.arrivals),
    }


def _deep(shape):
    """Ten layers of four channels, which stay as active as the first."""
    b = Builder(shape)
    x, before = "input", shape[0]
    for _ in range(10):
        x, before = b.fires(b.conv(x, before, 4, gain=0.3, bias=0.8)), 4
    return b.graph(b.gemm(b.add("Flatten", b.add("GlobalAveragePool", x)), 4, 10))


def row(net, engine, found):
    """A row of the table."""
    need = found["bytes"] * (found["weights"] + STATE * found["neurons"])
    own = 4 * found["weights"]
    return {
        "": net,
        "engine": engine,
        "neurons": f"{found['neurons']:,}",
        "weights": f"{found['weights']:,}",
        "bits": 8 * found["bytes"],
        "weights + state, MB": f"{need / 1e6:,.1f}",
        "convert: s": f"{found['convert'][0]:.2f}",
        "convert: MB": f"{(found['convert'][1] - own) / 1e6:,.1f}",
        "prepare: s": f"{found['prepare'][0]:.2f}",
        "one image: s": f"{found['image'][0]:.2f}",
        "prepare and image: MB": f"{(found['both'] - own) / 1e6:,.1f}",
        "times": f"{(found['both'] - own) / need:.2f}",
        "spikes of a neuron and step": f"{found['rate']:.2f}",
    }


def one(net, engine, steps):
    """What one network takes: a dict of numbers, bytes and (seconds, bytes)."""
    tiny = eventsnn.convert(_tiny())
    Simulation(tiny, steps=steps, engine=engine).image(np.zeros((1, 2, 2), np.uint8))
    base = held()
    graph = NETS[net]()
    image = np.random.default_rng(1).integers(0, 256, graph.input_shape).astype(np.uint8)
    forget()
    start = time.process_time()
    network = eventsnn.convert(graph)
    converted = time.process_time() - start, most() - base
    forget()
    start = time.process_time()
    simulation = Simulation(network, steps=steps, engine=engine)
    prepared = time.process_time() - start, most() - base
    start = time.process_time()
    found = simulation.image(image)
    ran = time.process_time() - start, most() - base
    fires = sum(layer.size for layer in network.spiking)
    return {
        "neurons": network.neurons,
        "weights": graph.parameters,
        "bytes": simulation.arithmetic.dtype.itemsize,
        "convert": converted,
        "prepare": prepared,
        "image": ran,
        "both": ran[1],
        "rate": float(found.spikes.sum() / steps / fires),
        "synapses": network.synapses,
    }


def _tiny():
    b = Builder((1, 2, 2))
    x = b.fires(b.conv("input", 1, 1))
    x = b.add("MaxPool", x, kernel_shape=[1, 1])
    return b.graph(b.gemm(b.add("Flatten", x), 4, 2))


def held():
    """The memory that this process holds now, in bytes."""
    return _status("VmRSS")


def most():
    """The most that it held since `forget`, in bytes."""
    return _status("VmHWM")


def forget():
    """What it held until now no longer counts."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
