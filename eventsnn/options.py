"""What may be chosen: an option owns its default, its help, its choices and its check.

Specifications are frozen dataclasses, or models, whose fields are options. Settings, the command
line and messages are put together from them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np

from eventsnn.exceptions import InputError, named
from eventsnn.registry import Registry

LISTS: dict[Any, type] = {"steps": int, "numbers": float, "names": str}
EXPECTED = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    "steps": "whole numbers separated by commas",
    "numbers": "numbers separated by commas",
    "names": "names separated by commas",
}
# of a list in Python, and in a file
LISTED = {int: "whole numbers", float: "numbers", str: "names"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is known of one option.

    help: what it does, or a function that returns it. example: of its use on the command line.
    group: its heading in --help. choices: the only values, a function that returns them, or None.
    kind: str, int, float, bool, "steps" (whole numbers separated by commas), "numbers" (any
    numbers), "names" (texts separated by commas) or None (anything). word: a text that may stand
    among the numbers of a list, or "". low, high: the least and the largest number, or None.
    result: whether it can change the outcome. open: whether there may be more behind a choice and a
    colon, as in gn:4.
    """

    help: str | Callable[[], str]
    example: str
    group: str = ""
    choices: Iterable[str] | Callable[[], Iterable[str]] | None = None
    kind: Any = str
    word: str = ""
    low: float | None = None
    high: float | None = None
    result: bool = True
    open: bool = False
    file: str = ""

    @property
    def words(self) -> str:
        """What it does."""
        return self.help() if callable(self.help) else self.help

    @property
    def chosen_from(self) -> tuple[str, ...]:
        """The only values, or () where any will do."""
        choices = self.choices() if callable(self.choices) else self.choices
        return tuple(choices or ())

    def example_for(self, where: str) -> str:
        """Its example, in flags where it is named by its flag, else for the reader to spell.

        where: how it is named.
        """
        words = self.example.split()
        if where.startswith("--") or not words or not words[0].startswith("--"):
            return self.example
        given: list[tuple[str, str]] = []
        for word in words:
            if word.startswith("--"):
                given.append((word[2:].replace("-", "_"), "True"))
            else:
                given[-1] = given[-1][0], word
        return " ".join(named(name, value) for name, value in given)

    def read(self, where: str, text: str) -> Any:
        """The value that a text stands for; `check` judges it.

        where: the option's name, for the message. text: as given. Raises InputError for text that
        is no value of its kind.
        """
        try:
            if self.kind in LISTS:
                parts = text.split(",")
                return tuple(p if self._is_word(p) else LISTS[self.kind](p) for p in parts)
            return self.kind(text) if self.kind in (int, float) else text
        except ValueError:
            do = f"for example {self.example_for(where)}"
            raise InputError(where, EXPECTED[self.kind], repr(text), do) from None

    def taken(self, where: str, value: Any) -> Any:
        """A value as `check` allows it; numbers of numpy become Python's own, and lists tuples.

        where, value, and what is raised: as for `check`. Floats of less than 64 bits stay.
        """
        if self.kind in LISTS and isinstance(value, (list, np.ndarray)):
            value = tuple(value)
        if isinstance(value, tuple) and self.kind in LISTS:
            value = tuple(map(_plain, value))
        value = _plain(value)
        self.check(where, value)
        return value

    def check(self, where: str, value: Any) -> None:
        """Raises InputError for a value that is not allowed.

        where: the option's name, for the message. value: that was given.
        """
        kind, choices = self.kind, self.chosen_from
        if kind is None:
            return  # of any kind; what takes it judges it
        if kind in LISTS:
            good = isinstance(value, tuple)
            values = tuple(v for v in value if not self._is_word(v)) if good else ()
            good = good and all(_is_of(v, LISTS[kind]) for v in values)
            expected = LISTED[LISTS[kind]]
            values = values if good else ()
        else:
            good = type(value) is kind or (kind is float and _is_number(value, float))
            expected, values = EXPECTED[kind], (value,)
        if good and kind is float:
            good = _is_number(value, float)
        if good and choices:
            good = (value.partition(":")[0] if self.open else value) in choices
            good = good or bool(self.file and value.endswith(self.file))
        if good and kind is str:
            good = bool(value)
        if good and self.low is not None:
            high = self.high
            good = all(self.low <= v and (high is None or v <= high) for v in values)
        if choices:
            expected = "one of " + ", ".join(choices)
            expected += f", or a {self.file} file" if self.file else ""
        elif self.low is not None:
            expected += f" from {self.low:,}"
            expected += f" to {self.high:,}" if self.high is not None else ""
        expected += f", or {self.word}" if self.word else ""
        if not good:
            do = f"for example {self.example_for(where)}"
            raise InputError(where, expected, repr(value), do)

    def _is_word(self, value: Any) -> bool:
        """Whether it is the word that may stand among the numbers."""
        return bool(self.word) and isinstance(value, str) and value == self.word


def option(default: Any, help: str | Callable[[], str], example: str, **details: Any) -> Any:
    """A field of a frozen dataclass that is an option.

    default: its value where it is not given. help, example, details: of its `Option`.
    """
    return field(
        default=default, metadata={"option": Option(help=help, example=example, **details)}
    )


def taken(specification: Any, name: str, **changes: Any) -> Any:
    """A field like one of another specification, with the same default.

    specification: a dataclass with fields made by `option`. name: of one of them. changes: to its
    `Option`, or `default`.
    """
    (found,) = (f for f in fields(specification) if f.name == name)
    default = changes.pop("default", found.default)
    return field(default=default, metadata={"option": replace(found.metadata["option"], **changes)})


def parsed(registry: Registry[Any], text: str, where: str) -> tuple[str, Any, dict[str, Any]]:
    """(name, thing, option -> value) of a text such as "gn", "gn:8" or "lif:leak=0.95".

    registry: where the name stands. text: the name; behind a colon the values of the thing's
    `options`, in order or by name, between commas. where: the option that it is given to, for
    messages. Raises InputError for an unknown name or option, and for a value that is not allowed.
    """
    name, colon, rest = str(text).partition(":")
    thing = registry.find(name, where)
    options: dict[str, Option] = getattr(thing, "options", {})
    label = f"{where} {name!r}"
    given: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        key, equals, value = part.partition("=")
        if not equals:
            key, value = next((key for key in options if key not in given), ""), part
        if key not in options or key in given:
            few = ", ".join(options) or "none"
            raise InputError(label, f"values for its options ({few})", repr(part))
        given[key] = options[key].read(f"{label}: {key}", value)
    check_given(thing, given, label)
    return name, thing, given


def check_given(thing: Any, given: dict[str, Any], where: str) -> None:
    """Raises InputError for an option that a thing does not have, and for a value not allowed.

    thing: with `options`. given: option -> value. where: the thing, for messages.
    """
    options: dict[str, Option] = getattr(thing, "options", {})
    for key, value in given.items():
        if key not in options:
            expected = f"options among {', '.join(options)}" if options else "no options"
            raise InputError(where, expected, repr(key))
        options[key].check(f"{where}: {key}", value)


def choices_in_words(registry: Registry[Any]) -> str:
    """The names of a registry with their options, for --help: "if, gn:members". registry: any.

    What cannot be imported is named alone.
    """
    words = []
    loaded = registry.loaded()
    for name in registry:
        options = list(getattr(loaded.get(name), "options", {}))
        words.append(f"{name}:{','.join(options)}" if options else name)
    return ", ".join(words)


def check_fields(specification: Any, spell: Callable[[str], str] = str) -> None:
    """Raises InputError for a field whose `Option` does not allow its value.

    Numbers of numpy become Python's own in it. specification: a dataclass with fields made by
    `option`. spell: field's name -> how it is named.
    """
    for f in fields(specification):
        found = f.metadata.get("option")
        value = getattr(specification, f.name)
        if found is not None and not (value is None and f.default is None):
            object.__setattr__(specification, f.name, found.taken(spell(f.name), value))


def _plain(value: Any) -> Any:
    """A whole number, a float of 64 bits or a truth of numpy's or a tensor's as Python's own."""
    if isinstance(value, (np.integer, np.float64, np.bool_)):
        return value.item()
    if type(value) in (int, bool, float) or not hasattr(value, "__index__"):
        return value
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # an array of several
        return value


def _is_of(value: Any, kind: type) -> bool:
    """Whether it may stand in a list. kind: of the list."""
    return isinstance(value, str) and bool(value) if kind is str else _is_number(value, kind)


def _is_number(value: Any, kind: type) -> bool:
    kinds = (np.floating, Fraction) if kind is float else ()
    good = type(value) in (int, kind) or isinstance(value, kinds)
    return good and (type(value) is int or math.isfinite(value))
