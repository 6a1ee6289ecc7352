"""From a network on which a law does not hold to a small one on which it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from eventsnn.neurons.verifying.small import EIGHTH, Small, Way
from eventsnn.neurons.verifying.trying import Trial

# charges that are easy to follow, the easiest first
PLAIN = (8, -8, 16, -16, 24, -24, 4, -4, 12, -12)


def shrunk(trial: Trial, broken: Callable[[Trial], bool], start: bool) -> Trial:
    """The smallest trial that is found by leaving out and rounding, one thing after the other.

    trial: on which a law does not hold. broken: whether it holds on another one as little. start:
    whether v(0) may be another.
    """
    found = True
    while found:
        found = False
        for candidate in _simpler(trial, start):
            if _size(candidate) < _size(trial) and broken(candidate):
                trial, found = candidate, True
                break
    return trial


def _size(trial: Trial) -> tuple[Any, ...]:
    """What becomes smaller: first what there is, then how odd its numbers are."""
    small = trial.small
    charges = [s.charge for s in small.synapses] + [a.charge for a in small.arrivals]
    return (
        len(small.layers),
        len(small.arrivals) + len(small.synapses),
        small.steps,
        sum(_oddness(way) for way in trial.ways),
        sum(map(_cost, charges)),
        sum(a.step + a.after for a in small.arrivals),
        sum(small.levels),
        _cost(small.start),
    )


def _cost(charge: int) -> int:
    return PLAIN.index(charge) if charge in PLAIN else len(PLAIN) + abs(charge)


def _oddness(way: Way) -> int:
    moved = sum(step + after for step, after in way.times)
    lengths = way.window + way.refractory + sum(way.delays)
    asked = sum(1 + step + after for step, after, _ in way.asked)
    named = ("clocked engine", "clocked", "fifo", "lifo", "random").index(way.order)
    return 100 * (bool(way.delays) + bool(way.times) + named) + lengths + moved + 50 * asked


def _simpler(trial: Trial, start: bool) -> Iterator[Trial]:
    small = trial.small
    for i in range(len(small.layers)):
        if len(small.layers) > 1:
            yield _without_neuron(trial, i)
    for k in range(len(small.arrivals)):
        yield _without_arrival(trial, k)
    for k in range(len(small.synapses)):
        left = small.synapses[:k] + small.synapses[k + 1 :]
        yield replace(trial, small=replace(small, synapses=left))
    yield from _simpler_ways(trial)
    if small.steps > 1:
        yield _fewer_steps(trial)
    yield from (replace(trial, small=each) for each in _simpler_numbers(small, start))


def _simpler_numbers(small: Small, start: bool) -> Iterator[Small]:
    for k, arrival in enumerate(small.arrivals):
        others = [arrival._replace(charge=charge) for charge in PLAIN]
        others += [arrival._replace(step=1, after=0), arrival._replace(after=0)]
        for other in others:
            yield replace(small, arrivals=_put(small.arrivals, k, other))
    for k, synapse in enumerate(small.synapses):
        for charge in PLAIN:
            changed = synapse._replace(charge=charge)
            yield replace(small, synapses=_put(small.synapses, k, changed))
    for k, levels in enumerate(small.levels):
        for fewer in range(1, levels):
            yield replace(small, levels=_put(small.levels, k, fewer))
    if start:
        yield replace(small, start=EIGHTH // 2)
        yield replace(small, start=EIGHTH)
        yield replace(small, start=0)


def _put(values: tuple[Any, ...], k: int, value: Any) -> tuple[Any, ...]:
    return (*values[:k], value, *values[k + 1 :])


def _simpler_ways(trial: Trial) -> Iterator[Trial]:
    ways = trial.ways
    for number, way in enumerate(ways):
        others = [
            replace(way, delays=()),
            replace(way, times=()),
            replace(way, window=0),
            replace(way, refractory=0),
        ]
        others += [replace(way, order=order) for order in ("fifo", "lifo") if way.order == "random"]
        others += [replace(way, order="fifo")] * (way.order == "lifo")
        for k in range(len(way.delays)):
            others.append(replace(way, delays=_put(way.delays, k, 0)))
        for k, (step, after) in enumerate(way.times):
            arrival = trial.small.arrivals[k]
            for time in ((arrival.step, arrival.after), (1, 0), (step, 0), (1, after)):
                others.append(replace(way, times=_put(way.times, k, time)))
        for k, (step, after, i) in enumerate(way.asked):
            if len(way.asked) > 1:
                others.append(replace(way, asked=way.asked[:k] + way.asked[k + 1 :]))
            others.append(replace(way, asked=_put(way.asked, k, (step, 0, i))))
            others.append(replace(way, asked=_put(way.asked, k, (1, after, i))))
        for other in others:
            changed = [other if n == number else each for n, each in enumerate(ways)]
            yield _with_ways(trial, changed)
    # what both share goes from both
    yield _with_ways(trial, [replace(way, delays=()) for way in ways])
    yield _with_ways(trial, [replace(way, window=0, refractory=0) for way in ways])
    if len({way.order for way in ways}) == 1:
        yield _with_ways(trial, [replace(way, order="fifo") for way in ways])


def _with_ways(trial: Trial, ways: list[Way]) -> Trial:
    return replace(trial, first=ways[0], second=ways[1] if len(ways) > 1 else None)


def _without_neuron(trial: Trial, gone: int) -> Trial:
    """The trial without a neuron and all that it hears and sends."""
    small = trial.small

    def new(i: int) -> int:
        return i - (i > gone)

    layers = small.layers[:gone] + small.layers[gone + 1 :]
    kept = sorted(set(layers))
    synapses = tuple(
        s._replace(pre=new(s.pre), post=new(s.post))
        for s in small.synapses
        if gone not in (s.pre, s.post)
    )
    places = [k for k, arrival in enumerate(small.arrivals) if arrival.neuron != gone]
    arrivals = tuple(
        small.arrivals[k]._replace(neuron=new(small.arrivals[k].neuron)) for k in places
    )
    less = Small(
        tuple(small.levels[layer] for layer in kept),
        tuple(kept.index(layer) for layer in layers),
        synapses,
        arrivals,
        small.start,
        small.steps,
    )
    ways = [
        replace(
            way,
            delays=way.delays[:gone] + way.delays[gone + 1 :],
            times=tuple(way.times[k] for k in places) if way.times else (),
            asked=tuple((s, a, new(i)) for s, a, i in way.asked if i != gone),
        )
        for way in trial.ways
    ]
    return _with_ways(replace(trial, small=less), ways)


def _without_arrival(trial: Trial, k: int) -> Trial:
    small = trial.small
    less = replace(small, arrivals=small.arrivals[:k] + small.arrivals[k + 1 :])
    ways = [replace(way, times=way.times[:k] + way.times[k + 1 :]) for way in trial.ways]
    return _with_ways(replace(trial, small=less), ways)


def _fewer_steps(trial: Trial) -> Trial:
    """One step less; what would come later comes in the last."""
    small, most = trial.small, trial.small.steps - 1
    arrivals = tuple(a._replace(step=min(a.step, most)) for a in small.arrivals)
    ways = [
        replace(
            way,
            times=tuple((min(step, most), after) for step, after in way.times),
            asked=tuple((min(step, most), after, i) for step, after, i in way.asked),
        )
        for way in trial.ways
    ]
    return _with_ways(replace(trial, small=replace(small, arrivals=arrivals, steps=most)), ways)
