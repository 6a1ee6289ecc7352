"""The command `eventsnn sweep`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventsnn.called import called
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, one_line, printable, starting_threads
from eventsnn.option_texts import read

DESCRIPTION = """\
Run a plan: networks, image ranges, orders, seeds, models and any other options of a run, in all the
combinations that the plan names, on as many cores as there are, into one store.

  %(prog)s plan.toml --dry-run
      how many cells there are, how long they take, and what is there already
  %(prog)s plan.toml --store runs/orders
      run those that are not there yet
  %(prog)s status runs/orders
      how far the store is, and what failed
  %(prog)s export runs/orders --out orders.csv
      accuracy and cost of every run after 1, 2, 4, … steps

A plan is a TOML file with tables options, images, grid, zips, points, when, skip and also, or a
Python file that calls its Plan `plan` (docs/guide/sweeps.md).

exit status: 0 when all cells are there; 1 when some failed; 2 for wrong input, after one line; 130
when stopped by Ctrl-C"""
MEMORY = ("room for the network and some images of each worker", "use fewer --workers")
GOES_ON = "stopped; what is done stays, and the same command goes on"


def parser() -> Parser:
    """The options of a sweep; `status` and `export` have their own."""
    result = _parser("", DESCRIPTION)
    add = result.add_argument
    add("plan", metavar="PLAN", help="the plan, a file of TOML or Python")
    words = "the folder of the store (default: runs/PLAN, by the plan's name)"
    add("--store", metavar="FOLDER", help=words)
    words = "where cells run: processes (default), serial, or an executor that docs/guide/sweeps.md"
    add("--executor", metavar="NAME", default="processes", help=f"{words} names")
    words = "cells that run at once (default: one a core); never changes a result"
    add("--workers", metavar="N", help=words)
    words = "the K-th of N drivers, which share the cells, as in --part 3/8"
    add("--part", metavar="K/N", help=words)
    add("--retry-failed", action="store_true", help="try cells again that failed before")
    words = "an option of every run, in place of the plan's, as in --set net=vgg16.h5"
    add("--set", metavar="NAME=VALUE", action="append", default=[], help=words)
    words = "run nothing: say how many cells there are, and how long they take"
    add("--dry-run", action="store_true", help=words)
    add("--quiet", action="store_true", help="print nothing but errors, and show no progress")
    return result


def status_parser() -> Parser:
    """The options of `eventsnn sweep status`."""
    result = _parser(" status", "How far a store is, and what failed.")
    result.add_argument("store", metavar="STORE", help="the folder of the store")
    return result


def export_parser() -> Parser:
    """The options of `eventsnn sweep export`."""
    result = _parser(" export", "A store's runs as a CSV file.")
    result.add_argument("store", metavar="STORE", help="the folder of the store")
    result.add_argument("--out", metavar="FILE", required=True, help="the CSV file")
    words = "one of the store's networks (default: all)"
    result.add_argument("--network", metavar="NAME", help=words)
    words = "the numbers T of steps (default: 1, 2, 4 and so on, and each run's last)"
    result.add_argument("--steps", metavar="T,T,…", help=words)
    words = "a row for each run and T (default), or for each image of it"
    result.add_argument("--by", metavar="{run,image}", default="run", help=words)
    return result


def _parser(more: str, words: str) -> Parser:
    return Parser(
        prog=called("sweep") + more,
        description=words,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 1 where cells failed, 2 or 130.

    argv: the arguments; None: this process's.
    """
    return answer(lambda: _main(argv), MEMORY, GOES_ON)


def _main(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["status"]:
        return _status(status_parser().parse_args(words[1:]))
    if words[:1] == ["export"]:
        return _export(export_parser().parse_args(words[1:]))
    with starting_threads():
        return _run(parser().parse_args(words))


def _run(given: argparse.Namespace) -> int:
    workers = _whole("--workers", given.workers)
    part = _part(given.part)
    from eventsnn.sweep.driver import sweep
    from eventsnn.sweep.reading import read_plan, set_options

    plan = set_options(read_plan(given.plan), _set(given.set))
    store = given.store or f"runs/{Path(given.plan).stem}"
    if given.dry_run:
        from eventsnn.sweep.estimate import estimate
        from eventsnn.sweep.executors import EXECUTORS

        EXECUTORS.find(given.executor.partition(":")[0], "--executor")
        for name in ("retry_failed", "quiet"):
            if getattr(given, name):
                where = f"--{name.replace('_', '-')}"
                raise InputError(where, "no --dry-run", "both", "leave out one of them")
        print(printable(str(estimate(plan, store, workers=workers, part=part))))
        return 0
    say = (lambda words: None) if given.quiet else print
    found = sweep(
        plan,
        store,
        executor=given.executor,
        workers=workers,
        retry_failed=given.retry_failed,
        part=part,
        progress=not given.quiet,
    )
    say(printable(str(found)))
    say(f"store in {one_line(store, 1000)}")
    if not found.failed:
        return 0
    if given.quiet:
        print(printable(str(found)), file=sys.stderr)
    say(f"see {called('sweep')} status {store}; --retry-failed tries them again")
    return 1


def _status(given: argparse.Namespace) -> int:
    from eventsnn.sweep.told import status

    found = status(given.store)
    print(printable(str(found)))
    return 0 if found.complete else 1


def _export(given: argparse.Namespace) -> int:
    steps = None
    if given.steps is not None:
        steps = [_whole("--steps", word) or 0 for word in given.steps.split(",")]
    from eventsnn.sweep.tabled import table
    from eventsnn.views.tables import write_csv

    rows = table(given.store, steps, network=given.network, by=given.by)
    if not rows:
        do = f"see {called('sweep')} status {given.store}"
        raise InputError(f"store {given.store}", "a run that is there", "none yet", do)
    write_csv(given.out, rows)
    print(f"{len(rows):,} rows in {one_line(given.out, 1000)}")
    return 0


def _whole(option: str, text: str | None) -> int | None:
    """A whole number from 1; None where none is given. Raises InputError for anything else."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise InputError(option, "whole numbers from 1", repr(text), f"for example {option} 4")
    return int(text)


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError("--part", "K/N with K from 1 to N", repr(text), "for example --part 3/8")
    return int(found[1]), int(found[2])


def _set(words: Sequence[str]) -> dict[str, Any]:
    """Option -> value of --set. Raises InputError for what is none."""
    from eventsnn.sweep.plan import option_named

    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError("--set", "NAME=VALUE", repr(word), "for example --set steps=32")
        f = option_named("--set", name)
        known: Any = {"true": True, "false": False}.get(text) if f.type == "bool" else None
        found[f.name] = read(f, text) if known is None else known
    return found
