"""What a trace of the run shows: a raster of all spikes, and the microscope of one neuron."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import Any

import numpy as np

from eventsnn.exceptions import InputError
from eventsnn.pages.markup import Column, Element, element, folded, paragraph, table
from eventsnn.pages.pictures import picture
from eventsnn.runs.again import Again
from eventsnn.runs.command import command_of
from eventsnn.runs.results import Results
from eventsnn.runs.verified import repeated
from eventsnn.settings import Settings
from eventsnn.trace import microscope
from eventsnn.trace.trace import Trace
from eventsnn.trace.worst import worst
from eventsnn.views.plots import raster
from eventsnn.views.raster import EVENTS

LARGEST = 2**29  # bytes of a trace that is opened
STEPS = 16  # of more, a table of spikes has their sums alone
ARRIVALS = 200  # of a neuron, in the table
FEW = 10  # images of the run that makes a trace

ARRIVED = (
    Column("place", "arrival"),
    Column("step", "step"),
    Column("source", "from"),
    Column("charge", "charge", "+.4f"),
    Column("charged", "potential", ".4f"),
    Column("fired", "fired", "+d"),
    Column("after", "after", ".4f"),
)


def none_recorded(results: Results) -> list[Element]:
    """What is said where the run kept no spikes: the command that does. results: of the run."""
    values = dict(results.settings)
    if values.get("engine") != "event":  # in this order the same neurons fire in the same steps
        values |= {"engine": "event", "order": "clocked"}
    values["trace"] = "spikes"
    limit = values.get("limit")
    values["limit"] = min(limit, FEW) if isinstance(limit, int) else FEW
    try:
        Settings(**{key: _plain(value) for key, value in values.items() if value is not None})
    except InputError as error:
        return [paragraph(f"There is no trace, and such a run can keep none: {error.flags}.")]
    command = shlex.join(command_of(values))
    return [
        paragraph("There is no trace in this run. This command makes one, in a folder of its own:"),
        element("pre", element("code", command)),
    ]


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def trace_of(results: Results, made: Again) -> Trace:
    """The first trace of a run. made: the run. Raises InputError where it cannot be trusted."""
    number, path = next(iter(results.traces.items()))
    size = path.stat().st_size
    if size > LARGEST:
        do = f"look at it in Python: open_results(…).trace({number}, simulation)"
        raise InputError(path, f"a trace of at most {LARGEST:,} bytes", f"{size:,}", do)
    return results.trace(number, made.simulation)


def spikes(trace: Trace, results: Results) -> list[Element]:
    """A raster of a trace, and its spikes by layer and step.

    trace: of one image. results: of the run.
    """
    names, steps, count = trace.names[:-1], len(trace.starts), len(trace.spikes)
    counts = np.zeros((len(names), steps), np.int64)
    np.add.at(counts, (trace.spikes["layer"], trace.spikes["step"]), 1)
    rows = []
    for name, line in zip(names, counts.tolist()):
        by_step = {f"step {k}": n for k, n in enumerate(line, 1)} if steps <= STEPS else {}
        rows.append({"layer": name, **by_step, "all": sum(line)})
    columns = [Column(key, key, "," * (key != "layer")) for key in rows[0]]
    dense = count > EVENTS
    words = (
        f"{count:,} spikes of {len(names)} layers in {steps} steps of image {trace.number}, layer "
        f"above layer; the table below counts them."
    )
    if dense:
        words += " There are so many that the picture shows how many fall on each place."
    kept = "" if trace.complete else " The trace was kept in part, so others are not counted."
    caption = f"Spikes of image {trace.number} by layer and step, fired or taken back.{kept}"
    others = [str(number) for number in results.traces if number != trace.number]
    more = f" Other images with a trace: {', '.join(others[:10])}." if others else ""
    return [
        paragraph(f"Image {trace.number} of the data set: {count:,} spikes.{more}"),
        picture(
            raster(trace, title=f"image {trace.number}", conditions=""),
            "raster",
            f"Spikes of image {trace.number}",
            words,
            paper=dense,
        ),
        table("raster-table", caption, rows, columns),
    ]


def neuron(trace: Trace, made: Again) -> list[Element]:
    """The microscope of the neuron of an image that errs most.

    trace: of the image. made: the run. Raises InputError where it cannot be
    seen: of a trace that was kept in part, and of a model that changes between arrivals.
    """
    layer, number, why = _chosen(trace, made)
    seen = microscope.observe(trace, layer, number)
    rows = [{"place": k, **row} for k, row in enumerate(seen.table(ARRIVALS), 1)]
    cut = f"the first {ARRIVALS} of " if len(seen.arrivals) > ARRIVALS else ""
    caption = (
        f"All that arrived at {seen.name}: {cut}{len(seen.arrivals):,} arrivals; charge and "
        "potentials in thresholds."
    )
    words = (
        f"The potential of {seen.name} over its {len(seen.arrivals):,} arrivals; it {seen.counts}."
    )
    figure = microscope.plot(seen)
    figure.suptitle("")
    return [
        paragraph(f"{seen.name}, {why}: it {seen.counts}."),
        picture(figure, "microscope", f"The potential of {seen.name}", words),
        folded("Its arrivals as a table", table("microscope-table", caption, rows, ARRIVED)),
    ]


def _chosen(trace: Trace, made: Again) -> tuple[str, int, str]:
    """(layer, neuron, why it is looked at)."""
    batch = repeated(made, np.array([made.place(trace.number)]))
    with suppress(InputError):  # of a model whose charge is worth nothing certain
        found = worst(made.simulation, [(0, batch)], 1, None)
        if len(found):
            why = "whose spikes are furthest from what all its charge is worth in any order"
            return found[0].layer, found[0].neuron, why
    assert batch.counts is not None
    network = made.simulation.network
    busiest = int(np.abs(batch.counts[0]).argmax())
    layer = int(network.layer_of[busiest])
    return network.layers[layer].name, busiest - int(network.first[layer]), "which fires most often"


def not_there(what: str, why: str) -> list[Element]:
    """What is said in the place of numbers that cannot be trusted. what: they are. why: not."""
    return [paragraph(f"No {what}: {why}.", class_="warned")]
