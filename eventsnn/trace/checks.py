"""What must hold of the numbers in a trace file, so that whoever uses them may trust them.

Where it does not hold, InputError names the dataset. All parameters `where` give the name that a
dataset has in messages by its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.layout import PROJECTIONS
from eventsnn.engine.event.order import WHOLE
from eventsnn.files.trusted import each, finite, refuse, within
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.trace import Trace

MOST = 2**63 - 1
Where = Callable[[str], str]
Columns = dict[str, NDArray[Any]]  # by name, of equal length


def _rising(where: str, values: NDArray[Any], strictly: bool = False) -> None:
    """Raises InputError unless no value is less than the one before; strictly: each is more."""
    before, after = values[:-1], values[1:]
    words = "numbers that rise" if strictly else "numbers that do not fall"
    each(where, after > before if strictly else after >= before, words)


def check_about(path: str | Path, about: dict[str, Any]) -> None:
    """Checks what a file says of itself; its types are right already.

    path: the file. about: see `Trace`.
    """

    def attribute(key: str, right: bool, expected: str) -> None:
        if not right:
            refuse(f"{path}: attribute {key}", expected, about[key])

    layers, neurons = about["layers"], about["neurons"]
    texts = all(isinstance(name, str) and name for name in layers)
    attribute("layers", bool(layers) and texts, "names of layers")
    attribute("layers", len(set(layers)) == len(layers), "a name of its own for each layer")
    numbers = all(type(n) is int and 0 < n < 2**31 for n in neurons)
    attribute("neurons", numbers and len(neurons) == len(layers), f"{len(layers)} numbers above 0")
    attribute("neurons", sum(neurons) < 2**31, "fewer than 2^31 neurons")
    attribute("image", about["image"] >= 0, "a number from 0")
    attribute("ticks_per_step", 0 < about["ticks_per_step"] <= 2**20, "a number from 1 to 2^20")
    attribute("complete", about["complete"] in (0, 1), "0 or 1")
    sha256 = re.fullmatch("[0-9a-f]{64}", about["network_sha256"])
    attribute("network_sha256", sha256 is not None, "64 hexadecimal digits")


def check_starts(where: Where, starts: NDArray[np.int64], about: dict[str, Any]) -> None:
    """Checks when steps began and the run ended. starts: int64 [T]. about: see `Trace`."""
    ticks = about["ticks_per_step"]
    if not len(starts):
        refuse(where("starts"), "1 step or more", "none")
    within(where("starts"), starts, 0, MOST // 2)
    steps = np.diff(starts, prepend=-ticks)
    each(where("starts"), steps >= ticks, f"steps of {ticks} ticks or more")
    least = int(starts[-1]) + ticks
    if not least <= about["end"] <= MOST // 2:
        end = where("").rstrip("/") + "attribute end"
        refuse(end, f"a tick from {least:,} on, where the last step ends", about["end"])


def check_parts(
    where: Where, parts: NDArray[np.int64], starts: NDArray[np.int64], about: dict[str, Any]
) -> None:
    """Checks when the parts of each step's drive came. parts, starts, about: see `Trace`."""
    ticks, steps = about["ticks_per_step"], len(starts)
    count = len(parts) // steps
    if count * steps != len(parts) or count < 2 or ticks % count:
        expected = f"equally many rows for each of {steps:,} steps, that divide {ticks:,} ticks"
        refuse(where("parts"), expected, f"{len(parts):,}")
    within(where("parts"), parts, 0, MOST // 2)
    each(where("parts"), parts[::count, 0] == starts, "ticks at which steps begin, as in starts")
    short = ticks // count
    lengths = np.diff(parts[:, 0], append=about["end"])
    each(where("parts"), lengths >= short, f"parts of {short} ticks or more")
    for column in (1, 2):
        _rising(where("parts"), parts[:, column])


def check_taken(
    where: Where,
    parts: NDArray[np.int64],
    starts: NDArray[np.int64],
    deliveries: Columns,
    spikes: Columns,
) -> None:
    """Checks parts against what was delivered and fired in a whole trace; all as in `Trace`."""
    name, count = where("parts"), len(parts) // len(starts)
    within(name, parts[:, 2], 0, len(spikes["seq"]))
    each(name, parts[:1, 1:] == 0, "no event and no spike before the first")
    for records, numbers, column, side in (
        (deliveries, deliveries["event"], 1, "left"),
        (spikes, spikes["seq"], 2, "right"),
    ):
        at = np.searchsorted(parts[:, column], numbers, side=side) - 1  # type: ignore[call-overload]
        right = (records["step"] == at // count) & (records["tick"] >= parts[at, 0])
        right &= records["event"] >= parts[at, 1]
        each(name, right, "ticks, events and spikes at which the parts of a step came")


def check_drive(where: Where, drive: NDArray[Any]) -> None:
    """Checks what arrives at the beginning of steps. drive: see `Trace`."""
    if not len(drive):
        refuse(where("drive"), "the drive of 1 step or more", "none")
    finite(where("drive"), drive)


def check_inputs(where: Where, inputs: NDArray[np.int64], steps: int, ticks: int) -> None:
    """Checks input events. inputs: int64 [E, 4]. steps: T. ticks: of a step."""
    within(where("inputs"), inputs[:, 0], 0, steps - 1)
    within(where("inputs"), inputs[:, 1], 0, ticks - 1)
    within(where("inputs"), inputs[:, 2], 0, 2**31)
    each(where("inputs"), np.abs(inputs[:, 3]) == 1, "signs of 1 or -1")
    _rising(where("inputs"), inputs[:, 0] * ticks + inputs[:, 1])


def check_population(
    where: Where,
    columns: Columns,
    about: dict[str, Any],
    layer: int,
    starts: NDArray[np.int64],
) -> None:
    """Checks the spikes of one layer, each by itself.

    columns: as in the file. about: see `Trace`. layer: its number. starts: int64 [T].
    """
    within(where("seq"), columns["seq"], 0, MOST)
    seq = columns["seq"].astype(np.int64)
    _rising(where("seq"), seq, strictly=True)
    within(where("node_ids"), columns["node_ids"], 0, about["neurons"][layer] - 1)
    within(where("step"), columns["step"], 0, len(starts) - 1)
    _in_step(where, columns["tick"], columns["step"], starts, about["end"])
    times = columns["tick"] / about["ticks_per_step"]
    each(where("timestamps"), columns["timestamps"] == times, "the times of the ticks")
    within(where("event"), columns["event"], 0, MOST)
    each(where("sign"), np.abs(columns["sign"]) == 1, "signs of 1 or -1")
    within(where("member"), columns["member"], 1, 65535)
    within(where("cause"), columns["cause"], -1, MOST)
    each(where("cause"), columns["cause"] < seq, "the seq of an earlier spike, or -1")
    for name, values in columns.items():
        finite(where(name), values)


def _in_step(
    where: Where,
    tick: NDArray[np.int64],
    step: NDArray[np.int32],
    starts: NDArray[np.int64],
    end: int,
) -> None:
    """Checks that ticks belong to their steps."""
    ends = np.append(starts[1:], end)
    right = (tick >= starts[step]) & (tick <= ends[step])
    each(where("tick"), right, "ticks within their steps")


def check_order(where: Where, spikes: Columns, paths: Sequence[str], complete: bool) -> None:
    """Checks the spikes of all layers together.

    spikes: the fields of `Trace.spikes`, by seq. paths: of each layer's spikes. complete: whether
    there are all.
    """
    layer, seq = spikes["layer"], spikes["seq"]

    def every(column: str, right: NDArray[np.bool_], expected: str) -> None:
        if not right.all():
            at = int(np.argmin(right))
            name = where(f"{paths[layer[at]]}/{column}")
            refuse(name, expected, f"another at the spike with seq {seq[at]:,}")

    if complete:
        right = seq == np.arange(len(seq))
        every("seq", right, "each number from 0 on in one layer")
    later = seq[1:] > seq[:-1]
    every("seq", np.append(later, True), "each number in one layer only")
    for column in ("step", "tick", "event"):
        later = spikes[column][1:] >= spikes[column][:-1]
        every(column, np.append(later, True), "numbers that do not fall from spike to spike")
    if complete:
        cause = spikes["cause"]
        earlier = (cause < 0) | (layer[cause] < layer)
        every("cause", earlier, "a spike of an earlier layer")


def check_deliveries(
    where: Where,
    deliveries: Columns,
    spikes: Columns,
    starts: NDArray[np.int64],
    end: int,
    inputs: NDArray[np.int64] | None,
    group: int = 1,
) -> None:
    """Checks the deliveries of a whole trace.

    deliveries: the fields of `Trace.deliveries`, those of input events among them. spikes: the
    fields of `Trace.spikes`, all, by seq. starts: int64 [T]. end: of the run, a tick. inputs: see
    `Trace`. group: F of groups (semantics, section 12).
    """

    def name(column: str) -> str:
        return where(f"deliveries/{column}")

    event, tick, spike = deliveries["event"], deliveries["tick"], deliveries["spike"]
    _rising(name("event"), event, strictly=True)
    within(name("event"), event, 1, MOST)
    within(name("step"), deliveries["step"], 0, len(starts) - 1)
    _rising(name("step"), deliveries["step"])
    _in_step(name, tick, deliveries["step"], starts, end)
    _rising(name("tick"), tick)
    within(name("half"), deliveries["half"], 0, 2)
    within(name("projection"), deliveries["projection"], -1, PROJECTIONS - 1)
    count = len(spikes["seq"])
    came = 0 if inputs is None else len(inputs)
    within(name("spike"), spike, -1 - came if came else 0, count - 1)
    each(name("spike"), spike != -1, "a spike, or an input event")
    parcel = spike * (3 * (PROJECTIONS + 1))
    parcel += 3 * (deliveries["projection"].astype(np.int64) + 1) + deliveries["half"]
    parcel.sort(kind="stable")
    each(name("spike"), parcel[1:] != parcel[:-1], "each parcel once")
    ours = spike >= 0
    each(name("tick"), ~ours | (tick >= _at(spikes["tick"], spike)), "none before its spike")
    each(name("event"), ~ours | (event > _at(spikes["event"], spike)), "none before its spike")
    caused = np.flatnonzero(spikes["cause"] >= 0)
    if group > 1:
        arrives = _in_group(event, spike, spikes["event"][caused], spikes["cause"][caused], group)
    else:
        at = np.searchsorted(event, spikes["event"][caused])
        arrives = _at(event, at) == spikes["event"][caused]
        arrives &= _at(spike, at) == spikes["cause"][caused]
    if not arrives.all():
        found = f"none at spike {caused[np.argmin(arrives)]:,}"
        refuse(name("spike"), "a delivery of the cause at each spike", found)


def _in_group(
    event: NDArray[np.int64],
    spike: NDArray[np.int64],
    fired: NDArray[np.int64],
    cause: NDArray[np.int64],
    group: int,
) -> NDArray[np.bool_]:
    """For each of S spikes whether its cause was delivered in its group, the last F events.

    event, spike: int64 [D], of deliveries. fired: int64 [S], the last event of the group. cause:
    int64 [S], the spike's. group: F.
    """
    if not len(event):
        return np.zeros(len(fired), bool)
    place = spike * (len(event) + 1) + np.arange(len(event))
    order = np.argsort(place)
    upto = np.searchsorted(event, fired, side="right")
    at = np.searchsorted(place[order], cause * (len(event) + 1) + upto, side="left") - 1
    last = order[np.maximum(at, 0)]
    found: NDArray[np.bool_] = (at >= 0) & (spike[last] == cause) & (event[last] > fired - group)
    return found


def _at(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """The values at these places; those outside give any of them, and -1 where there is none."""
    if not len(values):
        return np.full(len(places), -1)
    return values.take(places, mode="clip")


def check_fits(where: Where, trace: Trace, simulation: Simulation) -> None:
    """Checks a trace against what its network and settings can give.

    trace: as it was read. simulation: that made it, which is compared with its words already.
    """
    layers = simulation.network.layers
    file = where("").rstrip("/")
    mine = [layer.name for layer in layers], [layer.size for layer in layers]
    for key, expected in zip(("layers", "neurons"), mine):
        if trace.about[key] != expected:
            refuse(f"{file}attribute {key}", "those of the network", trace.about[key])
    if simulation.stages == 1 and len(trace.starts) != simulation.steps:
        refuse(where("starts"), f"{simulation.steps} steps", len(trace.starts))
    if trace.spread != simulation.time.spread:
        expected = f"{simulation.time.spread:,} rows for each step"
        refuse(where("parts"), expected, f"{trace.spread:,}" if trace.spread > 1 else "none")
    if trace.inputs is not None:
        if simulation.encoding.kind != "events":
            refuse(where("inputs"), "none with this encoding", f"{len(trace.inputs)} events")
        size = int(np.prod(simulation.network.graph.input_shape))
        within(where("inputs"), trace.inputs[:, 2], 0, size - 1)
    _check_parcels(where, trace, simulation)


def _check_parcels(where: Where, trace: Trace, simulation: Simulation) -> None:
    """Checks that spikes were delivered as their layers and this order deliver them."""
    engine = engine_of(simulation)
    net, halves = engine.tables, engine.order.halves
    found = trace.deliveries["projection"]
    half = trace.deliveries["half"]
    if halves == WHOLE:
        within(where("deliveries/half"), half, 0, 0)
    else:
        within(where("deliveries/half"), half, 1, 2)
    if halves == WHOLE and engine.delay_kind != 1:
        within(where("deliveries/projection"), found, -1, -1)
        return
    sources = np.full(len(net.projections), -1)
    for layer in range(len(net.out_first) - 1):
        sources[net.out[net.out_first[layer] : net.out_first[layer + 1]]] = layer
    within(where("deliveries/projection"), found, 0, len(sources) - 1)
    layer = trace.spikes["layer"][trace.deliveries["spike"]]
    each(where("deliveries/projection"), sources[found] == layer, "a projection of its layer")
