"""Sums of rows that stay in vector registers.

What numba makes of plain loops loads and stores the sum for every few rows, and tests at each call whether the arrays
overlap. This is the one place where the vector code is written out, in LLVM's own terms.
"""
from __future__ import annotations

from functools import partial

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

BYTES = 64  # of a vector; LLVM takes it apart where a machine's are shorter
NARROW, WIDE = 16, 64  # numbers that are added up at once


def _lanes(words, whole, floating):
    """An intrinsic that changes a slice by row after row with these two instructions of LLVM's."""
    def change(context, charge, at, weights, offset, rows, count, lanes):
        signature = types.void(charge, at, weights, offset, rows, count, lanes)
        return (signature, partial(_code, (whole, floating), lanes.literal_value)) if isinstance(lanes, types.IntegerLiteral) else None
    change.__doc__ = f"""charge[at:at + lanes] {words} weights[rows[i] + offset:rows[i] + offset + lanes], for i = 0, …, count - 1 in turn.

    lanes: NARROW or WIDE, a constant. Nothing is checked: the slices must lie inside the arrays.
    """
    return intrinsic(change)


add_lanes, subtract_lanes = _lanes("+=", "add", "fadd"), _lanes("-=", "sub", "fsub")


def _code(instructions, lanes, context, builder, signature, args):
    """All sums in registers, one loop over the rows."""
    number = signature.args[0].dtype
    item, size, word = context.get_data_type(number), context.get_abi_sizeof(context.get_data_type(number)), ir.IntType(64)
    vector = ir.VectorType(item, min(lanes, BYTES // size))
    parts = range(0, lanes, vector.count)
    change = getattr(builder, instructions[0 if isinstance(number, types.Integer) else 1])
    charge, weights, rows = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 2, 4))
    at, offset, count = args[1], args[3], args[5]

    def place(start, part):
        return builder.bitcast(builder.gep(start, [word(part)]), vector.as_pointer())

    to = builder.gep(charge, [at])
    before = [builder.load(place(to, part), align=size) for part in parts]
    entry, head, body, end = builder.block, builder.append_basic_block(), builder.append_basic_block(), builder.append_basic_block()
    builder.branch(head)
    builder.position_at_end(head)
    i, sums = builder.phi(word), [builder.phi(vector) for _ in parts]
    builder.cbranch(builder.icmp_signed("<", i, count), body, end)
    builder.position_at_end(body)
    row = builder.gep(weights, [builder.add(builder.load(builder.gep(rows, [i])), offset)])
    after = [change(so_far, builder.load(place(row, part), align=size)) for so_far, part in zip(sums, parts)]
    for phi, first, next_one in zip((i, *sums), (word(0), *before), (builder.add(i, word(1)), *after)):
        phi.add_incoming(first, entry)
        phi.add_incoming(next_one, body)
    builder.branch(head)
    builder.position_at_end(end)
    for part, total in zip(parts, sums):
        builder.store(total, place(to, part), align=size)
    return context.get_dummy_value()
