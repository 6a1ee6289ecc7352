"""What ONNX's operators become in a graph: products, normalisation, pads, and the table of all.

Each function takes the reader, a name for the node, the attributes, and the inputs: a `View` of an
output of the graph, a constant array, or None for one left out. The ONNX operator reference says
what they mean. It returns the view of the output of the node that it makes or refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import as_float
from eventsnn.readers.onnx.activations import ACTIVATIONS
from eventsnn.readers.onnx.moving import padded
from eventsnn.readers.onnx.reading import Reader, as_before, as_map, each, seen, turned
from eventsnn.readers.onnx.windows import WINDOWS, conv
from eventsnn.readers.views import View, axes_of, is_whole, place

EVALUATION = "training_mode; export the model in evaluation mode"


def _gemm(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    """alpha x B + beta C: the factors are multiplied into the parameters."""
    alpha, beta = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
    if attrs.get("transA"):
        return seen(
            r, r.builder.refuse(name, "Gemm", "expected transA 0: the batch would be summed over")
        )
    matrix = weight.T if attrs.get("transB") else weight
    if alpha != 1:
        matrix = np.multiply(as_float(matrix), np.float32(alpha))
    if bias is not None and beta != 1:
        bias = np.asarray(np.multiply(as_float(bias), np.float32(beta)))
    return _product(r, name, x, matrix, bias)


def _mat_mul(r: Reader, name: str, attrs: dict[str, Any], x: View, weight: NDArray[Any]) -> View:
    """A product with a matrix; along the last axis of a map it is a convolution of one place."""
    if weight.ndim == 2 and x.ndim in (3, 4):
        last = x.ndim - 1
        ahead = turned(x, (0, last, *range(1, last)))
        kernel = weight.T.reshape(*weight.shape[::-1], *(1,) * (last - 1))
        made = conv(r, name, {}, ahead, kernel)
        if r.builder.shapes[made.base] is None:
            return made
        return turned(made, (0, *range(2, last + 1), 1))
    return _product(r, name, x, weight, None)


def _product(
    r: Reader, name: str, x: View, matrix: NDArray[Any], bias: NDArray[Any] | None
) -> View:
    """x matrix + bias; the rows of the matrix move where x's values stand in its output."""
    b = r.builder
    if matrix.ndim != 2 or x.ndim != 2 or x.dims[0] != 1:
        reason = f"of {list(x.dims)} and {list(matrix.shape)}; only a vector times a matrix"
        return seen(r, b.refuse(name, "MatMul", f"{reason} has a spiking form"))
    transposed = 0
    if x.order is not None and is_whole(b, x) and x.size == len(matrix):
        rows = np.empty_like(matrix)
        rows[x.order[0]] = matrix
        matrix, x = rows, View(x.base, None, x.dims)
    elif matrix.T.flags.c_contiguous and not matrix.flags.c_contiguous:
        matrix, transposed = matrix.T, 1
    source = place(b, f"{name}.in", x)
    if b.shapes[source] is None:
        return seen(r, source)
    params = {"B": as_float(matrix)}
    if bias is not None:
        fan_out = matrix.shape[0 if transposed else 1]
        params["C"] = np.broadcast_to(as_float(bias), (1, fan_out)).reshape(-1).copy()
    return seen(r, b.add(name, "Gemm", [source], {"transB": transposed}, params))


def _batch_normalization(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    scale: NDArray[Any],
    shift: NDArray[Any],
    mean: NDArray[Any],
    variance: NDArray[Any],
) -> View:
    op = "BatchNormalization"
    if attrs.get("training_mode") or (r.opset < 7 and not attrs.get("is_test")):
        return seen(r, r.builder.refuse(name, op, EVALUATION))
    if not attrs.get("spatial", 1):
        return seen(r, r.builder.refuse(name, op, "spatial 0: a mean for each place"))
    source = place(r.builder, f"{name}.in", x) if x.ndim == 2 else as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    params = {
        "scale": as_float(scale),
        "B": as_float(shift),
        "input_mean": as_float(mean),
        "input_var": as_float(variance),
    }
    attrs = {"epsilon": attrs.get("epsilon", 1e-5)}
    return as_before(r, x, r.builder.add(name, op, [source], attrs, params))


def _cast(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    to = attrs["to"]  # a name in opset 5 and before
    kind = to if isinstance(to, str) else r.onnx.TensorProto.DataType.Name(to)
    if kind not in ("FLOAT", "FLOAT16", "DOUBLE"):
        return seen(r, r.builder.refuse(name, "Cast", f"to {kind}"))
    return x


def _dropout(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    ratio: NDArray[Any] | None = None,
    training: NDArray[Any] | None = None,
) -> View:
    trains = r.opset < 7 and not attrs.get("is_test")
    if trains or (training is not None and np.any(training)):
        return seen(r, r.builder.refuse(name, "Dropout", EVALUATION))
    return each(r, name, x, lambda out: r.builder.add(name, "Dropout", [out]))


def _same(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    return x


def _pad(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    pads: NDArray[Any] | None = None,
    value: NDArray[Any] | None = None,
    axes: NDArray[Any] | None = None,
) -> View:
    """Zeros around: a Pad where they are around height and width, else a move of the values.

    What reflects, repeats or goes round is a move, too.
    """
    b = r.builder
    ndim = x.ndim
    said: Any = attrs.get("pads", attrs.get("paddings")) if pads is None else pads.tolist()
    sizes = [int(n) for n in said]
    filling = attrs.get("value", 0.0) if value is None else float(value.reshape(()))
    mode = attrs.get("mode", "constant")
    if mode not in (*OWN_VALUES, "constant") or mode == "constant" and filling:
        reason = f"expected zero padding, found mode {mode!r} and value {filling}"
        return seen(r, b.refuse(name, "Pad", reason))
    over = range(ndim) if axes is None else [int(axis) % ndim for axis in axes.tolist()]
    half = len(sizes) // 2
    before, after = [0] * ndim, [0] * ndim
    for axis, first, last in zip(over, sizes[:half], sizes[half:], strict=True):
        before[axis], after[axis] = first, last
    if before[0] or after[0]:
        return seen(r, b.refuse(name, "Pad", "of the batch"))
    if mode in OWN_VALUES:
        return View(x.base, padded(x.index, before, after, mode))
    order = axes_of(b, x)
    if order is not None and ndim == 4 and min(sizes) >= 0:
        into = [order.index(axis) for axis in range(4)]
        front, end = [before[axis] for axis in into], [after[axis] for axis in into]
        if not front[1] and not end[1]:
            out = b.add(name, "Pad", [x.base], {"pads": [*front, *end]})
            after_it = seen(r, out)
            return after_it if b.shapes[out] is None else turned(after_it, order)
    return View(x.base, padded(x.index, before, after))


OWN_VALUES = ("reflect", "edge", "wrap")  # modes of Pad: what stands there is of the map itself
# operator -> the function that makes its node
OPERATORS: dict[str, Callable[..., View]] = {
    **WINDOWS,
    **ACTIVATIONS,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Dropout": _dropout,
    "Identity": _same,
    "Pad": _pad,
}
