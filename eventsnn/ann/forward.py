"""The ANN's own forward pass in numpy: the reference for accuracy, calibration and error analysis.

Arrays are [N, C, H, W] or [N, features] as in ONNX. In memory, maps made here lie channels last:
then the columns of a convolution are copied in long runs. Every image is computed by itself, with
the same operations in the same order, so its result does not depend on the batch or on the threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.lib.stride_tricks import as_strided

from eventsnn.ann.operators import IDENTITIES, resize_indices, spatial_pads, window_of
from eventsnn.exceptions import InputError

BLOCK = 2**21  # bytes of convolution columns at a time: about the size of a second-level cache
WEIGHTS = 2**23  # of a Gemm that are copied at a time where x has another dtype
CHUNK = 2**26  # bytes of the largest activation that `predict` holds at a time, for each thread


def forward(graph, x, *, keep=(), dtype=np.float32, silent=None):
    """Run the ANN on preprocessed images.

    x: [N, C, H, W]; keep: names of nodes (or of the input). silent: name of a node -> bool, of its
    shape: which of its values are set to 0. Returns name -> array of `dtype`, for the graph's
    output and every name in `keep`. What nothing needs any more is freed on the way. It runs on the
    calling thread and may be called from several at once.
    """
    x = _images(graph, x)
    for name in keep:
        if name not in graph.shapes:
            raise InputError(graph.source, "names of nodes to keep", repr(name))
    with ONE_BLAS_THREAD:
        return _forward(graph, x.astype(dtype, copy=False), {graph.output, *keep}, silent or {})


def predict(graph, pixels, *, batch=100, workers=None, progress=None):
    """Outputs [N, classes], float32, for raw pixels [N, C, H, W] (preprocessing is applied here).

    At most `batch` images are computed together, on `workers` threads (None: one for each core);
    neither changes the result. `progress(done, total)` is called with numbers of images.
    """
    pixels = _images(graph, pixels)
    if batch < 1 or (workers is not None and workers < 1):
        raise InputError("prediction", "batch and workers of 1 or more", f"{batch} and {workers}")
    largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
    size = max(1, min(batch, CHUNK // (4 * largest)))
    starts = range(0, len(pixels), size)

    def run(start):
        return forward(graph, graph.preprocessing(pixels[start : start + size]))[graph.output]

    results = [np.zeros((0, *graph.shapes[graph.output]), np.float32)]
    with ThreadPoolExecutor(workers or _cores()) as pool:
        for start, result in zip(starts, pool.map(run, starts)):
            results.append(result)
            if progress:
                progress(min(start + size, len(pixels)), len(pixels))
    return np.concatenate(results)


def _images(graph, x):
    x = np.asarray(x)
    if x.ndim != 4 or x.shape[1:] != tuple(graph.input_shape) or x.dtype.kind not in "biuf":
        raise InputError(
            graph.source,
            f"images of shape [N, {', '.join(map(str, graph.input_shape))}]",
            f"shape {list(x.shape)} of {x.dtype}",
        )
    return x


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forward(graph, x, keep, silent):
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(keep)
    values, results = {graph.input: x}, {}
    for name in (graph.input, *graph.by_name):
        if name != graph.input:
            node = graph.by_name[name]
            values[name] = apply(node, [values[i] for i in node.inputs])
            if name in silent:
                values[name] = np.where(silent[name], 0, values[name])
            for i in node.inputs:
                uses[i] -= 1
                if not uses[i]:
                    del values[i]
        if name in keep:
            results[name] = np.ascontiguousarray(values[name])
    return results


def apply(node, inputs):
    """The output [N, ...] of one node on its input arrays [N, ...]; floats, of the inputs'
    dtype.
    """
    x = inputs[0]
    if node.is_activation:
        return activation_function(node)(x)
    return x if node.op in IDENTITIES else OPERATIONS[node.op](node, *inputs)


def activation_function(node):
    """The function y -> a of an activation node: any floats in, the same shape and dtype out.

    Relu, Clip: min(max(y, 0), max), where `max` is given. ClippedRelu: min(max(y, 0), lambda) (TCL
    eq. 9). QCFS: lambda clip(floor(y L / lambda + 1/2) / L, 0, 1) (SRP eq. 7). QuantRelu:
    scale clip(floor(y / scale + 1/2), 0, n) (SpikeZIP eq. 2, halves rounded up).
    """
    attrs = node.attrs
    if node.op == "QCFS":
        threshold, levels = float(attrs["lambda"]), attrs["levels"]
        return lambda y: (
            threshold * (np.clip(np.floor(y * levels / threshold + 0.5), 0, levels) / levels)
        )
    if node.op == "QuantRelu":
        scale, levels = float(attrs["scale"]), attrs["levels"]
        return lambda y: scale * np.clip(np.floor(y / scale + 0.5), 0, levels)
    highest = attrs.get("lambda" if node.op == "ClippedRelu" else "max")
    return (
        (lambda y: np.maximum(y, 0))
        if highest is None
        else (lambda y: np.clip(y, 0, float(highest)))
    )


def _conv(node, x):
    window, group = window_of(node, x.shape[1:]), node.attrs.get("group", 1)
    weight, x = node.params["W"], x.transpose(0, 2, 3, 1)
    taps = weight.transpose(2, 3, 1, 0).astype(x.dtype)  # [kH, kW, C / group, M]
    channels, maps = taps.shape[2:]
    out = np.empty((len(x), *window.out, maps), x.dtype)
    if channels == 1 and group > 1:
        _depthwise(x, taps[:, :, 0], window, out)
    else:
        part = maps // group
        for g in range(group):
            matrix = np.ascontiguousarray(taps[..., g * part : (g + 1) * part]).reshape(-1, part)
            _columns_times(
                x[..., g * channels : (g + 1) * channels],
                matrix,
                window,
                out[..., g * part : (g + 1) * part],
            )
    if "B" in node.params:
        out += node.params["B"].astype(x.dtype)
    return out.transpose(0, 3, 1, 2)


def _columns_times(x, matrix, window, out):
    """out [N, oH, oW, M] = the windows of x [N, H, W, C] as rows times matrix [kH kW C, M], in
    blocks.
    """
    (height, width), depth = window.out, len(matrix)
    room = max(
        1, BLOCK // (depth * x.itemsize)
    )  # rows of a block: some images, or some rows of one, or part of a row
    columns = min(width, room)
    rows = max(1, min(height, room // columns))
    images = max(1, room // (rows * columns)) if rows * columns == height * width else 1
    for n in range(0, len(x), images):
        windows = _windows(_padded(x[n : n + images], window.pads), window)
        for r in range(0, height, rows):
            for c in range(0, width, columns):
                block = windows[:, r : r + rows, c : c + columns]
                product = (
                    block.reshape(len(block), -1, depth) @ matrix
                )  # numpy multiplies image by image
                out[n : n + images, r : r + rows, c : c + columns] = product.reshape(
                    *block.shape[:3], -1
                )


def _windows(x, window):
    """A view [N, oH, oW, kH, kW, C] of padded x [N, H, W, C]."""
    (sh, sw), (dh, dw), (n, h, w, c) = window.strides, window.dilations, x.strides
    shape = (len(x), *window.out, *window.kernel, x.shape[3])
    return as_strided(x, shape, (n, h * sh, w * sw, h * dh, w * dw, c), writeable=False)


def _depthwise(x, taps, window, out):
    """out [N, oH, oW, C m]: every channel of x [N, H, W, C] with its own m kernels, taps [kH, kW, C
    m].
    """
    out[...] = 0
    multiple = out.shape[3] // x.shape[3]
    for (i, j), tap in _taps(_padded(x, window.pads), window):
        out += (tap if multiple == 1 else np.repeat(tap, multiple, axis=3)) * taps[i, j]


def _taps(x, window):
    """((i, j), the inputs [N, oH, oW, C] under kernel position i, j) for padded x [N, H, W, C]."""
    (sh, sw), (dh, dw), (height, width) = window.strides, window.dilations, window.out
    for i, j in np.ndindex(window.kernel):
        top, left = i * dh, j * dw
        yield (
            (i, j),
            x[:, top : top + (height - 1) * sh + 1 : sh, left : left + (width - 1) * sw + 1 : sw],
        )


def _padded(x, pads, value=0):
    """x [N, H, W, C] with `value` around it; pads are (top, left, bottom, right)."""
    if not any(pads):
        return x
    top, left, bottom, right = pads
    n, height, width, channels = x.shape
    result = np.full((n, top + height + bottom, left + width + right, channels), value, x.dtype)
    result[:, top : top + height, left : left + width] = x
    return result


def _gemm(node, x):
    weight = node.params["B"].T if node.attrs.get("transB", 0) else node.params["B"]
    # some outputs at a time, as there can be 10^8 weights to copy; BLAS takes up to 64 together, so
    # that rounding stays as it was
    part = max(1, WEIGHTS // len(weight) // 64) * 64
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    for first in range(0, weight.shape[1], part):
        matrix = weight[:, first : first + part].astype(x.dtype, copy=False)
        # one vector-matrix product an image: a product over the batch would round as the batch's
        # size has it
        y[:, first : first + part] = (x[:, None] @ matrix)[:, 0]
    return y + node.params["C"].astype(x.dtype) if "C" in node.params else y


def _batch_normalization(node, x):
    scale, shift, mean, variance = (
        node.params[role].astype(np.float64) for role in ("scale", "B", "input_mean", "input_var")
    )
    factor = scale / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    shape = (-1,) + (1,) * (x.ndim - 2)
    y = x * factor.astype(x.dtype).reshape(shape)
    y += (shift - mean * factor).astype(x.dtype).reshape(shape)
    return y


def _average_pool(node, x):
    window = window_of(node, x.shape[1:])
    if node.attrs.get("count_include_pad", 0):
        count = window.kernel[0] * window.kernel[1]
    else:
        inside = np.ones((1, *x.shape[2:], 1), x.dtype)
        count = sum(tap for _, tap in _taps(_padded(inside, window.pads), window))
    total = sum(tap for _, tap in _taps(_padded(x.transpose(0, 2, 3, 1), window.pads), window))
    return (total / count).transpose(0, 3, 1, 2)


def _max_pool(node, x):
    window = window_of(node, x.shape[1:])
    result = None
    for _, tap in _taps(_padded(x.transpose(0, 2, 3, 1), window.pads, -np.inf), window):
        result = tap if result is None else np.maximum(result, tap)
    return result.transpose(0, 3, 1, 2)


def _global_average_pool(node, x):
    return x.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(x.dtype)


def _pad(node, x):
    return _padded(x.transpose(0, 2, 3, 1), spatial_pads(node)).transpose(0, 3, 1, 2)


def _resize(node, x):
    rows, columns = resize_indices(node, x.shape[1:])
    return x[:, :, rows[:, None], columns]


def _softmax(node, x):
    axis = node.attrs.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


OPERATIONS = {
    "Conv": _conv,
    "Gemm": _gemm,
    "BatchNormalization": _batch_normalization,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "GlobalAveragePool": _global_average_pool,
    "Pad": _pad,
    "Resize": _resize,
    "Flatten": lambda node, x: x.reshape(len(x), -1),
    "Add": lambda node, *xs: sum(xs[1:], xs[0]),
    "Concat": lambda node, *xs: np.concatenate(xs, axis=1),
    "Softmax": _softmax,
}


class _OneBlasThread:
    """While any thread is inside, OpenBLAS computes each product on the thread that asked for it.

    The products here are small, and whole batches run on several threads already: OpenBLAS's own
    threads would only wait for one another, on busy cores for most of the time. Rounding also stays
    the same on any number of cores. Where no OpenBLAS stands behind numpy, this does nothing.
    """

    NAMES = (
        "scipy_openblas_{}_num_threads64_",
        "scipy_openblas_{}_num_threads",
        "openblas_{}_num_threads64_",
        "openblas_{}_num_threads",
    )

    def __init__(self):
        self.lock, self.inside, self.before = threading.Lock(), 0, 0
        self.get, self.set = (lambda: 0), (lambda threads: None)
        module = (
            sys.modules.get("numpy._core._multiarray_umath")
            or sys.modules["numpy.core._multiarray_umath"]
        )
        try:
            library = ctypes.CDLL(
                module.__file__
            )  # finds the functions of the libraries behind it, too
        except OSError:
            return
        for name in self.NAMES:
            if hasattr(library, name.format("set")):
                self.get, self.set = library[name.format("get")], library[name.format("set")]

    def __enter__(self):
        with self.lock:
            if not self.inside:
                self.before = self.get()
                self.set(1)
            self.inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.set(self.before)


ONE_BLAS_THREAD = _OneBlasThread()
