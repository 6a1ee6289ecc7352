"""A plan in a file: TOML, or Python that makes one."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from eventsnn.arguments import checked
from eventsnn.exceptions import InputError, one_line
from eventsnn.settings import flag_of
from eventsnn.sweep.plan import TABLES, Plan, check_table

if sys.version_info >= (3, 11):  # noqa: UP036, the oldest Python that is supported is 3.10
    import tomllib
else:
    import tomli as tomllib

LARGEST = 10**7  # bytes of a plan
NAME = "plan"  # what a file of Python calls its plan


@checked
def read_plan(path: str | os.PathLike[str]) -> Plan:
    """The plan in a file.

    path: of TOML with the tables of `Plan`; or of Python (.py), run as it is, which names its Plan
    `plan`. Raises InputError for a file that cannot be read, and for what is no plan in it.
    """
    where = one_line(os.fspath(path))
    try:
        size = Path(path).stat().st_size
        if size > LARGEST:
            raise InputError(where, f"at most {LARGEST:,} bytes", f"{size:,}")
        if where.endswith(".py"):
            return _of_python(where, str(path))
        given = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        words = error.strerror if isinstance(error, OSError) else error
        raise InputError(where, "a plan in TOML", words or error, "check the path") from None
    return plan_of(given, where)


def plan_of(tables: Any, where: str = "plan") -> Plan:
    """The plan of some tables. tables: name -> table. where: for messages.

    Raises InputError for what is no plan.
    """
    check_table(where, tables, TABLES)
    try:
        return Plan(**tables)
    except InputError as error:
        place = f"{where}: {error.where}"
        raise InputError(place, error.expected, error.found, error.do) from None


def _of_python(where: str, path: str) -> Plan:
    try:
        found = runpy.run_path(path).get(NAME)
    except InputError as error:
        raise InputError(f"{where}: {error.where}", error.expected, error.found, error.do) from None
    except Exception as error:  # whatever a stranger's file does
        found = one_line(f"{type(error).__name__}: {error}", 200)
        raise InputError(where, "a file that can be run", found, "repair it") from error
    if not isinstance(found, Plan):
        do = "for example plan = eventsnn.sweep.Plan(options={...}, grid={...})"
        raise InputError(where, f"a Plan called {NAME}", type(found).__name__, do)
    return found


def set_options(plan: Plan, given: dict[str, Any]) -> Plan:
    """A plan with other options of every run. given: option -> value; none that an axis changes.

    Raises InputError for an option that an axis of the plan changes.
    """
    for name in given:
        if name in plan.axes:
            raise InputError(flag_of(name), "an option that no axis changes", f"an axis, {name}")
    return Plan(**{**plan.tables(), "options": {**plan.options, **given}})
