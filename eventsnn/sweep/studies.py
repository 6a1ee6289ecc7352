"""The studies that a cell may hold in place of a run, and their options in a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.options import option
from eventsnn.settings import Settings
from eventsnn.studies.by_image import Study, Variable
from eventsnn.studies.proofs import EVERY
from eventsnn.studies.trains import TIMES
from eventsnn.sweep import arrays

# name in a plan -> where the Study stands
PLACES = {
    "cases": "cases:OF_CASES",
    "parts": "errors:OF_PARTS",
    "surgery": "surgery:OF_COSTS",
    "timing": "timing:OF_TIMING",
    "asynchronism": "asynchronism:OF_ASYNCHRONISM",
    "parting": "parting:OF_PARTING",
    "rest": "at_rest:OF_REST",
    "distances": "at_rest:OF_DISTANCES",
    "certificate": "certified:OF_CERTIFICATE",
    "budgets": "budgets:OF_BUDGETS",
    "largest": "budgets:OF_LARGEST",
    "orders": "order_sampling:OF_ORDERS",
    "deadlines": "deadlines:OF_DEADLINES",
    "attacks": "adversary.by_image:OF_ATTACKS",
}

Options = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """The options of a plan that a run does not have: which study, and the study's own."""

    study: str | None = option(
        None,
        "the study that is made of the images, in place of a run",
        "--set study=cases",
        kind=str,
        choices=lambda: PLACES,
        group="study",
    )
    levels: str = option(
        "steps",
        "the ANN's levels: as many as there are steps, or its own",
        "--set levels=own",
        choices=("steps", "own"),
        group="study",
    )
    counts: str = option(
        "ideal",
        "right counts: those of the ideal staircase, or the ANN's",
        "--set counts=ann",
        choices=("ideal", "ann"),
        group="study",
    )
    times: str = option(
        "shuffled",
        "when spikes are sent, as for timing.measure",
        "--set times=even",
        choices=TIMES,
        group="study",
    )
    look_at: int | None = option(
        None,
        "images, from the first of the plan's on, of which it is asked what arrived at each layer",
        "--set look_at=50",
        kind=int,
        low=1,
        group="study",
    )
    one_by_one: bool = option(
        False,
        "certify with each layer's order free alone, too, and with that of all up to each",
        "--set one_by_one=true",
        kind=bool,
        group="study",
    )
    moved: tuple[int | str, ...] = option(
        (1,),
        "deliveries of each step into each free layer that may be moved, or every",
        "--set moved=1,10,every",
        kind="steps",
        word=EVERY,
        low=0,
        group="study",
    )
    last: int = option(
        2,
        "how many layers, the last ones, are free",
        "--set last=1",
        kind=int,
        low=1,
        group="study",
    )
    most: int = option(
        100, "the largest budget that is tried", "--set most=20", kind=int, low=1, group="study"
    )
    orders: int = option(
        100, "orders of each image", "--set orders=20", kind=int, low=2, group="study"
    )
    encoding_seeds: int = option(
        1, "seeds of the input", "--set encoding_seeds=4", kind=int, low=1, group="study"
    )
    fractions: tuple[int, ...] | None = option(
        None,
        "numbers of fraction bits",
        "--set fractions=16,14",
        kind="steps",
        low=1,
        group="study",
    )
    deadlines: tuple[int, ...] | None = option(
        None,
        "ticks at whose end the class is read; default: powers of two",
        "--set deadlines=1000,2000",
        kind="steps",
        low=0,
        group="study",
    )
    kind: str = option(
        "times", "what is edited", "--set kind=order", choices=("times", "order"), group="study"
    )
    within: int | None = option(
        None,
        "of times, how many steps (order clocked) or ticks later deliveries come at most",
        "--set within=2",
        kind=int,
        low=1,
        group="study",
    )
    into: tuple[str, ...] | None = option(
        None,
        "names of layers; only spikes that these alone hear are moved",
        "--set into=act4,act5",
        kind="names",
        group="study",
    )
    replays: int | None = option(
        None, "replays of an image at most", "--set replays=500", kind=int, low=1, group="study"
    )
    draws: int = option(3, "of random edits", "--set draws=1", kind=int, low=1, group="study")


FIELDS = {f.name: f for f in fields(StudyOptions)}


@cache
def study_named(name: str) -> Study:
    """The study of a name in PLACES; its module is imported when it is asked for."""
    module, _, attribute = PLACES[name].partition(":")
    found: Study = getattr(import_module(f"eventsnn.studies.{module}"), attribute)
    return found


def study_of(options: Options) -> Study | None:
    """The study of a run's options; None where it is a plain run."""
    name = options.get("study")
    return None if name is None else study_named(name)


def own(options: Options) -> dict[str, Any]:
    """The values of all options of a run's study, given or not. options: of the run."""
    study = study_of(options)
    names = () if study is None else study.options
    return {name: options.get(name, FIELDS[name].default) for name in names}


def settings_of(options: Options) -> Settings:
    """The Settings of a run, or of what a study runs.

    options: of the run, by name. Raises InputError for those that do not go together.
    """
    study = study_of(options)
    there = () if study is None else study.options
    for name in FIELDS.keys() & options.keys() - {"study", *there}:
        having = [its for its in PLACES if name in study_named(its).options]
        expected = f"study = {' or '.join(map(repr, having))}"
        raise InputError(name, expected, repr(options.get("study")), "leave it out")
    return Settings(**{name: value for name, value in options.items() if name not in FIELDS})


def variables_of(group: Mapping[str, Any]) -> dict[str, Variable]:
    """The variables of a group of a store, with all their axes. group: of the store's record."""
    name = group.get("study")
    if name:
        found = {
            key: its._replace(dims=(arrays.RUN, *its.dims))
            for key, its in study_named(name).variables.items()
        }
        return found | arrays.OF_ANN
    left_out = set(arrays.OPTIONAL) - set(group["optional"])
    return {key: its for key, its in arrays.VARIABLES.items() if key not in left_out}
