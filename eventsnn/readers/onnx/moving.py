"""ONNX's operators that only move values: steps on the index of a view.

Each function takes the reader, the attributes, and the inputs: views, and constant arrays or None.
It returns the view of each output. What cannot be said so raises ValueError with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.indexing import ABSENT
from eventsnn.readers.onnx.reading import Reader, broadcast, expect_room, turned
from eventsnn.readers.views import View

Ints = NDArray[np.int64]


def _listed(value: Any) -> list[int]:
    """Whole numbers, of an attribute or a constant input."""
    return [int(n) for n in np.asarray(value).reshape(-1).tolist()]


def _axes(value: Any, ndim: int) -> list[int]:
    """Numbers of axes, counted from the front. Raises ValueError for one that is not there."""
    axes = _listed(value)
    if any(not -ndim <= axis < ndim for axis in axes) or len({a % ndim for a in axes}) < len(axes):
        raise ValueError(f"axes {axes} of {ndim}")
    return [axis % ndim for axis in axes]


def _axis(attrs: dict[str, Any], default: int, ndim: int) -> int:
    return _axes([attrs.get("axis", default)], ndim)[0]


def _expect_batch(r: Reader, axes: Sequence[int]) -> None:
    """Raises ValueError where one of the axes is the batch's, unless the model fixes it at 1."""
    if 0 in axes and r.batch != 1:
        raise ValueError("the axis of the batch (N, C, H, W) has to stay the first, whole")


def _flatten(r: Reader, attrs: dict[str, Any], x: View) -> Sequence[View]:
    axis = attrs.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    if not 0 <= axis <= x.ndim:
        raise ValueError(f"axis {axis} of {x.ndim}")
    _expect_batch(r, [axis])
    return [x.reshape(math.prod(x.dims[:axis]), math.prod(x.dims[axis:]))]


def _reshape(r: Reader, attrs: dict[str, Any], x: View, target: Any = None) -> Sequence[View]:
    shape = x.dims
    wanted = _listed(attrs["shape"] if target is None else target)
    if not attrs.get("allowzero"):
        if any(n == 0 and i >= len(shape) for i, n in enumerate(wanted)):
            raise ValueError(f"{list(shape)} to {wanted}")
        wanted = [shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if r.batch and wanted[:1] == [r.batch]:  # the batch counts as 1
        rest = math.prod(wanted[1:])
        wanted[0] = wanted[0] if rest > 0 and rest != x.size else 1
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0:
        wanted[wanted.index(-1)] = x.size // known
    if min(wanted, default=1) < 0 or math.prod(wanted) != x.size:
        raise ValueError(f"{list(shape)} to {wanted}")
    return [x.reshape(*wanted)]


def _squeeze(r: Reader, attrs: dict[str, Any], x: View, axes: Any = None) -> Sequence[View]:
    over = attrs.get("axes") if axes is None else axes
    if over is None:
        gone = [axis for axis, n in enumerate(x.dims) if n == 1 and axis]
    else:
        gone = _axes(over, x.ndim)
    _expect_batch(r, gone)
    if any(x.dims[axis] != 1 for axis in gone):
        raise ValueError(f"axes {gone} of {list(x.dims)}")
    return [x.reshape(*(n for axis, n in enumerate(x.dims) if axis not in gone))]


def _unsqueeze(r: Reader, attrs: dict[str, Any], x: View, axes: Any = None) -> Sequence[View]:
    over = _listed(attrs["axes"] if axes is None else axes)
    new = _axes(over, x.ndim + len(over))
    _expect_batch(r, new)
    sizes = list(x.dims)
    for axis in sorted(new):
        sizes.insert(axis, 1)
    return [x.reshape(*sizes)]


def _transpose(r: Reader, attrs: dict[str, Any], x: View) -> Sequence[View]:
    order = attrs.get("perm", range(x.ndim)[::-1])
    axes = _axes(order, x.ndim)
    _expect_batch(r, axes[1:])
    return [turned(x, axes)]


def _slice(
    r: Reader,
    attrs: dict[str, Any],
    x: View,
    starts: Any = None,
    ends: Any = None,
    axes: Any = None,
    steps: Any = None,
) -> Sequence[View]:
    first = _listed(attrs["starts"] if starts is None else starts)
    last = _listed(attrs["ends"] if ends is None else ends)
    over = attrs.get("axes") if axes is None else axes
    which = _axes(range(len(first)) if over is None else over, x.ndim)
    stride = [1] * len(first) if steps is None else _listed(steps)
    if not len(first) == len(last) == len(which) == len(stride) or 0 in stride:
        raise ValueError(f"starts {first}, ends {last}, axes {which}, steps {stride}")
    index = x.index
    for axis, start, end, step in zip(which, first, last, stride):
        size = index.shape[axis]
        _expect_batch(r, [axis] if (start, step) != (0, 1) or 0 <= end < 2**31 - 1 else [])
        start += size if start < 0 else 0
        end += size if end < 0 else 0
        backwards = step < 0
        start = min(max(start, 0), size - 1 if backwards else size)
        end = min(max(end, -1 if backwards else 0), size)
        index = index.take(range(start, end, step), axis)
    return [View(x.base, index)]


def _gather(r: Reader, attrs: dict[str, Any], x: View, which: Any) -> Sequence[View]:
    axis = _axis(attrs, 0, x.ndim)
    size = x.dims[axis]
    if which.dtype.kind not in "iu" or (which.size and not -size <= which.min()):
        raise ValueError(f"indices of {which.dtype} from {which.min(initial=0)} on")
    if which.size and which.max() >= size:
        raise ValueError(f"index {which.max()} of {size}")
    _expect_batch(r, [axis])
    expect_room((x.size // size, which.size))
    return [View(x.base, x.index.take(which, axis))]


def _split(r: Reader, attrs: dict[str, Any], x: View, sizes: Any = None) -> Sequence[View]:
    axis = _axis(attrs, 0, x.ndim)
    total = x.dims[axis]
    _expect_batch(r, [axis])
    given = attrs.get("split") if sizes is None else sizes
    if given is None:
        count = attrs.get("num_outputs", r.outputs)
        size = -(-total // count)
        parts = [min(size, total - i * size) for i in range(count)]
    else:
        parts = _listed(given)
    if min(parts) < 1 or sum(parts) != total or len(parts) > r.outputs:
        raise ValueError(f"{total} into {parts}")
    split = np.split(x.index, np.cumsum(parts)[:-1], axis)
    return [View(x.base, part) for part in split]


def _expand(r: Reader, attrs: dict[str, Any], x: View, shape: Any) -> Sequence[View]:
    wanted = np.broadcast_shapes(x.dims, tuple(_listed(shape)))
    expect_room(wanted)
    _expect_batch(r, [] if len(wanted) == x.ndim and wanted[0] == 1 else [0])
    return [broadcast(x, wanted)]


def _depth_to_space(r: Reader, attrs: dict[str, Any], x: View) -> Sequence[View]:
    n, c, h, w = x.dims
    size = attrs["blocksize"]
    if attrs.get("mode", "DCR") == "DCR":
        parts = x.index.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.index.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return [View(x.base, parts.reshape(n, c // size**2, h * size, w * size))]


def _space_to_depth(r: Reader, attrs: dict[str, Any], x: View) -> Sequence[View]:
    n, c, h, w = x.dims
    size = attrs["blocksize"]
    parts = x.index.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return [View(x.base, parts.reshape(n, c * size**2, h // size, w // size))]


def padded(
    index: Ints, before: Sequence[int], after: Sequence[int], mode: str = "constant"
) -> Ints:
    """An index with zeros around it, or with its own numbers; numbers below 0 take values away.

    index: of a view. before, after: how many for each axis. mode: what stands there: "constant",
    zeros; "reflect", "edge" or "wrap", as numpy's pad has them. Raises ValueError where nothing is
    left, or more than an array may have, and where a reflection is as long as the axis.
    """
    sizes = [n + a + b for n, a, b in zip(index.shape, before, after)]
    if min(sizes) < 1 or len(before) != index.ndim or len(after) != index.ndim:
        raise ValueError(f"pads {[*before, *after]} of {list(index.shape)}")
    expect_room(sizes)
    less = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, a, b in zip(index.shape, before, after))
    more = [(max(a, 0), max(b, 0)) for a, b in zip(before, after)]
    if mode != "constant":
        longest = [max(pads) for pads in more]
        if less != tuple(slice(0, n) for n in index.shape) or any(
            mode == "reflect" and pad >= n for pad, n in zip(longest, index.shape)
        ):
            raise ValueError(f"pads {[*before, *after]} of {list(index.shape)} ({mode})")
        return np.pad(index, more, mode=mode)  # type: ignore[call-overload]
    return np.pad(index[less], more, constant_values=ABSENT)


# operator -> the function that moves
MOVING: dict[str, Callable[..., Sequence[View]]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Expand": _expand,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
