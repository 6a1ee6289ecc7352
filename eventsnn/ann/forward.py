"""The ANN's own forward pass in numpy: the reference for accuracy, calibration and error analysis.

Arrays are [N, C, H, W] or [N, features] as in ONNX. In memory, maps made here lie channels last:
then the columns of a convolution are copied in long runs. Every image is computed by itself, with
the same operations in the same order, so its result does not depend on the batch or on the threads.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike, NDArray

from eventsnn.ann.blas import ONE_BLAS_THREAD
from eventsnn.ann.graph import Graph
from eventsnn.ann.indexing import index_of
from eventsnn.ann.node import IDENTITIES, Node
from eventsnn.ann.windows import Window, pool_signs, resize_indices, spatial_pads, window_of
from eventsnn.arguments import Count, checked
from eventsnn.exceptions import InputError

# bytes of convolution columns at a time: about the size of a second-level cache
BLOCK = 2**21
# weights of a Gemm that are copied at a time where x has another dtype
WEIGHTS = 2**23
# bytes of the largest activation that `predict` holds at a time, for each thread
CHUNK = 2**26


def forward(
    graph: Graph,
    x: NDArray[Any],
    *,
    keep: Collection[str] = (),
    dtype: DTypeLike = np.float32,
    silent: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run the ANN on preprocessed images.

    graph: the ANN. x: numbers [N, C, H, W]. keep: names of nodes (or of the input) whose values are
    returned. dtype: a type of floats, for all arithmetic. silent: name of a node -> which of its
    values are set to 0, bool, in the node's shape without the batch axis.

    Returns name -> array of `dtype`, for the graph's output and every name in `keep`. Raises
    InputError where `x` does not fit the graph, and where it has no node of a name in `keep`. All
    other values are freed as soon as no node needs them. The pass runs on the calling thread;
    several threads may call it at once.
    """
    x = _images(graph, x)
    for name in keep:
        if name not in graph.shapes:
            raise InputError(graph.source, "names of nodes to keep", repr(name))
    with ONE_BLAS_THREAD:
        return _forward(graph, x.astype(dtype, copy=False), {graph.output, *keep}, silent or {})


def logits_node(graph: Graph) -> str:
    """The name of the node that the readout stands for: the output, or what a final Softmax is of.

    A readout is a sum of charge, and so it is to be compared with that, never with probabilities.
    graph: the ANN.
    """
    end = graph.by_name[graph.output]
    return end.inputs[0] if end.op == "Softmax" else end.name


def classes_of(outputs: NDArray[Any]) -> NDArray[np.int64]:
    """The class that an output decides for: the largest value, the first of equals.

    One value alone decides between two classes: 1 where it is above 0, as its sigmoid is then above
    1/2, else 0. outputs: logits or charge of the readout, [..., classes]. Returns int64 [...].
    """
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > 0).astype(np.int64)
    return outputs.argmax(axis=-1).astype(np.int64, copy=False)


def is_map(graph: Graph) -> bool:
    """Whether a graph's output is a map of more than one place, which has no classes.

    graph: the ANN.
    """
    return int(np.prod(graph.shapes[graph.output][1:])) > 1


def by_neuron(outputs: NDArray[Any]) -> NDArray[Any]:
    """Outputs in the order of the readout's neurons, channels last, [N, neurons].

    outputs: [N, C, H, W], or flat [N, neurons], which stay as they are.
    """
    if outputs.ndim == 4:
        outputs = outputs.transpose(0, 2, 3, 1)
    return outputs.reshape(len(outputs), -1)


def logits(
    graph: Graph,
    pixels: NDArray[Any],
    *,
    batch: int = 100,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float32]:
    """The ANN's outputs for raw pixels, in front of a final Softmax where there is one.

    graph, pixels, batch, workers, progress: as for `predict`. Returns float32 [N, classes], which
    the readout of the spiking network approaches. Raises InputError as `predict` does.
    """
    name = logits_node(graph)
    return _predict(graph, pixels, (name,), batch, workers, progress)[0]


def outputs_and_logits(
    graph: Graph,
    pixels: NDArray[Any],
    *,
    batch: int = 100,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(`predict`, `logits`) from one pass.

    graph, pixels, batch, workers, progress: as for `predict`. Both are float32 [N, classes]; they
    are the same where the graph ends in no Softmax. Raises InputError as `predict` does.
    """
    names = (graph.output, logits_node(graph))
    output, before = _predict(graph, pixels, names, batch, workers, progress)
    return output, before


@checked
def predict(
    graph: Graph,
    pixels: NDArray[Any],
    *,
    batch: Count = 100,
    workers: Count | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float32]:
    """The ANN's outputs for raw pixels; preprocessing is applied here.

    graph: the ANN. pixels: numbers [N, C, H, W]. batch: images that are computed together, at most.
    workers: threads (None: one for each core). Neither of the two changes the result. progress: is
    called with the images done and all images, after each batch.

    Returns float32 [N, classes]. Raises InputError where the pixels do not fit the graph, and where
    `batch` or `workers` is below 1.
    """
    return _predict(graph, pixels, (graph.output,), batch, workers, progress)[0]


def _predict(
    graph: Graph,
    pixels: NDArray[Any],
    names: tuple[str, ...],
    batch: int,
    workers: int | None,
    progress: Callable[[int, int], object] | None,
) -> list[NDArray[np.float32]]:
    """What nodes of these names give for raw pixels; the rest as for `predict`."""
    pixels = _images(graph, pixels)
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("prediction", "batch and workers of 1 or more", f"{batch} and {workers}")
    largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
    size = max(1, min(batch, CHUNK // (4 * largest)))
    starts = range(0, len(pixels), size)

    def run(start: int) -> list[NDArray[np.float32]]:
        found = forward(graph, graph.preprocessing(pixels[start : start + size]), keep=names)
        return [found[name] for name in names]

    results = [[np.zeros((0, *graph.shapes[name]), np.float32) for name in names]]
    with ThreadPoolExecutor(workers or _cores()) as pool:
        for start, result in zip(starts, pool.map(run, starts)):
            results.append(result)
            if progress:
                progress(min(start + size, len(pixels)), len(pixels))
    return [np.concatenate(parts) for parts in zip(*results)]


def _images(graph: Graph, x: NDArray[Any]) -> NDArray[Any]:
    """`x` as an array, once it is known to fit the graph."""
    x = np.asarray(x)
    if x.ndim != 4 or x.shape[1:] != tuple(graph.input_shape) or x.dtype.kind not in "biuf":
        expected = f"images of shape [N, {', '.join(map(str, graph.input_shape))}]"
        raise InputError(graph.source, expected, f"shape {list(x.shape)} of {x.dtype}")
    return x


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forward(
    graph: Graph, x: NDArray[Any], keep: set[str], silent: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[Any]]:
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(keep)
    values = {graph.input: x}
    results = {}
    if graph.input in keep:
        results[graph.input] = np.ascontiguousarray(x)
    for node in graph.nodes:
        values[node.name] = apply(node, [values[i] for i in node.inputs])
        if node.name in silent:
            values[node.name] = np.where(silent[node.name], 0, values[node.name])
        for i in node.inputs:
            uses[i] -= 1
            if not uses[i]:
                del values[i]
        if node.name in keep:
            results[node.name] = np.ascontiguousarray(values[node.name])
    return results


def apply(node: Node, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The output of one node, [N, ...], of the inputs' dtype.

    node: an operator with its parameters. inputs: floats [N, ...], one array for each of its
    inputs.
    """
    if node.is_activation:
        return activation_function(node)(inputs[0])
    if node.op in IDENTITIES:
        return inputs[0]
    return OPERATIONS[node.op](node, *inputs)


def activation_function(node: Node) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The function y -> a of an activation node: any floats in, the same shape and dtype out.

    node: of one of six operators:
    - Relu, Clip: min(max(y, 0), max), where `max` is given;
    - ClippedRelu: min(max(y, 0), lambda) (TCL eq. 9);
    - QCFS: lambda clip(floor(y L / lambda + 1/2) / L, 0, 1) (SRP eq. 7);
    - QuantRelu: scale clip(floor(y / scale + 1/2), 0, n) (SpikeZIP eq. 2, halves rounded up);
    - SlipRelu: slope times ClippedRelu's and 1 - slope times QCFS's with step_levels (Jiang et al.
      2023).
    """
    if node.op == "SlipRelu":
        attrs = node.attrs
        return _slip_relu(float(attrs["lambda"]), attrs["step_levels"], float(attrs["slope"]))
    if node.op == "QCFS":
        return _qcfs(float(node.attrs["lambda"]), node.attrs["levels"])
    if node.op == "QuantRelu":
        return _quant_relu(float(node.attrs["scale"]), node.attrs["levels"])
    highest = node.attrs.get("lambda" if node.op == "ClippedRelu" else "max")
    if highest is None:
        return lambda y: np.maximum(y, 0)
    return lambda y: np.clip(y, 0, float(highest))


def _qcfs(threshold: float, levels: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def function(y: NDArray[Any]) -> NDArray[Any]:
        level = np.clip(np.floor(y * levels / threshold + 0.5), 0, levels)
        return threshold * (level / levels)

    return function


def _slip_relu(
    threshold: float, levels: int, slope: float
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    steps = _qcfs(threshold, levels)
    return lambda y: slope * np.clip(y, 0, threshold) + (1 - slope) * steps(y)


def _quant_relu(scale: float, levels: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def function(y: NDArray[Any]) -> NDArray[Any]:
        return scale * np.clip(np.floor(y / scale + 0.5), 0, levels)

    return function


def _conv(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    window = window_of(node, x.shape[1:])
    group = node.attrs.get("group", 1)
    x = x.transpose(0, 2, 3, 1)
    # [kH, kW, C / group, M]
    taps = node.params["W"].transpose(2, 3, 1, 0).astype(x.dtype)
    channels, maps = taps.shape[2:]
    out = np.empty((len(x), *window.out, maps), x.dtype)
    if channels == 1 and group > 1:
        _depthwise(x, taps[:, :, 0], window, out)
    else:
        part = maps // group
        for g in range(group):
            sources = slice(g * channels, (g + 1) * channels)
            targets = slice(g * part, (g + 1) * part)
            matrix = np.ascontiguousarray(taps[..., targets]).reshape(-1, part)
            _columns_times(x[..., sources], matrix, window, out[..., targets])
    if "B" in node.params:
        out += node.params["B"].astype(x.dtype)
    return out.transpose(0, 3, 1, 2)


def _columns_times(
    x: NDArray[Any], matrix: NDArray[Any], window: Window, out: NDArray[Any]
) -> None:
    """The windows of x [N, H, W, C] as rows times matrix [kH kW C, M] go to out [N, oH, oW, M].

    They do so in blocks: some images, or some rows of an image, or a part of a row.
    """
    depth = len(matrix)
    height, width = window.out
    room = max(1, BLOCK // (depth * x.itemsize))
    columns = min(width, room)
    rows = max(1, min(height, room // columns))
    whole = rows * columns == height * width
    images = max(1, room // (rows * columns)) if whole else 1
    for n in range(0, len(x), images):
        windows = _windows(_padded(x[n : n + images], window.pads), window)
        target = out[n : n + images]
        for r in range(0, height, rows):
            for c in range(0, width, columns):
                block = windows[:, r : r + rows, c : c + columns]
                # numpy multiplies image by image
                product = block.reshape(len(block), -1, depth) @ matrix
                target[:, r : r + rows, c : c + columns] = product.reshape(*block.shape[:3], -1)


def _windows(x: NDArray[Any], window: Window) -> NDArray[Any]:
    """A view [N, oH, oW, kH, kW, C] of padded x [N, H, W, C]."""
    n, h, w, c = x.strides
    sh, sw = window.strides
    dh, dw = window.dilations
    shape = (len(x), *window.out, *window.kernel, x.shape[3])
    return as_strided(x, shape, (n, h * sh, w * sw, h * dh, w * dw, c), writeable=False)


def _depthwise(x: NDArray[Any], taps: NDArray[Any], window: Window, out: NDArray[Any]) -> None:
    """Every channel of x [N, H, W, C] with its own m kernels, to out [N, oH, oW, C m].

    taps: [kH, kW, C m].
    """
    out[...] = 0
    multiple = out.shape[3] // x.shape[3]
    for (i, j), tap in _taps(_padded(x, window.pads), window):
        out += (tap if multiple == 1 else np.repeat(tap, multiple, axis=3)) * taps[i, j]


def _taps(x: NDArray[Any], window: Window) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
    """((i, j), the inputs [N, oH, oW, C] under kernel position i, j) for padded x [N, H, W, C]."""
    sh, sw = window.strides
    dh, dw = window.dilations
    height, width = window.out
    for i, j in np.ndindex(window.kernel):
        top = i * dh
        left = j * dw
        rows = slice(top, top + (height - 1) * sh + 1, sh)
        columns = slice(left, left + (width - 1) * sw + 1, sw)
        yield (i, j), x[:, rows, columns]


def _padded(x: NDArray[Any], pads: tuple[int, int, int, int], value: float = 0) -> NDArray[Any]:
    """x [N, H, W, C] with `value` around it; pads are (top, left, bottom, right)."""
    if not any(pads):
        return x
    top, left, bottom, right = pads
    n, height, width, channels = x.shape
    result = np.full((n, top + height + bottom, left + width + right, channels), value, x.dtype)
    result[:, top : top + height, left : left + width] = x
    return result


def _gemm(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    """The product, some outputs at a time, as there can be 10^8 weights to copy.

    Parts begin at multiples of 64 outputs, which is as many as BLAS takes together, so that the
    rounding is that of one product with all outputs.
    """
    weight = node.params["B"].T if node.attrs.get("transB", 0) else node.params["B"]
    part = max(1, WEIGHTS // len(weight) // 64) * 64
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    for first in range(0, weight.shape[1], part):
        matrix = weight[:, first : first + part].astype(x.dtype, copy=False)
        # one vector-matrix product an image: the rounding of a product over the whole batch would
        # depend on the batch's size
        y[:, first : first + part] = (x[:, None] @ matrix)[:, 0]
    return y + node.params["C"].astype(x.dtype) if "C" in node.params else y


def _batch_normalization(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    roles = ("scale", "B", "input_mean", "input_var")
    scale, shift, mean, variance = (node.params[role].astype(np.float64) for role in roles)
    factor = scale / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    shape = (-1,) + (1,) * (x.ndim - 2)
    y = x * factor.astype(x.dtype).reshape(shape)
    y += (shift - mean * factor).astype(x.dtype).reshape(shape)
    return y


def _average_pool(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    window = window_of(node, x.shape[1:])
    count: int | NDArray[Any]
    if node.attrs.get("count_include_pad", 0):
        count = window.kernel[0] * window.kernel[1]
    else:
        inside = np.ones((1, *x.shape[2:], 1), x.dtype)
        count = _sum_of_taps(inside, window)
    total = _sum_of_taps(x.transpose(0, 2, 3, 1), window)
    return (total / count).transpose(0, 3, 1, 2)


def _sum_of_taps(x: NDArray[Any], window: Window) -> NDArray[Any]:
    """Sums over the windows of x [N, H, W, C], tap by tap in order, [N, oH, oW, C]."""
    taps = _taps(_padded(x, window.pads), window)
    return sum((tap for _, tap in taps), start=np.zeros((), x.dtype))


def _max_pool(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    window = window_of(node, x.shape[1:])
    signs = pool_signs(node, x.shape[1]).astype(x.dtype)
    falls = (signs < 0).any()
    x = x.transpose(0, 2, 3, 1)
    taps = _taps(_padded(x * signs if falls else x, window.pads, -np.inf), window)
    _, result = next(taps)
    for _, tap in taps:
        result = np.maximum(result, tap)
    return (result * signs if falls else result).transpose(0, 3, 1, 2)


def _global_average_pool(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    return x.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(x.dtype)


def _pad(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    return _padded(x.transpose(0, 2, 3, 1), spatial_pads(node)).transpose(0, 3, 1, 2)


def _resize(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    rows, columns = resize_indices(node, x.shape[1:])
    return x[:, :, rows[:, None], columns]


def _index(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    index = index_of(node)
    values = x.reshape(len(x), -1)[:, index]
    return values if (index >= 0).all() else np.where(index >= 0, values, 0)


def _flatten(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    return x.reshape(len(x), -1)


def _add(node: Node, *inputs: NDArray[Any]) -> NDArray[Any]:
    return sum(inputs[1:], start=inputs[0])


def _concat(node: Node, *inputs: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(inputs, axis=1)


def _softmax(node: Node, x: NDArray[Any]) -> NDArray[Any]:
    axis = node.attrs.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# operator -> function of the node and its inputs, for all that are neither activation nor identity
OPERATIONS: dict[str, Callable[..., NDArray[Any]]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "BatchNormalization": _batch_normalization,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "GlobalAveragePool": _global_average_pool,
    "Pad": _pad,
    "Resize": _resize,
    "Index": _index,
    "Flatten": _flatten,
    "Add": _add,
    "Concat": _concat,
    "Softmax": _softmax,
}
