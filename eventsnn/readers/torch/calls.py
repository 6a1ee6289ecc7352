"""One call of PyTorch's as nodes of a graph, or as a view of one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from eventsnn.files.reading import told
from eventsnn.readers.bends import why_not
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.torch import moving, operators
from eventsnn.readers.torch.moving import Mover, Value
from eventsnn.readers.views import View

FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
SHAPES = ("size", "dim", "numel", "nelement", "ndimension")
MORE = (*SHAPES, *moving.ZEROS, *moving.JOINTS, *operators.OVER_AXES, "getattr")
ATTRIBUTES = ("shape", "ndim", "dtype", "device", "is_cuda", "requires_grad", "training")


class Calls:
    """Makes what calls of functions, methods and modules give, in terms of a builder's outputs.

    torch: the package. builder: which makes the nodes. like: a tensor of the type and device that
    all have.

    A sequence [N, C, L] is a map of height 1 in the graph.
    """

    def __init__(self, torch: Any, builder: Builder, like: Any) -> None:
        self.torch = torch
        self.builder = builder
        self.like = like
        self.mover = Mover(torch, builder)

    def __repr__(self) -> str:
        return f"<Calls of {self.builder.source}>"

    def call(
        self, make: Callable[..., Any] | None, name: str, op: str, args: Any, kwargs: Any
    ) -> Any:
        """What `make` makes of the arguments, or a refusal.

        make: a function of `operators`, or None where there is none. name: the node's. op: in
        PyTorch's words. args, kwargs: PyTorch's, with outputs, views and tensors.
        """
        builder = self.builder
        if make is None:
            return self._none(name, op)
        if unknown(builder, (args, kwargs)):
            return builder.unknown(name)
        given = values_in((args, kwargs))
        shapes = {self.mover.shape(x) for x in given}
        axes = max((len(shape) for shape in shapes), default=0)
        plain = op.rstrip("_")
        if make is operators.same or make is operators.cast:
            if isinstance(args[0], View):
                return args[0]
        try:
            if axes == 3 or (axes > 4 and plain in moving.EACH):
                make = operators.SEQUENCES.get(op, make)
                raised = axes == 3 and plain in moving.EACH
                return self._reshaped(make, name, args, kwargs, shapes, raised)
            args, kwargs = self._placed((args, kwargs))
            if unknown(builder, (args, kwargs)):
                return builder.unknown(name)
            return make(builder, name, *args, **kwargs)
        except FAILURES as error:
            return builder.refuse(name, op, told(error))

    def _reshaped(
        self,
        make: Callable[..., Any],
        name: str,
        args: Any,
        kwargs: Any,
        shapes: set[tuple[int, ...]],
        raised: bool,
    ) -> Any:
        """What `make` makes of sequences, or of other shapes value by value.

        raised: whether constants are arrays beside the values of sequences.
        """
        axes = max(map(len, shapes))
        if axes > 4 and len(shapes) > 1:
            return self.builder.refuse(name, "broadcast", f"of shapes {sorted(shapes)}")
        args, kwargs = self._placed((args, kwargs))
        if unknown(self.builder, (args, kwargs)):
            return self.builder.unknown(name)
        if raised:
            args, kwargs = self._raised(args), self._raised(kwargs)
        made = make(self.builder, name, *args, **kwargs)
        shape = self.builder.shapes.get(made) if isinstance(made, Output) else None
        if shape is None:
            return made
        if axes == 3:
            return self.mover.as_sequence(name, made)
        return self.mover.seen(name, made, next(iter(shapes)))

    def _raised(self, value: Any) -> Any:
        """(Nested) arguments whose constants have the axes of what sequences become."""
        if isinstance(value, dict):
            return {key: self._raised(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._raised(item) for item in value)
        if isinstance(value, np.ndarray) and 2 <= value.ndim <= 3:
            return value[..., None, :]
        return value

    def _placed(self, value: Any) -> Any:
        """(Nested) arguments with outputs in place of views and arrays in place of tensors."""
        if isinstance(value, View):
            return self.mover.placed(value)
        if isinstance(value, self.torch.Tensor):
            return operators.array(value)
        if type(value) in (tuple, list):
            return type(value)(self._placed(item) for item in value)
        if isinstance(value, dict):
            return {key: self._placed(item) for key, item in value.items()}
        return value

    def function(self, name: str, op: str, function: Any, args: Any, kwargs: Any) -> Any:
        """What a function of PyTorch's, or a method of a tensor, gives.

        name: the node's. op: the function's name. function: itself. args, kwargs: its arguments.
        """
        plain = op.rstrip("_")
        make: Any = operators.FUNCTIONS.get(op)
        moves = plain in moving.MOVES or plain == "pad" or op in MORE
        if unknown(self.builder, (args, kwargs)):
            return self.builder.unknown(name) if make or moves else self._none(name, op)
        try:
            if op == "getitem" and not isinstance(args[0], (Output, View)):
                return args[0][args[1]]
            x: Any = args[0] if args else next(iter(values_in(kwargs)), None)
            known = isinstance(x, (Output, View))
            if known and (op in SHAPES or op == "getattr"):
                return self._told(name, op, x, *args[1:], **kwargs)
            if known and op in moving.ZEROS:
                shape = self.mover.shape(x) if op == "zeros_like" else args[1:]
                return self.like.new_zeros(*shape if op == "zeros_like" else shape)
            if op in moving.JOINTS:
                return self.mover.joined(name, function, args, dict(kwargs))
            if known and plain == "pad":
                return self._pad(name, *args, **kwargs)
            if known and plain == "squeeze" and len(args) == 1 and not kwargs:
                shape = self.mover.shape(x)
                axes = tuple(n for n in range(1, len(shape)) if shape[n] == 1)
                return self.mover.moved(name, self.torch.squeeze, (x, axes), {}) if axes else x
            if known and plain in moving.MOVES:
                return self.mover.moved(name, function, args, kwargs)
            if known and op in operators.OVER_AXES:
                return self._over_axes(name, op, *args, **kwargs)
            if known and op == "linear" and len(self.mover.shape(x)) > 2:
                return self._linear(name, *args, **kwargs)
        except FAILURES as error:
            return self.builder.refuse(name, op, told(error))
        return self.call(make, name, op, args, kwargs)

    def _none(self, name: str, op: str) -> Output:
        """Notes that nothing here makes what `op` gives."""
        return self.builder.refuse(name, op, why_not(op, "nothing here computes it"))

    def _told(self, name: str, op: str, x: Value, key: Any = None, dim: Any = None) -> Any:
        """A size or another attribute of an output."""
        shape = self.torch.Size(self.mover.shape(x))
        if op == "getattr":
            if key == "shape":
                return shape
            if key == "ndim":
                return len(shape)
            if key in ATTRIBUTES:
                return getattr(self.like, key)
            return self.builder.refuse(name, "getattr", f".{key}")
        if op == "size":
            at = dim if key is None else key
            return shape if at is None else shape[at]
        return math.prod(shape) if op in ("numel", "nelement") else len(shape)

    def _pad(self, name: str, x: Value, pad: Any, mode: str = "constant", value: Any = None) -> Any:
        return self.mover.padded(name, x, pad, mode, value)

    def _over_axes(
        self,
        name: str,
        op: str,
        x: Value,
        dim: Any = None,
        keepdim: bool = False,
        axis: Any = None,
        dtype: Any = None,
    ) -> Any:
        """A mean, a maximum or a sum over axes."""
        dim = axis if dim is None else dim
        axes = () if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
        kind = "MaxPool" if op == "amax" else "GlobalAveragePool"
        label = f"{name}.mean" if op == "sum" else name
        made = self.mover.over_axes(label, x, axes, keepdim, kind)
        if op != "sum" or unknown(self.builder, made):
            return made
        shape = self.mover.shape(x)
        count = math.prod(shape[axis] for axis in {axis % len(shape) for axis in axes})
        return self.call(operators.mul, name, "mul", (made, float(count)), {})

    def _linear(self, name: str, x: Value, weight: Any, bias: Any = None) -> Any:
        """A Linear of the last of many axes: a convolution of 1x1."""
        features, wanted = self.mover.shape(x)[-1], operators.array(weight).shape[1]
        if features != wanted:
            reason = f"of {wanted} values, where the last axis has {features}: flatten the map"
            return self.builder.refuse(name, "linear", reason)
        before, back = self.mover.by_last_axis(name, x)
        kernel = operators.array(weight)[:, :, None, None]
        arguments = (before, kernel, None if bias is None else operators.array(bias))
        return back(self.call(operators.conv2d, name, "linear", arguments, {}))

    def module(self, name: str, module: Any, kind: str, args: Any, kwargs: Any) -> Any:
        """What a module of PyTorch's own gives.

        name: the node's. module: the module. kind: the name of PyTorch's class that it is of. args,
        kwargs: of its forward pass.
        """
        make: Any = operators.MODULES.get(kind)
        moves = kind in moving.MODULES or kind in operators.PADS
        if unknown(self.builder, (args, kwargs)):
            return self.builder.unknown(name) if make or moves else self._none(name, kind)
        x: Any = args[0] if args else next(iter(values_in(kwargs)), None)
        try:
            if kind in moving.MODULES:
                return self.mover.moved(name, module.forward, (x,), {})
            if kind in operators.PADS:
                mode = operators.PADS[kind]
                return self.mover.padded(name, x, module.padding, mode, getattr(module, "value", 0))
            if kind == "Linear" and len(self.mover.shape(x)) > 2:
                return self._linear(name, x, module.weight, module.bias)
            if getattr(module, "padding_mode", "zeros") != "zeros":
                x = self._padded_by(name, module, x)
                return self.call(operators.unpadded, name, kind, (x, module), {})
        except FAILURES as error:
            return self.builder.refuse(name, kind, told(error))
        return self.call(make, name, kind, (*args, module), kwargs)

    def _padded_by(self, name: str, module: Any, x: Value) -> Any:
        """The input of a convolution that pads by repeating values."""
        pads = module._reversed_padding_repeated_twice
        return self.mover.padded(f"{name}.padded", x, pads, module.padding_mode, 0)


def values_in(value: Any) -> list[Value]:
    """The outputs and views among (nested) arguments. value: arguments."""
    if isinstance(value, (Output, View)):
        return [value]
    if not isinstance(value, (dict, tuple, list)):
        return []
    items = value.values() if isinstance(value, dict) else value
    return [found for item in items for found in values_in(item)]


def base_of(value: Value) -> Output:
    """The output whose values a value has. value: an output or a view."""
    return value.base if isinstance(value, View) else value


def unknown(builder: Builder, value: Any) -> bool:
    """Whether an output among (nested) arguments was refused. builder: of the outputs."""
    return any(builder.shapes[base_of(x)] is None for x in values_in(value))
