"""NamedTuples that kernels get as one pointer, which takes a third off the time of compiling.

Numba hands a NamedTuple on as all that its fields are made of: seven numbers for an array, so that
each function of the event engine would take some four hundred, and say so at each call. A class
with `@table` is a block of memory in place of that. It is made when Python calls a kernel, holds of
each array where its numbers begin, its shape and its strides, and lasts as long as the call, in
which it does not change: what is read of it may be read once for many uses. A block that is to last
longer is made here (`Block`), for any NamedTuple.
"""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.core.errors import NumbaError
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

Class = TypeVar("Class", bound=type)
WORD = ir.IntType(64)
_intrinsic: Any = intrinsic  # kernels call what it makes without the first argument, the context
# a number in a block, as C has it
IN_C: dict[Any, Any] = {
    ir.IntType(1): ctypes.c_bool,
    ir.IntType(8): ctypes.c_int8,
    ir.IntType(16): ctypes.c_int16,
    ir.IntType(32): ctypes.c_int32,
    WORD: ctypes.c_int64,
    ir.FloatType(): ctypes.c_float,
    ir.DoubleType(): ctypes.c_double,
}


NOTHING = (types.NoneType, types.Opaque)  # of which a block holds nothing


class Table(types.Type):
    """Numba's type of a table: the NamedTuple's class, and its fields' types."""

    def __init__(self, instance_class: Any, kinds: tuple[Any, ...]) -> None:
        self.instance_class = instance_class
        self.fields = instance_class._fields
        self.types = kinds
        words = ", ".join(f"{name}: {kind}" for name, kind in zip(self.fields, kinds))
        super().__init__(f"{instance_class.__module__}.{instance_class.__qualname__}({words})")

    @property
    def key(self) -> Any:
        """What tells types apart: the class itself, since others may share its name."""
        return self.instance_class, self.name

    @property
    def mangling_args(self) -> tuple[str, tuple[()]]:
        """A short name; the one with all fields would be part of each function's."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:12]
        return f"{self.instance_class.__name__}_{digest}", ()

    @property
    def block(self) -> ir.LiteralStructType:
        """The block of memory."""
        return ir.LiteralStructType([part for kind in self.types for part in _parts(kind)])

    def first_part(self, name: str) -> int:
        """The number of a field's first part in the block. name: the field's."""
        return sum(len(_parts(kind)) for kind in self.types[: self.fields.index(name)])

    def type_of(self, name: str) -> Any:
        """A field's type. name: its name."""
        return self.types[self.fields.index(name)]


def table(cls: Class) -> Class:
    """Makes a NamedTuple one that kernels get as one pointer, and read only.

    cls: the class. Its fields are as for `table_of`, and may be bound kernels, too.
    """

    @typeof_impl.register(cls)
    def type_of(value: Any, context: Any) -> Table:
        return table_of(value)

    return cls


def table_of(value: Any) -> Table:
    """The type that a NamedTuple has as a table. value: one, whose class need not be a `table`.

    Its fields are numbers, arrays, None, and tuples of these. Others may stand there, too; what
    reads one is not compiled.
    """
    found = (type(value), *map(_told, value))
    if found not in _KNOWN:
        _KNOWN[found] = Table(type(value), tuple(map(_kind_of, value)))
    return _KNOWN[found]


# class, and of each field what tells its type -> the type: numba takes a millisecond to find it
_KNOWN: dict[tuple[Any, ...], Table] = {}
NUMBERS = (int, float, bool, np.number, type(None))
UNREADABLE = types.Opaque("what no kernel reads")


def _told(field: Any) -> Any:
    """What tells a field's type, in less time than numba's type itself."""
    if isinstance(field, np.ndarray):
        return field.dtype, field.ndim, field.flags.num
    return type(field) if isinstance(field, NUMBERS) else _kind_of(field)


def _kind_of(field: Any) -> Any:
    """A field's type, or UNREADABLE."""
    try:
        kind = typeof(field)
        return kind if all(map(_has_room, _parts(kind))) else UNREADABLE
    except (NotImplementedError, NumbaError, ValueError):
        return UNREADABLE


def _has_room(part: ir.Type) -> bool:
    """Whether a block has room for a part: a number, a pointer, or a bound kernel's addresses."""
    return isinstance(part, (ir.PointerType, ir.ArrayType)) or part in IN_C


class Block:
    """A NamedTuple's block of memory, as long as this object lasts.

    value: the NamedTuple. `kind` is its type, `address` where the block begins.
    """

    def __init__(self, value: Any) -> None:
        self.kind = table_of(value)
        self._value = value  # which keeps its arrays
        parts = [part for field, its in zip(value, self.kind.types) for part in _given(field, its)]
        self._block = _structure(self.kind)(*parts)
        self.address = ctypes.addressof(self._block)


@cache
def _structure(kind: Table) -> Any:
    """A table's block in C."""
    fields = [(f"_{i}", _in_c(part)) for i, part in enumerate(kind.block.elements)]
    return type("_Block", (ctypes.Structure,), {"_fields_": fields})


def _is_tuple(kind: Any) -> bool:
    return isinstance(kind, types.BaseTuple)


def _in_c(part: ir.Type) -> Any:
    """What a part of a block is in C."""
    return ctypes.c_void_p if isinstance(part, ir.PointerType) else IN_C[part]


def _given(value: Any, kind: Any) -> list[Any]:
    """What a block holds of a field's value, part by part (`_parts`). kind: its type."""
    if _is_tuple(kind):
        return [part for one, its in zip(value, kind.types) for part in _given(one, its)]
    if isinstance(kind, NOTHING):
        return []
    if isinstance(kind, types.Array):
        return [value.ctypes.data, *value.shape, *value.strides]
    return [np.asarray(value).item()]


def _parts(kind: Any) -> list[ir.Type]:
    """What a block holds of a field: a number; of an array its pointer, shape and strides; of a
    tuple what it holds of each element; of None and of what nobody reads nothing.
    """
    if _is_tuple(kind):
        return [part for its in kind.types for part in _parts(its)]
    if isinstance(kind, NOTHING):
        return []
    if isinstance(kind, types.Array):
        numbers = default_manager[kind.dtype].get_data_type().as_pointer()
        return [numbers, *[WORD] * (2 * kind.ndim)]
    return [default_manager[kind].get_value_type()]


@register_model(Table)
class _TableModel(models.PrimitiveModel):
    """A pointer to the block."""

    def __init__(self, manager: Any, kind: Table) -> None:
        super().__init__(manager, kind, kind.block.as_pointer())


@unbox(Table)
def _unbox(kind: Table, value: Any, c: Any) -> NativeValue:
    """Fills a block in the entry from Python. value: the NamedTuple, which keeps its arrays."""
    builder, block = c.builder, cgutils.alloca_once(c.builder, kind.block)
    failed = cgutils.alloca_once_value(builder, cgutils.false_bit)
    for i, (name, its) in enumerate(zip(kind.fields, kind.types)):
        native = c.unbox(its, c.pyapi.tuple_getitem(value, i))
        for k, part in enumerate(_taken(c, native.value, its), start=kind.first_part(name)):
            builder.store(part, cgutils.gep_inbounds(builder, block, 0, k))
        with builder.if_then(native.is_error, likely=False):
            builder.store(cgutils.true_bit, failed)
        with builder.if_then(builder.not_(native.is_error)):
            if c.context.enable_nrt:
                c.context.nrt.decref(builder, its, native.value)
    return NativeValue(block, is_error=builder.load(failed))


def _taken(c: Any, value: Any, kind: Any) -> list[Any]:
    """The parts of a block (`_parts`), of a value in compiled code."""
    if isinstance(kind, types.NoneType):
        return []
    if _is_tuple(kind):
        values = cgutils.unpack_tuple(c.builder, value, len(kind.types))
        return [part for one, its in zip(values, kind.types) for part in _taken(c, one, its)]
    if not isinstance(kind, types.Array):
        return [value]
    array = c.context.make_array(kind)(c.context, c.builder, value)
    sizes = (cgutils.unpack_tuple(c.builder, s, kind.ndim) for s in (array.shape, array.strides))
    return [array.data, *(size for its in sizes for size in its)]


@infer_getattr
class _Fields(AttributeTemplate):
    key = Table

    def generic_resolve(self, kind: Any, name: Any) -> Any:  # type: ignore[override]
        """The type of a field."""
        its = kind.type_of(name) if name in kind.fields else UNREADABLE
        return None if its == UNREADABLE else its


@lower_getattr_generic(Table)
def _read(context: Any, builder: ir.IRBuilder, kind: Table, block: Any, name: str) -> Any:
    """Code that reads a field out of the block."""
    _say_all_is_there(context, builder, kind)
    its, first = kind.type_of(name), kind.first_part(name)
    parts = []
    for k in range(first, first + len(_parts(its))):
        value = builder.load(cgutils.gep_inbounds(builder, block, 0, k))
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        parts.append(value)
    return _made(context, builder, its, parts)


def _say_all_is_there(context: Any, builder: ir.IRBuilder, kind: Table) -> None:
    """Has the compiler know that a function may read all of its tables of a type, at any time."""
    for argument in builder.function.args:
        if argument.type == kind.block.as_pointer():
            argument.attributes.dereferenceable = context.get_abi_sizeof(kind.block)


@_intrinsic
def there(typing_context: Any, kind: Any) -> Any:
    """The table itself. A kernel says so of tables that only what it calls reads: what a loop reads
    under a condition may be read before the loop then.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        _say_all_is_there(context, builder, kind)
        return values[0]

    return kind(kind), generate


def _made(context: Any, builder: ir.IRBuilder, kind: Any, parts: list[Any]) -> Any:
    """A value of a type, of its parts in a block."""
    if isinstance(kind, types.NoneType):
        return context.get_dummy_value()
    if _is_tuple(kind):
        values, first = [], 0
        for its in kind.types:
            end = first + len(_parts(its))
            values.append(_made(context, builder, its, parts[first:end]))
            first = end
        return context.make_tuple(builder, kind, values)
    if not isinstance(kind, types.Array):
        return parts[0]
    array, nitems = context.make_array(kind)(context, builder), WORD(1)
    shape, strides = parts[1 : 1 + kind.ndim], parts[1 + kind.ndim :]
    for size in shape:
        nitems = builder.mul(nitems, size, flags=["nsw"])
    array.data, array.nitems = parts[0], nitems
    array.itemsize = WORD(context.get_abi_sizeof(array.data.type.pointee))
    array.shape = cgutils.pack_array(builder, shape, WORD)
    array.strides = cgutils.pack_array(builder, strides, WORD)
    for owner in ("meminfo", "parent"):  # the NamedTuple owns its arrays as long as a kernel runs
        setattr(array, owner, getattr(array, owner).type(None))
    return array._getvalue()
