"""What a network's file is, and how it converts.

    %(prog)s FILE [--arch NAME] [--output NAME]

Prints the kind of the file, the graph as a table, activations, parameters, preprocessing, and what
a conversion gives.

With --neuron NAME [--plugin FILE] in place of a file it tries whether a neuron model does as it
declares, and prints which laws hold, and a small counterexample to each that does not.

Exit status: 0; 1 for a model that does not do as it declares; 2 after one line for a file that
cannot be read, a network that has no spiking form and a model that there is not.
"""

from __future__ import annotations

from eventsnn.console import Parser, answer, begin, command

if __name__ == "__main__":
    begin()

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eventsnn import reference
from eventsnn.ann.graph import Graph, Node
from eventsnn.arguments import checked
from eventsnn.called import called
from eventsnn.exceptions import NOTE, InputError, one_line, printable
from eventsnn.network import check, thresholds
from eventsnn.network.convert import convert
from eventsnn.neurons import verify
from eventsnn.plugins import load_plugins
from eventsnn.readers import identify, load
from eventsnn.views import tables

CHECKED_IMAGES = 2
MEMORY = ("room for the network", "inspect it where there is more")
COLUMNS = {"inputs": ("from", ""), "parameters": ("parameters", ","), "of": ("settings", "")}
# an activation's own parameters, as the table shows them
PARAMETERS = ("max", "lambda", "scale", "levels")
META = {
    "arch": "architecture",
    "activation": "trained with",
    "note": "note",
    "test_accuracy": "test accuracy, it says",
    "classes": "classes",
}
CALIBRATION = ", which needs calibration images (--data with a train split, or --calibration)"


@checked
def describe(path: str, arch: str | None = None, output: str | None = None) -> Iterator[str]:
    """Yields all that the command prints, line by line.

    path: a network's file, "sample", or the name of a reference network. arch: the architecture of
    a file that holds weights only. output: the name of the output that is meant, of a model with
    several. Raises InputError for a file that cannot be read and a network without a spiking form.
    """
    if path == "sample":
        kind, graph = "the bundled network", load(path, arch, output=output)
    elif reference.is_name(path):
        kind, graph = "a reference network", load(path, arch, output=output)
    else:
        kind, graph = identify(path, arch, output)
    yield f"{path}: {kind}"
    for key, words in META.items():
        if key in graph.meta:
            value = graph.meta[key]
            yield f"{words}: {', '.join(value) if key == 'classes' else one_line(value, NOTE)}"
    shape, output = _by(graph.input_shape), _by(graph.shapes[graph.output])
    yield f"input: {shape} (channels, height, width); output: {output}"
    yield f"preprocessing: {graph.preprocessing}"
    yield f"\n{len(graph.nodes):,} nodes, {graph.parameters:,} parameters"
    yield tables.text_table([_row(graph, node) for node in graph.nodes], COLUMNS)
    yield "\n" + _activations(graph)
    yield from _conversion(graph)


def _row(graph: Graph, node: Node) -> dict[str, Any]:
    settings = {key: node.attrs[key] for key in PARAMETERS if node.attrs.get(key) is not None}
    return {
        "node": node.name,
        "op": node.op,
        "inputs": ", ".join(node.inputs),
        "output": _by(graph.shapes[node.name]),
        "parameters": sum(array.size for array in node.params.values()),
        "of": ", ".join(f"{key} {value:.4g}" for key, value in settings.items()),
    }


def _activations(graph: Graph) -> str:
    kinds = Counter(node.op for node in graph.activations)
    words = ", ".join(f"{count} {op}" for op, count in kinds.items()) or "none"
    neurons = sum(math.prod(graph.shapes[node.name]) for node in graph.activations)
    return f"activations: {words}; {neurons:,} neurons"


def _conversion(graph: Graph) -> Iterator[str]:
    """Lines about the converted network, compared with the graph on random images."""
    preprocessing = graph.preprocessing
    noise = np.random.default_rng(0).normal(size=(CHECKED_IMAGES, *graph.input_shape))
    std = np.reshape(preprocessing.std, (-1, 1, 1))
    mean = np.reshape(preprocessing.mean, (-1, 1, 1))
    pixels = ((noise * std + mean) / preprocessing.scale).astype(np.float32)
    pixels = pixels[:, ::-1] if preprocessing.reverse else pixels
    needed = thresholds.needs_calibration(graph, "auto")
    rules = thresholds.describe_rules(graph, "auto", 99.9) or "none"
    # the linear paths between layers are the same for all thresholds: any will do
    network = convert(graph, thresholds="max" if needed else "auto", calibration=pixels)
    worst, where = check.check(network, pixels)
    yield (
        f"converts: yes, {len(network.spiking)} layers, {network.neurons:,} neurons, "
        f"{network.synapses:,} synapses; thresholds: {rules}{CALIBRATION if needed else ''}"
    )
    for note in network.notes:
        yield f"note: {note}"
    yield (
        f"check: converted and loaded ANN differ by at most {worst:.1e} of a layer's largest value "
        f"(layer {where}; on random images)"
    )


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _check_given(args: argparse.Namespace) -> None:
    """Raises InputError unless there is one thing to tell of, and what belongs to it alone."""
    things = [thing for thing in (args.file, args.neuron) if thing is not None]
    if len(things) != 1:
        found = " and ".join(things) or "neither"
        raise InputError(called("inspect"), "FILE or --neuron", found)
    if args.file is not None and args.plugin is not None:
        raise InputError("--plugin", "--neuron beside it", "none", "leave it out")
    for option, value in (("--arch", args.arch), ("--output", args.output)):
        if args.neuron is not None and value is not None:
            raise InputError(option, "FILE beside it", "none", "leave it out")


def parser() -> Parser:
    """What the command takes."""
    result = Parser(
        prog=called("inspect"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = "a network of any kind that `eventsnn run` reads, or 'sample', or a name"
    result.add_argument("file", metavar="FILE", nargs="?", help=words)
    words = "the architecture of a file that holds weights only, as for `eventsnn run`"
    result.add_argument("--arch", help=words)
    words = "the name of the output that is meant, of a Keras or ONNX model with several"
    result.add_argument("--output", help=words)
    words = "a neuron model, as for `eventsnn run`: is it what it declares?"
    result.add_argument("--neuron", help=words)
    result.add_argument("--plugin", help="files that register models, as for `eventsnn run`")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what `describe` says; returns the exit status. argv: None for this process's."""
    return answer(lambda: _inspect(argv), MEMORY)


def _inspect(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    _check_given(args)
    if args.neuron is not None:
        load_plugins(args.plugin)
        return 0 if verify(args.neuron, progress=True).holds else 1
    for line in describe(args.file, args.arch, args.output):
        print(printable(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
