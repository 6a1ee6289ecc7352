"""PyTorch modules in memory: traced by torch.fx and read operator by operator."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from eventsnn.ann.forward import activation_function
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.ann.operators import ACTIVATIONS
from eventsnn.exceptions import InputError, named_options
from eventsnn.files.reading import told
from eventsnn.readers.building import Builder, Output
from eventsnn.readers.torch.operators import FUNCTIONS, MODULES, array

NAME = "load_torch"
# class of a module -> function of such a module that returns (operator, attributes)
Activations = Mapping[type, Callable[[Any], tuple[str, dict[str, Any]]]]
FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
VALUES = 1000  # at least, on which an activation is compared with what the table says of it
MAX_DIFFERING = 0.05  # share of them that may differ: those at a rounding's border


@named_options
def load_torch(
    module: Any,
    input_shape: tuple[int, int, int],
    *,
    activations: Activations | None = None,
    preprocessing: Preprocessing | None = None,
) -> Graph:
    """The `Graph` of a torch.nn.Module as it computes in evaluation mode.

    module: the network, which stays as it is. It must do the same operations for every image, on
    one input. input_shape: (C, H, W). activations: class of a module -> function that takes such a
    module and returns (operator, attributes), for activations of one's own. For a QCFS class with a
    threshold and L levels:

        load_torch(net, (3, 32, 32), activations={IF: lambda m: ("QCFS", {"lambda": float(m.thresh),
        "levels": m.L})})

    Operators and attributes: Relu, Clip (max), ClippedRelu (lambda), QCFS (lambda, levels),
    QuantRelu (scale, levels); each is compared with the module itself. preprocessing: a
    `Preprocessing`; None: pixels as they are. Raises InputError, one for everything that has no
    spiking form.
    """
    try:
        import torch.fx
    except ImportError:
        raise InputError(
            NAME, "the package torch", "none", "install it: pip install eventsnn[torch]"
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            NAME,
            "a torch.nn.Module",
            type(module).__name__,
            "make the module, load its state dict into it, and give that",
        )
    if len(input_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise InputError(f"{NAME}: input_shape", "three positive sizes C, H, W", input_shape)
    if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        module = module.module
    with torch.no_grad(), _evaluating(module):
        return _Reader(torch, module, input_shape, activations or {}).read(
            preprocessing or Preprocessing(known=False)
        )


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode inside the block; then every submodule is as it was."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in modes:
            m.training = training


class _Reader:
    """Goes through a traced module. `values`: node of the trace -> an `Output` of the graph, or an
    array or object known already.
    """

    def __init__(
        self, torch: Any, module: Any, input_shape: tuple[int, int, int], activations: Activations
    ) -> None:
        self.torch = torch
        self.module = module
        self.activations = activations
        self.values: dict[Any, Any] = {}
        name = type(module).__name__
        self.trace = _trace(torch, module, tuple(activations), name)
        inputs = [node for node in self.trace.nodes if node.op == "placeholder" and not node.args]
        if len(inputs) != 1:
            raise InputError(
                f"{NAME}: {name}", "a module with one input", [node.name for node in inputs]
            )
        self.builder = Builder(name, inputs[0].name, input_shape)

    def read(self, preprocessing: Preprocessing) -> Graph:
        """The Graph."""
        result = None
        for node in self.trace.nodes:
            args, kwargs = self.torch.fx.map_arg((node.args, node.kwargs), lambda n: self.values[n])
            result = self.values[node] = getattr(self, f"_on_{node.op}")(node, args, kwargs)
        if not isinstance(result, Output):
            raise InputError(
                self.builder.source, "a module that returns one tensor", type(result).__name__
            )
        return self.builder.graph(
            str(result), preprocessing=preprocessing, meta={"arch": self.builder.source}
        )

    def _on_placeholder(self, node: Any, args: Any, kwargs: Any) -> Any:
        return args[0] if args else Output(self.builder.input)

    def _on_output(self, node: Any, args: Any, kwargs: Any) -> Any:
        return args[0]

    def _on_get_attr(self, node: Any, args: Any, kwargs: Any) -> Any:
        value = operator.attrgetter(node.target)(self.module)
        return array(value) if isinstance(value, self.torch.Tensor) else value

    def _on_call_module(self, node: Any, args: Any, kwargs: Any) -> Any:
        module = self.module.get_submodule(node.target)
        own = next(
            (make for kind, make in self.activations.items() if isinstance(module, kind)), None
        )
        # a parametrised layer is of a class made for it, below that of the layer
        kind = next(
            (
                c.__name__
                for c in type(module).__mro__
                if c.__module__.startswith("torch.nn.modules")
            ),
            None,
        )
        make = self._own(own) if own else MODULES.get(kind or "")
        return self._call(make, node.target, type(module).__name__, (*args, module), kwargs)

    def _on_call_function(self, node: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(node.target, "__name__", str(node.target))
        if not _outputs((args, kwargs)):
            try:
                return node.target(*args, **kwargs)  # arithmetic of sizes and other constants
            except FAILURES as error:
                raise InputError(
                    f"{self.builder.source}: {node.name}",
                    "arithmetic of constants",
                    f"{name}: {told(error)}",
                ) from error
        place = getattr(node.target, "__module__", None) or "torch"
        make = (
            FUNCTIONS.get(name)
            if place.split(".")[0] in ("torch", "_operator", "builtins")
            else None
        )
        return self._call(make, node.name, name, args, kwargs)

    def _on_call_method(self, node: Any, args: Any, kwargs: Any) -> Any:
        if not _outputs((args, kwargs)):
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        return self._call(FUNCTIONS.get(node.target), node.name, node.target, args, kwargs)

    def _call(self, make: Any, name: str, op: Any, args: Any, kwargs: Any) -> Any:
        """What `make` makes of the arguments, or a refusal."""
        builder = self.builder
        if make is None:
            return builder.refuse(name, op, "nothing here computes it")
        if any(builder.shapes[output] is None for output in _outputs((args, kwargs))):
            return builder.unknown(name)
        try:
            return make(builder, name, *args, **kwargs)
        except FAILURES as error:
            return builder.refuse(name, op, told(error))

    def _own(self, describe: Any) -> Any:
        """The maker of an activation that the user's table describes; the module itself is asked
        whether that is true.
        """

        def make(builder: Builder, name: str, x: Output, module: Any) -> Output:
            op, attrs = describe(module)
            if op not in ACTIVATIONS:
                return builder.refuse(
                    name,
                    op,
                    f"the table of activations has to name one of {', '.join(ACTIVATIONS)}",
                )
            made = builder.add(name, op, [x], dict(attrs))
            if builder.shapes[made] is not None:
                self._compare(module, Node(made, op, (x,), dict(attrs)))
            return made

        return make

    def _compare(self, module: Any, node: Any) -> None:
        """Raise InputError if an activation computes something else on values around its
        threshold.
        """
        shape = self.builder.shape(Output(node.name))
        attrs = node.attrs
        top = (
            attrs["scale"] * attrs["levels"]
            if "scale" in attrs
            else attrs.get("lambda", attrs.get("max", 1))
        )
        images = -(-VALUES // math.prod(shape))
        y = np.linspace(-0.5 * top, 1.5 * top, images * math.prod(shape), dtype=np.float32).reshape(
            images, *shape
        )
        device = next((p.device for p in module.parameters()), "cpu")
        expected = activation_function(node)(y)
        found = array(module(self.torch.from_numpy(y.copy()).to(device)))
        if (
            found.shape != y.shape
            or (differing := np.abs(found - expected) > 1e-4 * top).mean() > MAX_DIFFERING
        ):
            at = (
                f", which at {y[differing][0]:.4g} gives {found[differing][0]:.4g}"
                if found.shape == y.shape
                else ""
            )
            raise InputError(
                f"{self.builder.source}: {node.name}",
                f"an activation that computes {node.op} with {attrs}",
                type(module).__name__ + at,
                "correct the table of activations",
            )


def _trace(torch: Any, module: Any, leaves: Any, name: str) -> Any:
    """torch.fx's graph of a module; modules of the classes `leaves` stay whole."""

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: Any, name: str) -> bool:
            return isinstance(m, leaves) or super().is_leaf_module(m, name)

    try:
        return Tracer().trace(module)
    except (
        Exception
    ) as error:  # whatever the user's own code raises when it meets a stand-in for a tensor
        raise InputError(
            f"{NAME}: {name}",
            "a module that does the same operations for every image, so that torch.fx can trace it",
            told(error),
            "name classes of activations in the table `activations`, or export the network to ONNX",
        ) from error


def _outputs(value: Any) -> Any:
    """The outputs of the graph among (nested) arguments."""
    if isinstance(value, Output):
        return [value]
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, tuple, list)):
        return []
    return [output for item in items for output in _outputs(item)]
