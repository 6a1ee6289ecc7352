"""The two inner loops of the engines as vector code, written out in LLVM's own terms.

`add_lanes` and `subtract_lanes` keep the sum of many rows in registers (clocked time); `add_and_test` and
`subtract_and_test` add one row and say which potentials left a band (asynchronous time). What numba makes of plain loops
loads and stores the sum for every few rows, tests at each call whether the arrays overlap, and has no masks.
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


def _and_test(words, whole, floating):
    """An intrinsic that changes potentials by one row with these two instructions, and tests them."""
    def change(context, v, at, weights, row, band, lanes):
        signature = types.UniTuple(types.uint64, 2)(v, at, weights, row, band, lanes)
        return (signature, partial(_test_code, (whole, floating), lanes.literal_value)) if isinstance(lanes, types.IntegerLiteral) else None
    change.__doc__ = f"""v[at:at + lanes] {words} weights[row:row + lanes]; returns two masks, in which bit i stands for v[at + i].

    band: a `layout.Band`. First mask: v >= high or v <= low. Second: v > ceiling or v < floor. lanes: NARROW or WIDE, a constant.
    Nothing is checked: the slices must lie inside the arrays.
    """
    return intrinsic(change)


add_and_test, subtract_and_test = _and_test("+=", "add", "fadd"), _and_test("-=", "sub", "fsub")


def _test_code(instructions, lanes, context, builder, signature, args):
    """One pass over the lanes: load, add, store, compare."""
    number, word = signature.args[0].dtype, ir.IntType(64)
    item, whole = context.get_data_type(number), isinstance(number, types.Integer)
    size = context.get_abi_sizeof(item)
    vector = ir.VectorType(item, min(lanes, BYTES // size))
    change = getattr(builder, instructions[0 if whole else 1])
    compare = builder.icmp_signed if whole else builder.fcmp_ordered
    v, weights = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 2))
    low, high, floor, ceiling = (_spread(builder, builder.extract_value(args[4], k), vector) for k in range(4))
    outside = beyond = word(0)
    for part in range(0, lanes, vector.count):
        to = builder.bitcast(builder.gep(v, [builder.add(args[1], word(part))]), vector.as_pointer())
        row = builder.bitcast(builder.gep(weights, [builder.add(args[3], word(part))]), vector.as_pointer())
        p = change(builder.load(to, align=size), builder.load(row, align=size))
        builder.store(p, to, align=size)
        for ends, so_far in (((">=", high, "<=", low), outside), ((">", ceiling, "<", floor), beyond)):
            mask = builder.or_(compare(ends[0], p, ends[1]), compare(ends[2], p, ends[3]))
            bits = builder.zext(builder.bitcast(mask, ir.IntType(vector.count)), word)
            so_far = builder.or_(so_far, builder.shl(bits, word(part)))
            outside, beyond = (so_far, beyond) if ends[0] == ">=" else (outside, so_far)
    return context.make_tuple(builder, signature.return_type, (outside, beyond))


def _spread(builder, value, vector):
    """A number in every lane."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


@intrinsic
def lowest_bit(context, mask):
    """The number of the lowest bit of a uint64 that is set; it must not be 0."""
    def code(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(1))
    return types.int64(types.uint64), code
