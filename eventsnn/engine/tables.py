"""NamedTuples that kernels get as one pointer, which takes a third off the time of compiling.

Numba hands a NamedTuple on as all that its fields are made of: seven numbers for an array, so that
each function of the event engine would take some four hundred, and say so at each call. A class
with `@table` is a block of memory in place of that. It is made when Python calls a kernel, holds of
each array where its numbers begin, its shape and its strides, and lasts as long as the call, in
which it does not change: what is read of it may be read once for many uses.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

Class = TypeVar("Class", bound=type)
WORD = ir.IntType(64)


class Table(types.Type):
    """Numba's type of a table: the NamedTuple's class, and its fields' types."""

    def __init__(self, instance_class: Any, kinds: tuple[Any, ...]) -> None:
        self.instance_class = instance_class
        self.fields = instance_class._fields
        self.types = kinds
        words = ", ".join(f"{name}: {kind}" for name, kind in zip(self.fields, kinds))
        super().__init__(f"{instance_class.__module__}.{instance_class.__qualname__}({words})")

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

    cls: the class. Its fields are arrays and numbers.
    """

    @typeof_impl.register(cls)
    def type_of(value: Any, context: Any) -> Table:
        return Table(cls, tuple(typeof_impl(field, context) for field in value))

    return cls


def _parts(kind: Any) -> list[ir.Type]:
    """What a block holds of a field: a number; of an array its pointer, shape and strides."""
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
        parts = [native.value]
        if isinstance(its, types.Array):
            array = c.context.make_array(its)(c.context, builder, native.value)
            shape, strides = (
                cgutils.unpack_tuple(builder, sizes, its.ndim)
                for sizes in (array.shape, array.strides)
            )
            parts = [array.data, *shape, *strides]
        for k, part in enumerate(parts, start=kind.first_part(name)):
            builder.store(part, cgutils.gep_inbounds(builder, block, 0, k))
        with builder.if_then(native.is_error, likely=False):
            builder.store(cgutils.true_bit, failed)
        with builder.if_then(builder.not_(native.is_error)):
            if c.context.enable_nrt:
                c.context.nrt.decref(builder, its, native.value)
    return NativeValue(block, is_error=builder.load(failed))


@infer_getattr
class _Fields(AttributeTemplate):
    key = Table

    def generic_resolve(self, kind: Any, name: Any) -> Any:  # type: ignore[override]
        """The type of a field."""
        return kind.type_of(name) if name in kind.fields else None


@lower_getattr_generic(Table)
def _read(context: Any, builder: ir.IRBuilder, kind: Table, block: Any, name: str) -> Any:
    """Code that reads a field out of the block."""
    for argument in builder.function.args:
        if argument.type == block.type:
            argument.attributes.dereferenceable = context.get_abi_sizeof(kind.block)
    its, first = kind.type_of(name), kind.first_part(name)

    def part(k: int) -> Any:
        value = builder.load(cgutils.gep_inbounds(builder, block, 0, first + k))
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        return value

    if not isinstance(its, types.Array):
        return part(0)
    array, nitems = context.make_array(its)(context, builder), WORD(1)
    shape = [part(1 + k) for k in range(its.ndim)]
    for size in shape:
        nitems = builder.mul(nitems, size, flags=["nsw"])
    array.data, array.nitems = part(0), nitems
    array.itemsize = WORD(context.get_abi_sizeof(array.data.type.pointee))
    array.shape = cgutils.pack_array(builder, shape, WORD)
    array.strides = cgutils.pack_array(
        builder, [part(1 + its.ndim + k) for k in range(its.ndim)], WORD
    )
    for owner in ("meminfo", "parent"):  # the NamedTuple owns its arrays as long as a kernel runs
        setattr(array, owner, getattr(array, owner).type(None))
    return array._getvalue()
