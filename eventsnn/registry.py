"""Registries: what has a name, and what others may add to (docs/extend)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import metadata
from typing import Any, Generic, TypeVar

from eventsnn.exceptions import InputError, one_line

T = TypeVar("T")
NAME = re.compile(r"[a-z][a-z0-9_-]*")


class PluginWarning(UserWarning):
    """A package's plug-in cannot be used; it costs nothing but itself."""


class Registry(Mapping[str, T], Generic[T]):
    """The things of one kind by name: the built-in ones, those added, and those of other packages.

    Another package offers a thing as an entry point of the group `eventsnn.<kind>s`. Its module is
    imported when somebody asks for the name, and not before.

    kind: what a thing is, one word. built_in: name -> thing, those of eventsnn itself. check:
    function of (name, thing), which raises InputError for a thing that cannot be used.
    """

    def __init__(
        self, kind: str, built_in: Mapping[str, T], check: Callable[[str, Any], None]
    ) -> None:
        self.kind = kind
        self.group = f"eventsnn.{kind.replace(' ', '_')}s"
        self._built_in = dict(built_in)
        self._added: dict[str, T] = {}
        self._check = check

    def add(self, name: str, thing: T) -> None:
        """Adds a thing.

        name: lower-case letters, digits, - and _. thing: what the registry holds. A thing from the
        same place as one that was added before takes its place, as when a notebook's cell runs
        again. Raises InputError for a name that is taken or is none, and for a thing that cannot be
        used.
        """
        where = f"{self.kind} {name!r}"
        if not NAME.fullmatch(str(name)):
            raise InputError(where, "a name of lower-case letters, digits, - and _", repr(name))
        if name in self._built_in:
            raise InputError(where, "a name that is free", f"eventsnn's own {self.kind}")
        before = self._added.get(name)
        if before is not None and _place(before) != _place(thing):
            raise InputError(where, "a name that is free", f"that of {_place(before)}")
        self._check(name, thing)
        self._added[name] = thing

    def remove(self, name: str) -> None:
        """Takes away a thing that was added. name: its name. Raises KeyError for any other."""
        del self._added[name]

    def find(self, name: Any, where: str = "") -> T:
        """The thing of a name.

        name: of a thing. where: the option that names it, for the message. Raises InputError for a
        name that there is not, for one that two packages claim, and for a plug-in that fails.
        """
        known = self._known(name)
        if known is not None:
            return known
        claims = self._plugins().get(name, []) if isinstance(name, str) else []
        if not claims:
            expected = f"one of {', '.join(self)}"
            raise InputError(where or self.kind, expected, repr(name))
        if len(claims) > 1:
            found = " and ".join(_source(claim) for claim in claims)
            do = "uninstall one of the two packages"
            raise InputError(f"{self.kind} {name!r}", "one plug-in of that name", found, do)
        thing = self._load(claims[0])
        self._added[name] = thing
        return thing

    @property
    def own(self) -> frozenset[str]:
        """The names of eventsnn's own things."""
        return frozenset(self._built_in)

    def loaded(self) -> dict[str, T]:
        """By name, every thing that needs no import: the built-in ones, those added or found."""
        return {**self._built_in, **self._added}

    def usable(self) -> dict[str, T]:
        """Every thing that can be used, by name.

        A plug-in that fails is left out with a PluginWarning that names it.
        """
        things = self.loaded()
        for name in self._plugins():
            if name not in things:
                try:
                    things[name] = self.find(name)
                except InputError as error:
                    warnings.warn(str(error), PluginWarning, stacklevel=2)
        return things

    def __getitem__(self, name: str) -> T:
        known = self._known(name)
        if known is None and name not in self._plugins():
            raise KeyError(name)
        return self.find(name)

    def __iter__(self) -> Iterator[str]:
        """All names: the built-in ones first, in their order."""
        yield from dict.fromkeys([*self._built_in, *self._added, *self._plugins()])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name. What is asked for is not imported."""
        return isinstance(name, str) and (self._known(name) is not None or name in self._plugins())

    def __repr__(self) -> str:
        return f"<Registry of {self.kind}s: {', '.join(self)}>"

    def _known(self, name: Any) -> T | None:
        if not isinstance(name, str):
            return None
        return self._built_in.get(name, self._added.get(name))

    def _plugins(self) -> dict[str, list[metadata.EntryPoint]]:
        """The entry points of each name that eventsnn itself does not have."""
        found: dict[str, list[metadata.EntryPoint]] = {}
        for point in _entry_points().get(self.group, ()):
            claims = found.setdefault(point.name, [])
            if all(other.value != point.value for other in claims):
                claims.append(point)
        for name in [name for name in found if name in self._built_in]:
            claimed = " and ".join(_source(point) for point in found.pop(name))
            _warn_once(f"{self.kind} {name!r} is eventsnn's own: that of {claimed} is not used")
        return found

    def _load(self, point: metadata.EntryPoint) -> T:
        where = f"{self.kind} {point.name!r} of {_source(point)}"
        try:
            thing = point.load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            found = one_line(f"{type(error).__name__}: {error}", 200)
            do = "repair the package, or uninstall it"
            raise InputError(where, "a plug-in that can be imported", found, do) from error
        self._check(point.name, thing)
        return thing


@cache
def _entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """All entry points of groups that begin with eventsnn, by group."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    points = metadata.entry_points()
    for group in points.groups:
        if group.startswith("eventsnn."):
            found[group] = list(points.select(group=group))
    return found


def forget_plugins() -> None:
    """Looks for other packages' plug-ins again, when the next is asked for."""
    _entry_points.cache_clear()
    _warn_once.cache_clear()


@cache
def _warn_once(words: str) -> None:
    warnings.warn(words, PluginWarning, stacklevel=4)


def _source(point: metadata.EntryPoint) -> str:
    """The package and module of an entry point, in words."""
    package = getattr(getattr(point, "dist", None), "name", None)
    return f"{package} ({point.value})" if package else point.value


def check_has(where: str, thing: Any, kind: Any) -> None:
    """Raises InputError for a thing that lacks a field.

    where: the thing, for messages. thing: what was given. kind: the NamedTuple that it should be,
    or should have the fields of.
    """
    missing = [field for field in kind._fields if not hasattr(thing, field)]
    if missing:
        expected = f"a thing with {', '.join(kind._fields)}"
        found = f"{type(thing).__name__} without {', '.join(missing)}"
        raise InputError(where, expected, found, f"make it a {kind.__module__}.{kind.__name__}")


def _place(thing: Any) -> str:
    """Where a thing was defined, or the function that it wraps: its module and name."""
    thing = getattr(thing, "defined_by", getattr(thing, "__wrapped__", thing))
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"
