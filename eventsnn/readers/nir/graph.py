"""A NIR graph of IF neurons as a graph whose activations are these neurons.

Thresholds become 1: r / v_threshold goes into the weights before. An activation has the attributes
`reset` ("zero" or "subtract") and `initial`, v(0) in thresholds, or the parameter `initial` with
one for each neuron; a simulation takes them over (`network.own`).
"""

from __future__ import annotations

import h5py
import numpy as np

from eventsnn.ann.checks import is_number
from eventsnn.ann.graph import MAX_NODES, Graph, Preprocessing
from eventsnn.exceptions import InputError
from eventsnn.files.reading import MAX_ARRAYS, check_storage, child, text_of
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.nir.fields import DAMAGED, MAX_METADATA, Fields
from eventsnn.readers.nir.nodes import Neurons, add_node, shaped
from eventsnn.readers.reader import File

MAX_EDGES = 2**20
DEEPEST = 16  # graphs in each other
WRITER = "eventsnn "
RESETS = ("zero", "subtract")


class _Wires:
    """All nodes of a graph and of the graphs in it, by names with dots between.

    name: of the file. left: bytes that may still be read.
    """

    def __init__(self, name: str, left: list[int]) -> None:
        self.name = name
        self.left = left
        self.nodes: dict[str, tuple[str, Fields | None]] = {}
        self.sources: dict[str, list[str]] = {}

    def add_graph(self, fields: Fields, prefix: str, depth: int) -> None:
        """Adds a graph's nodes and edges. prefix: of their names. depth: of the graph."""
        if depth > DEEPEST:
            raise InputError(self.name, f"at most {DEEPEST} graphs in each other", "more", DAMAGED)
        nodes = fields.inside("nodes")
        if nodes is None:
            fields.refuse("nodes", "a group of nodes", "none")
        for key in nodes.group:
            name = text_of(key, 500)
            if name is None:
                raise InputError(self.name, "printable names of nodes", "another", DAMAGED)
            inner = nodes.inside(key)
            if inner is None:
                fields.refuse(name, "a group for each node", "something else")
            full = prefix + name
            inner.where = f"{self.name}: node {full!r}"
            kind = inner.text("type")
            if kind is None:
                inner.refuse("type", "the type of a node", "none")
            if len(self.nodes) >= MAX_NODES:
                raise InputError(self.name, f"at most {MAX_NODES:,} nodes", "more", DAMAGED)
            self.nodes[full] = kind, inner
            self.sources.setdefault(full, [])
            if kind == "NIRGraph":
                self.add_graph(inner, f"{full}.", depth + 1)
        kinds = {key: kind for key, (kind, _) in self.nodes.items()}
        for source, target in _edges(fields, f"{self.name}: edges"):
            from_, to = prefix + source, prefix + target
            for end in from_, to:
                if end not in self.nodes:
                    raise InputError(f"{self.name}: edges", "names of nodes", repr(end), DAMAGED)
            # a graph in a graph: its Output sends, its Input hears
            from_ = self._port(from_, "Output") if kinds[from_] == "NIRGraph" else from_
            to = self._port(to, "Input") if kinds[to] == "NIRGraph" else to
            self.sources[to].append(from_)

    def _port(self, graph: str, kind: str) -> str:
        inside = [
            key
            for key, (its, _) in self.nodes.items()
            if its == kind and key.startswith(f"{graph}.") and "." not in key[len(graph) + 1 :]
        ]
        if len(inside) != 1:
            where = f"{self.name}: node {graph!r}"
            raise InputError(where, f"a graph with one {kind}", len(inside) or "none", DAMAGED)
        return inside[0]

    def ordered(self) -> list[str]:
        """The nodes, each behind its sources. Raises InputError for a cycle."""
        waiting = {key: len(sources) for key, sources in self.sources.items()}
        targets: dict[str, list[str]] = {key: [] for key in self.sources}
        for key, sources in self.sources.items():
            for source in sources:
                targets[source].append(key)
        ready = [key for key, count in waiting.items() if not count]
        found = []
        for key in ready:
            found.append(key)
            for target in targets[key]:
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
        if len(found) < len(waiting):
            left = next(key for key, count in waiting.items() if count)
            do = "only networks without recurrence are simulated"
            raise InputError(f"{self.name}: node {left!r}", "no way back to itself", "one", do)
        return found


def _edges(fields: Fields, where: str) -> list[tuple[str, str]]:
    """(source, target) of each edge of a graph."""
    dataset = fields.dataset("edges")
    if dataset is None:
        raise InputError(where, "a list of pairs of names", "none", DAMAGED)
    shape: tuple[int, ...] = dataset.shape or ()
    if dataset.size == 0:
        return []
    text = h5py.check_string_dtype(dataset.dtype) is not None
    if not text or len(shape) != 2 or shape[1] != 2 or shape[0] > MAX_EDGES:
        found = f"{dataset.dtype} {list(shape)}"
        raise InputError(where, "pairs of names", found, DAMAGED)
    check_storage(dataset, where)
    names = [[text_of(value, 500) for value in row] for row in dataset[()].tolist()]
    if any(name is None for row in names for name in row):
        raise InputError(where, "printable names", "others", DAMAGED)
    return [(str(source), str(target)) for source, target in names]


def read_graph(file: File) -> Graph:
    """The `Graph` of a NIR file.

    file: with /node, a NIRGraph with one Input and one Output. Raises InputError for a file that is
    damaged, and for neurons and operators that have no form here, all of them by name.
    """
    assert file.hdf5 is not None
    left = [MAX_ARRAYS]
    top = child(file.hdf5, "node")
    if not isinstance(top, h5py.Group):
        raise InputError(f"{file.name}: node", "a graph", "something else", DAMAGED)
    fields = Fields(top, file.name, left)
    kind = fields.text("type")
    if kind != "NIRGraph":
        raise InputError(f"{file.name}: node", "a NIRGraph", kind or "no type", DAMAGED)
    wires = _Wires(file.name, left)
    wires.add_graph(fields, "", 0)
    metadata = fields.inside("metadata")
    neurons, preprocessing, note = _told(metadata)
    ends = {}
    for port in "Input", "Output":
        here = [k for k, (its, _) in wires.nodes.items() if its == port and "." not in k]
        if len(here) != 1:
            do = "one input and one output are simulated"
            raise InputError(file.name, f"one {port}", ", ".join(here) or "none", do)
        ends[port] = here[0]
    given = wires.nodes[ends["Input"]][1]
    assert given is not None
    shape = given.whole("shape", 1, 8)
    if len(shape) > 3:
        do = "write it without the axis of the batch"
        raise InputError(given.where, "a shape [N], [C, N] or [C, H, W]", shape, do)
    builder = Builder(file.name, ends["Input"], shaped(shape))
    outputs: dict[str, Output] = {ends["Input"]: Output(ends["Input"])}
    if len(shape) == 1:
        flat = f"{ends['Input']}.flat"
        outputs[ends["Input"]] = builder.add(flat, "Flatten", [Output(ends["Input"])])
    for name in wires.ordered():
        _add(builder, wires, name, outputs, neurons)
    output = outputs.get(ends["Output"])
    if output is None:
        raise InputError(file.name, "an Output that something leads to", "none", DAMAGED)
    if output == ends["Input"]:
        raise InputError(file.name, "nodes between Input and Output", "none", DAMAGED)
    return builder.graph(output, preprocessing, {"arch": "NIR graph", "note": note})


def _add(
    builder: Builder, wires: _Wires, name: str, outputs: dict[str, Output], neurons: Neurons
) -> None:
    """Adds a node whose sources are there; one that nothing leads to from the input is left out."""
    kind, fields = wires.nodes[name]
    if kind == "NIRGraph" or name in outputs or fields is None:
        return
    arriving = [outputs[source] for source in wires.sources[name] if source in outputs]
    if not arriving:
        return
    if any(builder.shapes[x] is None for x in arriving):
        outputs[name] = builder.unknown(name)
        return
    x = arriving[0] if len(arriving) == 1 else builder.add(f"{name}.sum", "Add", arriving)
    if builder.shapes[x] is None or kind in ("Input", "Output"):
        outputs[name] = x
        return
    outputs[name] = add_node(builder, name, kind, fields, x, neurons)


def _told(metadata: Fields | None) -> tuple[Neurons, Preprocessing, str]:
    """(what holds for all neurons, the preprocessing, a note) of a file's metadata."""
    ties = "NIR fires at v > threshold, here it is v >= threshold: a run counts exact ties"
    unknown = Preprocessing(known=False)
    writer = None if metadata is None else metadata.text("writer")
    if metadata is None or writer is None or not writer.startswith(WRITER):
        words = "resets to 0 and v(0) = 0, as NIR's equations have them; a step is NIR's unit of "
        return Neurons(), unknown, f"{words}time; {ties}"
    reset = metadata.text("reset")
    if reset not in RESETS:
        metadata.refuse("reset", " or ".join(RESETS), reset)
    resistance = metadata.array("resistance", optional=True)
    r = 1.0 if resistance is None else float(resistance.reshape(-1)[:1].sum())
    if not r > 0:
        metadata.refuse("resistance", "a number above 0", r)
    values = [metadata.some(f"pixel_{key}") for key in ("scale", "mean", "std")]
    reverse = metadata.array("pixel_reverse", optional=True)
    scale, mean, std = (np.ravel(np.asarray(value, np.float64)) for value in values)
    if scale.size != 1 or not is_number(float(scale[0])) or not scale[0] > 0:
        metadata.refuse("pixel_scale", "a number above 0", scale.tolist()[:3])
    if not std.size or not (std > 0).all():
        metadata.refuse("pixel_std", "numbers above 0", "others")
    turned = reverse is not None and bool(np.ravel(reverse)[:1].any())
    preprocessing = Preprocessing(float(scale[0]), mean, std, reverse=turned)
    encoding = metadata.text("encoding", MAX_METADATA)
    words = f"written by {writer}: resets and v(0) as its metadata say; encoding {encoding}"
    return Neurons(reset, r, True), preprocessing, words
