"""Quantised networks: QuantizeLinear and DequantizeLinear, and the nodes of QONNX and Brevitas.

Of constants they are computed. Of an output they become a QuantRelu (SpikeZIP eq. 2), where all
numbers that they give are 0 or more: behind a ReLU, or where the numbers have no sign. The papers
round halves to even and a QuantRelu up, which differs for exact halves only (semantics, section 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Output, as_float
from eventsnn.readers.onnx.joining import line
from eventsnn.readers.onnx.reading import Quantised, Reader, each, seen
from eventsnn.readers.views import View

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
MAX_BITS = 20  # of an activation
NOT_FINITE = "numbers that are not finite, which it would make finite"
SIGNED = (
    "a signed quantisation of an activation: its spikes could not be taken for numbers below 0; "
    "quantise behind a ReLU, without a sign and with zero point 0"
)
ZERO = "a zero point of an activation other than 0; quantise it behind a ReLU, with zero point 0"
KEPT = ("MaxPool", "Flatten", "Index", "Identity", "Dropout", "Pad", "Resize", "Concat")


def quantize(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    scale: NDArray[Any],
    zero: NDArray[Any] | None = None,
) -> View | Quantised:
    """QuantizeLinear of an output, which the DequantizeLinear behind it makes a node of.

    r, name, attrs, x, scale, zero: as every operator's.
    """
    point = np.asarray(np.uint8(0) if zero is None else zero)
    kind = point.dtype
    if kind.kind not in "iu" or attrs.get("output_dtype") or attrs.get("block_size"):
        reason = f"to {kind} by output_dtype or in blocks; to uint8, int8, uint16 or int16 alone"
        return seen(r, r.builder.refuse(name, "QuantizeLinear", reason))
    scale = _by_axis(scale, attrs.get("axis", 1), x)
    info = np.iinfo(kind)
    return Quantised(x, scale, point, int(info.min), int(info.max))


def dequantize(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    q: Quantised,
    scale: NDArray[Any],
    zero: NDArray[Any] | None = None,
) -> View:
    """DequantizeLinear of what a QuantizeLinear gives, with the same scale and zero point.

    r, name, attrs, q, scale, zero: as every operator's.
    """
    scale = _by_axis(scale, attrs.get("axis", 1), q.x)
    point = np.zeros((), q.zero.dtype) if zero is None else zero
    if not np.array_equal(scale, q.scale) or not np.all(point == q.zero):
        reason = "with another scale or zero point than the QuantizeLinear in front of it"
        return seen(r, r.builder.refuse(name, "DequantizeLinear", reason))
    return _activation(r, name, "QuantizeLinear", q.x, q.scale, q.zero, q.low, q.high)


def of_constants(op: str, attrs: dict[str, Any], inputs: Sequence[Any]) -> NDArray[Any]:
    """QuantizeLinear or DequantizeLinear of an array; ONNX's evaluator lacks those before opset 19.

    op: which. attrs: the node's. inputs: arrays, the last of which may be missing or None. Raises
    ValueError for blocks and types that are not read.
    """
    x, scale, point = (*inputs, None)[:3]
    if attrs.get("block_size") or attrs.get("output_dtype"):
        raise ValueError("block_size or output_dtype")
    shape = [1] * x.ndim
    if scale.size > 1:
        shape[attrs.get("axis", 1)] = scale.size
    kind = np.dtype(np.uint8) if point is None else point.dtype
    step = scale.reshape(shape) if scale.size > 1 else scale.reshape(())
    zero = np.zeros((), kind) if point is None else point
    zero = (zero.reshape(shape) if zero.size > 1 else zero.reshape(())).astype(np.int64)
    if op == "DequantizeLinear":
        return np.asarray((x.astype(np.int64) - zero) * step, scale.dtype)
    if kind.kind not in "iu" or not np.isfinite(x / step).all():
        raise ValueError(f"numbers that are not finite, or whole ones of type {kind}")
    info = np.iinfo(kind)
    return np.clip(np.round(x / step) + zero, info.min, info.max).astype(kind)


def _by_axis(scale: NDArray[Any], axis: int, x: View) -> NDArray[Any]:
    """A scale, or one for each place along an axis, so that it broadcasts with x."""
    scale = as_float(scale)
    if scale.size == 1:
        return scale.reshape(())
    shape = [1] * x.ndim
    shape[axis] = scale.size
    return scale.reshape(shape)


def _activation(
    r: Reader,
    name: str,
    op: str,
    x: View,
    scale: NDArray[Any],
    zero: Any,
    low: int,
    high: int,
) -> View:
    """scale * clip(round(x / scale), low, high) of an output."""
    b = r.builder
    if np.any(zero):
        return seen(r, b.refuse(name, op, ZERO))
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        return seen(r, b.refuse(name, op, "a scale that is not above 0"))
    positive = _positive(r, x)
    if low < 0 and not positive:
        return seen(r, b.refuse(name, op, SIGNED))
    if np.size(scale) > 1:  # the activation counts in scales, and they stand in the lines around it
        ahead = line(r, f"{name}.in", "div", x, 1 / scale.astype(np.float64), np.float64(0))
        if b.shapes[ahead.base] is None:
            return ahead
        counted = each(r, f"{name}.levels", ahead, _quant_relu(r, f"{name}.levels", 1.0, high))
        if b.shapes[counted.base] is None:
            return counted
        return line(r, name, "mul", counted, scale.astype(np.float64), np.float64(0))
    size = float(np.asarray(scale).item())
    if _is_quantised(r, x.base, size, high):
        return x
    inner, most = _behind(r, x)
    if most is not None:
        high = min(high, int(np.round(most / size)))
    if high < 1:
        return seen(r, b.refuse(name, op, f"a scale of {size:g}, with which all is 0"))
    return each(r, name, inner, _quant_relu(r, name, size, high))


def _quant_relu(r: Reader, name: str, scale: float, levels: int) -> Callable[[Output], Output]:
    attrs = {"scale": scale, "levels": levels}
    return lambda out: r.builder.add(name, "QuantRelu", [out], attrs)


def _positive(r: Reader, x: View) -> bool:
    """Whether an output is 0 or more whatever the image is, as far as its operators tell."""
    waiting = [str(x.base)]
    seen_names = set()
    while waiting:
        node = r.node(waiting.pop())
        if node is None:
            return False
        if node.is_activation or node.name in seen_names:
            continue
        seen_names.add(node.name)
        if node.op not in (*KEPT, "Add", "AveragePool", "GlobalAveragePool"):
            return False
        waiting += set(node.inputs) - seen_names
    return True


def _is_quantised(r: Reader, name: str, scale: float, levels: int) -> bool:
    """Whether an output has these very levels already: by QuantRelus, and what keeps values."""
    waiting = [name]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        node = r.node(name)
        if node is None or node.op not in ("QuantRelu", *KEPT):
            return False
        if node.op != "QuantRelu":
            waiting += set(node.inputs) - found
        elif node.attrs["scale"] != scale or node.attrs["levels"] > levels:
            return False
        found.add(name)
    return True


def _behind(r: Reader, x: View) -> tuple[View, float | None]:
    """What a ReLU takes whose output is a view's, and its largest value, where it has one."""
    node = r.node(x.base)
    if node is None or node.op not in ("Relu", "Clip"):
        return x, None
    return x.on(Output(node.inputs[0])), node.attrs.get("max")


def quant(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View | NDArray[Any],
    scale: NDArray[Any],
    zero: NDArray[Any],
    bits: NDArray[Any],
) -> View | NDArray[Any]:
    """QONNX's Quant, of a constant or an output.

    r, name, attrs, x, scale, zero, bits: as every operator's.
    """
    width = float(np.asarray(bits).item())
    whole = width == int(width) and 1 <= width <= 32
    mode = str(attrs.get("rounding_mode", "ROUND")).upper()
    if not whole or mode not in ROUNDINGS:
        return _refused(r, name, "Quant", f"{width:g} bits, rounding mode {mode}")
    low, high = _range(int(width), bool(attrs.get("signed", 1)), bool(attrs.get("narrow", 0)))
    if not isinstance(x, View):
        if not np.isfinite(x).all():
            return _refused(r, name, "Quant", NOT_FINITE)
        level = ROUNDINGS[mode](x / scale + zero)
        return as_float((np.clip(level, low, high) - zero) * scale)
    if mode not in ("ROUND", "HALF_EVEN", "HALF_UP"):
        return _refused(r, name, "Quant", f"rounding mode {mode} of an activation; ROUND alone")
    if width > MAX_BITS:
        return _refused(r, name, "Quant", f"{width:g} bits of an activation; at most {MAX_BITS}")
    scale = as_float(scale)
    scale = scale.reshape(()) if scale.size == 1 else scale
    return _activation(r, name, "Quant", x, scale, zero, low, high)


def _range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """The least and the largest whole number of so many bits."""
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


ROUNDINGS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
    "ROUND_TO_ZERO": np.fix,
}


def bipolar(
    r: Reader, name: str, attrs: dict[str, Any], x: View | NDArray[Any], scale: NDArray[Any]
) -> View | NDArray[Any]:
    """QONNX's BipolarQuant, -scale or scale: of a constant alone.

    r, name, attrs, x, scale: as every operator's.
    """
    if isinstance(x, View):
        return _refused(r, name, "BipolarQuant", SIGNED)
    if not np.isfinite(x).all():
        return _refused(r, name, "BipolarQuant", NOT_FINITE)
    return as_float(np.where(np.asarray(x) >= 0, 1, -1) * scale)


def trunc(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
    """QONNX's Trunc, which no spiking layer computes.

    r, name, attrs, inputs: as every operator's.
    """
    return _refused(r, name, "Trunc", "bits cut off; leave the truncation of the pool out")


def _refused(r: Reader, name: str, op: str, reason: str) -> View:
    return seen(r, r.builder.refuse(name, op, reason))


# operator of one of DOMAINS -> the function that reads it
CUSTOM: dict[str, Callable[..., Any]] = {
    "Quant": quant,
    "BipolarQuant": bipolar,
    "Trunc": trunc,
}
