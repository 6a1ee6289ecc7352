"""Attacks on input events: for each recording the least retiming found that flips its class.

found = eventsnn.adversary.retime(snn, recordings, steps=10, binf=1)
simulate(snn, [found.attacks[0].rows], encoding="events", steps=10)
"""

from __future__ import annotations

import json
import os
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.arguments import OWN, Count, Natural, checked
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import InputError, check_options, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.encoding import Encoding
from eventsnn.simulation.event_inputs import accept_events
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies.adversary.attacking import DRAWS
from eventsnn.studies.adversary.attacks import FORMATS, Attack, row_of
from eventsnn.studies.adversary.base import NONE, Base, check
from eventsnn.studies.adversary.gains import Gains
from eventsnn.studies.adversary.search import Limit, Search, random_needs
from eventsnn.studies.adversary.slots import Limits, Slots
from eventsnn.studies.setting import OPTIONS, check_one_start
from eventsnn.trace.replay import begin
from eventsnn.trace.trace import record
from eventsnn.values import shown
from eventsnn.views.progress import following
from eventsnn.views.tables import Table

STUDY = "retiming"
FORMAT, VERSION = "eventsnn.retimed", 1
TITLE = (
    "Recordings (%) whose class retimed input events flip, and the least found that do, medians "
    "with 95 % intervals; B0: spikes moved, B1: steps in all, B-inf: steps at most; random: drawn "
    "at random; a recording that does not flip counts as if all that can be moved were"
)


@dataclass(frozen=True, repr=False)
class Retiming(Attack):
    """The least retiming that was found to flip a recording's class; no edit of deliveries.

    rows: float64 [E, 3], the retimed events as `simulate` takes them: time in steps, input, sign.
    """

    rows: NDArray[np.float64]


@dataclass(repr=False)
class Retimings:
    """Retimings of recordings, from `retime`.

    simulation: of the base runs. limits: the budget. attacks: one for each recording that the base
    run has right. images: int, how many there were. seed: of what was drawn.
    """

    simulation: Simulation
    limits: Limits
    attacks: list[Retiming]
    images: int
    seed: int

    @property
    def conditions(self) -> Conditions:
        """What decides the numbers: those of the base runs."""
        return conditions(self.simulation)

    def table(self) -> Table:
        """One row, as `Adversary.table` has it."""
        row = row_of(self.attacks, "inputs", self.seed)
        return Table([row], f"{TITLE}\n{self.conditions}", FORMATS)

    def __repr__(self) -> str:
        flipped = sum(attack.flips for attack in self.attacks)
        return f"<Retimings: {flipped} of {len(self.attacks)} flipped; {self.conditions}>"

    def _repr_html_(self) -> str:
        return str(self.table()._repr_html_())


@checked
def retime(
    network: Network,
    recordings: Annotated[Any, OWN],
    *,
    b0: Count | None = None,
    b1: Count | None = None,
    binf: Count | None = None,
    seconds: Annotated[float, OWN] = 60.0,
    replays: Count | None = None,
    draws: Count = DRAWS,
    steps: Count = 8,
    labels: Annotated[Any, OWN] = None,
    seed: Natural = 0,
    progress: bool | None = None,
    save: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Retimings:
    """The least retimings found that flip the class of recordings, as `Retimings`.

    Input spikes come in other steps, one a slot, and counts are kept (`slots`). Only recordings
    that the base run has right are attacked; the search is that of `attack`.

    network: that runs. recordings, labels: input events as `eventsnn.simulate` takes them with
    encoding "events"; without labels the class of the base run is the right one. b0, b1, binf: the
    most spikes moved, steps in all, steps of one spike (None: any). seconds, replays, draws, seed,
    progress: as for `attack`. steps: T. save: a folder in which each retimed recording is a file
    (`read_retimed`). settings: of `Simulation` and `Time`; encoding is "events" with a unit of 1,
    and order clocked with a tick a step by default.

    Raises InputError for what `attack` refuses, but for floating point; for what are no input
    events; and where no recording is right.
    """
    limits = Limits(b0, b1, binf)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(named("seconds"), "a number of seconds above 0", shown(seconds))
    if is_map(network.graph):
        raise InputError(STUDY, "an output of classes", "a map", "attack networks that classify")
    simulation, given = _simulated(network, recordings, labels, steps, seed, settings)
    check(simulation)
    check_one_start(simulation, STUDY)
    gains, limit, found = Gains(simulation), Limit(float(seconds), replays), []
    folder = None if save is None else Path(save)
    with following(len(given.pixels), "recording", progress) as bar:
        for place, number in enumerate(given.numbers.tolist()):
            base = _Recorded(simulation, given.pixels[place], number)
            label = None if given.labels is None else int(given.labels[place])
            if label is None or base.predicted == label:
                found.append(_one(base, place, limits, gains, limit, draws, seed))
                if folder is not None:
                    about = {"run": str(conditions(simulation)), "limits": list(limits)}
                    _keep(folder, found[-1], about)
            bar.update(1)
    if not found:
        expected, do = "recordings that the base run has right", "choose other settings, or more"
        raise InputError(STUDY, expected, f"none of {len(given.pixels)}", do)
    return Retimings(simulation, limits, found, len(given.pixels), seed)


def _simulated(
    network: Network, recordings: Any, labels: Any, steps: int, seed: int, settings: dict[str, Any]
) -> tuple[Simulation, Any]:
    """(the simulation of the base runs, what was given: `Accepted`). Parameters: of `retime`."""
    check_options(f"a study of {STUDY}", settings, OPTIONS - {"inputs", "pixel_range"})
    if settings.get("engine", "event") != "event":
        raise InputError(STUDY, named("engine", "event"), shown(settings["engine"]), "leave it out")
    settings = {"order": "clocked", **settings, "engine": "event"}
    if settings["order"] == "clocked":
        settings.setdefault("ticks", 1)
    encoding = settings.pop("encoding", "events")
    encoding = encoding if isinstance(encoding, Encoding) else Encoding(kind=encoding)
    if encoding.kind != "events":
        raise InputError(STUDY, named("encoding", "events"), encoding.kind, "leave it out")
    times = {f.name: settings.pop(f.name) for f in fields(Time) if f.name in settings}
    time = Time(**times)
    ticks = time.resolved().ticks
    given, encoding = accept_events(network.graph, recordings, labels, steps, ticks, encoding)
    inputs: Any = given.pixels
    simulation = Simulation(
        network,
        steps=steps,
        time=time,
        encoding=encoding,
        inputs=inputs,
        seed=seed,
        **settings,
    )
    return simulation, given


def _one(
    base: _Recorded,
    place: int,
    limits: Limits,
    gains: Gains,
    limit: Limit,
    draws: int,
    seed: int,
) -> Retiming:
    """The `Retiming` of one recording; parameters as in `retime`."""
    began, number = clock.perf_counter(), base.trace.number
    rng = np.random.default_rng([seed, number])
    kind: Any = Slots(base.events, base.simulation.steps, limits)
    drawn = random_needs(base, kind, draws, rng)
    flipping = [moves for moves, flips in drawn if flips]
    least = min(flipping, key=lambda moves: moves.size, default=None)
    search = Search(base, kind, gains, limit, rng, least)
    search.gains = gains.of_inputs
    found = search.run()
    moves = NONE if found is None else found
    events = kind.policy(moves)
    run, _ = record(base.simulation, events, number)
    predicted = base.outcome(run).predicted
    assert (predicted != base.predicted) == (found is not None), "a run does not confirm a search"
    random = tuple((kind.budget(its), flips) for its, flips in drawn)
    return Retiming(
        image=number,
        place=place,
        right=base.predicted,
        predicted=predicted,
        edits=(),
        budget=random[0][0] if found is None else kind.budget(moves),
        in_step=0,
        random=random,
        movable=len(kind.rows),
        replays=base.replays,
        seconds=clock.perf_counter() - began,
        rows=rows_of(events, base.simulation),
    )


class _Recorded(Base):
    """The base run of one recording. events: int64 [E, 4]. Others: as in `Base`."""

    def __init__(self, simulation: Simulation, events: NDArray[np.int64], number: int) -> None:
        self.run, self.trace = record(simulation, events, number)
        self.simulation, self.events, self.replays = self.trace.simulation, events, 0
        self.recorded = self.outcome(self.run)
        self.predicted = self.recorded.predicted

    def begin(self, order: Any) -> EventRun:
        """A run of retimed events at its beginning. order: they, int64 [E, 4]."""
        self.replays += 1
        trace = self.trace
        return begin(self.simulation, trace.drive, trace.number, None, None, trace.mute, order)

    def __repr__(self) -> str:
        return f"<Base of recording {self.trace.number}: {len(self.events):,} events>"


def rows_of(events: NDArray[np.int64], simulation: Simulation) -> NDArray[np.float64]:
    """Input events as `simulate` takes them, float64 [E, 3]: time in steps, input, sign.

    events: int64 [E, 4] (`encoding.events_of`). simulation: whose ticks and input they have.
    """
    c, h, w = simulation.network.graph.input_shape
    site, channel = np.divmod(events[:, 2], c)
    time = events[:, 0] + events[:, 1] / simulation.time.ticks
    return np.column_stack([time, channel * (h * w) + site, events[:, 3]]).astype(np.float64)


def _keep(folder: Path, attack: Retiming, about: Mapping[str, Any]) -> None:
    """Writes a retimed recording into a folder. about: what it is from."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, "version": VERSION, "image": attack.image}
        content |= {"right": attack.right, "predicted": attack.predicted, "about": dict(about)}
        content |= {"budget": list(attack.budget), "rows": attack.rows.tolist()}
        path = folder / f"retimed-{attack.image}.json"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content) + "\n", "utf-8")
        os.replace(temporary, path)
    except OSError as error:
        expected = "a folder that can be written"
        raise InputError(named("save"), expected, f"{folder}: {error.strerror}") from None


@checked
def read_retimed(path: str | os.PathLike[str]) -> tuple[int, NDArray[np.float64]]:
    """(the recording's number, its retimed events as `simulate` takes them) of a file of `retime`.

    The events are float64 [E, 3]: time in steps, input, sign. path: the file. Raises InputError for
    one that cannot be read, and for another.
    """
    where = f"retimed events {path}"
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError
        rows = np.array(content["rows"], np.float64).reshape(-1, 3)
        return int(content["image"]), rows
    except OSError as error:
        raise InputError(where, "a file", error.strerror or "none") from None
    except (ValueError, TypeError, KeyError):
        expected = f"the format {FORMAT}, version {VERSION}"
        raise InputError(where, expected, "another") from None
