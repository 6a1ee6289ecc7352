"""The oracle's network: every neuron and synapse of a graph an object, found by plain loops.

Written from docs/semantics.md alone, sections 1, 6, 10 and 11. The graph is walked value by value:
a value of the ANN is a constant and a weight for each neuron (or input) that it hears. A synapse
exists where the graph has a path, also of weight 0, so the weights a value has are its synapses.
"""

import math
from dataclasses import dataclass, field

import numpy as np

INPUT = -1


@dataclass
class Value:
    """One value of a tensor: const + the sum of weights[source] * source.

    weights: (layer, place) -> weight; a place of a layer counts c, y, x, and so does the input's.
    """

    const: float = 0.0
    weights: dict = field(default_factory=dict)

    def plus(self, other, factor=1.0):
        """Adds other * factor."""
        self.const += other.const * factor
        for source, weight in other.weights.items():
            self.weights[source] = self.weights.get(source, 0.0) + weight * factor


@dataclass
class Cell:
    """What stands at one place of one layer: a neuron, a pool unit or a sum of the readout.

    inputs: (place of the pixel, weight), unrounded, in q. bias: in q, unrounded. heard: for a pool
    unit, its members. least: whether it pools their minimum. synapses: where its spikes go, by
    target.
    """

    layer: int
    number: int
    kind: str
    bias: float = 0.0
    inputs: list = field(default_factory=list)
    heard: list = field(default_factory=list)
    least: bool = False
    synapses: list = field(default_factory=list)


@dataclass
class Synapse:
    """From one cell (or the input) to another. weight: a number of the arithmetic's."""

    pre: object
    post: Cell
    weight: object


@dataclass
class Net:
    """layers: the cells of each, by number. kinds: "fires", "pools" or "adds" of each layer.
    levels: of each (None: it has none). input: place -> synapses from there, whose weights are not
    rounded yet.
    """

    layers: list = field(default_factory=list)
    kinds: list = field(default_factory=list)
    names: list = field(default_factory=list)
    levels: list = field(default_factory=list)
    input: dict = field(default_factory=dict)


def walk(graph):
    """(values of each layer's inputs, nodes of the layers, values of the output) of a `Graph`."""
    c, h, w = graph.input_shape
    tensors = {graph.input: _sources(INPUT, (c, h, w))}
    inputs, nodes = [], []
    for node in graph.nodes:
        given = [tensors[name] for name in node.inputs]
        if node.is_activation or node.op == "MaxPool":
            members = _pooled(node, given[0]) if node.op == "MaxPool" else given[0]
            inputs.append(members)
            nodes.append(node)
            tensors[node.name] = _sources(len(nodes) - 1, members.shape)
        else:
            tensors[node.name] = LINEAR[node.op](node, *given)
    return inputs, nodes, tensors[graph.output]


def _tensor(shape):
    tensor = np.empty(shape, object)
    for place in np.ndindex(*shape):
        tensor[place] = Value()
    return tensor


def _sources(layer, shape):
    tensor = np.empty(shape, object)
    for number, place in enumerate(np.ndindex(*shape)):
        tensor[place] = Value(0.0, {(layer, number): 1.0})
    return tensor


def _windows(node, shape):
    """Yields (y, x, [(ky, kx, row, column)]) for each place of the output; ONNX's definition."""
    kernel = node.params["W"].shape[2:] if node.op == "Conv" else node.attrs["kernel_shape"]
    strides = node.attrs.get("strides", (1, 1))
    spread = node.attrs.get("dilations", (1, 1))
    top, left, bottom, right = node.attrs.get("pads", (0, 0, 0, 0))
    _, height, width = shape
    rows = (height + top + bottom - (kernel[0] - 1) * spread[0] - 1) // strides[0] + 1
    columns = (width + left + right - (kernel[1] - 1) * spread[1] - 1) // strides[1] + 1
    for y in range(rows):
        for x in range(columns):
            seen = []
            for ky in range(kernel[0]):
                for kx in range(kernel[1]):
                    row = y * strides[0] + ky * spread[0] - top
                    column = x * strides[1] + kx * spread[1] - left
                    if 0 <= row < height and 0 <= column < width:
                        seen.append((ky, kx, row, column))
            yield y, x, seen


def _conv(node, given):
    weights, bias = node.params["W"], node.params.get("B")
    maps, depth = weights.shape[:2]
    per_group = maps // node.attrs.get("group", 1)
    places = list(_windows(node, given.shape))
    out = _tensor((maps, places[-1][0] + 1, places[-1][1] + 1))
    for m in range(maps):
        for y, x, seen in places:
            value = out[m, y, x]
            value.const += 0.0 if bias is None else float(bias[m])
            for ky, kx, row, column in seen:
                for d in range(depth):
                    channel = m // per_group * depth + d
                    value.plus(given[channel, row, column], float(weights[m, d, ky, kx]))
    return out


def _gemm(node, given):
    weights = node.params["B"] if node.attrs.get("transB", 0) else node.params["B"].T
    out = _tensor((len(weights),))
    for m in range(len(weights)):
        out[m].const += float(node.params["C"][m]) if "C" in node.params else 0.0
        for d in range(len(given)):
            out[m].plus(given[d], float(weights[m, d]))
    return out


def _norm(node, given):
    out = _tensor(given.shape)
    for place in np.ndindex(*given.shape):
        scale, shift, mean, variance = (
            float(node.params[role][place[0]]) for role in ("scale", "B", "input_mean", "input_var")
        )
        factor = scale / math.sqrt(variance + float(node.attrs.get("epsilon", 1e-5)))
        out[place].plus(given[place], factor)
        out[place].const += shift - mean * factor
    return out


def _average(node, given):
    places = list(_windows(node, given.shape))
    whole = math.prod(node.attrs["kernel_shape"])
    out = _tensor((len(given), places[-1][0] + 1, places[-1][1] + 1))
    for c in range(len(given)):
        for y, x, seen in places:
            count = whole if node.attrs.get("count_include_pad", 0) else len(seen)
            for _, _, row, column in seen:
                out[c, y, x].plus(given[c, row, column], 1 / count)
    return out


def _global_average(node, given):
    out = _tensor((len(given), 1, 1))
    for c, y, x in np.ndindex(*given.shape):
        out[c, 0, 0].plus(given[c, y, x], 1 / (given.shape[1] * given.shape[2]))
    return out


def _add(node, *given):
    out = _tensor(given[0].shape)
    for part in given:
        for place in np.ndindex(*part.shape):
            out[place].plus(part[place])
    return out


def _pad(node, given):
    pads = node.attrs["pads"]
    top, left, bottom, right = pads if len(pads) == 4 else (pads[2], pads[3], pads[6], pads[7])
    channels, height, width = given.shape
    out = _tensor((channels, height + top + bottom, width + left + right))
    for c, y, x in np.ndindex(*given.shape):
        out[c, y + top, x + left] = given[c, y, x]
    return out


def _resize(node, given):
    """Nearest, ONNX's defaults: half_pixel, round_prefer_floor."""
    scales = node.attrs["scales"][-2:]
    channels, height, width = given.shape
    out = _tensor((channels, int(height * scales[0]), int(width * scales[1])))
    for c, y, x in np.ndindex(*out.shape):
        row = math.ceil((y + 0.5) / scales[0] - 0.5 - 0.5)
        column = math.ceil((x + 0.5) / scales[1] - 0.5 - 0.5)
        out[c, y, x] = given[c, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return out


def _flatten(node, given):
    out = np.empty(given.size, object)
    for number, place in enumerate(np.ndindex(*given.shape)):
        out[number] = given[place]
    return out


def _index(node, given):
    """Each value by its number in the vector that a Flatten makes; 0 where a number is -1."""
    flat = _flatten(node, given)
    if "rows" not in node.attrs:
        numbers = node.attrs["channels"]
        out = _tensor((len(numbers),))
        for place, number in enumerate(numbers):
            if number != -1:
                out[place].plus(flat[number])
        return out
    lists = [node.attrs[key] for key in ("channels", "rows", "columns")]
    out = _tensor(tuple(len(numbers) for numbers in lists))
    for place in np.ndindex(*out.shape):
        parts = [numbers[at] for numbers, at in zip(lists, place)]
        if -1 not in parts:
            out[place].plus(flat[sum(parts)])
    return out


def _concat(node, *given):
    return np.concatenate(given)


def _same(node, given):
    return given


LINEAR = {
    "Conv": _conv,
    "Gemm": _gemm,
    "BatchNormalization": _norm,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "Add": _add,
    "Concat": _concat,
    "Flatten": _flatten,
    "Pad": _pad,
    "Resize": _resize,
    "Index": _index,
    "Identity": _same,
    "Dropout": _same,
    "Softmax": _same,
}


def _pooled(node, given):
    """The sources in each window; each value that is pooled is one source as it is."""
    places = list(_windows(node, given.shape))
    out = np.empty((len(given), places[-1][0] + 1, places[-1][1] + 1), object)
    for c in range(len(given)):
        for y, x, seen in places:
            members = Value()
            for _, _, row, column in seen:
                value = given[c, row, column]
                assert not value.const and list(value.weights.values()) == [1.0]
                members.plus(value)
            out[c, y, x] = members
    return out


def build(graph, thetas, grids, numbers, worth=lambda levels: 1):
    """The `Net` of a `Graph`.

    thetas: the threshold of each layer, or one array for its neurons, by number. grids: (C, H, W)
    of each layer: it numbers its neurons, channels last. numbers: the arithmetic, see
    `oracle.Fixed`. worth: levels of a layer -> how many spikes a threshold is worth.
    """
    inputs, nodes, output = walk(graph)
    net = Net(names=[*(node.name for node in nodes), "readout"])
    net.kinds = ["pools" if node.op == "MaxPool" else "fires" for node in nodes] + ["adds"]
    net.levels = [node.attrs.get("levels") for node in nodes] + [None]
    # place (c, y, x) -> number (y, x, c)
    order = []
    for grid, values in zip(grids, [*inputs, output]):
        c, h, w = grid
        assert c * h * w == values.size
        order.append([(p % (h * w)) * c + p // (h * w) for p in range(values.size)])
    quanta = []
    for layer, values in enumerate([*inputs, output]):
        cells = [None] * values.size
        members = values.reshape(-1)
        if net.kinds[layer] == "pools":
            ((pooled, _),) = list(members[0].weights)[:1]
            quanta.append([quanta[pooled][0]] * values.size)
            net.levels[layer] = net.levels[pooled]
        else:
            theta = np.broadcast_to(np.ravel(np.asarray(thetas[layer], float)), values.size)
            parts = worth(net.levels[layer]) if net.kinds[layer] == "fires" else 1
            quanta.append([float(t) / parts for t in theta])
        for place, value in enumerate(members):
            number = order[layer][place]
            cell = Cell(layer, number, net.kinds[layer])
            cells[number] = cell
            if cell.kind == "pools":
                cell.least = place // math.prod(grids[layer][1:]) in nodes[layer].attrs.get(
                    "minima", ()
                )
            q = quanta[layer][number]
            cell.bias = value.const / q if q else -1.0
            for (source, at), weight in value.weights.items():
                if source == INPUT:
                    cell.inputs.append((at, weight / q if q else 0.0))
                    continue
                pre = net.layers[source][order[source][at]]
                if cell.kind == "pools":
                    cell.heard.append(pre)
                    pre.synapses.append(Synapse(pre, cell, 1))
                else:
                    weight = weight * quanta[source][pre.number] / q if q else 0.0
                    pre.synapses.append(Synapse(pre, cell, numbers.take(weight, cell.kind)))
        net.layers.append(cells)
        for cell in cells:
            for at, weight in cell.inputs:
                net.input.setdefault(at, []).append(Synapse(None, cell, weight))
    for synapses in [*net.input.values(), *(c.synapses for cells in net.layers for c in cells)]:
        synapses.sort(key=lambda s: (s.post.layer, s.post.number))
    return net
