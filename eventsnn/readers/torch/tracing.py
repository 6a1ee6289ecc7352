"""A module as torch.fx's graph, with what its hooks do and with operations in place as such."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.files.reading import told

# x += y and so on: torch.fx's own proxies make x = x + y of them
IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul")


def makers(torch: Any) -> tuple[Any, ...]:
    """The functions that make constants of given sizes, which may be those of the input.

    torch: the package.
    """
    return (torch.zeros, torch.ones, torch.full, torch.arange)


def one_input(torch: Any, module: Any, where: str) -> str:
    """The name of a module's only input, as torch.fx spells it.

    torch: the package. module: the network. where: for messages. Raises InputError for other
    counts of inputs, and for modules of torch.jit.
    """
    try:
        given = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError) as error:
        do = "give the module that was scripted"
        expected = "a module in Python, so that torch.fx can trace it"
        raise InputError(where, expected, told(error), do) from error
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    names = [p.name for p in given if p.default is p.empty and p.kind not in kinds]
    if not names and any(p.kind is p.VAR_POSITIONAL for p in given):
        names = [p.name for p in given if p.kind is p.VAR_POSITIONAL]
    if len(names) != 1:
        raise InputError(where, "a module with one input", names)
    return torch.fx.Graph().placeholder(names[0]).name


@dataclass
class Trace:
    """A traced module.

    nodes: torch.fx's, in order. root: the module that names of constants start from. ends: node ->
    paths of the modules whose output it is, hooks included. unseen: path of a module whose hooks
    failed in the trace and are left out of it -> how they failed.
    """

    nodes: list[Any]
    root: Any
    ends: dict[Any, list[str]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)


def trace(torch: Any, module: Any, is_whole: Callable[[Any], bool], where: str) -> Trace:
    """The trace of a module, through all that is no leaf.

    Hooks are called in the trace, so what they do stands in the graph. What a network computes from
    parameters alone is computed here: it stands in the graph as a constant.

    torch: the package. module: the network. is_whole: whether a module stays
    whole. where: for
    messages. Raises InputError where torch.fx cannot trace it.
    """
    ends: dict[Any, list[str]] = {}
    unseen: dict[str, str] = {}
    paths: dict[int, str] = {}
    for path, part in module.named_modules():
        paths.setdefault(id(part), path)

    class Proxy(torch.fx.Proxy):
        pass

    for name in IN_PLACE:
        setattr(Proxy, f"__{name}__", _in_place(getattr(operator, name)))

    class Tracer(torch.fx.Tracer):
        def proxy(self, node: Any) -> Any:
            return Proxy(node, self)

        def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
            return attr_val

        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            if is_whole(m):
                return True
            if type(m).__module__.startswith("torch.ao."):  # for training: weights are constants
                return False
            own = m is module or "forward" in vars(m)
            return not own and super().is_leaf_module(m, module_qualified_name)

        def path_of_module(self, mod: Any) -> str:
            if id(mod) not in paths:
                raise NameError(f"a {type(mod).__name__} that is no part of the network")
            return paths[id(mod)]

        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            if not _proxies(torch, (args, kwargs)):
                return forward(*args, **kwargs)
            path = self.path_of_module(m)
            found = self._called(m, path, forward, args, kwargs)
            if isinstance(found, torch.fx.Proxy):
                ends.setdefault(found.node, []).append(path)
            return found

        def _called(self, m: Any, path: str, forward: Any, args: Any, kwargs: Any) -> Any:
            leaf, before = self.is_leaf_module(m, path), len(self.graph.nodes)
            call = partial(self._with_hooks, m, forward) if leaf else forward
            if not (m._forward_hooks or m._forward_pre_hooks):
                return call(*args, **kwargs)
            plain = partial(self._noted, path) if leaf else m.forward
            try:
                return call(*args, **kwargs)
            except Exception as error:  # hooks that need numbers; most of them only look at these
                for node in reversed(list(self.graph.nodes)[before:]):
                    self.graph.erase_node(node)
                    ends.pop(node, None)
                unseen[path] = told(error)
            return plain(*args, **kwargs)

        def _noted(self, path: str, *args: Any, **kwargs: Any) -> Any:
            return self.create_proxy("call_module", path, args, kwargs)

        def _with_hooks(self, m: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
            own = vars(m).get("forward")
            # the call below runs the hooks of m around this
            m.__dict__["forward"] = partial(self._noted, paths[id(m)])
            try:
                return forward(*args, **kwargs)
            finally:
                if own is None:
                    del m.__dict__["forward"]
                else:
                    m.__dict__["forward"] = own

    class Whole(torch.nn.Module):
        """Calls the network, as torch.fx leaves out the hooks of what it is given."""

        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def forward(self, x: Any) -> Any:
            return self.net(x)

    whole = Whole().eval()
    tracer = Tracer(autowrap_functions=makers(torch))
    if isinstance(getattr(tracer, "_autowrap_search", None), list):
        tracer._autowrap_search.append(torch)  # where networks find these functions
    try:
        return Trace(list(tracer.trace(whole).nodes), whole, ends, unseen)
    except (
        Exception
    ) as error:  # whatever the user's own code raises when it meets a stand-in for a tensor
        raise InputError(
            where,
            "a module that does the same operations for every image, so that torch.fx can trace it",
            told(error),
            "name classes of activations in the table `activations`, or export the network to ONNX",
        ) from error


def _in_place(function: Any) -> Any:
    """The method of a proxy that notes `function` of operator."""

    def noted(self: Any, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return noted


def _proxies(torch: Any, value: Any) -> bool:
    """Whether there are stand-ins for tensors among (nested) arguments."""
    if isinstance(value, (tuple, list)):
        return any(_proxies(torch, item) for item in value)
    if isinstance(value, dict):
        return any(_proxies(torch, item) for item in value.values())
    return isinstance(value, torch.fx.Proxy)
