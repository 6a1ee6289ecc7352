"""Many random runs against the oracle: a table of how many were tried and how many differed."""

import time as clock
import warnings

from support.oracle_cases import draw
from support.oracle_runs import Skipped, compared

from eventsnn.exceptions import InputError


def campaign(first, last, **fixed):
    """Runs the seeds and prints a table. Returns the seeds with a difference.

    fixed: see `draw`. A case that is refused is told, since none should be.
    """
    table, bad, began = Table(), [], clock.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            for seed in range(first, last):
                if not _tried(table, seed, fixed):
                    bad.append(seed)
        except KeyboardInterrupt:
            print(f"stopped before seed {seed}")
    table.show(clock.perf_counter() - began)
    return bad


def _tried(table, seed, fixed):
    """Whether a seed is as it should be; says what is not."""
    try:
        case = draw(seed, **fixed)
        differ = compared(case)
    except Skipped:
        table.skipped += 1
        return True
    except InputError as refused:
        print(f"seed {seed}: refused: {refused}", flush=True)
        return False
    table.add(case, differ)
    if differ:
        print(f"seed {seed}: {case.words()}: {', '.join(differ)}", flush=True)
    return not differ


class Table:
    """How many were tried, and how many differed, for each thing that varies."""

    def __init__(self):
        self.rows, self.skipped = {}, 0

    def add(self, case, differ):
        """Counts a case. differ: what differs in it."""
        for row in [("all", "networks"), *case.facts()]:
            counts = self.rows.setdefault(row, [0, 0])
            counts[0] += 1
            counts[1] += bool(differ)

    def show(self, seconds):
        """Prints the table."""
        print(f"{'':44}{'tried':>8}{'differ':>8}")
        for (kind, value), (tried, differing) in sorted(self.rows.items()):
            print(f"{kind + ': ' + value:44}{tried:8,}{differing:8,}")
        print(f"{self.skipped} skipped: a weight is too near a half to say how floating point")
        print(f"rounds it. {seconds:,.0f} s", flush=True)
