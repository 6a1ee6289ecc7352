"""What a store holds, in words: how far it is, and what failed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eventsnn.arguments import checked, named_fields
from eventsnn.sweep.cells import ANN, cell_of
from eventsnn.sweep.lease import holder
from eventsnn.sweep.store import DONE, FAILED, Record, Store
from eventsnn.views.tables import Table

SHOWN = 5  # failures that are told one by one

COLUMNS = {
    "network": ("network", ""),
    "runs": ("runs", ","),
    "images": ("images", ","),
    "steps": ("steps", ","),
    "cells": ("cells", ","),
    "done": ("done", ","),
    "failed": ("failed", ","),
    "missing": ("missing", ","),
}


@named_fields
@dataclass(frozen=True)
class Status:
    """How far a store is; print it.

    table: one row a network: runs, images, largest T, cells, and how many of them are done, failed
    and missing. failures: (kind, how many cells, the message of one) of each, the most frequent
    first. drivers: of each driver at work, its host, pid and the age of its lease in seconds.
    """

    table: Table
    failures: tuple[tuple[str, int, str], ...]
    drivers: tuple[dict[str, Any], ...]

    @property
    def complete(self) -> bool:
        """Whether all cells are done."""
        return all(row["done"] == row["cells"] for row in self.table)

    def __str__(self) -> str:
        lines = [str(self.table)]
        for kind, count, words in self.failures[:SHOWN]:
            cells = f"{count:,} cell{'s' * (count != 1)}"
            lines.append(f"failed, {cells}: {kind}{', such as' * (count > 1)}: {words}")
        if len(self.failures) > SHOWN:
            lines.append(f"and {len(self.failures) - SHOWN} more kinds of failures")
        for driver in self.drivers:
            lines.append(
                f"a driver is at work: process {driver['pid']} on {driver['host']}, "
                f"which said so {driver['age']:.0f} s ago"
            )
        return "\n".join(lines)


@checked
def status(path: str | os.PathLike[str]) -> Status:
    """How far a store is. path: of the store. Raises InputError for what is no store."""
    store = Store(path)
    record = store.record()
    done, failed = store.files(DONE), store.files(FAILED)
    rows, kinds = [], Counter[str]()
    messages: dict[str, str] = {}
    for name, group in record["groups"].items():
        ids = cell_ids(group, name, record["versions"]["eventsnn"])
        bad = [cell_id for cell_id in ids if cell_id in failed and cell_id not in done]
        for cell_id in bad:
            found = store.of_cell(cell_id, FAILED) or {}
            kind = str(found.get("kind", "unknown"))
            kinds[kind] += 1
            messages.setdefault(kind, str(found.get("message", "")))
        good = sum(cell_id in done for cell_id in ids)
        rows.append(
            {
                "network": name,
                "runs": len(group["rows"]),
                "images": group["count"],
                "steps": group["steps"],
                "cells": len(ids),
                "done": good,
                "failed": len(bad),
                "missing": len(ids) - good - len(bad),
            }
        )
    held = [holder(its) for its in sorted(store.path.glob("lease*.json"))]
    drivers = tuple(its for its in held if its is not None)
    title = f"Cells of {store.path}"
    failures = tuple((kind, count, messages[kind]) for kind, count in kinds.most_common())
    return Status(Table(rows, title, COLUMNS), failures, drivers)


def cell_ids(group: Record, name: str, version: str) -> list[str]:
    """The ids of all cells of a group, the ANN's first; of a cell that grew, of the longer one.

    group: of a store's record. name: its own. version: of the eventsnn that made the store.
    """
    parts = {(first, count): (first, count, digest) for first, count, digest in group["parts"]}
    found = []
    of = group["key"] if "study" in group else ""
    for row, spans in [(ANN, parts), *((its["key"], its["spans"]) for its in group["rows"])]:
        for key in _longest(spans):
            its = cell_of(name, row, parts[key], group["network"], {}, version, of=of)
            found.append(its.id)
    return found


def _longest(spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """The longest (first, count) of each first, in order. spans: all."""
    found: dict[int, int] = {}
    for first, count in spans:
        found[first] = max(count, found.get(first, 0))
    return sorted(found.items())
