"""What a file with a network is, and whether and how it converts: python -m eventsnn.inspect FILE
[--arch NAME].

Prints the kind of the file, the graph as a table, activations, parameters, preprocessing, and what
a conversion gives. Exit status: 0, or 2 after one line for a file that cannot be read or a network
that has no spiking form.
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np

from eventsnn.console import start
from eventsnn.exceptions import InputError, one_line
from eventsnn.network import check, thresholds
from eventsnn.network import convert as conversion
from eventsnn.readers import identify, load
from eventsnn.views import tables

CHECKED_IMAGES = 2
COLUMNS = {"inputs": ("from", ""), "parameters": ("parameters", ","), "of": ("settings", "")}
# an activation's own parameters, as the table shows them
PARAMETERS = ("max", "lambda", "scale", "levels")


def describe(path, arch=None):
    """Everything that the command prints, as lines. Raises InputError."""
    kind, graph = (
        ("the bundled network", load(path, arch)) if path == "sample" else identify(path, arch)
    )
    yield f"{path}: {kind}"
    for key, words in (
        ("arch", "architecture"),
        ("note", "note"),
        ("test_accuracy", "test accuracy, it says"),
        ("classes", "classes"),
    ):
        if key in graph.meta:
            value = graph.meta[key]
            yield f"{words}: {', '.join(value) if key == 'classes' else one_line(value)}"
    yield f"input: {_by(graph.input_shape)} (channels, height, width); output: {_by(graph.shapes[graph.output])}"
    yield f"preprocessing: {graph.preprocessing}"
    yield f"\n{len(graph.nodes):,} nodes, {graph.parameters:,} parameters"
    yield tables.text_table([_row(graph, node) for node in graph.nodes], COLUMNS)
    yield "\n" + _activations(graph)
    yield from _conversion(graph)


def _row(graph, node):
    settings = {key: node.attrs[key] for key in PARAMETERS if node.attrs.get(key) is not None}
    return {
        "node": node.name,
        "op": node.op,
        "inputs": ", ".join(node.inputs),
        "output": _by(graph.shapes[node.name]),
        "parameters": sum(array.size for array in node.params.values()),
        "of": ", ".join(f"{k} {v:.4g}" for k, v in settings.items()),
    }


def _activations(graph):
    kinds = {
        node.op: sum(other.op == node.op for other in graph.activations)
        for node in graph.activations
    }
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    return f"activations: {', '.join(f'{n} {op}' for op, n in kinds.items()) or 'none'}; {neurons:,} neurons"


def _conversion(graph):
    """Lines about the converted network, compared with the graph on random images."""
    pre, noise = (
        graph.preprocessing,
        np.random.default_rng(0).normal(size=(CHECKED_IMAGES, *graph.input_shape)),
    )
    std, mean = (np.reshape(values, (-1, 1, 1)) for values in (pre.std, pre.mean))
    pixels = ((noise * std + mean) / pre.scale).astype(np.float32)
    needed, rules = (
        thresholds.needs_calibration(graph, "auto"),
        thresholds.describe_rules(graph, "auto", 99.9),
    )
    # the linear paths between layers are the same for all thresholds: any will do
    network = conversion.convert(graph, thresholds="max" if needed else "auto", calibration=pixels)
    worst, where = check.check(network, pixels)
    yield (
        f"converts: yes, {len(network.spiking)} layers, {network.neurons:,} neurons, {network.synapses:,} synapses; thresholds: "
        f"{rules or 'none'}"
        + (
            ", which needs calibration images (--data with a train split, or --calibration)"
            if needed
            else ""
        )
    )
    for note in network.notes:
        yield f"note: {note}"
    yield f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value (layer {where}; on random images)"


def _by(shape):
    return "x".join(map(str, shape))


def main(argv=None):
    """Print what `describe` says; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m eventsnn.inspect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", metavar="FILE", help="a network of any kind that eventsnn.run reads, or 'sample'"
    )
    parser.add_argument(
        "--arch", help="the architecture of a file that holds weights only, as for eventsnn.run"
    )
    args = parser.parse_args(argv)
    try:
        for line in describe(args.file, args.arch):
            print(line, flush=True)
    except InputError as error:
        print(f"eventsnn: error: {one_line(error, 1000)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(start(main))
