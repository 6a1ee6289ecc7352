"""The nodes of a NIR graph as nodes of a graph: linear operators, pools and IF neurons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.nir.fields import Fields

TIME = "its time is continuous, and no step length stands in the file"
# kinds that are known and have no form here, and why
REFUSED = {
    "LIF": f"a leak: {TIME}",
    "CubaLIF": f"a leak: {TIME}",
    "LI": f"a leak without spikes: {TIME}",
    "CubaLI": f"a leak without spikes: {TIME}",
    "I": "a potential without spikes; only the readout has one, as what arrives at an Output",
    "Threshold": "a neuron without a potential",
    "Delay": "a delay by neuron; give ⟦delays⟧ to a network without it",
}


class Neurons(NamedTuple):
    """What the file says of all neurons, beside NIR's own fields.

    reset: "zero", or "subtract" where the file's metadata say so. resistance: what r counts in.
    ours: whether eventsnn wrote the file, so that names and v(0) are in it.
    """

    reset: str = "zero"
    resistance: float = 1.0
    ours: bool = False


def shaped(given: Sequence[int]) -> tuple[int, int, int]:
    """A shape without batch as (C, H, W): [N] is N channels, [C, N] has height 1."""
    if len(given) == 1:
        return given[0], 1, 1
    if len(given) == 2:
        return given[0], 1, given[1]
    channels, height, width = given
    return channels, height, width


def add_node(
    builder: Builder, name: str, kind: str, fields: Fields, x: Output, neurons: Neurons
) -> Output:
    """Adds a node of a kind, and returns its output.

    builder: of the graph. name: the node's. kind: NIR's name of its type. fields: the node's. x:
    what arrives at it. neurons: of the file. What has no form here is refused by the builder.
    Raises InputError for damaged fields.
    """
    if kind in REFUSED:
        return builder.refuse(name, kind, REFUSED[kind])
    if kind not in MAKERS:
        return builder.refuse(name, kind, "a type that NIR does not have")
    return MAKERS[kind](builder, name, fields, x, neurons)


def _flat(builder: Builder, name: str, x: Output) -> Output:
    return x if len(builder.shape(x)) == 1 else builder.add(f"{name}.flat", "Flatten", [x])


def _matrix(biased: bool) -> Callable[..., Output]:
    def make(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
        return _linear(builder, name, fields, x, fields.some("bias") if biased else None)

    return make


def _linear(
    builder: Builder, name: str, fields: Fields, x: Output, bias: NDArray[Any] | None
) -> Output:
    weight = fields.some("weight")
    shape = builder.shape(x)
    if weight.ndim != 2:
        reason = f"weights of {weight.ndim} axes; only a matrix has a form here"
        return builder.refuse(name, "Linear", reason)
    if len(shape) == 3 and shape[1:] != (1, 1):
        return builder.refuse(name, "Linear", f"of a map {list(shape)}; put a Flatten before it")
    params = {"B": weight}
    if bias is not None:
        params["C"] = np.broadcast_to(bias, weight.shape[:1]) if bias.ndim == 0 else bias
    return builder.add(name, "Gemm", [_flat(builder, name, x)], {"transB": 1}, params)


def _conv(axes: int) -> Callable[..., Output]:
    def make(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
        weight, bias = fields.some("weight"), fields.some("bias")
        kind = f"Conv{axes}d"
        if weight.ndim != axes + 2:
            return builder.refuse(name, kind, f"weights of {weight.ndim} axes, not {axes + 2}")
        strides = fields.pair("stride", 1, axes)
        dilations = fields.pair("dilation", 1, axes)
        groups = fields.whole("groups", 1, 1)[0]
        lift = [1] * (2 - axes)
        weight = weight.reshape(*weight.shape[:2], *lift, *weight.shape[2:])
        strides, dilations = [*lift, *strides], [*lift, *dilations]
        if len(builder.shape(x)) != 3:
            return builder.refuse(name, kind, f"of a vector {list(builder.shape(x))}")
        pads = _padding(builder, fields, x, axes, list(weight.shape[2:]), strides, dilations)
        attrs = {
            "kernel_shape": list(weight.shape[2:]),
            "strides": strides,
            "dilations": dilations,
            "pads": pads,
            "group": groups,
        }
        bias = np.broadcast_to(bias, weight.shape[:1]) if bias.ndim == 0 else bias
        params = {"W": weight, "B": bias}
        return builder.add(name, "Conv", [x], attrs, params)

    return make


def _padding(
    builder: Builder,
    fields: Fields,
    x: Output,
    axes: int,
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
) -> list[int]:
    """[top, left, bottom, right] of a convolution. axes: 1 or 2 that NIR's field has."""
    dataset = fields.dataset("padding")
    if dataset is not None and dataset.dtype.kind not in "iu":
        words = fields.text("padding")
        if words == "valid":
            return [0, 0, 0, 0]
        if words != "same":
            fields.refuse("padding", "whole numbers, 'same' or 'valid'", words)
        return builder.same_pads(x, kernel, strides, dilations)
    sides = [0] * (2 - axes) + fields.pair("padding", 0, axes)
    return sides * 2


def _pool(sums: bool) -> Callable[..., Output]:
    def make(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
        kernel = fields.pair("kernel_size", 1)
        attrs = {
            "kernel_shape": kernel,
            "strides": fields.pair("stride", 1),
            "pads": fields.pair("padding", 0) * 2,
            "count_include_pad": 1,
        }
        if len(builder.shape(x)) != 3:
            return builder.refuse(name, "a pool", f"of a vector {list(builder.shape(x))}")
        if not sums:
            return builder.add(name, "AveragePool", [x], attrs)
        mean = builder.add(f"{name}.mean", "AveragePool", [x], attrs)
        if builder.shapes[mean] is None:
            return mean
        return builder.arithmetic(name, "mul", mean, float(math.prod(kernel)))

    return make


def _flatten(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
    start, end = fields.whole("start_dim", most=1)[0], fields.whole("end_dim", most=1)[0]
    axes = len(builder.shape(x))
    # some count a batch that the graph does not have
    if start not in (0, 1) or end not in (-1, axes - 1, axes):
        reason = f"axes {start} to {end}; only flattening all has a spiking form"
        return builder.refuse(name, "Flatten", reason)
    return builder.add(name, "Flatten", [x])


def _scale(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
    return _times(builder, name, "Scale", x, fields.some("scale"))


def _times(builder: Builder, name: str, kind: str, x: Output, factor: NDArray[Any]) -> Output:
    """x times one number for all, for each channel or for each entry of a vector."""
    shape = builder.shape(x)
    if factor.size and (factor == factor.flat[0]).all():
        one = float(factor.flat[0])
        return x if one == 1 else builder.arithmetic(name, "mul", x, one)
    values = _in_shape(factor, shape)
    if values is None:
        return builder.refuse(name, kind, f"{list(factor.shape)} numbers for {list(shape)}")
    by_channel = values.reshape(shape[0], -1)
    if (by_channel != by_channel[:, :1]).any():
        return builder.refuse(name, kind, "another number for each place of a map")
    return builder.arithmetic(name, "mul", x, by_channel[:, 0].reshape(-1, *[1] * (len(shape) - 1)))


def _in_shape(values: NDArray[Any], shape: Shape) -> NDArray[Any] | None:
    """Values in the shape of neurons; None where they do not fit."""
    if values.size == 1:
        return np.full(shape, values.reshape(()))
    if values.shape == tuple(shape) or shaped_or_none(values.shape) == tuple(shape):
        return values.reshape(shape)
    return None


def shaped_or_none(shape: Sequence[int]) -> tuple[int, ...] | None:
    """`shaped` of 1 to 3 axes, otherwise None. shape: without batch."""
    return shaped(shape) if 1 <= len(shape) <= 3 else None


def _if(builder: Builder, name: str, fields: Fields, x: Output, neurons: Neurons) -> Output:
    threshold, r = fields.some("v_threshold"), fields.some("r")
    rest = fields.array("v_reset", optional=True)
    if rest is not None and (rest != 0).any():
        value = f"{rest[rest != 0].flat[0]:g}"
        reason = f"a reset to v_reset = {value}; neurons here reset to 0, or by subtraction"
        return builder.refuse(name, "IF", reason)
    if not (threshold > 0).all() or not (r > 0).all() or not threshold.size or not r.size:
        return builder.refuse(name, "IF", "v_threshold and r that are not all above 0")
    shape = builder.shape(x)
    for key, values in ("v_threshold", threshold), ("r", r):
        if _in_shape(values, shape) is None:
            reason = f"{key} of shape {list(values.shape)} for {list(shape)} neurons"
            return builder.refuse(name, "IF", reason)
    thresholds, resistances = (_in_shape(v, shape) for v in (threshold, r))
    assert thresholds is not None and resistances is not None
    factor = np.asarray(resistances, np.float64) / neurons.resistance / thresholds
    x = _times(builder, f"{name}.charge", "IF", x, factor)
    if builder.shapes[x] is None:
        return builder.unknown(name)
    attrs: dict[str, Any] = {"lambda": 1.0, "reset": neurons.reset, "initial": 0.0}
    params: dict[str, NDArray[Any]] = {}
    if neurons.ours:
        metadata = fields.inside("metadata")
        if metadata is None:
            fields.refuse("metadata", "the layer's name and v(0)", "none")
        name = metadata.text("layer") or name
        initial = metadata.some("initial_potential")
        each = _in_shape(initial, shape)
        if each is None or (np.abs(each) > 1000).any():
            found = f"{list(initial.shape)}"
            metadata.refuse("initial_potential", f"v(0) of {list(shape)}, up to 1,000", found)
        if initial.size == 1:
            attrs["initial"] = float(initial.reshape(()))
        else:
            params["initial"] = each
    return builder.add(name, "ClippedRelu", [x], attrs, params)


MAKERS: dict[str, Callable[..., Output]] = {
    "Affine": _matrix(True),
    "Linear": _matrix(False),
    "Conv1d": _conv(1),
    "Conv2d": _conv(2),
    "SumPool2d": _pool(True),
    "AvgPool2d": _pool(False),
    "Flatten": _flatten,
    "Scale": _scale,
    "IF": _if,
}
