"""ONNX's activations, of a ReLU's kind and leaky ones, and what may stand at the output.

As in `operators`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.bends import why_not
from eventsnn.readers.building import Output
from eventsnn.readers.onnx.reading import Reader, by_base, by_channel, each, expect_room, put, seen
from eventsnn.readers.views import View, is_whole, place, view

INSIDE = "only at the output can it be left out"
ENDING = {
    "Sigmoid": "the sigmoid at the output is left out: the largest output stays the largest, and "
    "one output alone decides between classes 0 and 1",
    "LogSoftmax": "the logarithm of the softmax at the output is left out: the largest output "
    "stays the largest",
}


def _clip(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    low: NDArray[Any] | None = None,
    high: NDArray[Any] | None = None,
) -> View:
    if r.opset < 11:
        low = attrs.get("min")
        high = attrs.get("max")
    least = None if low is None else float(np.asarray(low).item())
    if least is not None and least <= 0 or least is None:
        inner = _behind_relu(r, x)
        if inner is not None and (high is None or float(np.asarray(high).item()) > 0):
            x, low = inner, np.zeros(())
    return each(r, name, x, lambda out: r.builder.clip(name, out, low, high))


def _behind_relu(r: Reader, x: View) -> View | None:
    """What a ReLU takes whose output is a view's; None for any other output."""
    node = r.builder.nodes[-1] if r.builder.nodes else None
    if node is None or node.name != x.base or node.op != "Relu":
        return None
    return x.on(Output(node.inputs[0]))


def _relu(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    return each(r, name, x, lambda out: r.builder.add(name, "Relu", [out]))


def _leaky(op: str) -> Callable[..., View]:
    """LeakyRelu, PRelu and Abs: ReLU(x) - slope ReLU(-x) (`bends.leaky`)."""

    def make(
        r: Reader, name: str, attrs: dict[str, Any], x: View, slope: NDArray[Any] | None = None
    ) -> View:
        given: Any = {"LeakyRelu": attrs.get("alpha", 0.01), "Abs": -1.0, "PRelu": slope}[op]
        slopes = np.asarray(given)
        if r.opset < 7 and slopes.ndim == 1:  # of channels
            slopes = slopes.reshape(-1, *(1,) * (x.ndim - 2))
        if slopes.size == 1:
            return each(r, name, x, lambda out: r.builder.leaky(name, out, float(slopes.item())))
        if not is_whole(r.builder, x):
            placed = put(r, f"{name}.in", x)
            if r.builder.shapes[placed] is None:
                return seen(r, placed)
            x = view(r.builder, placed).reshape(*x.dims)
        own = r.builder.shape(x.base)
        channels = by_channel(own, x, slopes)
        if channels is not None:
            spread = channels.reshape(-1, *(1,) * (len(own) - 1))
            return each(r, name, x, lambda out: r.builder.leaky(name, out, spread))
        expect_room(x.dims)
        by_value = by_base(r.builder.shape(x.base), x, slopes).reshape(-1)
        return each(r, name, x, lambda out: _with_slopes(r, name, out, by_value))

    return make


def _with_slopes(r: Reader, name: str, x: Output, slopes: NDArray[Any]) -> Output:
    """The leaky activation of an output with a slope for each channel or, if it must, value."""
    b = r.builder
    shape = b.shape(x)
    by_channel = slopes.reshape(shape[0], -1)
    if (by_channel == by_channel[:, :1]).all():
        return b.leaky(name, x, by_channel[:, :1].reshape(-1, *(1,) * (len(shape) - 1)))
    flat = b.add(f"{name}.flat", "Flatten", [x])
    bent = b.leaky(f"{name}.bent", flat, slopes)
    if b.shapes[bent] is None:
        return bent
    return place(b, name, view(b, x).on(bent))


def _hard_sigmoid(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    """min(max(alpha x + beta, 0), 1)."""

    def make(out: Output) -> Output:
        b = r.builder
        scaled = b.arithmetic(f"{name}.scaled", "mul", out, attrs.get("alpha", 0.2))
        moved = b.arithmetic(f"{name}.moved", "add", scaled, attrs.get("beta", 0.5))
        return b.clip(name, moved, 0, 1)

    return each(r, name, x, make)


def _limit(op: str) -> Callable[..., View]:
    """Max and Min of an output and a number."""

    def make(r: Reader, name: str, attrs: dict[str, Any], *inputs: Any) -> View:
        views = [x for x in inputs if isinstance(x, View)]
        numbers = [x for x in inputs if not isinstance(x, View)]
        if len(views) != 1 or len(numbers) != 1 or np.size(numbers[0]) != 1:
            return seen(r, r.builder.refuse(name, op, "of anything but an output and one number"))
        limits = (numbers[0], None) if op == "Max" else (None, numbers[0])
        low, high = (None if n is None else np.asarray(n).reshape(()) for n in limits)
        if r.opset < 11:
            return _clip(r, name, {"min": low, "max": high}, views[0])
        return _clip(r, name, {}, views[0], low, high)

    return make


def _softmax(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
    if r.opset < 13 and x.ndim > 2:
        reason = "of a map, which opset 12 and before flatten"
        return seen(r, r.builder.refuse(name, "Softmax", reason))
    axis = attrs.get("axis", -1 if r.opset >= 13 else 1)
    source = place(r.builder, f"{name}.in", x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    return seen(r, r.builder.add(name, "Softmax", [source], {"axis": axis}))


def _ending(op: str) -> Callable[..., View]:
    """A function of the output that leaves the largest the largest."""

    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        if not r.ends:
            return seen(r, r.builder.refuse(name, op, f"inside the network; {why_not(op, INSIDE)}"))
        r.note(ENDING[op])
        return x

    return make


# operator -> the function that makes its node
ACTIVATIONS: dict[str, Callable[..., View]] = {
    "Clip": _clip,
    "Relu": _relu,
    "LeakyRelu": _leaky("LeakyRelu"),
    "PRelu": _leaky("PRelu"),
    "Abs": _leaky("Abs"),
    "HardSigmoid": _hard_sigmoid,
    "Max": _limit("Max"),
    "Min": _limit("Min"),
    "Softmax": _softmax,
    "LogSoftmax": _ending("LogSoftmax"),
    "Sigmoid": _ending("Sigmoid"),
}
