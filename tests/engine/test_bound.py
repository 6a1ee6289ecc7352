"""Bound kernels: what another kernel calls by its address, with constants of any class."""

from typing import Any, NamedTuple

import numba
import numpy as np
import pytest

from eventsnn.engine.bound import Absent, bound, call
from eventsnn.engine.event.calls import calls_of
from eventsnn.engine.jit import bindable, inner_kernel, kernel
from eventsnn.engine.tables import table, there
from eventsnn.exceptions import InputError

WORD = np.int64(0)


class Constants(NamedTuple):
    """One of each kind of field."""

    whole: int = 3
    on: bool = True
    single: Any = np.float32(0.5)
    nothing: None = None
    pair: tuple[int, tuple[float, Any]] = (7, (0.25, np.int8(-2)))
    numbers: Any = np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2]


class Named(NamedTuple):
    """Has what no kernel reads beside a number."""

    name: Any
    whole: int


class Others(NamedTuple):
    whole: int
    numbers: Any


@table
class Sums(NamedTuple):
    of: Any


@bindable
def all_of(constants, sums, i):
    sums.of[i] += constants.whole + (100 if constants.on else 0)
    return constants.numbers[i, 1] * constants.single, constants.pair[1][1] + constants.pair[0]


@bindable
def of_both(first, second, sums, i):
    sums.of[i] += first.numbers[i, 1] * second.whole
    return np.float64(first.whole), np.int64(i)


@kernel
def twice(bound, sums, i):
    call(bound, sums, i)
    return call(bound, sums, i)


@bindable
def first_or_none(constants, i):
    return look(there(constants), i)


@inner_kernel
def look(constants, i):
    return constants.numbers[i, 0] if constants.on else -1


@kernel
def one(bound, i):
    return call(bound, np.int64(i))


def test_it_reads_its_constants_and_writes_to_the_callers_arrays():
    sums = Sums(np.zeros(3, np.int64))
    made = bound(all_of, (Constants(),), (sums, WORD))
    assert twice(made, sums, 1) == (3.0, 5)
    assert sums.of.tolist() == [0, 206, 0]
    other = bound(all_of, (Constants(whole=-1, on=False, numbers=made_of(5)),), (sums, WORD))
    assert twice(other, sums, 0) == (2.5, 5)
    assert sums.of.tolist() == [-2, 206, 0]


def made_of(number):
    return np.full((3, 4), number, np.int32)[:, ::2]


def test_a_caller_is_compiled_once_for_all_that_is_bound():
    sums = Sums(np.zeros(3, np.int64))
    one_pair = bound(of_both, (Constants(), Others(2, None)), (sums, WORD))
    other = bound(of_both, (Constants(), Others(5, np.zeros((2, 2)))), (sums, WORD))
    assert twice(one_pair, sums, 2) == (3.0, 2)
    compiled = len(twice.overloads)
    assert twice(other, sums, 2) == (3.0, 2)
    assert len(twice.overloads) == compiled
    assert sums.of[2] == 2 * 10 * (2 + 5)


def test_constants_last_as_long_as_what_they_are_bound_to():
    made = [bound(first_or_none, (Constants(numbers=made_of(k)),), (WORD,)) for k in range(50)]
    assert [one(its, 1) for its in made] == list(range(50))
    assert one(bound(first_or_none, (Constants(on=False),), (WORD,)), 0) == -1


def test_arguments_of_other_types_are_refused():
    sums = Sums(np.zeros(3, np.int64))
    made = bound(all_of, (Constants(),), (sums, WORD))
    with pytest.raises(numba.TypingError, match="a bound kernel gets float64 for int64"):
        twice(made, sums, 1.0)
    with pytest.raises(numba.TypingError, match="a bound kernel gets 1 of 2 arguments"):
        one(made, 1)


def test_what_is_absent_has_the_type_of_what_is_there():
    sums = Sums(np.zeros(3, np.int64))
    result = numba.types.Tuple((numba.types.float64, numba.types.int64))
    absent = Absent(1, (sums, WORD), result)
    assert absent.kind == bound(all_of, (Constants(),), (sums, WORD)).kind
    assert absent.kind != bound(of_both, (Constants(), Others(1, None)), (sums, WORD)).kind


@bindable
def whole_of(constants, i):
    return constants.whole + i


@bindable
def name_of(constants, i):
    return constants.name


@pytest.mark.parametrize("name", ["a name", {}, [1], object(), 1j, ("a", 1), np.float16(1)])
def test_fields_of_other_kinds_may_be_there_but_not_be_read(name):
    assert one(bound(whole_of, (Named(name, 5),), (WORD,)), 2) == 7
    with pytest.raises(InputError, match="Unknown attribute 'name'.*numbers, arrays"):
        bound(name_of, (Named(name, 5),), (WORD,))


def test_python_cannot_call_a_bindable_kernel():
    with pytest.raises(TypeError, match="first_or_none can be called by kernels only"):
        first_or_none(Constants(), 1)


def test_calls_of_a_run_are_of_one_type_for_every_model():
    """So that `advance` is compiled for kinds of numbers alone."""
    from support.networks import random_graph, random_pixels

    from eventsnn import convert
    from eventsnn.simulation.simulation import Simulation

    rng = np.random.default_rng(0)
    graph = random_graph(rng)
    pixels, network, kinds = random_pixels(rng, graph, 1), convert(graph), set()
    for neuron in ("if", "gn:4", "burst:2"):
        how = {"steps": 4, "engine": "event", "fraction_bits": 16, "neuron": neuron}
        run = Simulation(network, **how).image(pixels[0]).run
        again = calls_of(run.net, run.neuron, run.order, run.rules, run.band, run.state)
        assert again.ask.words[0] == run.calls.ask.words[0]
        kinds.add((run.state.v.dtype, np.ndim(run.state.lows), run.calls.ask.kind))
    assert len(kinds) == 1
