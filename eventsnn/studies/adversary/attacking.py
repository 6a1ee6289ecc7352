"""Attacks on the order of arrival: for each image the least edit found that flips its class."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import is_map
from eventsnn.arguments import OWN, Count, Natural, checked
from eventsnn.data.accepting import GivenImages, GivenLabels, accept
from eventsnn.engine.event.driver import EventRun
from eventsnn.engine.event.queue import UNDER_WAY
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies.adversary.attacks import Adversary, Attack
from eventsnn.studies.adversary.base import NONE, STUDY, Base, check, loses
from eventsnn.studies.adversary.budgets import in_a_step, of_edits
from eventsnn.studies.adversary.gains import Gains
from eventsnn.studies.adversary.kinds import KINDS, senders
from eventsnn.studies.adversary.saved import Found, Saved
from eventsnn.studies.adversary.search import Limit, Search, random_needs
from eventsnn.studies.setting import check_names, exact, numbers_of
from eventsnn.trace.arrivals import is_clocked
from eventsnn.trace.edits import Edit, recorded_order
from eventsnn.trace.replay import play
from eventsnn.trace.trace import Trace
from eventsnn.values import shown
from eventsnn.views.progress import following

DRAWS = 3


@checked
def attack(
    network: Network,
    images: GivenImages,
    *,
    kind: Annotated[str, OWN] = "times",
    within: Count | None = None,
    into: Iterable[str] | None = None,
    seconds: Annotated[float, OWN] = 60.0,
    replays: Count | None = None,
    draws: Count = DRAWS,
    steps: Count = 8,
    labels: GivenLabels = None,
    seed: Natural = 0,
    progress: bool | None = None,
    save: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Adversary:
    """The least edits found that flip the class of images, as an `Adversary`.

    Only images that the base run has right are attacked. A search looks first where the derivatives
    of the margin say that a spike's time decides (`gains`), and takes away what is not needed.
    Every edit that it returns was replayed by the engine, and flips.

    network: that runs. images, labels: as for `eventsnn.simulate`; without labels the class of the
    base run is the right one. kind: "times", deliveries that come later, or "order", deliveries
    that change places among those of one tick. within: of times, the most steps under order
    clocked, and else ticks (None: 1). into: names of layers; only spikes that these hear, and no
    other layer, are moved (None: all). seconds, replays: when the search on one image ends; with
    seconds=float("inf") it is the same on every machine. draws: of random edits, for comparison,
    which take as long as they take.
    steps: T. seed: of what is drawn. progress: whether a bar is shown. save: a folder in which each
    attack is a file of edits; what stands there of the same attack is replayed, and not sought
    again. settings: of `Simulation` and `Time`; order is clocked by default, with one tick a step.

    Raises InputError for what cannot be attacked: a model that does not conserve charge or has more
    than a potential, SRP, an order that delivers spikes in parts, groups, spread drive, floating
    point, the order of arrival under order clocked; where no image is right; and where no
    spike is heard by the layers of `into` alone.
    """
    check_budgets(kind, within, seconds)
    given = accept(network.graph, images, labels)
    if is_map(network.graph):
        raise InputError(STUDY, "an output of classes", "a map", "attack networks that classify")
    simulation, pixels, numbers = exact(
        network, given.images, STUDY, steps=steps, seed=seed, **_with_engine(settings)
    )
    check_kind(simulation, kind)
    limit = Limit(float(seconds), replays)
    attacker = Attacker(simulation, kind, within, into, limit, draws, seed)
    saved = Saved(save, attacker.name, attacker.command)
    found: list[Found] = []
    with following(len(pixels), "image", progress) as bar:
        for place, number in enumerate(numbers.tolist()):
            label = None if given.labels is None else int(given.labels[place])
            one = saved.known(number)
            if one is not None:
                attacker.confirm(one[0], pixels[place])
            elif (one := attacker.one(pixels[place], number, place, label)) is not None:
                saved.keep(one)
            if one is not None:
                found.append(one)
            bar.update(1)
    return adversary_of(simulation, kind, found, len(pixels), pixels, seed)


def adversary_of(
    simulation: Simulation,
    kind: str,
    found: Sequence[Found],
    images: int,
    pixels: NDArray[Any] | None,
    seed: int,
) -> Adversary:
    """The `Adversary` of what was found; fields as there. Raises InputError where it is nothing."""
    if not found:
        expected, do = "images that the base run has right", "choose other settings, or more images"
        raise InputError(STUDY, expected, f"none of {images}", do)
    attacks, resting = zip(*found)
    return Adversary(simulation, kind, [*attacks], images, pixels, seed, [*resting])


def check_kind(simulation: Simulation, kind: str) -> None:
    """Raises InputError for base runs that cannot be attacked in this way."""
    check(simulation)
    if kind == "order" and is_clocked(simulation):
        do = f"choose {named('kind', 'times')}, or an order without a clock"
        words = "order clocked, where it has no effect"
        raise InputError(named("kind", kind), "an order of arrival that counts", words, do)


def check_budgets(kind: Any, within: int | None, seconds: Any) -> None:
    """Raises InputError for budgets that make no sense."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(named("kind"), f"one of {', '.join(KINDS)}", shown(kind))
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(named("seconds"), "a number of seconds above 0", shown(seconds))
    if kind == "order" and within is not None:
        do = "leave it out: places among equals are at one tick"
        raise InputError(named("within"), named("kind", "times"), named("kind", kind), do)


def _with_engine(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of the base runs: the event engine, and a clock of a tick a step by default."""
    if settings.get("engine", "event") != "event":
        expected = named("engine", "event")
        raise InputError(STUDY, expected, shown(settings["engine"]), "leave it out")
    settings = {"order": "clocked", **settings, "engine": "event"}
    if settings["order"] == "clocked":
        settings.setdefault("ticks", 1)
    return settings


class Attacker:
    """Attacks one image after the other.

    simulation: of the base runs. kind, within, into, draws, seed: as in `attack`. limit: of an
    image.
    """

    def __init__(
        self,
        simulation: Simulation,
        kind: str,
        within: int | None,
        into: Iterable[str] | None,
        limit: Limit,
        draws: int,
        seed: int,
    ) -> None:
        self.simulation = simulation
        self.kind, self.within = kind, within
        into = None if into is None else sorted({*into})
        self.sent_by = None if into is None else _senders(simulation.network, into)
        self.limit, self.draws, self.seed = limit, draws, seed
        self.gains = Gains(simulation)
        said = conditions(simulation)
        words = [said.parts["neuron"], said.parts["order"], kind, *(into or ())]
        self.name = "-".join(map(str, words))
        self.command = {
            "network": simulation.network.graph.hash,
            "run": str(said),
            "kind": kind,
            "within": within,
            "into": into,
            "seconds": str(limit.seconds),
            "replays": limit.replays,
            "draws": draws,
            "seed": seed,
        }

    def confirm(self, attack: Attack, pixels: NDArray[Any]) -> None:
        """Replays an attack that was found before.

        Raises InputError where it does not do what it says. attack: it. pixels: of the image.
        """
        base = Base(self.simulation, pixels, attack.image)
        run, _ = _replayed(base.trace, attack.edits)
        found = base.predicted, base.outcome(run).predicted
        if found != (attack.right, attack.predicted) or loses(self.simulation, run):
            expected = f"edits by which image {attack.image} becomes {attack.predicted}"
            raise InputError(STUDY, expected, f"{found[0]}, which becomes {found[1]}")

    def one(self, pixels: NDArray[Any], number: int, place: int, label: int | None) -> Found | None:
        """(the `Attack`, whether it ended at rest); None where the base run is wrong.

        pixels, number, place, label: of the image; label None: none is wrong.
        """
        began = clock.perf_counter()
        base = Base(self.simulation, pixels, number)
        if label is not None and base.predicted != label:
            return None
        kind = KINDS[self.kind](base, self.within, self.sent_by)
        rng = np.random.default_rng([self.seed, number])
        drawn = random_needs(base, kind, self.draws, rng)
        flipping = [moves for moves, flips in drawn if flips]
        least = min(flipping, key=lambda moves: moves.size, default=None)
        search = Search(base, kind, self.gains, self.limit, rng, least)
        moves = search.run() or NONE
        edits = kind.edits(moves)
        random = tuple((kind.budget(its), flips) for its, flips in drawn)
        predicted, rests = base.predicted, _rests(base.run)
        budget, in_step = random[0][0], 0  # of all that can be moved, where none flips
        if edits:
            # the claim: the edits alone, replayed as anyone replays them
            run, trace = _replayed(base.trace, edits)
            assert not loses(self.simulation, run), "a search found edits that drop a delivery"
            predicted = base.outcome(run).predicted
            assert predicted != base.predicted, "a search found what a replay does not confirm"
            order, times = of_edits(base.trace, edits)
            budget = times if self.kind == "times" else order
            in_step = in_a_step(trace)
            rests = rests and _rests(run)
        found = Attack(
            image=number,
            place=place,
            right=base.predicted,
            predicted=predicted,
            edits=edits,
            budget=budget,
            in_step=in_step,
            random=random,
            movable=len(kind.rows),
            replays=base.replays,
            seconds=clock.perf_counter() - began,
        )
        return found, rests


def _senders(network: Network, into: list[str]) -> list[int]:
    """The layers that layers of these names alone hear.

    Raises InputError for names that there are not, and where there are none.
    """
    check_names("into", set(into), network, "names of spiking layers")
    found = senders(network, [i for name, i in numbers_of(network).items() if name in into])
    if not found:
        expected, do = "layers that alone hear some layer", "name all that hear it"
        raise InputError("into", expected, ", ".join(into) or "none", do)
    return found


def _replayed(trace: Trace, edits: Sequence[Edit]) -> tuple[EventRun, Trace]:
    """The finished replay of edits, as `trace.replay` makes it. trace: of the base run."""
    order = recorded_order(trace, edits)
    return play(trace.simulation, trace.drive, trace.number, order, trace.mute)


def _rests(run: EventRun) -> bool:
    """Whether a finished run ended at rest: nothing fired in its last step, or is under way."""
    spikes = run.state.tallies[0]
    return not spikes[:, -1].any() and not run.state.at[UNDER_WAY]
