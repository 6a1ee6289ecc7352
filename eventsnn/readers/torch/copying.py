"""A module's copy in 64 bits on the CPU, on which all is tried; the module stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.files.reading import told

# what keeps the numbers, where every number has 64 bits
CASTS = ("float", "double", "to", "type", "type_as", "cpu", "cuda")

# functions that take scales of 32 bits alone -> (x, scale, zero point, lowest, highest, axis)
QUANTISERS: dict[str, Callable[..., Any]] = {
    "fake_quantize_per_tensor_affine": lambda x, scale, zero, low, high: (
        (x, scale, zero, low, high, None)
    ),
    "fake_quantize_per_channel_affine": lambda x, scale, zero, axis, low, high: (
        (x, scale, zero, low, high, axis)
    ),
    "fused_moving_avg_obs_fake_quant": lambda x, observes, on, least, most, scale, zero, *rest: (
        (x, scale, zero, rest[1], rest[2], rest[3] if rest[4:5] == (True,) else None)
    ),
}


def inside(torch: Any, module: Any, where: str) -> Any:
    """The module in wrappers: torch.compile's, DataParallel's.

    torch: the package. module: the network. where: for messages. Raises InputError for a wrapper
    that has hooks of its own.
    """
    while (inner := _wrapped(torch, module)) is not None:
        if any(vars(module).get(name) for name in ("_forward_hooks", "_forward_pre_hooks")):
            kind = type(module).__name__
            do = "register them on the module inside"
            raise InputError(where, "a wrapper without hooks", f"hooks on {kind}", do)
        module = inner
    return module


def _wrapped(torch: Any, module: Any) -> Any:
    """What a wrapper holds; None for other modules."""
    if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        return module.module
    if type(module).__name__ == "OptimizedModule":
        return module._orig_mod
    return None


def in_64_bits(torch: Any, module: Any, where: str) -> Any:
    """A copy of a module in evaluation mode, whose floats have 64 bits; wrappers are left out.

    torch: the package. module: the network. where: for messages. Raises InputError for a module
    that cannot be copied, and for parameters that hold no numbers.
    """
    module = inside(torch, module, where)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if torch.nn.parameter.is_lazy(tensor) or tensor.is_meta:
            found = "a parameter without any: lazy, or on the device meta"
            raise InputError(f"{where}: {name}", "numbers", found, "run the network once")
    memo: dict[int, Any] = {}
    modules = list(module.modules())
    for part in modules:
        if vars(part).get("_compiled_call_impl") is not None:
            memo[id(vars(part)["_compiled_call_impl"])] = None
        for tensor in _tensors(torch, vars(part)):
            memo.setdefault(id(tensor), _double(torch, tensor))
    try:
        for part in reversed(modules):
            if (inner := inside(torch, part, where)) is not part:
                memo[id(part)] = copy.deepcopy(inner, memo)
        copied = copy.deepcopy(module, memo)
    except InputError:
        raise
    except Exception as error:  # whatever the objects in a user's module raise
        do = "remove what cannot be copied, such as open files that a hook holds"
        expected = "a module that copy.deepcopy copies"
        raise InputError(where, expected, told(error), do) from error
    for part in copied.modules():
        part._compiled_call_impl = None
    return copied.eval()


def _tensors(torch: Any, value: Any, depth: int = 0) -> Iterable[Any]:
    """The tensors among an object's attributes, in lists and dicts, too."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)) and depth < 3:
        for item in list(value.values() if isinstance(value, dict) else value):
            yield from _tensors(torch, item, depth + 1)


def _double(torch: Any, tensor: Any) -> Any:
    """A copy on the CPU, floats in 64 bits."""
    dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
    values = tensor.detach().to("cpu", dtype, copy=True)
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(values, requires_grad=False)
    return values


def not_numbers(torch: Any, module: Any) -> list[str]:
    """Names of parameters and buffers with NaN or infinity, and what they hold.

    torch: the package. module: the network.
    """
    wrong = []
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if "activation_post_process." in name:  # what an observer saw, infinity before the first
            continue
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            kind = "NaN" if torch.isnan(tensor).any() else "infinity"
            wrong.append(f"{name} ({kind}; {count} of {tensor.numel():,})")
    return wrong


def doubles(torch: Any) -> Any:
    """A context in which torch's functions take and give floats of 64 bits on the CPU alone.

    torch: the package. Constants that a network makes in its forward pass keep their values.
    """

    def widened(value: Any) -> Any:
        if (
            type(value) in (torch.Tensor, torch.nn.Parameter)
            and value.is_floating_point()
            and (value.dtype != torch.float64 or value.device.type != "cpu")
        ):
            return value.detach().to("cpu", torch.float64)
        return value

    def mapped(value: Any) -> Any:
        if type(value) in (tuple, list):
            return type(value)(mapped(item) for item in value)
        if type(value) is dict:
            return {key: mapped(item) for key, item in value.items()}
        return widened(value)

    class Doubles(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            args, kwargs = mapped(args), mapped(kwargs or {})
            name = getattr(function, "__name__", "")
            if name in QUANTISERS:
                return _quantised(torch, *QUANTISERS[name](*args, **kwargs))
            found = function(*args, **kwargs)
            if name in CASTS and args and isinstance(found, torch.Tensor):
                if found.is_floating_point() and args[0].is_floating_point():
                    return found if kwargs.get("copy") else args[0]
            return mapped(found)

    return Doubles()


def _quantised(
    torch: Any, x: Any, scale: Any, zero: Any, low: int, high: int, axis: int | None
) -> Any:
    """What PyTorch's functions of fake quantisation give, in 64 bits."""
    scale, zero = (torch.as_tensor(value, dtype=torch.float64) for value in (scale, zero))
    if axis is not None:
        shape = [-1 if n == axis else 1 for n in range(x.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    elif scale.numel() == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    return (torch.clamp(torch.round(x / scale) + zero, low, high) - zero) * scale
