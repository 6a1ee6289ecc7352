"""The two inner loops of the engines as vector code, written out in LLVM's own terms.

`add_rows` and `subtract_rows` keep the sum of many rows in registers (clocked time); `add_run`,
`subtract_run` and their halves add one row and say which potentials left a band (asynchronous
time). What numba makes of plain loops loads and stores the sum for every few rows, tests at each
call whether the arrays overlap, and has no masks.
"""

from __future__ import annotations

import os
from functools import partial, reduce

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

BYTES = 64  # of a vector; LLVM takes it apart where a machine's are shorter
REGISTERS = 16  # vectors that are added up at once
TESTED = 64  # numbers that are added and tested at once


def aligned(size, dtype):
    """An array [size], not filled, that begins where a vector may: numpy's begin anywhere, and each
    vector across two lines of the cache costs twice.
    """
    dtype = np.dtype(dtype)
    room = np.empty(size * dtype.itemsize + BYTES, np.uint8)
    first = -room.ctypes.data % BYTES
    return room[first : first + size * dtype.itemsize].view(dtype)


def _rows(words, whole, floating):
    """An intrinsic that changes a slice by row after row with these two instructions of LLVM's."""

    def change(context, charge, at, weights, row, width, log, first, end):
        return types.void(charge, at, weights, row, width, log, first, end), partial(
            _rows_code, (whole, floating)
        )

    change.__doc__ = f"""charge[at:at + width] {words} weights[row + c * width:][:width], for the channels c of log[first:end] in turn.

    log: int32{", ~c standing for channel c" if whole == "sub" else ""}. Nothing is checked: the slices must lie inside the arrays.
    """
    return intrinsic(change)


add_rows, subtract_rows = _rows("+=", "add", "fadd"), _rows("-=", "sub", "fsub")


def _rows_code(instructions, context, builder, signature, args):
    """The sums of as many numbers as registers hold, in one loop over the rows; then the next
    numbers.
    """
    number, word = signature.args[0].dtype, ir.IntType(64)
    item, size = context.get_data_type(number), number.bitwidth // 8
    change = getattr(builder, instructions[0 if isinstance(number, types.Integer) else 1])
    charge, weights, log = (
        context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 2, 5)
    )
    at, row, width, first, end = args[1], args[3], args[4], args[6], args[7]

    def block(lanes, done):
        """The next `lanes` numbers."""
        vector = ir.VectorType(item, min(lanes, BYTES // size))
        parts = [word(part) for part in range(0, lanes, vector.count)]

        def places(start):
            return [
                builder.bitcast(builder.gep(start, [part]), vector.as_pointer()) for part in parts
            ]

        sums_at = places(builder.gep(charge, [builder.add(at, done)]))
        before = [builder.load(place, align=size) for place in sums_at]
        entry, head, body, after = (
            builder.block,
            builder.append_basic_block(),
            builder.append_basic_block(),
            builder.append_basic_block(),
        )
        builder.branch(head)
        builder.position_at_end(head)
        i, sums = builder.phi(word), [builder.phi(vector) for _ in parts]
        builder.cbranch(builder.icmp_signed("<", i, end), body, after)
        builder.position_at_end(body)
        channel = builder.sext(builder.load(builder.gep(log, [i])), word)
        channel = builder.not_(channel) if instructions[0] == "sub" else channel
        given = places(
            builder.gep(weights, [builder.add(builder.add(row, done), builder.mul(channel, width))])
        )
        totals = [
            change(so_far, builder.load(place, align=size)) for so_far, place in zip(sums, given)
        ]
        for phi, start, next_one in zip(
            (i, *sums), (first, *before), (builder.add(i, word(1)), *totals)
        ):
            phi.add_incoming(start, entry)
            phi.add_incoming(next_one, body)
        builder.branch(head)
        builder.position_at_end(after)
        for place, total in zip(sums_at, sums):
            builder.store(total, place, align=size)

    _in_blocks(builder, REGISTERS * BYTES // size, width, block)
    return context.get_dummy_value()


def _in_blocks(builder, longest, width, block):
    """Code that calls block(lanes, first) for consecutive parts of 0, …, width - 1: as many of the
    longest as fit, then of half the length, and so on down to 1.
    """
    word, lanes = ir.IntType(64), longest
    done, finish = cgutils.alloca_once_value(builder, word(0)), builder.append_basic_block()
    while lanes:
        head, body, end = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        first = builder.load(done)
        builder.cbranch(
            builder.icmp_signed("<=", builder.add(first, word(lanes)), width), body, end
        )
        builder.position_at_end(body)
        block(lanes, first)
        after = builder.add(first, word(lanes))
        builder.store(after, done)
        builder.cbranch(
            builder.icmp_signed("==", after, width), finish, head if lanes == longest else end
        )  # shorter ones come once
        builder.position_at_end(end)
        lanes //= 2
    builder.branch(finish)
    builder.position_at_end(finish)


def _run(words, whole, floating, by_sign):
    """An intrinsic that changes a run of potentials by one row with these two instructions, and
    tests them.
    """

    def change(context, v, at, weights, row, width, half, low, high, found, pairs):
        signature = types.UniTuple(types.int64, 2)(
            v, at, weights, row, width, half, low, high, found, pairs
        )
        return signature, partial(_run_code, (whole, floating), by_sign)

    change.__doc__ = f"""v[at:at + width] {words} weights[row:row + width]{", the charges of one sign" if by_sign else ""}.

    half: 1: charges >= 0, 2: charges < 0{"" if by_sign else " (not looked at here)"}. found: int64, `pairs` pairs of numbers, to which
    more are added: the bits of found[2 * k + 1] that are set say which of the potentials from found[2 * k] on are >= high or <= low.
    low: a number, or one for each potential.
    Returns how many charges were added, and how many pairs there are now. The slices must lie inside the arrays, and `found` have room
    for 2 * width more numbers: nothing is checked.
    """
    return intrinsic(change)


add_run, subtract_run = _run("+=", "add", "fadd", False), _run("-=", "sub", "fsub", False)
add_half_run, subtract_half_run = _run("+=", "add", "fadd", True), _run("-=", "sub", "fsub", True)


def _run_code(instructions, by_sign, context, builder, signature, args):
    """One pass over the run, in blocks as long as possible: load, add, store, compare."""
    number, word = signature.args[0].dtype, ir.IntType(64)
    whole = isinstance(number, types.Integer)
    v, weights, found = (
        context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 2, 8)
    )
    at, row, width, half, low, high = args[1], args[3], args[4], args[5], args[6], args[7]
    each = isinstance(signature.args[6], types.Array)
    lows = context.make_array(signature.args[6])(context, builder, low).data if each else None
    count, pairs = (cgutils.alloca_once_value(builder, start) for start in (word(0), args[9]))
    compare = partial(_compare, builder, whole)

    def block(lanes, first):
        """The next `lanes` numbers."""
        vector = ir.VectorType(
            context.get_data_type(number), min(lanes, BYTES * 8 // number.bitwidth)
        )
        highest, none = _spread(builder, high, vector), ir.Constant(vector, None)
        after, lowest, taken = [], [], builder.load(count)
        for part in range(0, lanes, vector.count):
            place = builder.add(first, word(part))
            to, given = (
                builder.bitcast(
                    builder.gep(array, [builder.add(start, place)]), vector.as_pointer()
                )
                for array, start in ((v, at), (weights, row))
            )
            before, weight = (
                builder.load(to, align=number.bitwidth // 8),
                builder.load(given, align=number.bitwidth // 8),
            )
            p = getattr(builder, instructions[0 if whole else 1])(before, weight)
            if by_sign:
                ends = "<=" if instructions[0] == "sub" else ">="
                positive = compare(ends, weight, none)
                mine = builder.xor(
                    positive,
                    _spread(builder, builder.icmp_signed("!=", half, word(1)), positive.type),
                )
                p = builder.select(mine, p, before)
                taken = builder.add(taken, builder.ctpop(_bits(builder, mine)))
            builder.store(p, to, align=number.bitwidth // 8)
            after.append(p)
            lowest.append(
                builder.load(
                    builder.bitcast(
                        builder.gep(lows, [builder.add(at, place)]), vector.as_pointer()
                    ),
                    align=number.bitwidth // 8,
                )
                if each
                else _spread(builder, low, vector)
            )
        builder.store(taken if by_sign else builder.add(taken, word(lanes)), count)
        most, least = (
            reduce(lambda a, b, sign=sign: builder.select(compare(sign, a, b), a, b), after)
            for sign in "><"
        )
        below = (
            reduce(builder.or_, map(partial(compare, "<="), after, lowest))
            if each
            else compare("<=", least, lowest[0])
        )
        outside = builder.or_(compare(">=", most, highest), below)
        with builder.if_then(
            builder.icmp_unsigned("!=", _bits(builder, outside), word(0)), likely=False
        ):
            masks = [
                builder.or_(compare(">=", p, highest), compare("<=", p, bound))
                for p, bound in zip(after, lowest)
            ]
            pair = builder.load(pairs)
            entry = builder.gep(found, [builder.shl(pair, word(1))])
            builder.store(builder.add(at, first), entry)
            builder.store(
                reduce(
                    builder.or_,
                    (
                        builder.shl(_bits(builder, mask), word(vector.count * k))
                        for k, mask in enumerate(masks)
                    ),
                ),
                builder.gep(entry, [word(1)]),
            )
            builder.store(builder.add(pair, word(1)), pairs)

    _in_blocks(builder, TESTED, width, block)
    return context.make_tuple(
        builder, signature.return_type, (builder.load(count), builder.load(pairs))
    )


def _compare(builder, whole, sign, a, b):
    return builder.icmp_signed(sign, a, b) if whole else builder.fcmp_ordered(sign, a, b)


def _bits(builder, mask):
    """A vector of truth values as the bits of a 64-bit number."""
    return builder.zext(builder.bitcast(mask, ir.IntType(mask.type.count)), ir.IntType(64))


def _spread(builder, value, vector):
    """A number in every lane."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        one,
        ir.Constant(vector, ir.Undefined),
        ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None),
    )


@intrinsic
def load(context, array, i):
    """array[i], int64, as another thread has stored it last, with all that it wrote before."""

    def code(context, builder, signature, args):
        place = builder.gep(
            context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]]
        )
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, i), code


@intrinsic
def store(context, array, i, value):
    """array[i] = value, int64, for other threads to `load`."""

    def code(context, builder, signature, args):
        place = builder.gep(
            context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]]
        )
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), code


@intrinsic
def give_way(context):
    """Let another thread have the processor, where the system has a call for that."""

    def code(context, builder, signature, args):
        if hasattr(os, "sched_yield"):
            yields = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, yields, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def lowest_bit(context, mask):
    """The number of the lowest bit of a uint64 that is set; it must not be 0."""

    def code(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), code
