"""What only moves values: PyTorch itself does it, on the numbers of the values (`readers.views`).

Slices, permutations, views, paddings and joints of any shape become one node of the graph where
something computes with them, or none. Sequences [N, C, L] are maps of height 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.readers.building import Builder, Output
from eventsnn.readers.views import View, place, view, zeros

# functions and methods of tensors that give the values of their input at other places
MOVES = frozenset(
    "broadcast_to channel_shuffle chunk contiguous_format diagonal expand expand_as flatten flip "
    "fliplr flipud gather getitem index_select moveaxis movedim narrow permute pixel_shuffle "
    "pixel_unshuffle ravel repeat repeat_interleave reshape reshape_as roll rot90 select split "
    "split_with_sizes squeeze swapaxes swapdims take_along_dim tensor_split tile transpose unbind "
    "unflatten unsqueeze view view_as".split()
)
MODULES = ("Flatten", "Unflatten", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle")
JOINTS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")
ZEROS = ("zeros_like", "new_zeros")
# functions of each value alone, in whatever shape it stands
EACH = frozenset(
    "abs absolute add clamp clamp_max clamp_min clip clone contiguous detach div divide "
    "double dropout fake_quantize float hardsigmoid hardtanh iadd imul isub itruediv "
    "leaky_relu mul multiply neg negative relu relu6 rrelu rsub softshrink sub subtract "
    "threshold to truediv type_as".split()
)
Value = Output | View


class Mover:
    """Moves values of a builder's outputs.

    torch: the package. builder: which makes the nodes. names: view -> what its node will be called.
    made: view -> the output that it became.
    """

    def __init__(self, torch: Any, builder: Builder) -> None:
        self.torch = torch
        self.builder = builder
        self.names: dict[View, str] = {}
        self.made: dict[View, Output] = {}

    def __repr__(self) -> str:
        return f"<Mover of {self.builder.source}: {len(self.names)} views>"

    def shape(self, x: Value) -> tuple[int, ...]:
        """The shape that PyTorch sees, with a batch of 1. x: an output or a view."""
        return x.index.shape if isinstance(x, View) else (1, *self.builder.shape(x))

    def seen(self, name: str, x: Output, shape: Sequence[int]) -> Value:
        """An output in another shape. name: of the view. x: an output. shape: with the batch."""
        return self._named(name, View(x, np.arange(math.prod(shape)).reshape(*shape)))

    def placed(self, x: Value) -> Output:
        """The output of a node with a view's values.

        x: a view; sequences are maps of height 1, and what has more than four axes is a vector. An
        output stays itself.
        """
        if not isinstance(x, View):
            return x
        if x not in self.made:
            index = x.index
            if index.ndim == 3:
                index = index[:, :, None]
            elif index.ndim > 4 or index.shape == (1,):
                index = index.reshape(len(index), -1)
            name = self.names.get(x, f"{x.base}.view")
            self.made[x] = place(self.builder, name, View(x.base, index))
        return self.made[x]

    def moved(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What a function that moves values gives, on the values' numbers.

        name: of the node in the trace. function: PyTorch's. args, kwargs: with outputs and views in
        place of tensors, all of one output. Returns a view, or a tuple of views.
        """
        bases: list[Output] = []
        args, kwargs = self._numbers((args, kwargs), bases)
        if len(set(bases)) != 1:
            return self.builder.refuse(name, getattr(function, "__name__", name), "of two outputs")
        return self._as_views(name, bases[0], function(*args, **kwargs))

    def joined(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What `torch.cat` or `torch.stack` gives of outputs, views and zeros.

        name: of the node. function: PyTorch's. args, kwargs: as PyTorch has them.
        """
        parts, *rest = args if args else (kwargs.pop("tensors"),)
        given = [part for part in parts if isinstance(part, (Output, View))]
        for part in parts:
            constant = isinstance(part, self.torch.Tensor)
            if constant and part.count_nonzero() or not (constant or part in given):
                return self.builder.refuse(name, "cat", "with a constant that is not 0")
        dim = rest[0] if rest else kwargs.get("dim", kwargs.get("axis", 0))
        axes = {len(self.shape(part)) for part in given}
        along = function.__name__.startswith("concat") or function.__name__ == "cat"
        if along and len(given) == len(parts) and axes <= {2, 3, 4} and len(axes) == 1:
            count = axes.pop()
            if dim in (1, 1 - count):
                made = self.builder.add(name, "Concat", [self.placed(x) for x in given])
                return made if count != 3 else self.as_sequence(name, made)
        index, base = self._one_base(name, given)
        tensors = [
            self.torch.from_numpy(index[part])
            if isinstance(part, (Output, View))
            else self.torch.from_numpy(zeros(tuple(part.shape)))
            for part in parts
        ]
        return self._as_views(name, base, function(tensors, *rest, **kwargs))

    def _one_base(
        self, name: str, given: Sequence[Value]
    ) -> tuple[dict[Value, NDArray[np.int64]], Output]:
        """(value -> the numbers of its values in one output, that output)."""
        views = [x if isinstance(x, View) else view(self.builder, x) for x in given]
        bases = list(dict.fromkeys(v.base for v in views))
        start = dict(zip(bases, np.cumsum([0, *map(self._size, bases)]).tolist()))
        index = {
            x: np.where(v.index < 0, v.index, v.index + start[v.base]) for x, v in zip(given, views)
        }
        if len(bases) == 1:
            return index, bases[0]
        flat = [self.builder.reshape(f"{base}.flat", base, (1, -1)) for base in bases]
        return index, self.builder.add(f"{name}.joined", "Concat", flat)

    def padded(self, name: str, x: Value, pads: Sequence[int], mode: str, value: Any) -> Any:
        """x with its borders padded, or cut where pads are below 0: `torch.nn.functional.pad`.

        name: of the node. x: an output or view. pads, mode, value: as PyTorch has them.
        """
        if mode == "constant" and (value or 0) != 0:
            reason = f"with {value:g}; only zero padding has a spiking form"
            return self.builder.refuse(name, "pad", reason)
        if mode == "constant" and len(pads) in (2, 4) and min(pads) >= 0:
            rank = len(self.shape(x))
            left, right, top, bottom = (*map(int, pads), 0, 0)[:4]
            if rank == 4 or rank == 3 and len(pads) == 2:
                attrs = {"pads": [top, left, bottom, right], "mode": mode, "value": 0}
                made = self.builder.add(name, "Pad", [self.placed(x)], attrs)
                return made if rank == 4 else self.as_sequence(name, made)

        def function(index: Any) -> Any:
            pad = self.torch.nn.functional.pad
            if mode == "constant":
                return pad(index, list(pads), value=-1)
            return pad(index.double(), list(pads), mode=mode).long()

        return self.moved(name, function, (x,), {})

    def as_sequence(self, name: str, x: Output) -> Value:
        """A map of height 1 as the sequence [1, C, L] that PyTorch sees.

        name: of the view. x: an output.
        """
        shape = self.builder.shapes[x]
        if shape is None or len(shape) != 3 or shape[1] != 1:
            return x
        return self.seen(name, x, (1, shape[0], shape[2]))

    def by_last_axis(self, name: str, x: Value) -> tuple[Output, Callable[[Output], Value]]:
        """(A map [F, 1, R] with the last axis as its channels, the way back).

        name: of the nodes. x: an output or view [1, ..., F]. The way back takes a map [M, 1, R] and
        gives a view [1, ..., M].
        """
        x = x if isinstance(x, View) else view(self.builder, x)
        rest, features = x.index.shape[:-1], x.index.shape[-1]
        index = x.index.reshape(1, -1, features).transpose(0, 2, 1)[:, :, None]
        turned = self._named(f"{name}.turned", View(x.base, np.ascontiguousarray(index)))

        def back(made: Output) -> Value:
            if self.builder.shapes[made] is None:
                return made
            size = self.builder.shape(made)[0]
            order = np.arange(size * math.prod(rest)).reshape(size, -1).T
            return self._named(name, View(made, order.reshape(*rest, size)))

        return self.placed(turned), back

    def over_axes(self, name: str, x: Value, axes: Sequence[int], keep: bool, op: str) -> Value:
        """The mean or the maximum over axes other than the batch's.

        name: of the nodes. x: an output or view. axes: numbers of axes; none for all. keep: whether
        they stay, with one place each. op: GlobalAveragePool or MaxPool.
        """
        v = x if isinstance(x, View) else view(self.builder, x)
        count = v.index.ndim
        over = sorted({axis % count for axis in axes})
        if not over or over[0] == 0:
            reason = f"over axes {list(axes) or 'of all'}; the batch's has to stay"
            return self.builder.refuse(name, "mean" if op != "MaxPool" else "max", reason)
        rest = [axis for axis in range(1, count) if axis not in over]
        left = [v.index.shape[axis] for axis in rest]
        index = v.index.transpose(0, *rest, *over).reshape(1, math.prod(left), -1, 1)
        plain = count == 4 and over == [2, 3]
        before = x if plain else self._named(f"{name}.turned", View(v.base, index))
        made = self.placed(before)
        kernel = list(self.builder.shapes[made] or (1, 1, 1))[1:]
        attrs = {} if op != "MaxPool" else {"kernel_shape": kernel, "strides": [1, 1]}
        made = self.builder.add(name, op, [made], attrs)
        if self.builder.shapes[made] is None or (plain and keep):
            return made
        shape = [1 if axis in over else v.index.shape[axis] for axis in range(count)]
        return self.seen(f"{name}.flat", made, shape if keep else (1, *left))

    def _size(self, x: Output) -> int:
        return math.prod(self.builder.shape(x))

    def _named(self, name: str, x: View) -> View:
        self.names[x] = name
        return x

    def _numbers(self, value: Any, bases: list[Output]) -> Any:
        """(Nested) arguments with tensors of numbers in place of outputs and views."""
        if isinstance(value, (Output, View)):
            found = value if isinstance(value, View) else view(self.builder, value)
            bases.append(found.base)
            return self.torch.from_numpy(found.index)
        if isinstance(value, dict):
            return {key: self._numbers(item, bases) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return type(value)(self._numbers(item, bases) for item in value)
        return value

    def _as_views(self, name: str, base: Output, value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(self._as_views(f"{name}.{i}", base, x) for i, x in enumerate(value))
        index = np.ascontiguousarray(value.numpy())
        shape = (1, *self.builder.shape(base))
        if index.shape == shape and (index.ravel() == np.arange(index.size)).all():
            return base
        return self._named(name, View(base, index))
