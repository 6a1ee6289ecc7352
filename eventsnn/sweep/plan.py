"""What a sweep runs: options, and axes along which they change (docs/guide/sweeps.md)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field
from dataclasses import fields as fields_of
from difflib import get_close_matches
from typing import Any

from eventsnn import neurons
from eventsnn.arguments import named_fields
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.rules import uses_steps
from eventsnn.options import LISTS
from eventsnn.plugins import load_plugins, registry_of
from eventsnn.settings import Settings, option_in
from eventsnn.sweep import studies
from eventsnn.values import shown

Options = dict[str, Any]
Condition = Mapping[str, Any] | Callable[[Options], bool]

SIZE = 100  # images of a cell, where a plan says nothing
FIELDS = {f.name: f for f in fields_of(Settings)} | studies.FIELDS
# groups of options that no plan has: they change how a run goes, and what it prints
BESIDE = ("running", "output")
INSTEAD = {
    "limit": "say which images under images: count = 1000",
    "report_steps": "leave it out: a run answers every step up to its last",
}
# what a plan is made of
TABLES = ("options", "images", "grid", "zips", "points", "when", "skip", "also")


@named_fields
@dataclass(frozen=True)
class Span:
    """The images of runs, and how they are cut into cells.

    first: the position of the first in the split of the data. count: how many (None: to the end).
    size: how many are a cell.
    """

    first: int = 0
    count: int | None = None
    size: int = SIZE

    def __post_init__(self) -> None:
        least = {"first": 0, "count": 1, "size": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if (value is None and name == "count") or (type(value) is int and value >= low):
                continue
            raise InputError(f"images: {name}", f"a whole number from {low}", shown(value))


@named_fields
@dataclass(frozen=True)
class Run:
    """One combination of options. options: name of a field of Settings -> value. span: images."""

    options: Options
    span: Span

    @property
    def key(self) -> str:
        """Text, equal for runs of equal options, whatever T."""
        kept = {name: value for name, value in self.options.items() if name != "steps"}
        return json.dumps([kept, self.span.first, self.span.count], sort_keys=True)

    @property
    def steps(self) -> int:
        """T."""
        return int(self.options.get("steps", Settings.steps))


@named_fields
@dataclass(frozen=True, kw_only=True)
class Plan:
    """Options, and axes along which they change: all combinations of all axes are run.

    Options are those of `eventsnn run`, named as the fields of `Settings` are, and those of
    `studies.StudyOptions`. The file of a plan, TOML, has these very tables.

    options: of every run, name -> value. images: {"first", "count", "size"}: which images, and how
    many a cell has. grid: option -> values; each option is an axis. zips: each is one axis, option
    -> values, as many for each option, which go together. points: of one axis, each the options of
    a point. when: {"if", "options", "grid"}: runs that "if" fits have these options, too, and are
    run along a grid of their own. skip: what fits one of these is not run. also: plans of further
    runs, which have the options and images of this one where they say nothing else.

    A condition is a mapping, option -> value or list of values, that all have to be met; or in
    Python a function of a run's options that returns True or False. Where a run says nothing of an
    option, it has its default.

    Raises InputError for options that there are not or that no sweep has, for values that are not
    allowed, and for axes without values.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    zips: Sequence[Mapping[str, Sequence[Any]]] = ()
    points: Sequence[Mapping[str, Any]] = ()
    when: Sequence[Mapping[str, Any]] = ()
    skip: Sequence[Condition] = ()
    also: Sequence[Mapping[str, Any]] = ()
    span: Span = field(init=False)
    plans: tuple[Plan, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "options", _options("options", self.options))
        check_table("images", self.images, ("first", "count", "size"))
        set_(self, "span", Span(**self.images))
        set_(self, "grid", _grid("grid", self.grid))
        set_(self, "zips", tuple(_zip(f"zips {i + 1}", its) for i, its in _each("zips", self.zips)))
        points = [_options(f"points {i + 1}", its) for i, its in _each("points", self.points)]
        set_(self, "points", tuple(points))
        set_(
            self, "when", tuple(_when(f"when {i + 1}", its) for i, its in _each("when", self.when))
        )
        skip = [condition(f"skip {i + 1}", its) for i, its in _each("skip", self.skip)]
        set_(self, "skip", tuple(skip))
        set_(self, "also", tuple(its for _, its in _each("also", self.also)))
        plans = [self._further(i + 1, its) for i, its in enumerate(self.also)]
        set_(self, "plans", tuple(plans))

    def _further(self, number: int, given: Any) -> Plan:
        """A plan of `also`, with this one's options and images. number: its own, from 1."""
        where = f"also {number}"
        check_table(where, given, TABLES)
        try:
            inner = Plan(**given)
        except InputError as error:
            place = f"{where}: {error.where}"
            raise InputError(place, error.expected, error.found, error.do) from None
        options, images = {**self.options, **inner.options}, {**self.images, **inner.images}
        return Plan(**{**inner.tables(), "options": options, "images": images})

    def tables(self) -> dict[str, Any]:
        """The plan as the tables that make it again: name of a table -> what is in it."""
        return {name: getattr(self, name) for name in TABLES if getattr(self, name)}

    @property
    def axes(self) -> tuple[str, ...]:
        """The options that an axis changes, in order."""
        named = [name for point in self.points for name in point]
        named += [name for axis in self.zips for name in axis]
        named += list(self.grid)
        named += [name for its in self.when for name in (*its["options"], *its["grid"])]
        for plan in self.plans:
            named += plan.axes
            there = plan.options.items()
            named += [name for name, value in there if self.options.get(name) != value]
        return tuple(dict.fromkeys(named))

    def combinations(self) -> Iterator[Run]:
        """Every combination of the axes, with what conditions make of it, one after the other."""
        axes = [list(self.points)] if self.points else []
        axes += [[dict(zip(axis, point)) for point in zip(*axis.values())] for axis in self.zips]
        axes += [[{name: value} for value in values] for name, values in self.grid.items()]
        for point in itertools.product(*axes):
            options = dict(self.options)
            for its in point:
                options |= its
            for found in self._conditioned(options):
                if not any(meets(found, its) for its in self.skip):
                    yield Run(found, self.span)
        for plan in self.plans:
            yield from plan.combinations()

    def _conditioned(self, options: Options) -> Iterator[Options]:
        """What `when` makes of a combination: itself, or several."""
        grids = []
        for its in self.when:
            if meets(options, its["if"]):
                options = options | its["options"]
                grids += [[{name: v} for v in values] for name, values in its["grid"].items()]
        for point in itertools.product(*grids):
            found = dict(options)
            for its in point:
                found |= its
            yield found

    def runs(self) -> Iterator[Run]:
        """Every run once: of those that differ in T alone the one with the largest.

        A run to the largest T answers all smaller ones, unless its neurons give a result after the
        last step only, or its encoding is the user's own, and may depend on T.
        """
        longest: dict[int, int] = {}
        for run in self.combinations():
            key = _key(run)
            longest[key] = max(run.steps, longest.get(key, 0))
        for run in self.combinations():
            key = _key(run)
            if longest.get(key) == run.steps:
                del longest[key]
                yield run


def _key(run: Run) -> int:
    """128 bits that tell runs apart, without T where the largest T answers for all."""
    text = run.key if answers_shorter(run.options) else f"{run.key}{run.steps}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def answers_shorter(options: Options) -> bool:
    """Whether a run to T gives a result for every smaller T, too.

    options: of the run. It does not where neurons have a result after the last step only, where the
    encoding is the user's own, as its shares may depend on T, where thresholds are found for T, and
    where it is a study.
    """
    if options.get("study") or uses_steps(options.get("thresholds")):
        return False
    encoding = str(options.get("encoding", "")).partition(":")[0]
    own = bool(encoding) and encoding not in registry_of("encoding").own
    return not own and stages(options.get("neuron", Settings.neuron)) == 1


_STAGES: dict[str, int] = {}


def stages(neuron: str) -> int:
    """The stages of a run of a model: with two, only the last step is a result.

    neuron: as the option has it. Raises InputError for a model that there is not.
    """
    if neuron not in _STAGES:
        _STAGES[neuron] = neurons.stages_of(neurons.parsed(neuron))
    return _STAGES[neuron]


def meets(options: Options, condition: Condition) -> bool:
    """Whether options meet a condition, as `Plan` has it. options: of a run, without defaults."""
    if callable(condition):
        try:
            return bool(condition(dict(options)))
        except Exception as error:  # whatever a user's function does
            words = one_line(f"{type(error).__name__}: {error}", 200)
            do = "a run has the options alone that the plan gives it: run.get(name, default)"
            raise InputError("condition", "a function of a run's options", words, do) from None
    for name, wanted in condition.items():
        value = options.get(name, FIELDS[name].default)
        if value not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def condition(where: str, given: Any) -> Condition:
    """A condition, checked. where: its place in the plan. given: what stands there.

    Raises InputError for what is none.
    """
    if callable(given):
        found: Condition = given
        return found
    check_table(where, given)
    if not given:
        raise InputError(where, "options and their values", "none")
    checked: dict[str, Any] = {}
    for key, wanted in given.items():
        name = _name(where, key)
        if isinstance(wanted, list) and option_in(FIELDS[name]).kind not in LISTS:
            checked[name] = [_value(where, name, value) for value in wanted]
        else:
            checked[name] = _value(where, name, wanted)
    return checked


def _each(where: str, given: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise InputError(where, "a list", shown(given), f"in a file, [[{where}]] for each")
    return enumerate(given).__iter__()


def check_table(where: str, given: Any, known: Sequence[str] | None = None) -> None:
    """Raises InputError for what is no table, and for a name that it does not have."""
    if not isinstance(given, Mapping):
        raise InputError(where, "names and their values", shown(given))
    for name in given:
        if known is not None and name not in known:
            near = get_close_matches(str(name), known, 1, 0.6)
            do = f"did you mean {near[0]}?" if near else ""
            raise InputError(where, f"names among {', '.join(known)}", repr(name), do)


def _name(where: str, key: Any) -> str:
    """An option of a plan. Raises InputError for what is none, or none of a sweep."""
    name = str(key).replace("-", "_")
    if name not in FIELDS:
        near = get_close_matches(name, FIELDS, 1, 0.6)
        do = f"did you mean {near[0]}?" if near else "see eventsnn run --help"
        raise InputError(where, "names of options", repr(key), do)
    if name in INSTEAD or option_in(FIELDS[name]).group in BESIDE:
        do = INSTEAD.get(name, "leave it out: it changes no number")
        raise InputError(where, "options that decide what a run gives", repr(key), do)
    return name


def option_named(where: str, key: Any) -> Field[Any]:
    """The field of Settings that an option of a plan is. where: its place. key: as given.

    Raises InputError for what is no option, or none of a sweep.
    """
    return FIELDS[_name(where, key)]


def _value(where: str, name: str, given: Any) -> Any:
    """An option's value as Settings takes it. Raises InputError for one that is not allowed."""
    known, default = option_in(FIELDS[name]), FIELDS[name].default
    if given is None and default is None:
        return None
    value = known.taken(f"{where}: {name}", given)
    return float(value) if known.kind is float else value


def _options(where: str, given: Any) -> Options:
    check_table(where, given)
    named = {_name(where, key): value for key, value in given.items()}
    if isinstance(named.get("plugin"), str):
        load_plugins(named["plugin"])  # the names of what it registers are values, too
    return {name: _value(where, name, value) for name, value in named.items()}


def _grid(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    """An option's values by its name, checked."""
    check_table(where, given)
    found = {}
    for key, values in given.items():
        name = _name(where, key)
        if isinstance(values, (str, Mapping)) or not hasattr(values, "__iter__"):
            do = f"for example {name} = [{json.dumps(values, default=str)}]"
            raise InputError(f"{where}: {name}", "a list of values", shown(values), do)
        found[name] = tuple(_value(where, name, value) for value in values)
        if not found[name]:
            raise InputError(f"{where}: {name}", "one or more values", "none")
    return found


def _zip(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    found = _grid(where, given)
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{count} of {name}" for name, count in lengths.items()) or "none"
        raise InputError(where, "as many values for each option", told)
    return found


def _when(where: str, given: Any) -> dict[str, Any]:
    check_table(where, given, ("if", "options", "grid"))
    if "if" not in given or len(given) < 2:
        expected = "if, and options or grid"
        raise InputError(where, expected, ", ".join(given) or "nothing")
    return {
        "if": condition(f"{where}: if", given["if"]),
        "options": _options(f"{where}: options", given.get("options", {})),
        "grid": _grid(f"{where}: grid", given.get("grid", {})),
    }
