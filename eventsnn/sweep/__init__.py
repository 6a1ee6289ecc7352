"""Sweeps: many runs, planned as axes, computed anywhere, kept in one store."""

from eventsnn.sweep.driver import Swept, sweep
from eventsnn.sweep.estimate import Estimate, estimate
from eventsnn.sweep.opened import cube, open
from eventsnn.sweep.plan import Plan
from eventsnn.sweep.reading import read_plan
from eventsnn.sweep.tabled import table, to_pandas
from eventsnn.sweep.told import Status, status

__all__ = [
    "Estimate",
    "Plan",
    "Status",
    "Swept",
    "cube",
    "estimate",
    "open",
    "read_plan",
    "status",
    "sweep",
    "table",
    "to_pandas",
]
