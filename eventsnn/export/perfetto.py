"""Spikes for the Perfetto viewer (ui.perfetto.dev) and chrome://tracing, as Chrome trace events.

A layer is a process, a neuron a track, a spike a slice of one tick, and an arrow goes from each
spike to those that its arrival fired. One tick is drawn as 1 microsecond, since the format has no
unit of its own (Trace Event Format, "JSON Object Format"). Spikes of one neuron at one tick stand
below one another, in the order of emission. Where all spikes of a step are due at its beginning,
time shows nothing: then the place in the order of emission (`seq`) stands for the tick, and
`otherData` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.arguments import checked
from eventsnn.files.writing import new_file
from eventsnn.trace.reading import read_trace
from eventsnn.trace.trace import Trace

BATCH = 1000  # events that are joined before they are written
STEPS = 0  # the process of the steps; layers follow from 1


@checked
def write_perfetto(source: Trace | str | Path, path: str | Path) -> None:
    """Writes a trace as Chrome trace events, which Perfetto opens.

    source: a `Trace` or a trace file. path: of the file to write; an older one is replaced. Raises
    InputError for what is no trace file.
    """
    trace = source if isinstance(source, Trace) else read_trace(source)
    unit = "1 us is 1 place in the order of emission" if at_once(trace) else "1 us is 1 tick"
    about = {"image": trace.number, "ticks_per_step": trace.ticks, "unit": unit}
    with new_file(path) as file:
        file.write(b'{"traceEvents":[\n')
        lines: list[str] = []
        comma = ""
        for event in events(trace):
            lines.append(comma + json.dumps(event, separators=(",", ":")))
            comma = ",\n"
            if len(lines) == BATCH:
                file.write("".join(lines).encode())
                lines = []
        file.write("".join(lines).encode())
        file.write(f'\n],"otherData":{json.dumps(about)}}}\n'.encode())


def at_once(trace: Trace) -> bool:
    """Whether all spikes of a step are due at its beginning. trace: of one image."""
    return len(trace.spikes) > 0 and bool(np.isin(trace.spikes["tick"], trace.starts).all())


def events(trace: Trace) -> Iterator[dict[str, Any]]:
    """The events of a trace, one after the other: names, steps, then spikes with their arrows.

    trace: of one image.
    """
    spikes = trace.spikes
    yield _name("process_name", STEPS, 0, "steps")
    yield _sorted("process_sort_index", STEPS, 0, STEPS)
    pairs = np.unique(np.stack([spikes["layer"], spikes["neuron"]], 1), axis=0).tolist()
    for layer in sorted({layer for layer, _ in pairs}):
        yield _name("process_name", layer + 1, 0, trace.names[layer])
        yield _sorted("process_sort_index", layer + 1, 0, layer + 1)
    for layer, neuron in pairs:
        yield _name("thread_name", layer + 1, neuron + 1, f"neuron {neuron}")
        yield _sorted("thread_sort_index", layer + 1, neuron + 1, neuron)
    times, starts, end = spikes["tick"], trace.starts, int(trace.end)
    if at_once(trace):
        times, end = spikes["seq"], int(spikes["seq"][-1]) + 1
        first = np.searchsorted(spikes["step"], np.arange(len(starts)))
        starts = np.append(times, end)[first]
    ends = [*starts[1:].tolist(), max(end, int(starts[-1]) + 1)]
    for step, (begin, end) in enumerate(zip(starts.tolist(), ends), 1):
        yield _slice(f"step {step}", STEPS, 0, begin, max(end - begin, 1), {})
    effects = set(spikes["cause"].tolist())
    at: dict[int, tuple[int, int, int]] = {}
    columns = ("seq", "event", "step", "layer", "neuron", "sign", "member", "cause")
    for row in zip(times.tolist(), *(spikes[name].tolist() for name in columns)):
        time, seq, event, step, layer, neuron, sign, member, cause = row
        place = (layer + 1, neuron + 1, time)
        told = {"seq": seq, "event": event, "step": step + 1, "member": member, "cause": cause}
        yield _slice("spike" if sign > 0 else "taken back", *place, 1, told)
        if seq in effects:
            at[seq] = place
        if cause in at:
            yield _arrow("s", seq, *at[cause])
            yield _arrow("f", seq, *place) | {"bp": "e"}


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _sorted(kind: str, process: int, thread: int, index: int) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"sort_index": index}}


def _slice(
    name: str, process: int, thread: int, tick: int, ticks: int, told: dict[str, Any]
) -> dict[str, Any]:
    """A slice. ticks: how long it is. told: its arguments, which the viewer shows."""
    at = {"ph": "X", "name": name, "pid": process, "tid": thread, "ts": tick, "dur": ticks}
    return at | {"args": told} if told else at


def _arrow(end: str, effect: int, process: int, thread: int, tick: int) -> dict[str, Any]:
    """One end of the arrow to a spike: "s" where it starts, "f" where it ends."""
    about = {"ph": end, "name": "cause", "cat": "cause", "id": effect}
    return about | {"pid": process, "tid": thread, "ts": tick}
