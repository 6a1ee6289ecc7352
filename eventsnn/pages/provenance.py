"""Where a run's numbers are from, and the command that makes them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from eventsnn.pages.markup import Column, Element, element, folded, paragraph, table
from eventsnn.runs.command import command_of
from eventsnn.runs.results import Results

# parts of a summary that say where it is from
PARTS = ("id", "network", "data", "versions", "running", "semantics")
LONGEST = 300  # characters of a value


def provenance(results: Results) -> list[Element]:
    """Network, images, versions and options of a run. results: of the run."""
    found = results.summary
    rows = []
    for part in PARTS:
        rows += [{"what": key, "value": text} for key, text in _flat(part, found.get(part))]
    columns = (Column("what", "what"), Column("value", "value"))
    options = [
        {"what": key, "value": _text(value)} for key, value in sorted(found["settings"].items())
    ]
    return [
        table("provenance-table", "Where the numbers are from", rows, columns, sortable=False),
        folded(
            "All options of the run",
            table("options-table", "Options that can change the result", options, columns),
        ),
    ]


def again(results: Results) -> list[Element]:
    """The command that makes the run again. results: of the run."""
    values = dict(results.settings)
    left = results.summary.get("left_by")
    wanted = left.get("wanted") if isinstance(left, dict) else None
    command = shlex.join(command_of(values | (wanted if isinstance(wanted, dict) else {})))
    return [
        element("pre", element("code", command)),
        paragraph(
            "Paths are those that were given, seen from the folder in which the run was started. "
            "With the results folder at hand, ",
            element("code", "eventsnn run --settings summary.json"),
            " does the same.",
        ),
    ]


def _flat(name: str, value: Any, depth: int = 3) -> Iterator[tuple[str, str]]:
    """(name, text) of a value, or of each part of it; depth: of parts of parts."""
    if isinstance(value, Mapping) and depth:
        for key, part in value.items():
            yield from _flat(f"{name}: {key}", part, depth - 1)
    elif value is not None:
        yield name, _text(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
