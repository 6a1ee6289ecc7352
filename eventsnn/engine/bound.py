"""Kernels that other kernels call by their address, with a model or an order bound to them.

What reads a model or an order is compiled for its class, and what has it inlined is so, too. A
kernel that gets such a function bound, as an address and the constants' addresses, knows neither
class: it is compiled once for all of them, and of a new model its own functions alone. A call costs
some nanoseconds, so it stands for a spike or for a block of neurons, never for a charge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

from eventsnn.engine.jit import Kernel, compiled, specialised
from eventsnn.engine.tables import Block

WORD = ir.IntType(64)
_intrinsic: Any = intrinsic  # kernels call what it makes without the first argument, the context


class BoundType(types.Type):
    """Numba's type of a bound kernel: what it takes beside its constants, and what it returns.

    constants: how many are bound to it. arguments, result: numba's types.
    """

    def __init__(self, constants: int, arguments: tuple[Any, ...], result: Any) -> None:
        self.constants, self.arguments, self.result = constants, arguments, result
        words = f"{constants}, {', '.join(map(str, arguments))}, {result}"
        super().__init__(f"Bound({hashlib.sha256(words.encode()).hexdigest()[:16]})")

    @property
    def words(self) -> Any:
        """The type of the addresses."""
        return types.UniTuple(types.int64, 1 + self.constants)


class Bound:
    """A kernel with constants bound to it, compiled; other kernels `call` it.

    kind: numba's type. code: what holds the machine code. address: where it begins. blocks: of the
    constants.
    """

    def __init__(self, kind: BoundType, code: Any, address: int, blocks: Sequence[Block]) -> None:
        self.kind, self._code, self._blocks = kind, code, blocks
        self.words = (address, *(block.address for block in blocks))


# a kernel and the types that it takes -> its own type, what holds its code, and the address
_COMPILED: dict[tuple[Any, ...], tuple[BoundType, Any, int]] = {}


def bound(dispatcher: Kernel, constants: Sequence[Any], arguments: Sequence[Any]) -> Bound:
    """Binds constants to a kernel.

    dispatcher: a `bindable` kernel, which takes the constants first. constants: NamedTuples.
    arguments: what it will be called with, values whose types alone count. Raises InputError where
    numba does not compile the functions of a class that is not eventsnn's own.
    """
    kernel, constants = specialised(dispatcher, *constants)
    blocks = [Block(constant) for constant in constants]
    of_constants, kinds = tuple(block.kind for block in blocks), tuple(map(typeof, arguments))
    key = (kernel, of_constants, kinds)
    if key not in _COMPILED:
        code, address, result = compiled(kernel, of_constants + kinds)
        _COMPILED[key] = BoundType(len(constants), kinds, result), code, address
    kind, code, address = _COMPILED[key]
    return Bound(kind, code, address, blocks)


class Absent:
    """Stands for a bound kernel that is never called.

    constants: how many would be bound to it. arguments: as for `bound`. result: numba's type.
    """

    def __init__(self, constants: int, arguments: Sequence[Any], result: Any) -> None:
        self.kind = BoundType(constants, tuple(map(typeof, arguments)), result)
        self.words = (0,) * (1 + constants)


@typeof_impl.register(Bound)
@typeof_impl.register(Absent)
def _type_of(value: Bound | Absent, context: Any) -> BoundType:
    return value.kind


@register_model(BoundType)
class _BoundModel(models.PrimitiveModel):
    """The addresses: the code's, and the constants'."""

    def __init__(self, manager: Any, kind: BoundType) -> None:
        super().__init__(manager, kind, ir.ArrayType(WORD, 1 + kind.constants))


@unbox(BoundType)
def _unbox(kind: BoundType, value: Any, c: Any) -> NativeValue:
    words = c.pyapi.object_getattr_string(value, "words")
    native = c.unbox(kind.words, words)
    c.pyapi.decref(words)
    return native


@_intrinsic
def call(typing_context: Any, bound: Any, *arguments: Any) -> Any:
    """What a bound kernel returns for these arguments. bound: it. arguments: after its constants.

    Raises TypingError, when numba compiles the caller, for arguments of other types than it has.
    """
    kinds = tuple(types.unliteral(kind) for kind in arguments)
    if len(kinds) != len(bound.arguments):
        raise TypingError(f"a bound kernel gets {len(kinds)} of {len(bound.arguments)} arguments")
    other = [f"{k} for {its}" for k, its in zip(kinds, bound.arguments) if k != its]
    if other:
        raise TypingError(f"a bound kernel gets {', '.join(other)}")

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        convention, words = context.call_conv, values[0]
        address, *constants = cgutils.unpack_tuple(builder, words, 1 + bound.constants)
        constants = [builder.inttoptr(constant, cgutils.voidptr_t) for constant in constants]
        given = cgutils.unpack_tuple(builder, values[1], len(kinds))
        taken = (types.voidptr,) * len(constants) + kinds
        function = convention.get_function_type(bound.result, taken)
        code = builder.inttoptr(address, function.as_pointer())
        _, result = convention.call_function(
            builder, code, bound.result, taken, [*constants, *given]
        )
        return result

    return bound.result(bound, types.StarArgTuple(kinds)), generate
