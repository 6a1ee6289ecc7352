"""What earlier versions wrote, in today's words.

The order that draws a fixed hash for each spike was called `random`; it is `priority` now, and
`random` is uniform (semantics, section 12). A trace or summary says by its format which is meant.
"""

from __future__ import annotations

from typing import Any

ORDERS = {"random": "priority"}


def order_now(order: Any) -> Any:
    """Today's name of an order. order: as an earlier version wrote it; anything else stays."""
    return ORDERS.get(order, order) if isinstance(order, str) else order


def settings_now(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings, or what a simulation says of itself, with today's name of their order.

    settings: as an earlier version wrote them.
    """
    if "order" not in settings:
        return settings
    return settings | {"order": order_now(settings["order"])}


def conditions_now(line: str) -> str:
    """The line of a run's conditions with today's name of its order.

    line: as an earlier version wrote it.
    """
    parts = line.split("; ")
    names = {f"order {before}": f"order {now}" for before, now in ORDERS.items()}
    return "; ".join(names.get(part, part) for part in parts)


def summary_now(summary: dict[str, Any]) -> dict[str, Any]:
    """A run's summary with today's name of its order.

    summary: what summary.json of an earlier version holds; parts that are damaged stay as they are.
    """
    found = dict(summary)
    for key in ("settings", "semantics"):
        if isinstance(found.get(key), dict):
            found[key] = settings_now(found[key])
    if isinstance(found.get("conditions"), str):
        found["conditions"] = conditions_now(found["conditions"])
    return found
