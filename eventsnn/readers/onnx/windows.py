"""ONNX's windows: convolutions, also back, pools, means over axes, and resizing.

As in `operators`. What has one axis, N, C, L, becomes a map of height 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Output, as_float
from eventsnn.readers.onnx.moving import padded
from eventsnn.readers.onnx.reading import Reader, as_before, as_map, seen, turned
from eventsnn.readers.views import MAX_MOVED, View, place


def conv(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    source = as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    weight, attrs = _in_two(weight, attrs)
    attrs = _window(r, source, attrs, weight.shape[2:]) | {"group": attrs.get("group", 1)}
    params = {"W": as_float(weight)}
    if bias is not None:
        params["B"] = as_float(bias)
    return as_before(r, x, r.builder.add(name, "Conv", [source], attrs, params))


def _in_two(weight: NDArray[Any], attrs: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """The weight and attributes of a convolution along one axis as those of one of height 1."""
    if weight.ndim != 3:
        return weight, attrs
    return weight[:, :, None, :], _of_height_1(attrs)


def _of_height_1(attrs: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a window along one axis as those of a window of height 1."""
    filled = dict(attrs)
    for key, first in ("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("output_padding", 0):
        if key in attrs:
            filled[key] = [first, *attrs[key]]
    if "pads" in attrs:
        left, right = attrs["pads"]
        filled["pads"] = [0, left, 0, right]
    return filled


def _conv_transpose(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
) -> View:
    """A convolution, with the kernel turned round, of a map with zeros between its values."""
    if weight.ndim == 3:
        x4 = x.reshape(*x.dims[:2], 1, x.dims[2])
        return as_before(
            r, x, _of_zeros(r, name, _of_height_1(attrs), x4, weight[:, :, None], bias)
        )
    return seen(r, _of_zeros(r, name, attrs, x, weight, bias))


def _of_zeros(
    r: Reader,
    name: str,
    attrs: dict[str, Any],
    x: View,
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
) -> Output:
    if attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or attrs.get("output_shape"):
        return r.builder.refuse(name, "ConvTranspose", "auto_pad or output_shape; write pads out")
    r.settle(x)
    strides, dilations = attrs.get("strides", [1, 1]), attrs.get("dilations", [1, 1])
    extra = attrs.get("output_padding", [0, 0])
    pads = attrs.get("pads", [0, 0, 0, 0])
    group = attrs.get("group", 1)
    kernel = weight.shape[2:]
    n, c, *sizes = x.dims
    spread = [(size - 1) * stride + 1 for size, stride in zip(sizes, strides)]
    if math.prod(spread) * c > MAX_MOVED or min(*strides, *dilations) < 1:
        return r.builder.refuse(name, "ConvTranspose", f"strides {strides} of a map of {sizes}")
    index = np.full((n, c, *spread), -1, np.int64)
    index[:, :, :: strides[0], :: strides[1]] = x.index
    reach = [(k - 1) * d for k, d in zip(kernel, dilations)]
    before = [most - pad for most, pad in zip(reach, pads[:2])]
    after = [most - pad + more for most, pad, more in zip(reach, pads[2:], extra)]
    index = padded(index, [0, 0, *before], [0, 0, *after])
    source = place(r.builder, f"{name}.in", View(x.base, index))
    if r.builder.shapes[source] is None:
        return r.builder.unknown(name)
    ci, co = weight.shape[:2]
    parts = weight.reshape(group, ci // group, co, *kernel).swapaxes(1, 2)[..., ::-1, ::-1]
    params = {"W": as_float(parts.reshape(group * co, ci // group, *kernel))}
    if bias is not None:
        params["B"] = as_float(bias)
    window = {"kernel_shape": list(kernel), "dilations": list(dilations), "group": group}
    return r.builder.add(name, "Conv", [source], window, params)


def _pool(op: str) -> Callable[..., View]:
    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        source = as_map(r, name, x)
        if r.builder.shapes[source] is None:
            return seen(r, source)
        if x.ndim == 3:
            attrs = _of_height_1(attrs)
        kept = _kept(attrs, "ceil_mode", "count_include_pad")
        window = _window(r, source, attrs, attrs["kernel_shape"]) | kept
        return as_before(r, x, r.builder.pool(name, op, source, window))

    return make


def _window(r: Reader, x: Output, attrs: dict[str, Any], kernel: Sequence[int]) -> dict[str, Any]:
    """kernel_shape, strides, dilations and explicit pads."""
    strides = attrs.get("strides", [1, 1])
    dilations = attrs.get("dilations", [1, 1])
    auto = attrs.get("auto_pad", "NOTSET")
    pads = attrs.get("pads", [0, 0, 0, 0]) if auto == "NOTSET" else [0, 0, 0, 0]
    if auto.startswith("SAME_"):
        pads = r.builder.same_pads(x, kernel, strides, dilations, auto == "SAME_UPPER")
    return {"kernel_shape": list(kernel), "strides": strides, "dilations": dilations, "pads": pads}


def _kept(attrs: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Those of the attributes that are there."""
    return {key: attrs[key] for key in keys if key in attrs}


def _global_pool(op: str) -> Callable[..., View]:
    def make(r: Reader, name: str, attrs: dict[str, Any], x: View) -> View:
        source = as_map(r, name, x)
        if r.builder.shapes[source] is None:
            return seen(r, source)
        if op == "GlobalAveragePool":
            return as_before(r, x, r.builder.add(name, op, [source]))
        window = {"kernel_shape": list(r.builder.shape(source)[1:]), "strides": [1, 1]}
        return as_before(r, x, r.builder.add(name, "MaxPool", [source], window))

    return make


def _reduce(op: str) -> Callable[..., View]:
    """ReduceMean and ReduceMax: a global pool, with the axes that go in height and width."""

    def make(r: Reader, name: str, attrs: dict[str, Any], x: View, axes: Any = None) -> View:
        over = np.asarray(attrs.get("axes", ()) if axes is None else axes).reshape(-1).tolist()
        ndim = x.ndim
        gone = sorted(int(axis) % ndim for axis in over)
        left = [axis for axis in range(1, ndim) if axis not in gone]
        if not gone or 0 in gone or len(left) != 1 or len(gone) > 2:
            reason = f"over axes {over}; only one over height and width has a spiking form"
            return seen(r, r.builder.refuse(name, op, reason))
        ahead = turned(x, (0, *left, *gone))
        pool = "GlobalAveragePool" if op == "ReduceMean" else "GlobalMaxPool"
        pooled = _global_pool(pool)(r, name, attrs, ahead)
        if r.builder.shapes[pooled.base] is None:
            return pooled
        keep = attrs.get("keepdims", 1)
        shape = [1 if axis in gone else n for axis, n in enumerate(x.dims)]
        shape = [n for axis, n in enumerate(shape) if keep or axis not in gone]
        return pooled.reshape(*shape)

    return make


def _resize(r: Reader, name: str, attrs: dict[str, Any], x: View, *inputs: Any) -> View:
    source = as_map(r, name, x)
    if r.builder.shapes[source] is None:
        return seen(r, source)
    wanted: dict[str, Any] = {}
    before = r.opset < 11  # Upsample and the first Resize: (x, scales), rounded down
    if before:
        wanted = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    sizes = None if before or len(inputs) < 3 else inputs[2]
    scales = None
    if sizes is None:
        scales = inputs[0 if before else 1] if inputs else _scales(attrs)
    policy = attrs.get("keep_aspect_ratio_policy", "stretch")
    if attrs.get("axes") or attrs.get("antialias") or policy != "stretch":
        reason = "axes, antialias or keep_aspect_ratio_policy"
        return seen(r, r.builder.refuse(name, "Resize", reason))
    wanted |= _kept(attrs, "mode", "coordinate_transformation_mode", "nearest_mode")
    if sizes is None:
        wanted["scales"] = None if scales is None else scales.tolist()
    else:
        wanted["sizes"] = [1, *sizes.tolist()[1:]]
    return seen(r, r.builder.add(name, "Resize", [source], wanted))


def _scales(attrs: dict[str, Any]) -> NDArray[Any]:
    """An Upsample's scales, as opset 8 and before have them."""
    if "scales" in attrs:
        return np.asarray(attrs["scales"])
    return np.array([1.0, 1.0, attrs["height_scale"], attrs["width_scale"]])


# operator -> the function that makes its node
WINDOWS: dict[str, Callable[..., View]] = {
    "Conv": conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
    "GlobalAveragePool": _global_pool("GlobalAveragePool"),
    "GlobalMaxPool": _global_pool("GlobalMaxPool"),
    "ReduceMean": _reduce("ReduceMean"),
    "ReduceMax": _reduce("ReduceMax"),
    "Resize": _resize,
    "Upsample": _resize,
}
