"""Images that begin at a v(0) of their own (semantics, section 2)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from operator import index
from typing import Any

from numpy.typing import NDArray

from eventsnn.exceptions import InputError, named
from eventsnn.simulation.prepared import Outcome, Prepared, Sink
from eventsnn.values import shown


def check_begins(prepared: Prepared, where: str) -> None:
    """Raises InputError, naming `where`, for an engine that begins all images at one v(0).

    prepared: the simulation, with its engine.
    """
    if not getattr(prepared.engine, "begins", False):
        found = named("engine", prepared.engine.name)
        do = "choose the clocked or the event engine"
        raise InputError(where, "an engine whose images begin at v(0) of their own", found, do)


def check_no_sinks(sinks: Sequence[Sink | None] | None, name: str, where: str) -> None:
    """Raises InputError, naming `where`, for sinks: their files have one v(0) for all images.

    sinks: one for each image, or None. name: the option by which each image has its own.
    """
    if sinks and any(sink is not None for sink in sinks):
        do = f"leave out {named(name)}, or keep counts alone"
        raise InputError(where, "one v(0) for all images, which a trace has", "one for each", do)


def rows_of(simulation: Prepared, count: int, rows: Sequence[int] | None) -> list[int]:
    """Which rows of v(0) images begin at; each has one.

    simulation: whose images begin at a v(0) of their own. count: of images. rows: as given (None:
    0, 1, …). Raises InputError where there are more or fewer images, and for rows there are not.
    """
    assert simulation.starts is not None
    there = len(simulation.starts)
    if rows is None:
        if count != there:
            do = "give one row of v(0) for each image"
            found = f"{there:,} rows of v(0)"
            raise InputError(named("initial"), f"a row for each of {count:,} images", found, do)
        return list(range(count))
    expected = f"a number from 0 to {there - 1:,} for each of {count:,} images"
    try:
        chosen = list(map(index, rows))
    except TypeError:
        raise InputError("rows", expected, shown(rows)) from None
    if len(chosen) != count or any(not 0 <= row < there for row in chosen):
        raise InputError("rows", expected, chosen[:20])
    return chosen


def each(
    simulation: Any,
    images: Any,
    numbers: Sequence[int],
    rows: Sequence[int],
    threads: int,
) -> Iterator[Outcome]:
    """Yields the `Outcome` of each image, which begins at its own v(0).

    simulation: a `Simulation` with `starts`. images, numbers, threads: as for `srp.two_stages`.
    rows: of `starts`, the images' own. Raises what the engine raises.
    """
    for image, number, row in zip(images, numbers, rows):
        its = beginning(simulation, simulation.starts[row])
        yield from its._outcomes([image], [number], None, threads)
        share_wider(simulation, its)


def beginning(prepared: Any, v0: NDArray[Any]) -> Any:
    """A simulation that begins elsewhere; its network and engine are not compiled again.

    prepared: the simulation, a `Prepared`. v0: the arithmetic's dtype [neurons].
    """
    other = copy.copy(prepared)
    other.begins_at = v0
    other.starts = None
    other.resting = v0.astype(prepared.arithmetic.dtype)
    other.engine = copy.copy(prepared.engine)
    other.engine.prepared = other
    wide = getattr(other.engine, "_wide", None)
    if wide is not None:
        other.engine._wide = beginning(wide, v0)
    if getattr(other, "calibrated", None) is not None:
        other.calibrated = other.calibrated.reordered(other)
    return other


def share_wider(prepared: Prepared, other: Prepared) -> None:
    """Keeps the engine in 64 bits that another beginning has made, if it has.

    prepared: the simulation. other: what `beginning` returned, after it ran. Each image gives the
    engine in 64 bits its own v(0).
    """
    wide = getattr(other.engine, "_wide", None)
    if wide is not None:
        prepared.engine._wide = wide  # type: ignore[attr-defined]
