"""What must hold of the numbers in a trace file, so that whoever uses them may trust them.

Where it does not hold, InputError names the dataset. All parameters `where` give the name that a
dataset has in messages by its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from eventsnn.engine.event.layout import PROJECTIONS
from eventsnn.engine.event.order import WHOLE
from eventsnn.exceptions import InputError
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.trace.trace import Trace

DAMAGED = "it is damaged or incomplete: run again"
MOST = 2**63 - 1
Where = Callable[[str], str]


def refuse(where: object, expected: object, found: object) -> NoReturn:
    """Raises the InputError of a damaged trace; parameters as those of InputError."""
    raise InputError(where, expected, found, DAMAGED)


def within(where: str, values: NDArray[Any], low: int, high: int) -> None:
    """Raises InputError unless all values are from `low` to `high`."""
    if values.size and (values.min() < low or values.max() > high):
        wrong = values[(values < low) | (values > high)].flat[0]
        refuse(where, f"numbers from {low:,} to {high:,}", f"{wrong:,}")


def _all(where: str, right: NDArray[np.bool_], expected: str) -> None:
    """Raises InputError unless all are right; expected: what they are then."""
    if not right.all():
        refuse(where, expected, f"another at place {int(np.argmin(right)):,}")


def _rising(where: str, values: NDArray[Any], strictly: bool = False) -> None:
    """Raises InputError unless no value is less than the one before; strictly: each is more."""
    before, after = values[:-1], values[1:]
    words = "numbers that rise" if strictly else "numbers that do not fall"
    _all(where, after > before if strictly else after >= before, words)


def _finite(where: str, values: NDArray[Any]) -> None:
    if values.dtype.kind == "f":
        _all(where, np.isfinite(values), "finite numbers")


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
    _all(where("starts"), steps >= ticks, f"steps of {ticks} ticks or more")
    least = int(starts[-1]) + ticks
    if not least <= about["end"] <= MOST // 2:
        end = where("").rstrip("/") + "attribute end"
        refuse(end, f"a tick from {least:,} on, where the last step ends", about["end"])


def check_drive(where: Where, drive: NDArray[Any]) -> None:
    """Checks what arrives at the beginning of steps. drive: see `Trace`."""
    if not len(drive):
        refuse(where("drive"), "the drive of 1 step or more", "none")
    _finite(where("drive"), drive)


def check_inputs(where: Where, inputs: NDArray[np.int64], steps: int, ticks: int) -> None:
    """Checks input events. inputs: int64 [E, 4]. steps: T. ticks: of a step."""
    within(where("inputs"), inputs[:, 0], 0, steps - 1)
    within(where("inputs"), inputs[:, 1], 0, ticks - 1)
    within(where("inputs"), inputs[:, 2], 0, 2**31)
    _all(where("inputs"), np.abs(inputs[:, 3]) == 1, "signs of 1 or -1")
    _rising(where("inputs"), inputs[:, 0] * ticks + inputs[:, 1])


def check_population(
    where: Where,
    columns: dict[str, NDArray[Any]],
    about: dict[str, Any],
    layer: int,
    starts: NDArray[np.int64],
) -> None:
    """Checks the spikes of one layer, each by itself.

    columns: by name, of equal length. about: see `Trace`. layer: its number. starts: int64 [T].
    """
    within(where("seq"), columns["seq"], 0, MOST)
    seq = columns["seq"].astype(np.int64)
    _rising(where("seq"), seq, strictly=True)
    within(where("node_ids"), columns["node_ids"], 0, about["neurons"][layer] - 1)
    within(where("step"), columns["step"], 0, len(starts) - 1)
    _in_step(where, columns["tick"], columns["step"], starts, about["end"])
    times = columns["tick"] / about["ticks_per_step"]
    _all(where("timestamps"), columns["timestamps"] == times, "the times of the ticks")
    within(where("event"), columns["event"], 0, MOST)
    _all(where("sign"), np.abs(columns["sign"]) == 1, "signs of 1 or -1")
    within(where("member"), columns["member"], 1, 255)
    within(where("cause"), columns["cause"], -1, MOST)
    _all(where("cause"), columns["cause"] < seq, "the seq of an earlier spike, or -1")
    for name, values in columns.items():
        _finite(where(name), values)


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
    _all(where("tick"), right, "ticks within their steps")


def check_order(
    where: Where, spikes: NDArray[np.void], paths: Sequence[str], complete: bool
) -> None:
    """Checks the spikes of all layers together.

    spikes: by seq. paths: of each layer's spikes. complete: whether there are all.
    """
    layer, seq = spikes["layer"], spikes["seq"]

    def every(column: str, right: NDArray[np.bool_], expected: str) -> None:
        if not right.all():
            at = int(np.argmin(right))
            name = where(f"{paths[layer[at]]}/{column}")
            refuse(name, expected, f"another at the spike with seq {seq[at]:,}")

    if complete:
        right = seq == np.arange(len(spikes))
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
    deliveries: NDArray[np.void],
    spikes: NDArray[np.void],
    starts: NDArray[np.int64],
    end: int,
    inputs: NDArray[np.int64] | None,
) -> None:
    """Checks the deliveries of a whole trace.

    deliveries, inputs: see `Trace`; those of input events are among the deliveries. spikes: all, by
    seq. starts: int64 [T]. end: of the run, a tick.
    """

    def name(column: str) -> str:
        return where(f"deliveries/{column}")

    _rising(name("event"), deliveries["event"], strictly=True)
    within(name("event"), deliveries["event"], 1, MOST)
    within(name("step"), deliveries["step"], 0, len(starts) - 1)
    _rising(name("step"), deliveries["step"])
    _in_step(name, deliveries["tick"], deliveries["step"], starts, end)
    _rising(name("tick"), deliveries["tick"])
    within(name("half"), deliveries["half"], 0, 2)
    within(name("projection"), deliveries["projection"], -1, PROJECTIONS - 1)
    came = 0 if inputs is None else len(inputs)
    lowest = -1 - came if came else 0
    within(name("spike"), deliveries["spike"], lowest, len(spikes) - 1)
    _all(name("spike"), deliveries["spike"] != -1, "a spike, or an input event")
    ours = deliveries[deliveries["spike"] >= 0]
    emitted = spikes[ours["spike"]]
    _all(name("tick"), ours["tick"] >= emitted["tick"], "none before its spike")
    _all(name("event"), ours["event"] > emitted["event"], "none before its spike")
    parcels = deliveries["spike"] * (3 * (PROJECTIONS + 1))
    parcels += 3 * (deliveries["projection"].astype(np.int64) + 1) + deliveries["half"]
    parcels.sort()
    _all(name("spike"), parcels[1:] != parcels[:-1], "each parcel once")
    caused = spikes[spikes["cause"] >= 0]
    at = np.searchsorted(deliveries["event"], caused["event"])
    at = np.minimum(at, max(0, len(deliveries) - 1))
    arrives = np.zeros(len(caused), bool)
    if len(deliveries):
        arrives = deliveries["event"][at] == caused["event"]
        arrives &= deliveries["spike"][at] == caused["cause"]
    if not arrives.all():
        seq = caused["seq"][np.argmin(arrives)]
        refuse(name("spike"), "a delivery of the cause at each spike", f"none at spike {seq:,}")


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
    if trace.drive.ndim == 2 and len(trace.drive) > len(trace.starts):
        refuse(where("drive"), f"at most {len(trace.starts)} steps", len(trace.drive))
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
    _all(where("deliveries/projection"), sources[found] == layer, "a projection of its layer")
