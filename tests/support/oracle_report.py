"""Many random runs against the oracle: a table of how many were tried and how many differed."""

import time as clock
import warnings

from support.oracle_cases import HALVES, draw
from support.oracle_runs import Skipped, compared

from eventsnn.exceptions import InputError

# differences that are known and reported, until they are mended
ZEROS = "structural zeros are synapses"
PLACES = "halves evaluate neurons that they do not reach"


def known(case, differ):
    """The known reason for what differs in a case, or None.

    Zeros as synapses are counted as operations; where an arrival of no charge matters by itself
    (it opens a window, finds a neuron above its threshold after a rest, or is a touch of what
    decays) they change all that follows. A half counts ties where it has no synapse, and fires
    what waits above its threshold after a rest.
    """
    time = case.time or {}
    waits = bool(time.get("window") or time.get("refractory"))
    names = set(differ)
    if names & {"synapses", "input's synapses"}:
        counted = {"synapses", "input's synapses", "operations", "stage one", "ties"}
        if waits or case.model in ("lif", "adaptive") or names <= counted:
            return ZEROS
    if case.order in HALVES and (names <= {"ties"} or waits):
        return PLACES
    return None


def campaign(first, last, **fixed):
    """Runs the seeds and prints a table. Returns the seeds with a difference that is not known.

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
    reason = known(case, differ) if differ else "equal"
    table.add(case, reason)
    if reason is None:
        print(f"seed {seed}: {case.words()}: {', '.join(differ)}", flush=True)
    return reason is not None


class Table:
    """How many were tried, and how many differed for which reason, for each thing that varies."""

    def __init__(self):
        self.rows, self.skipped = {}, 0

    def add(self, case, reason):
        """Counts a case. reason: "equal", one of the known ones, or None."""
        for row in [("all", "networks"), *case.facts()]:
            counts = self.rows.setdefault(row, {"tried": 0, ZEROS: 0, PLACES: 0, None: 0})
            counts["tried"] += 1
            if reason != "equal":
                counts[reason] += 1

    def show(self, seconds):
        """Prints the table."""
        print(f"{'':44}{'tried':>8}{'zeros':>8}{'halves':>8}{'differ':>8}")
        for (kind, value), counts in sorted(self.rows.items()):
            numbers = "".join(f"{counts[key]:8,}" for key in ("tried", ZEROS, PLACES, None))
            print(f"{kind + ': ' + value:44}{numbers}")
        print(f"zeros: {ZEROS}. halves: {PLACES}. {self.skipped} skipped: a weight is")
        print(f"too near a half to say how floating point rounds it. {seconds:,.0f} s", flush=True)
