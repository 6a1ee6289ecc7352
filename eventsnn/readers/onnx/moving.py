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
from eventsnn.ann.windows import MAX_ELEMENTS
from eventsnn.readers.onnx.reading import Reader
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


def _expect_batch(axes: Sequence[int]) -> None:
    """Raises ValueError where one of the axes is the batch's."""
    if 0 in axes:
        raise ValueError("the axis of the batch (N, C, H, W) has to stay the first, whole")


def _flatten(r: Reader, attrs: dict[str, Any], x: View) -> list[Ints]:
    axis = attrs.get("axis", 1)
    axis += x.index.ndim if axis < 0 else 0
    if not 0 <= axis <= x.index.ndim:
        raise ValueError(f"axis {axis} of {x.index.ndim}")
    _expect_batch([axis])
    return [x.index.reshape(math.prod(x.index.shape[:axis]), -1)]


def _reshape(r: Reader, attrs: dict[str, Any], x: View, target: Any = None) -> list[Ints]:
    shape = x.index.shape
    wanted = _listed(attrs["shape"] if target is None else target)
    if not attrs.get("allowzero"):
        if any(n == 0 and i >= len(shape) for i, n in enumerate(wanted)):
            raise ValueError(f"{list(shape)} to {wanted}")
        wanted = [shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if r.batch and wanted[:1] == [r.batch]:  # the batch counts as 1
        rest = math.prod(wanted[1:])
        wanted[0] = wanted[0] if rest > 0 and rest != x.index.size else 1
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0:
        wanted[wanted.index(-1)] = x.index.size // known
    if min(wanted, default=1) < 0 or math.prod(wanted) != x.index.size:
        raise ValueError(f"{list(shape)} to {wanted}")
    return [x.index.reshape(wanted)]


def _squeeze(r: Reader, attrs: dict[str, Any], x: View, axes: Any = None) -> list[Ints]:
    over = attrs.get("axes") if axes is None else axes
    if over is None:
        gone = [axis for axis, n in enumerate(x.index.shape) if n == 1 and axis]
    else:
        gone = _axes(over, x.index.ndim)
    _expect_batch(gone)
    return [x.index.squeeze(tuple(gone))]


def _unsqueeze(r: Reader, attrs: dict[str, Any], x: View, axes: Any = None) -> list[Ints]:
    over = _listed(attrs["axes"] if axes is None else axes)
    new = _axes(over, x.index.ndim + len(over))
    _expect_batch(new)
    return [np.expand_dims(x.index, tuple(new))]


def _transpose(r: Reader, attrs: dict[str, Any], x: View) -> list[Ints]:
    order = attrs.get("perm", range(x.index.ndim)[::-1])
    axes = _axes(order, x.index.ndim)
    _expect_batch(axes[1:])
    return [x.index.transpose(axes)]


def _slice(
    r: Reader,
    attrs: dict[str, Any],
    x: View,
    starts: Any = None,
    ends: Any = None,
    axes: Any = None,
    steps: Any = None,
) -> list[Ints]:
    first = _listed(attrs["starts"] if starts is None else starts)
    last = _listed(attrs["ends"] if ends is None else ends)
    over = attrs.get("axes") if axes is None else axes
    which = _axes(range(len(first)) if over is None else over, x.index.ndim)
    stride = [1] * len(first) if steps is None else _listed(steps)
    if not len(first) == len(last) == len(which) == len(stride) or 0 in stride:
        raise ValueError(f"starts {first}, ends {last}, axes {which}, steps {stride}")
    index = x.index
    for axis, start, end, step in zip(which, first, last, stride):
        size = index.shape[axis]
        _expect_batch([axis] if (start, step) != (0, 1) or 0 <= end < 2**31 - 1 else [])
        start += size if start < 0 else 0
        end += size if end < 0 else 0
        backwards = step < 0
        start = min(max(start, 0), size - 1 if backwards else size)
        end = min(max(end, -1 if backwards else 0), size)
        index = index.take(range(start, end, step), axis)
    return [index]


def _gather(r: Reader, attrs: dict[str, Any], x: View, which: Any) -> list[Ints]:
    axis = _axis(attrs, 0, x.index.ndim)
    size = x.index.shape[axis]
    if which.dtype.kind not in "iu" or (which.size and not -size <= which.min()):
        raise ValueError(f"indices of {which.dtype} from {which.min(initial=0)} on")
    if which.size and which.max() >= size:
        raise ValueError(f"index {which.max()} of {size}")
    _expect_batch([axis])
    _expect_room(x.index.size // size * which.size)
    return [x.index.take(which, axis)]


def _split(r: Reader, attrs: dict[str, Any], x: View, sizes: Any = None) -> list[Ints]:
    axis = _axis(attrs, 0, x.index.ndim)
    total = x.index.shape[axis]
    _expect_batch([axis])
    given = attrs.get("split") if sizes is None else sizes
    if given is None:
        count = attrs.get("num_outputs", r.outputs)
        size = -(-total // count)
        parts = [min(size, total - i * size) for i in range(count)]
    else:
        parts = _listed(given)
    if min(parts) < 1 or sum(parts) != total or len(parts) > r.outputs:
        raise ValueError(f"{total} into {parts}")
    return np.split(x.index, np.cumsum(parts)[:-1], axis)


def _expand(r: Reader, attrs: dict[str, Any], x: View, shape: Any) -> list[Ints]:
    wanted = np.broadcast_shapes(x.index.shape, tuple(_listed(shape)))
    _expect_room(math.prod(wanted))
    _expect_batch([] if len(wanted) == x.index.ndim and wanted[0] == 1 else [0])
    return [np.broadcast_to(x.index, wanted)]


def _depth_to_space(r: Reader, attrs: dict[str, Any], x: View) -> list[Ints]:
    n, c, h, w = x.index.shape
    size = attrs["blocksize"]
    if attrs.get("mode", "DCR") == "DCR":
        parts = x.index.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.index.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return [parts.reshape(n, c // size**2, h * size, w * size)]


def _space_to_depth(r: Reader, attrs: dict[str, Any], x: View) -> list[Ints]:
    n, c, h, w = x.index.shape
    size = attrs["blocksize"]
    parts = x.index.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return [parts.reshape(n, c * size**2, h // size, w // size)]


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
    _expect_room(math.prod(sizes))
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


def _expect_room(size: int) -> None:
    if size > MAX_ELEMENTS // 4:
        raise ValueError(f"{size:,} values")


# operator -> the function that moves
MOVING: dict[str, Callable[..., Sequence[Ints]]] = {
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
