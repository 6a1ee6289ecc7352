"""The two inner loops of the engines as vector code, written out in LLVM's own terms.

`add_rows` and `subtract_rows` keep the sum of many rows in registers, `scatter_rows` and
`scatter_rows_back` bring few spikes to many targets (clocked time); `add_stretch`,
`subtract_stretch` and their halves add one row and say which potentials left a band (asynchronous
time). What numba makes of plain loops loads and stores the sum for every few rows, tests at each
call whether the arrays overlap, and has no masks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import DTypeLike, NDArray

BYTES = 64  # of a vector; LLVM takes it apart where a machine's are shorter
REGISTERS = 8  # vectors that are added up at once: 16 of AVX2's; twice as many with AVX-512
# of a row that is added to many targets: bytes at once
SCATTERED = (384, 192, 64, 16, 8, 4)
TESTED = 64  # numbers that are added and tested at once

_intrinsic: Any = intrinsic  # kernels call what it makes without the first argument, the context


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array [size], not filled, whose first number lies where a vector may begin.

    An array of numpy's may begin elsewhere. Then vectors lie across two lines of the cache and cost
    twice.

    size: how many numbers. dtype: theirs.
    """
    dtype = np.dtype(dtype)
    room = np.empty(size * dtype.itemsize + BYTES, np.uint8)
    first = -room.ctypes.data % BYTES
    return room[first : first + size * dtype.itemsize].view(dtype)


def _rows(words: str, whole: str, floating: str) -> Any:
    """An intrinsic that changes a slice by row after row with these two instructions of LLVM's.

    words: the change, for the docstring. whole, floating: the instructions for whole numbers and
    for floating point.
    """

    def change(context, charge, at, weights, row, width, log, first, end):
        return types.void(charge, at, weights, row, width, log, first, end), partial(
            _rows_code, (whole, floating)
        )

    meaning = ", ~c standing for channel c" if whole == "sub" else ""
    change.__doc__ = f"""charge[at:at + width] {words} weights[row + c * width:][:width], in turn.

    log: int32{meaning}; c goes through the channels of log[first:end]. Nothing is checked: the
    slices must lie inside the arrays.
    """
    return _intrinsic(change)


add_rows = _rows("+=", "add", "fadd")
subtract_rows = _rows("-=", "sub", "fsub")


def _rows_code(
    instructions: tuple[str, str],
    context: Any,
    builder: ir.IRBuilder,
    signature: Any,
    args: list[Any],
) -> Any:
    """Code for as many sums as registers hold, in one loop over the rows; then for the next."""
    number = signature.args[0].dtype
    word = ir.IntType(64)
    item = context.get_data_type(number)
    size = number.bitwidth // 8
    change = getattr(builder, instructions[0 if isinstance(number, types.Integer) else 1])
    charge, weights, log = (_data(context, builder, signature, args, k) for k in (0, 2, 5))
    _, at, _, row, width, _, first, end = args

    def block(lanes: int, done: Any) -> None:
        """The next `lanes` numbers."""
        vector = ir.VectorType(item, min(lanes, BYTES // size))
        parts = [word(part) for part in range(0, lanes, vector.count)]

        def places(start: Any) -> list[Any]:
            return [_lanes(builder, start, part, vector) for part in parts]

        sums_at = places(builder.gep(charge, [builder.add(at, done)]))
        before = [builder.load(place, align=size) for place in sums_at]
        entry = builder.block
        head = builder.append_basic_block()
        body = builder.append_basic_block()
        after = builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(word)
        sums = [builder.phi(vector) for _ in parts]
        builder.cbranch(builder.icmp_signed("<", i, end), body, after)
        builder.position_at_end(body)
        channel = builder.sext(builder.load(builder.gep(log, [i])), word)
        channel = builder.not_(channel) if instructions[0] == "sub" else channel
        row_at = builder.add(builder.add(row, done), builder.mul(channel, width))
        given = places(builder.gep(weights, [row_at]))
        totals = [change(p, builder.load(place, align=size)) for p, place in zip(sums, given)]
        following = (builder.add(i, word(1)), *totals)
        for phi, start, next_one in zip((i, *sums), (first, *before), following):
            phi.add_incoming(start, entry)
            phi.add_incoming(next_one, body)
        builder.branch(head)
        builder.position_at_end(after)
        for place, total in zip(sums_at, sums):
            builder.store(total, place, align=size)

    wide = "+avx512f" in context.codegen().magic_tuple()[2]
    _in_blocks(builder, _halves((2 if wide else 1) * REGISTERS * BYTES // size), width, block)
    return context.get_dummy_value()


def _scatter(words: str, whole: str, floating: str) -> Any:
    """An intrinsic that brings rows to many targets with these two instructions of LLVM's.

    words, whole, floating: as in `_rows`.
    """

    def change(
        context,
        charge,
        at,
        apart,
        weights,
        stride,
        width,
        tap_to,
        tap_row,
        tap,
        behind,
        log,
        first,
        end,
    ):
        return types.void(
            charge, at, apart, weights, stride, width, tap_to, tap_row, tap, behind, log, first, end
        ), partial(_scatter_code, (whole, floating))

    meaning = ", ~c standing for channel c" if whole == "sub" else ""
    change.__doc__ = f"""Of each tap and spike: charge[at + tap_to * apart:][:width] {words} a row.

    That is weights[tap_row + c * stride:][:width]; taps go from `tap` up to `behind`, and c
    through the channels of log[first:end]. tap_to: int32, tap_row: int64 [taps]. log:
    int32{meaning}. To each target the spikes come in turn. Nothing is checked: the slices must lie
    inside the arrays.
    """
    return _intrinsic(change)


scatter_rows = _scatter("+=", "add", "fadd")
scatter_rows_back = _scatter("-=", "sub", "fsub")


def _scatter_code(
    instructions: tuple[str, str],
    context: Any,
    builder: ir.IRBuilder,
    signature: Any,
    args: list[Any],
) -> Any:
    """Code for two spikes at a time, then one; each for all taps.

    How many spikes there are is asked once for all taps, not once for each: it is what the
    processor guesses wrong.
    """
    number = signature.args[0].dtype
    word = ir.IntType(64)
    item = context.get_data_type(number)
    size = number.bitwidth // 8
    change = getattr(builder, instructions[0 if isinstance(number, types.Integer) else 1])
    charge, weights, tap_to, tap_row, log = (
        _data(context, builder, signature, args, k) for k in (0, 3, 6, 7, 10)
    )
    _, at, apart, _, stride, width, _, _, tap, behind, _, first, end = args

    def block(lanes: int, done: Any) -> None:
        """The next `lanes` numbers of each row."""
        vector = ir.VectorType(item, min(lanes, BYTES // size))
        parts = [word(part) for part in range(0, lanes, vector.count)]
        so_far = cgutils.alloca_once_value(builder, first)

        def rows(count: int) -> None:
            """The next `count` spikes."""
            i = builder.load(so_far)
            offsets = []
            for k in range(count):
                place = builder.gep(log, [builder.add(i, word(k))])
                channel = builder.sext(builder.load(place), word)
                channel = builder.not_(channel) if instructions[0] == "sub" else channel
                offsets.append(builder.add(builder.mul(channel, stride), done))
            builder.store(builder.add(i, word(count)), so_far)
            with cgutils.for_range_slice(builder, tap, behind, word(1), word) as (k, _):
                to = builder.sext(builder.load(builder.gep(tap_to, [k])), word)
                row = builder.load(builder.gep(tap_row, [k]))
                here = builder.add(builder.add(at, done), builder.mul(to, apart))
                places = [_lanes(builder, builder.gep(charge, [here]), p, vector) for p in parts]
                sums = [builder.load(place, align=size) for place in places]
                for offset in offsets:
                    given = builder.gep(weights, [builder.add(row, offset)])
                    for n, part in enumerate(parts):
                        weight = builder.load(_lanes(builder, given, part, vector), align=size)
                        sums[n] = change(sums[n], weight)
                for place, total in zip(places, sums):
                    builder.store(total, place, align=size)

        def left(count: int) -> Any:
            return builder.icmp_signed("<=", builder.add(builder.load(so_far), word(count)), end)

        for count in (2, 1) if lanes * size >= BYTES else (1,):
            head, body, after = (builder.append_basic_block() for _ in range(3))
            builder.branch(head)
            builder.position_at_end(head)
            builder.cbranch(left(count), body, after)
            builder.position_at_end(body)
            rows(count)
            builder.branch(head)
            builder.position_at_end(after)

    _in_blocks(builder, [of // size for of in SCATTERED if of >= size], width, block)
    return context.get_dummy_value()


def _halves(longest: int) -> list[int]:
    """A power of two, its half, and so on down to 1."""
    return [2**k for k in reversed(range(longest.bit_length()))]


def _in_blocks(
    builder: ir.IRBuilder, lengths: Sequence[int], width: Any, block: Callable[[int, Any], None]
) -> None:
    """Code that calls block(lanes, first) for consecutive parts of 0, …, width - 1.

    There are as many parts of the first length as fit, then of the next, and so on. The last is 1.
    """
    word = ir.IntType(64)
    done = cgutils.alloca_once_value(builder, word(0))
    finish = builder.append_basic_block()
    for k, lanes in enumerate(lengths):
        once = k > 0 and 2 * lanes >= lengths[k - 1]  # then two would be one of the length before
        head, body, end = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        first = builder.load(done)
        fits = builder.icmp_signed("<=", builder.add(first, word(lanes)), width)
        builder.cbranch(fits, body, end)
        builder.position_at_end(body)
        block(lanes, first)
        after = builder.add(first, word(lanes))
        builder.store(after, done)
        over = builder.icmp_signed("==", after, width)
        builder.cbranch(over, finish, end if once else head)
        builder.position_at_end(end)
    builder.branch(finish)
    builder.position_at_end(finish)


def _stretch(words: str, whole: str, floating: str, by_sign: bool) -> Any:
    """An intrinsic that changes a run of potentials by one row, and tests them.

    words: the change, for the docstring. whole, floating: LLVM's instructions for whole numbers and
    for floating point. by_sign: whether the charges of one sign alone are added.
    """

    def change(context, v, at, weights, row, width, half, low, high, found, pairs):
        signature = types.UniTuple(types.int64, 2)(
            v, at, weights, row, width, half, low, high, found, pairs
        )
        return signature, partial(_stretch_code, (whole, floating), by_sign)

    which = "the charges of one sign" if by_sign else "all charges"
    looked_at = "" if by_sign else " (not looked at here)"
    change.__doc__ = f"""v[at:at + width] {words} weights[row:row + width], {which}.

    half: 1: charges >= 0, 2: charges < 0{looked_at}. low, high: the band; low is a number, or one
    for each potential. found: int64, `pairs` pairs of numbers, to which more are added: the bits of
    found[2 * k + 1] that are set say which of the potentials from found[2 * k] on were reached and
    are >= high or <= low.

    Returns how many charges were added, and how many pairs there are now. Nothing is checked: the
    slices must lie inside the arrays, and `found` must have room for 2 * width more numbers.
    """
    return _intrinsic(change)


add_stretch = _stretch("+=", "add", "fadd", False)
subtract_stretch = _stretch("-=", "sub", "fsub", False)
add_half_stretch = _stretch("+=", "add", "fadd", True)
subtract_half_stretch = _stretch("-=", "sub", "fsub", True)


def _stretch_code(
    instructions: tuple[str, str],
    by_sign: bool,
    context: Any,
    builder: ir.IRBuilder,
    signature: Any,
    args: list[Any],
) -> Any:
    """Code for one pass over the run, in long blocks: load, add, store, compare."""
    number = signature.args[0].dtype
    word = ir.IntType(64)
    whole = isinstance(number, types.Integer)
    size = number.bitwidth // 8
    v, weights, found = (_data(context, builder, signature, args, k) for k in (0, 2, 8))
    _, at, _, row, width, half, low, high, _, pairs_before = args
    each = isinstance(signature.args[6], types.Array)
    lows = _data(context, builder, signature, args, 6) if each else None
    count, pairs = (cgutils.alloca_once_value(builder, start) for start in (word(0), pairs_before))
    change = getattr(builder, instructions[0 if whole else 1])
    compare = partial(_compare, builder, whole)
    mine_if = "<=" if instructions[0] == "sub" else ">="

    def block(lanes: int, first: Any) -> None:
        """The next `lanes` numbers."""
        vector = ir.VectorType(context.get_data_type(number), min(lanes, BYTES // size))
        highest = _spread(builder, high, vector)
        none = ir.Constant(vector, None)
        after: list[Any] = []
        lowest: list[Any] = []
        reached: list[Any] = []
        taken = builder.load(count)
        for part in range(0, lanes, vector.count):
            place = builder.add(first, word(part))
            to = _lanes(builder, v, builder.add(at, place), vector)
            given = _lanes(builder, weights, builder.add(row, place), vector)
            before = builder.load(to, align=size)
            weight = builder.load(given, align=size)
            p = change(before, weight)
            if by_sign:
                positive = compare(mine_if, weight, none)
                other = builder.icmp_signed("!=", half, word(1))
                mine = builder.xor(positive, _spread(builder, other, positive.type))
                p = builder.select(mine, p, before)
                reached.append(mine)
                taken = builder.add(taken, builder.ctpop(_bits(builder, mine)))
            builder.store(p, to, align=size)
            after.append(p)
            if each:
                bound_at = _lanes(builder, lows, builder.add(at, place), vector)
                lowest.append(builder.load(bound_at, align=size))
            else:
                lowest.append(_spread(builder, low, vector))
        builder.store(taken if by_sign else builder.add(taken, word(lanes)), count)
        outside = _outside(builder, whole, after, highest, lowest, each)
        any_outside = builder.icmp_unsigned("!=", _bits(builder, outside), word(0))
        with builder.if_then(any_outside, likely=False):
            masks = [
                builder.or_(compare(">=", p, highest), compare("<=", p, bound))
                for p, bound in zip(after, lowest)
            ]
            if by_sign:  # the others may have waited where they are, and are not looked at
                masks = list(map(builder.and_, masks, reached))
            _note(builder, found, pairs, builder.add(at, first), masks)

    _in_blocks(builder, _halves(TESTED), width, block)
    return context.make_tuple(
        builder, signature.return_type, (builder.load(count), builder.load(pairs))
    )


def _data(context: Any, builder: ir.IRBuilder, signature: Any, args: list[Any], k: int) -> Any:
    """Where the numbers of argument k, an array, begin."""
    return context.make_array(signature.args[k])(context, builder, args[k]).data


def _lanes(builder: ir.IRBuilder, array: Any, i: Any, vector: ir.VectorType) -> Any:
    """Where the vector that begins with array[i] lies."""
    return builder.bitcast(builder.gep(array, [i]), vector.as_pointer())


def _compare(builder: ir.IRBuilder, whole: bool, sign: str, a: Any, b: Any) -> Any:
    return builder.icmp_signed(sign, a, b) if whole else builder.fcmp_ordered(sign, a, b)


def _note(builder: ir.IRBuilder, found: Any, pairs: Any, first: Any, masks: Sequence[Any]) -> None:
    """Code that adds a pair to `found`: the first potential, and which of the next are set."""
    word = ir.IntType(64)
    pair = builder.load(pairs)
    entry = builder.gep(found, [builder.shl(pair, word(1))])
    builder.store(first, entry)
    lanes = masks[0].type.count
    bits = (builder.shl(_bits(builder, mask), word(lanes * k)) for k, mask in enumerate(masks))
    builder.store(reduce(builder.or_, bits), builder.gep(entry, [word(1)]))
    builder.store(builder.add(pair, word(1)), pairs)


def _outside(
    builder: ir.IRBuilder,
    whole: bool,
    after: list[Any],
    highest: Any,
    lowest: list[Any],
    each: bool,
) -> Any:
    """The lanes in which one of these vectors of potentials is outside the band.

    each: whether potentials have lower ends of their own.
    """
    compare = partial(_compare, builder, whole)
    most = _furthest(builder, whole, ">", after)
    least = _furthest(builder, whole, "<", after)
    if each:
        below = reduce(builder.or_, map(partial(compare, "<="), after, lowest))
    else:
        below = compare("<=", least, lowest[0])
    return builder.or_(compare(">=", most, highest), below)


def _furthest(builder: ir.IRBuilder, whole: bool, sign: str, vectors: Iterable[Any]) -> Any:
    """The largest number in each lane, or the smallest where the sign is "<"."""

    def further(a: Any, b: Any) -> Any:
        return builder.select(_compare(builder, whole, sign, a, b), a, b)

    return reduce(further, vectors)


def _bits(builder: ir.IRBuilder, mask: Any) -> Any:
    """A vector of truth values as the bits of a 64-bit number."""
    return builder.zext(builder.bitcast(mask, ir.IntType(mask.type.count)), ir.IntType(64))


def _spread(builder: ir.IRBuilder, value: Any, vector: ir.VectorType) -> Any:
    """A number in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    return builder.shuffle_vector(one, nothing, zeros)


PACKED = 8  # numbers that `pack` looks at


@_intrinsic
def pack(context, given, at, first, log, to):
    """log[to:] = the numbers first + k of which given[at + k] is not 0, for k < PACKED.

    given, log: int32. Returns (how many they are, whether any is below 0). Nothing is checked, and
    up to PACKED numbers of the log are written over.
    """

    def code(context, builder, signature, args):
        byte, word = ir.IntType(8), ir.IntType(64)
        given, log = (_data(context, builder, signature, args, k) for k in (0, 3))
        _, at, first, _, to = args
        bits, negative = _look(builder, given, at)
        numbers = ir.VectorType(ir.IntType(32), PACKED)
        rows = ir.Constant(ir.ArrayType(word, 2**PACKED), _positions())
        table = cgutils.global_constant(builder, "positions", rows)
        row = builder.load(builder.gep(table, [word(0), bits], inbounds=True))
        lanes = builder.zext(builder.bitcast(row, ir.VectorType(byte, PACKED)), numbers)
        base = _spread(builder, builder.trunc(first, ir.IntType(32)), numbers)
        builder.store(builder.add(lanes, base), _lanes(builder, log, to, numbers), align=4)
        found = builder.ctpop(bits), negative
        return context.make_tuple(builder, signature.return_type, found)

    found = types.Tuple((types.int64, types.boolean))
    return found(given, types.int64, types.int64, log, types.int64), code


@_intrinsic
def not_zero(context, given, at):
    """(the bits k for which given[at + k] is not 0, for k < PACKED, whether any is below 0).

    given: int32. The bits are uint64. Nothing is checked.
    """

    def code(context, builder, signature, args):
        given = _data(context, builder, signature, args, 0)
        found = _look(builder, given, args[1])
        return context.make_tuple(builder, signature.return_type, found)

    return types.Tuple((types.uint64, types.boolean))(given, types.int64), code


def _look(builder: ir.IRBuilder, given: Any, at: Any) -> tuple[Any, Any]:
    """Code for what `not_zero` returns."""
    numbers = ir.VectorType(ir.IntType(32), PACKED)
    few = builder.load(_lanes(builder, given, at, numbers), align=4)
    none = ir.Constant(numbers, None)
    bits = _bits(builder, builder.icmp_signed("!=", few, none))
    below = _bits(builder, builder.icmp_signed("<", few, none))
    return bits, builder.icmp_unsigned("!=", below, ir.IntType(64)(0))


def _positions() -> list[int]:
    """Of each byte: the numbers of its bits that are set, from the lowest on, as eight bytes."""
    lists = ([k for k in range(PACKED) if number >> k & 1] for number in range(2**PACKED))
    return [sum(k << 8 * i for i, k in enumerate(places)) for places in lists]


@_intrinsic
def load(context, array, i):
    """array[i], as another thread has stored it last, with all that it wrote before.

    array: int64 [N]. i: an index.
    """

    def code(context, builder, signature, args):
        place = builder.gep(
            context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]]
        )
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, i), code


@_intrinsic
def store(context, array, i, value):
    """array[i] = value, for other threads to `load`.

    array: int64 [N]. i: an index. value: int64.
    """

    def code(context, builder, signature, args):
        place = builder.gep(
            context.make_array(signature.args[0])(context, builder, args[0]).data, [args[1]]
        )
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), code


@_intrinsic
def give_way(context):
    """Lets another thread have the processor, where the system has a call for that."""

    def code(context, builder, signature, args):
        if hasattr(os, "sched_yield"):
            yields = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, yields, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), code


@_intrinsic
def lowest_bit(context, mask):
    """The number of the lowest bit that is set. mask: uint64, not 0."""

    def code(context, builder, signature, args):
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.uint64), code
