"""PyTorch modules in memory: traced by torch.fx and read operator by operator."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.blas import ONE_BLAS_THREAD
from eventsnn.ann.forward import activation_function, forward
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.ann.operators import ACTIVATIONS
from eventsnn.ann.pixels import as_preprocessing
from eventsnn.ann.windows import MAX_ELEMENTS
from eventsnn.arguments import checked
from eventsnn.exceptions import InputError
from eventsnn.files.reading import told
from eventsnn.readers.building import Builder, Output, some
from eventsnn.readers.torch import quantised
from eventsnn.readers.torch.calls import FAILURES, Calls, base_of, values_in
from eventsnn.readers.torch.comparing import (
    ROUNDED,
    TOLERANCE,
    Computed,
    deviation,
    images,
    is_small,
)
from eventsnn.readers.torch.copying import doubles, in_64_bits, not_numbers
from eventsnn.readers.torch.endings import chosen, note_of
from eventsnn.readers.torch.operators import FUNCTIONS
from eventsnn.readers.torch.tracing import one_input, trace
from eventsnn.readers.views import View

NAME = "load_torch"
# class of a module -> function of such a module that returns (operator, attributes)
Activations = Mapping[type, Callable[[Any], tuple[str, dict[str, Any]]]]
VALUES = 1000  # at least, on which an activation is compared with what the table says of it
MAX_DIFFERING = 0.05  # share of them that may differ: those at a rounding's border
FAILED = object()  # stands for what torch could not compute


@checked
def load_torch(
    module: Any,
    input_shape: tuple[int, ...],
    *,
    activations: Activations | None = None,
    preprocessing: Any = None,
    output: str | int | None = None,
) -> Graph:
    """The `Graph` of a torch.nn.Module as it computes in evaluation mode.

    module: the network, which stays as it is; torch.compile's and DataParallel's wrappers are
    looked through. It must do the same operations for every image, on one input. Hooks and
    operations in place are read in torch's own order, weights that the forward pass computes are
    constants. input_shape: (C, H, W); (C, L) for a module on sequences [batch, C, L], which the
    graph takes as images of height 1; or (N,) for one on vectors [batch, N]. activations: class of
    a module -> function that takes such a module and returns (operator, attributes), for
    activations of one's own. For a QCFS class with a threshold and L levels:

        load_torch(net, (3, 32, 32), activations={IF: lambda m: ("QCFS", {"lambda": float(m.thresh),
        "levels": m.L})})

    Operators and attributes: Relu, Clip (max), ClippedRelu (lambda), QCFS (lambda, levels),
    QuantRelu (scale, levels), SlipRelu (lambda, step_levels, slope); each is compared with the
    module itself. Modules with a method `spiking_operator`, as those of eventsnn.train, say it
    themselves. preprocessing: what is
    done to raw pixels before: a `Preprocessing`, a dict with some of scale, mean, std and reverse,
    as in {"scale": 1 / 255, "mean": [0.5], "std": [0.25]}, or torchvision's Normalize, which stands
    behind ToTensor: raw pixels are those from 0 to 255 then. None: pixels as they are. output:
    which of a module's outputs: its place from 0, or its name in a dict; None: the only one.

    The graph is compared with a copy of the module in float64, node by node, on images with pixels
    from 0 to 255 and from 0 to 1 (without a preprocessing from -1 to 1, too). Raises InputError,
    one for everything that has no spiking form; for weights that are not numbers; for the first
    node that differs by more than 1e-9 of the largest value; for a module that cannot be copied.
    """
    if not 1 <= len(input_shape) <= 3 or not all(n > 0 for n in input_shape):
        expected = "positive sizes: (C, H, W) of images, (C, L) of sequences, or (N,) of vectors"
        raise InputError(f"{NAME}: input_shape", expected, input_shape)
    try:
        import torch.fx
    except ImportError:
        raise InputError(NAME, "the package torch", "none", "pip install torch") from None
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            NAME,
            "a torch.nn.Module",
            type(module).__name__,
            "make the module, load its state dict into it, and give that",
        )
    if math.prod(input_shape) > MAX_ELEMENTS:
        expected = f"at most {MAX_ELEMENTS:,} values"
        raise InputError(f"{NAME}: input_shape", expected, input_shape)
    where = f"{NAME}: {type(module).__name__}"
    preprocessing = as_preprocessing(preprocessing, NAME)
    quantised.refuse_others(module, where)
    with torch.inference_mode(False), torch.no_grad(), torch.random.fork_rng(devices=[]):
        copied = in_64_bits(torch, module, where)
        with doubles(torch), ONE_BLAS_THREAD:
            table = declared(copied) | dict(activations or {})
            end = None if output is None else str(output)
            return _Reader(torch, copied, input_shape, table, preprocessing, end).read()


def declared(module: Any) -> dict[type, Callable[[Any], tuple[str, dict[str, Any]]]]:
    """The activations among a module's parts that say what they are, as those of eventsnn.train do.

    Such a part has a method `spiking_operator`, which returns (operator, attributes). module: the
    network.
    """
    kinds = {type(part) for part in module.modules()}
    own = {kind for kind in kinds if callable(getattr(kind, "spiking_operator", None))}
    return {kind: kind.spiking_operator for kind in own}


class _Reader:
    """Goes through a traced module, operation by operation, beside torch itself.

    values: node of the trace -> an `Output` of the graph, or a tensor or object known already.
    tensors: node of the trace -> what torch computes there, or FAILED. ended: those behind an
    activation that is left out at the end -> what torch computes with it. arrays: name of the
    graph's nodes -> what they have to give. differing: (node of the trace, name, deviation) where
    the graph gives something else. changing: nodes that change a tensor that is used later.
    """

    def __init__(
        self,
        torch: Any,
        module: Any,
        input_shape: tuple[int, ...],
        activations: Activations,
        preprocessing: Preprocessing,
        output: str | None,
    ) -> None:
        self.torch = torch
        self.module = module
        self.activations = activations
        self.preprocessing = preprocessing
        self.output = output
        self.values: dict[Any, Any] = {}
        self.tensors: dict[Any, Any] = {}
        self.ended: dict[Any, Any] = {}
        self.note = ""
        self.versions: dict[Any, int] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.differing: list[tuple[Any, str, float]] = []
        self.changing: set[Any] = set()
        self.refusing: dict[str, Any] = {}
        name = type(module).__name__
        where = f"{NAME}: {name}"
        self.builder = Builder(name, one_input(torch, module, where), _as_map(input_shape))
        pixels, self.group = images(self.builder.input_shape, preprocessing)
        self.x = torch.from_numpy(pixels.reshape(-1, *input_shape))
        self.calls = Calls(torch, self.builder, self.x)
        self.failure = ""
        self.expected = self._expected()
        classes = tuple(activations)
        self.trace = trace(
            torch, module, lambda m: isinstance(m, classes) or quantised.is_whole(m), where
        )

    def _expected(self) -> Any:
        """The module's own output, or FAILED."""
        try:
            return self._chosen(self.module(self.x.clone()))
        except InputError:
            raise
        except Exception as error:  # whatever the user's own code raises
            try:
                found = self.module(self.x[:1].clone())
            except Exception:
                self.failure = told(error)
                return FAILED
            self.x = self.x[:1]  # a module for one image at a time
            return self._chosen(found)

    def _chosen(self, value: Any) -> Any:
        """Of what the module returns, the tensor that is meant."""
        where = f"{NAME}: {self.builder.source}"
        return chosen(value, self.output, where, lambda x: isinstance(x, self.torch.Tensor))

    def read(self) -> Graph:
        """The Graph."""
        nodes = self.trace.nodes
        order = {node: number for number, node in enumerate(nodes)}
        last = {node: max((order[user] for user in node.users), default=-1) for node in nodes}
        result: Any = None
        for number, node in enumerate(nodes):
            before = {name for names in self.builder.refused.values() for name in names}
            made = len(self.builder.nodes)
            args, kwargs = self.torch.fx.map_arg((node.args, node.kwargs), self.values.__getitem__)
            result = self.values[node] = getattr(self, f"_on_{node.op}")(node, args, kwargs)
            computed = self._computed(made)
            self.tensors[node] = self._run(node, self.tensors)
            if node in self.ended or any(n in self.ended for n in node.all_input_nodes):
                real = self.ended | {n: t for n, t in self.tensors.items() if n not in self.ended}
                self.ended[node] = self._run(node, real)
            self._compare_with_torch(node, result, computed)
            self._follow_change(node, [n for n in nodes[:number] if last[n] > number])
            for names in self.builder.refused.values():
                self.refusing |= {name: node for name in names if name not in before}
            for earlier in {node, *node.all_input_nodes}:
                if last[earlier] <= number and node.op != "output":
                    self.tensors.pop(earlier, None)
                    self.versions.pop(earlier, None)
            later = [v for n, v in self.values.items() if last[n] > number]
            used = {str(base_of(v)) for v in values_in(later)}
            self.arrays = {name: a for name, a in self.arrays.items() if name in used}
        self._forget_unused(nodes)
        return self._checked(result)

    def _forget_unused(self, nodes: list[Any]) -> None:
        """Drops what was noted of operations on which the output does not depend."""
        alive: set[Any] = set()
        for node in reversed(nodes):
            if node.op == "output" or node in self.changing or alive & set(node.users):
                alive.add(node)
        self.differing = [entry for entry in self.differing if entry[0] in alive]
        refused = self.builder.refused
        for kind, names in list(refused.items()):
            kept = [name for name in names if self.refusing.get(name) in alive]
            refused[kind] = kept
            if not kept:
                del refused[kind]

    # --- torch's own values --------------------------------------------------------------------

    def _run(self, node: Any, tensors: Mapping[Any, Any]) -> Any:
        """What torch computes for a node of the trace; FAILED where it cannot.

        tensors: of the nodes before. An activation at the end is computed for those that have it.
        """
        if node in self.ended and tensors is self.tensors:
            return tensors[node.all_input_nodes[0]]
        if node.op == "placeholder":
            return self.x.clone()
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.trace.root)
        args, kwargs = self.torch.fx.map_arg(
            (node.args, node.kwargs), lambda n: tensors.get(n, FAILED)
        )
        if _holds(FAILED, (args, kwargs)):
            return FAILED
        if node.op == "output":
            return self._chosen(args[0])
        try:
            if node.op == "call_module":  # its hooks stand in the trace
                return self.module.get_submodule(node.target).forward(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)
        except Exception:  # the whole is compared at the end
            return FAILED

    def _computed(self, made: int) -> Computed | None:
        """What the last of the nodes made since gives, where its inputs are known.

        made: how many nodes there were before.
        """
        computed = None
        for node in self.builder.nodes[made:]:
            if any(name not in self.arrays for name in node.inputs):
                return None
            computed = Computed(node, [self.arrays[name] for name in node.inputs])
            self.arrays[node.name] = computed.found
        return computed

    def _compare_with_torch(self, node: Any, result: Any, computed: Computed | None) -> None:
        """Notes a node of the graph that gives something else than torch from the same inputs."""
        tensor = self.tensors[node]
        if not isinstance(tensor, self.torch.Tensor):
            return
        self.versions[node] = tensor._version
        if not isinstance(result, (Output, View)):
            return
        base = base_of(result)
        shape = self.builder.shapes[base]
        if shape is None:
            return
        expected = tensor.detach().numpy()
        if isinstance(result, View):
            in_order = result.index.size == math.prod(shape) == expected[:1].size
            if not in_order or (result.index.ravel() != np.arange(result.index.size)).any():
                return
        if isinstance(result, View) or node.op == "output":
            expected = _in_shape(expected, shape)
        if computed is not None and computed.name == base:
            off = computed.deviation(expected, self.group)
            if not off <= TOLERANCE:
                self.differing.append((node, str(base), off))
        self.arrays[str(base)] = expected

    def _follow_change(self, node: Any, earlier: list[Any]) -> None:
        """What an operation in place changes: earlier tensors that are used later."""
        result, after = self.values[node], self.tensors[node]
        for other in earlier:
            tensor = self.tensors.get(other, FAILED)
            if not isinstance(tensor, self.torch.Tensor):
                continue
            if tensor._version == self.versions.setdefault(other, tensor._version):
                continue
            self.versions[other] = tensor._version
            self.changing.add(node)
            same = isinstance(after, self.torch.Tensor) and isinstance(result, Output)
            same = same and tensor.data_ptr() == after.data_ptr()
            if same and tensor.shape == after.shape and tensor.stride() == after.stride():
                self.values[other] = result
            elif same and self.builder.shapes[result] is not None and _is_flat(tensor, after):
                flat = self.builder.add(f"{node.name}.flat", "Flatten", [result])
                self.values[other] = flat
                self.arrays[str(flat)] = tensor.detach().numpy()
            else:
                reason = "what it changes is used later as another view of the same values"
                name = f"{node.name} on {other.name}"
                self.values[other] = self.builder.refuse(name, "operation in place", reason)

    # --- the end -------------------------------------------------------------------------------

    def _checked(self, result: Output) -> Graph:
        """The finished graph, once it is known to compute what the module does."""
        where = f"{NAME}: {self.builder.source}"
        wrong = not_numbers(self.torch, self.module) if self.builder.refused else []
        if wrong:
            do = "train the network again, or load another state dict"
            raise InputError(where, "numbers as weights", some(wrong), do, 1000)
        graph = self.builder.graph(
            str(result),
            preprocessing=self.preprocessing,
            meta={"arch": self.builder.source} | ({"note": self.note} if self.note else {}),
        )
        if not isinstance(self.expected, self.torch.Tensor):
            shape = list(self.x.shape[1:])
            kind = "images" if len(shape) > 1 else "vectors"
            expected = f"a module that computes {kind} of shape {shape} in evaluation mode"
            raise InputError(where, expected, self.failure or type(self.expected).__name__)
        if self.differing:
            _, name, off = self.differing[0]
            raise self._differs(_node(graph, name), off)
        self._compare_with_module(graph)
        return graph

    def _compare_with_module(self, graph: Graph) -> None:
        """Raises InputError if the trace, or the graph, gives another output than the module."""
        shape = graph.shapes[graph.output]
        expected = _in_shape(self.expected.detach().numpy(), shape)
        end = self.trace.nodes[-1]
        traced = self.ended.get(end, self.tensors.get(end, FAILED))
        is_traced = isinstance(traced, self.torch.Tensor)
        if is_traced:
            off = deviation(_in_shape(traced.detach().numpy(), shape), expected, self.group)
            if not off <= TOLERANCE:
                raise self._differs(self._first_differing(), off)
        if is_traced and not is_small(graph.input_shape):
            return  # each node is right, and another pass takes long
        if is_traced and any(node.op in ROUNDED for node in graph.nodes):
            return  # each node is right; all of them together may round to other levels
        if end in self.ended:
            expected = _in_shape(self.tensors[end].detach().numpy(), shape)
        x = self.x.numpy().reshape(-1, *graph.input_shape)
        with np.errstate(all="ignore"):
            found = forward(graph, x, dtype=np.float64)[graph.output]
        off = deviation(found, expected, self.group, float(np.abs(x).max()))
        if not off <= TOLERANCE:
            raise self._differs(_node(graph, graph.output), off)

    def _differs(self, what: str, off: float) -> InputError:
        """What to say of the first thing that differs from the module."""
        return InputError(
            f"{NAME}: {self.builder.source}: {what}",
            f"what the module computes there, within {TOLERANCE:g} of the largest value",
            f"a difference of {off:.2g}",
            "take out of the network what changes it from call to call (random numbers, values "
            "kept from the last image) or that torch.fx does not see, or export it to ONNX",
        )

    def _first_differing(self) -> str:
        """The first module whose output in the trace is not the network's own, or the network."""
        own: dict[str, list[Any]] = {}

        def note(path: str, output: Any) -> None:
            known = isinstance(output, self.torch.Tensor)
            own.setdefault(path, []).append(output.clone() if known else None)

        handles = [
            part.register_forward_hook(lambda m, inputs, output, path=path: note(path, output))
            for path, part in self.module.named_modules()
        ]
        try:
            self.module(self.x[:1].clone())
        except Exception:  # a network that fails when it is called again
            return "the network, which fails when it is called again"
        finally:
            for handle in handles:
                handle.remove()
        self.x, self.tensors = self.x[:1], {}
        for node in self.trace.nodes:
            tensor = self.tensors[node] = self._run(node, self.tensors)
            for path in self.trace.ends.get(node, ()):
                output = own.get(path) and own[path].pop(0)
                if not isinstance(output, self.torch.Tensor) or tensor is FAILED:
                    continue
                if not deviation(tensor.numpy(), output.numpy(), 1) <= TOLERANCE:
                    kind = type(self.module.get_submodule(path)).__name__
                    what = f"module {path!r} ({kind})" if path else "the network"
                    why = self.trace.unseen.get(path)
                    return f"{what}, whose hooks torch.fx cannot trace ({why})" if why else what
        return "the network"

    # --- the trace's operations ----------------------------------------------------------------

    def _on_placeholder(self, node: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return args[0]
        x = Output(self.builder.input)
        if self.x.ndim == 3:  # sequences, which the graph has as (C, 1, L)
            return self.calls.mover.as_sequence(x, x)
        is_vector = self.x.ndim == 2  # which the graph has as (N, 1, 1)
        return self.builder.add(f"{x}.flat", "Flatten", [x]) if is_vector else x

    def _on_output(self, node: Any, args: Any, kwargs: Any) -> Any:
        where = f"{NAME}: {self.builder.source}"
        value = chosen(args[0], self.output, where, lambda x: isinstance(x, (Output, View)))
        return self.calls.mover.placed(value)

    def _on_get_attr(self, node: Any, args: Any, kwargs: Any) -> Any:
        return operator.attrgetter(node.target)(self.trace.root)

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
        name = node.target or node.name
        if not own and self._ends(node, kind or ""):
            return args[0]
        if own:
            return self.calls.call(self._own(own), name, type(module).__name__, (*args, module), {})
        if quantised.is_whole(module):
            return quantised.read(self.calls, name, module, args)
        if kind is None:
            return self.calls.call(None, name, type(module).__name__, args, kwargs)
        return self.calls.module(name, module, kind, args, kwargs)

    def _on_call_function(self, node: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(node.target, "__name__", str(node.target))
        if not values_in((args, kwargs)):
            try:
                return node.target(*args, **kwargs)  # arithmetic of sizes and other constants
            except FAILURES as error:
                raise InputError(
                    f"{self.builder.source}: {node.name}",
                    "arithmetic of constants",
                    f"{name}: {told(error)}",
                ) from error
        place = getattr(node.target, "__module__", None) or "torch"
        if place.split(".")[0] not in ("torch", "_operator", "builtins"):
            return self.calls.call(None, node.name, name, args, kwargs)
        if self._ends(node, name):
            return args[0]
        return self.calls.function(node.name, name, node.target, args, kwargs)

    def _ends(self, node: Any, name: str) -> bool:
        """Whether a node is an activation at the end that is left out; it is noted then."""
        note = note_of(node, name)
        if note:
            self.note = note
            self.ended[node] = FAILED  # until it is computed
        return bool(note)

    def _on_call_method(self, node: Any, args: Any, kwargs: Any) -> Any:
        name = node.target
        if not values_in((args, kwargs)):
            return getattr(args[0], name)(*args[1:], **kwargs)
        if name.startswith("__r") and name[3:-2] in FUNCTIONS:  # 1 - x, of a tensor 1
            name, args = name[3:-2], args[::-1]
        name = name.strip("_") if name.startswith("__") else name
        if self._ends(node, name):
            return args[0]
        method = getattr(self.torch.Tensor, name, None)
        return self.calls.function(node.name, name, method, args, kwargs)

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
        count = -(-VALUES // math.prod(shape))
        y = np.linspace(-0.5 * top, 1.5 * top, count * math.prod(shape)).reshape(count, *shape)
        expected = activation_function(node)(y)
        found = module.forward(self.torch.from_numpy(y.copy())).numpy()
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


def _in_shape(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A batch in the shape that its images have in the graph, where it is as large."""
    return array.reshape(len(array), *shape) if array[:1].size == math.prod(shape) else array


def _as_map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of images; (C, 1, L) of sequences, (N, 1, 1) of vectors."""
    channels, height, width = (*shape, 1, 1)[:3]
    return (channels, 1, height) if len(shape) == 2 else (channels, height, width)


def _holds(wanted: object, value: Any) -> bool:
    """Whether an object is among (nested) arguments."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return any(_holds(wanted, item) for item in value)
    return value is wanted


def _is_flat(tensor: Any, whole: Any) -> bool:
    """Whether a tensor is all of another, flattened."""
    flat = tensor.shape == (len(whole), whole.numel() // len(whole))
    return bool(flat and tensor.is_contiguous() and whole.is_contiguous())


def _node(graph: Graph, name: str) -> str:
    """A node of a graph as messages name it."""
    op = f" ({graph.by_name[name].op})" if name in graph.by_name else ""
    return f"node {name!r}{op}"
