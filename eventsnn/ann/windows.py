"""Which inputs an output of a node sees: sliding windows, padding, nearest resizing.

Attributes are those of ONNX, and are checked here. Shapes leave the batch axis out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.checks import Shape, expect, ints, two_ints
from eventsnn.ann.node import Node

# values of an array for one image
MAX_ELEMENTS = 2**28
# Resize's attributes coordinate_transformation_mode and nearest_mode
COORDINATES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True)
class Window:
    """A sliding window over the two spatial axes, height first.

    kernel, strides, dilations: for height and width. pads: (top, left, bottom, right). out: the
    height and width of the output.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    out: tuple[int, int]


def window_of(node: Node, shape: Shape, where: str = "") -> Window:
    """The `Window` of a Conv or pooling node.

    node: the node. shape: (C, H, W) of its input. where: what to call the node in messages ("": by
    its name and operator). Raises InputError where its attributes say no window, or one that does
    not fit the input.
    """
    where = where or f"node {node.name!r} ({node.op})"
    kernel = _kernel(node, where)
    strides = two_ints(node, "strides", where, (1, 1))
    dilations = two_ints(node, "dilations", where, (1, 1))
    top, left, bottom, right = ints(node, "pads", (4,), where, (0, 0, 0, 0), least=0)
    pads = (top, left, bottom, right)
    auto = node.attrs.get("auto_pad", "NOTSET")
    expect(auto == "NOTSET", where, "explicit pads", f"auto_pad {auto!r}", "write the pads out")
    floor = not node.attrs.get("ceil_mode", 0)
    do = (
        "leave ceil_mode out: for a MaxPool behind ReLU, zeros in front of it (ZeroPad2d, at the "
        "bottom and right) give the same; train again for others"
    )
    expect(floor, where, "ceil_mode 0, or windows that end with the map", "ceil_mode 1", do)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    if node.op != "Conv":
        smaller = all(p < r for p, r in zip(pads, (*reach, *reach)))
        expect(smaller, where, "pads smaller than the window", list(pads))
    room = (shape[1] + top + bottom, shape[2] + left + right)
    sane = shape[0] * room[0] * room[1] <= MAX_ELEMENTS
    expect(sane, where, f"a padded input of at most {MAX_ELEMENTS:,} values", room)
    fits = all(r <= n for r, n in zip(reach, room))
    expect(fits, where, f"a window that fits the padded input {list(room)}", reach)
    height, width = ((n - r) // s + 1 for n, r, s in zip(room, reach, strides))
    window = Window(kernel, strides, pads, dilations, (height, width))
    if node.op != "Conv":
        _expect_inputs(window, shape, where)
    return window


def _kernel(node: Node, where: str) -> tuple[int, int]:
    """Height and width of the kernel: a weight has them itself."""
    if node.op != "Conv":
        return two_ints(node, "kernel_shape", where)
    height, width = node.params["W"].shape[2:]
    if "kernel_shape" in node.attrs:
        equal = two_ints(node, "kernel_shape", where) == (height, width)
        expected = f"kernel_shape equal to the weight's {[height, width]}"
        expect(equal, where, expected, node.attrs["kernel_shape"])
    return height, width


def _expect_inputs(window: Window, shape: Shape, where: str) -> None:
    """Refuse a pool of which some window holds padding only."""
    axes = zip(shape[1:], window.pads, window.strides, window.dilations, window.out)
    for n, pad, stride, dilation, size in axes:
        start = np.arange(size) * stride - pad
        # of a window's positions, the first that is 0 or more
        first = np.where(start < 0, start % dilation, start)
        expected = "windows that each see the input"
        found = "one that sees padding only"
        expect((first < n).all(), where, expected, found, "reduce pads or dilations")


def pool_signs(node: Node, channels: int) -> NDArray[np.int64]:
    """1 for each channel of a MaxPool that pools the maximum, -1 for the minimum: int64 [C].

    node: the node. channels: C.
    """
    signs = np.ones(channels, np.int64)
    signs[list(node.attrs.get("minima", ()))] = -1
    return signs


def spatial_pads(node: Node, where: str = "") -> tuple[int, int, int, int]:
    """The (top, left, bottom, right) of a Pad node.

    node: the node. where: what to call it in messages ("": by its name). Raises InputError where it
    pads with anything but zeros, or another axis than height and width.
    """
    where = where or f"node {node.name!r} (Pad)"
    pads = ints(node, "pads", (4, 8), where, least=0)
    zeros = node.attrs.get("mode", "constant") == "constant" and not node.attrs.get("value", 0)
    found = {k: node.attrs[k] for k in ("mode", "value") if k in node.attrs}
    expect(zeros, where, "zero padding (mode constant, value 0)", found)
    if len(pads) == 8:
        spatial = not any(pads[i] for i in (0, 1, 4, 5))
        expect(spatial, where, "padding of height and width only", list(pads))
        pads = (pads[2], pads[3], pads[6], pads[7])
    top, left, bottom, right = pads
    return top, left, bottom, right


def resize_indices(
    node: Node, shape: Shape, where: str = ""
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which input row each output row of a nearest Resize takes, and which column each column.

    node: the node. shape: (C, H, W) of its input. where: what to call the node in messages ("": by
    its name). Returns two int64 arrays, [H of the output] and [W of the output]. Raises InputError
    for another mode, and for sizes that say no output.
    """
    where = where or f"node {node.name!r} (Resize)"
    mode = node.attrs.get("mode", "nearest")
    expect(mode == "nearest", where, "mode nearest", repr(mode))
    coordinate = node.attrs.get("coordinate_transformation_mode", "half_pixel")
    expected = f"a coordinate_transformation_mode among {COORDINATES}"
    expect(coordinate in COORDINATES, where, expected, repr(coordinate))
    rounding = node.attrs.get("nearest_mode", "round_prefer_floor")
    expected = f"a nearest_mode among {ROUNDINGS}"
    expect(rounding in ROUNDINGS, where, expected, repr(rounding))
    scaled = node.attrs.get("scales") is not None
    values = _resize_values(node, shape, where)
    indices = []
    for n, value in zip(shape[1:], values[-2:]):
        size = int(np.floor(n * value)) if scaled else int(value)
        whole = 1 <= size <= 2**20 and (scaled or size == value)
        expect(whole, where, "whole sizes from 1 to 2^20", value)
        factor = float(value) if scaled else size / n
        position = _rounded(_positions(coordinate, size, n, factor), rounding)
        indices.append(np.clip(position, 0, n - 1).astype(np.int64))
    rows, columns = indices
    return rows, columns


def _resize_values(node: Node, shape: Shape, where: str) -> list[float]:
    """The sizes or scales of a Resize: 2 or 4 numbers, of which the last are height and width."""
    sizes = node.attrs.get("sizes")
    scales = node.attrs.get("scales")
    one = (sizes is None) != (scales is None)
    expect(one, where, "either sizes or scales", "both" if sizes else "neither")
    values: Any = sizes if scales is None else scales
    good = (
        isinstance(values, (list, tuple)) and len(values) in (2, 4) and all(map(_is_size, values))
    )
    expect(good, where, "2 or 4 positive numbers as sizes or scales", values)
    if len(values) == 4:
        same = values[0] == 1 and values[1] == (shape[0] if scales is None else 1)
        expect(same, where, "a Resize of height and width only", list(values))
    return list(values)


def _is_size(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value <= MAX_ELEMENTS


def _positions(coordinate: str, size: int, n: int, factor: float) -> NDArray[Any]:
    """Where the `size` outputs lie among `n` inputs, float64 [size]."""
    at = np.arange(size)
    if coordinate == "asymmetric":
        return at / factor
    if coordinate == "align_corners":
        return at * (n - 1) / max(size - 1, 1)
    if coordinate == "pytorch_half_pixel" and size == 1:
        return np.zeros(1)
    return (at + 0.5) / factor - 0.5


def _rounded(position: NDArray[Any], rounding: str) -> NDArray[Any]:
    if rounding == "floor":
        return np.floor(position)
    if rounding == "ceil":
        return np.ceil(position)
    if rounding == "round_prefer_floor":
        return np.ceil(position - 0.5)
    return np.floor(position + 0.5)
