"""What callers give, checked against a function's annotations; what is near enough is taken.

    @checked
    def certify(network: Network, images: GivenImages, *, keep: Sequence[str] = ()) -> Certificate:

An argument of another kind is an InputError in the caller's words. Numbers of numpy become Python's
own, and where an array is annotated, lists and tensors become one; no package is imported for that.
Metadata of `Annotated` say more than a type does: `From`, `Array`, and `OWN` for what the function
judges itself.
"""

from __future__ import annotations

import collections.abc as abc
import inspect
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, partial, wraps
from reprlib import repr as short
from types import SimpleNamespace
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from numpy.typing import ArrayLike

from eventsnn.exceptions import InputError, OptionError, check_options
from eventsnn.values import NUMBERS, arrayed, article, number, shown, text, truth, whole

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# how to come by what only eventsnn makes, by the class's name
MADE_BY = {
    "Batch": "it is part of a result, and eventsnn.simulate returns one",
    "Difference": "eventsnn.diff returns one",
    "Graph": "eventsnn.load reads one, and load_torch makes one of a module",
    "Images": "eventsnn.load_images reads them",
    "Layer": "it is one of a network's, and eventsnn.convert makes one",
    "Network": "eventsnn.convert makes one of a graph",
    "Observation": "eventsnn.microscope.observe makes one",
    "Ordering": "eventsnn.ordering returns one",
    "Prepared": "it is the simulation of a result, or an eventsnn.Simulation",
    "Projection": "it is one of a network's, and eventsnn.convert makes one",
    "Reason": "eventsnn.why returns one",
    "Result": "eventsnn.simulate returns one",
    "Results": "eventsnn.open_results opens a run's folder",
    "Simulation": "it is the simulation of a result, or an eventsnn.Simulation",
    "Trace": "result.trace() records one, and eventsnn.trace.read_trace reads one",
}


class From(NamedTuple):
    """The least number that is allowed, and the largest; None: there is none. Of an `Annotated`."""

    low: float
    high: float | None = None


class Array(NamedTuple):
    """An array of numbers of some kinds (numpy's letters), or what becomes one. Likewise."""

    kinds: str


OWN = "judged by the function"  # likewise

Numbers = Annotated[ArrayLike, Array("iuf")]
Wholes = Annotated[ArrayLike, Array("iub")]
Truths = Annotated[ArrayLike, Array("b")]
Count = Annotated[int, From(1)]
Natural = Annotated[int, From(0)]


@dataclass(frozen=True)
class Kind:
    """What an argument may be.

    words: what is expected. take: (its name, a value) -> the value as the function takes it; raises
    InputError for a value of another kind.
    """

    words: str
    take: Callable[[str, Any], Any]


ANYTHING = Kind("anything", lambda where, value: value)


PLAIN: dict[Any, Kind] = {
    int: Kind("a whole number", whole),
    float: Kind("a number", number),
    bool: Kind("True or False", truth),
    str: Kind("text", text),
    Any: ANYTHING,
    object: ANYTHING,
}


def kind_of(annotation: Any) -> Kind:
    """What an argument with an annotation may be. annotation: evaluated, not text."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation]
    if origin is Annotated:
        return _annotated(inner[0], inner[1:])
    if origin in (Union, types.UnionType):
        return _either([kind_of(a) for a in inner if a is not type(None)], type(None) in inner)
    if origin is np.ndarray:
        return _array(get_args(inner[1])[0] if get_args(inner[1]) else Any)
    if origin is Literal:
        return _either([_only(value) for value in inner], False)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return _row([kind_of(a) for a in inner])
    if origin in (abc.Mapping, dict):
        return _mapping(*map(kind_of, inner))
    if origin in (tuple, list, set, abc.Sequence, abc.Iterable, abc.Collection):
        return _several(kind_of(inner[0]), origin if origin in (tuple, list, set) else None)
    if origin is abc.Callable or annotation is abc.Callable:
        return _test("a function", callable)
    cls = origin or annotation
    if isinstance(cls, type) and not getattr(cls, "_is_protocol", False):
        return _instance(cls)
    return ANYTHING


def _test(words: str, good: Callable[[Any], bool], do: str = "") -> Kind:
    def take(where: str, value: Any) -> Any:
        if not good(value):
            raise InputError(where, words, shown(value), do)
        return value

    return Kind(words, take)


def _only(value: Any) -> Kind:
    return _test(repr(value), lambda given: given == value)


def _instance(cls: type) -> Kind:
    words = "a path" if cls.__name__ in ("Path", "PathLike") else article(cls.__name__)
    do = next((MADE_BY[c.__name__] for c in cls.__mro__ if c.__name__ in MADE_BY), "")
    return _test(words, lambda value: isinstance(value, cls), do)


def _annotated(annotation: Any, told: tuple[Any, ...]) -> Kind:
    if OWN in told:
        return ANYTHING
    for each in told:
        if isinstance(each, Array):
            words = f"an array of {NUMBERS[each.kinds]}"
            return Kind(words, partial(arrayed, kinds=each.kinds))
    kind = kind_of(annotation)
    for each in told:
        if isinstance(each, From):
            kind = _from(kind, each)
    return kind


def _from(kind: Kind, ends: From) -> Kind:
    words = f"{kind.words} from {ends.low:,}"
    words += "" if ends.high is None else f" to {ends.high:,}"

    def take(where: str, value: Any) -> Any:
        try:
            found = kind.take(where, value)
            good = ends.low <= found and (ends.high is None or found <= ends.high)
        except InputError:
            good = False
        if not good:
            raise InputError(where, words, shown(value))
        return found

    return Kind(words, take)


def _either(kinds: list[Kind], or_none: bool) -> Kind:
    words = list(dict.fromkeys(kind.words for kind in kinds)) + ["None"] * or_none

    def take(where: str, value: Any) -> Any:
        if value is None and or_none:
            return None
        errors = []
        for kind in kinds:
            try:
                return kind.take(where, value)
            except InputError as error:
                errors.append(error)
        # what is wrong inside of a value says more than that it is wrong
        inside = [error for error in errors if error.where != where]
        do = next((error.do for error in errors if error.do), "")
        raise (inside or [InputError(where, " or ".join(words), shown(value), do)])[0]

    return ANYTHING if ANYTHING in kinds else Kind(" or ".join(words), take)


def _array(scalar: Any) -> Kind:
    kinds, dtype = "biufV", None
    if isinstance(scalar, type) and issubclass(scalar, np.generic):
        names = {np.bool_: "b", np.void: "V", np.uint8: "iub", np.uint64: "iub"}
        kinds = names.get(scalar, "iu" if issubclass(scalar, np.integer) else "iuf")
        dtype = scalar if scalar in (np.int64, np.float64, np.uint8) else None
    elif get_origin(scalar) is np.integer:
        kinds = "iu"

    def take(where: str, value: Any) -> Any:
        found = arrayed(where, value, kinds)
        return found if dtype is None else found.astype(dtype, copy=False)

    return Kind(f"an array of {NUMBERS[kinds]}", take)


def _row(kinds: list[Kind]) -> Kind:
    alike = len({kind.words for kind in kinds}) == 1
    words = f"{len(kinds)} of {kinds[0].words}" if alike else ", ".join(k.words for k in kinds)
    words = f"({words})"

    def take(where: str, value: Any) -> Any:
        plain = value if isinstance(value, tuple) else _listed(value)
        if plain is None or len(plain) != len(kinds):
            raise InputError(where, words, shown(value))
        return tuple(
            kind.take(f"{where}[{i}]", each) for i, (kind, each) in enumerate(zip(kinds, plain))
        )

    return Kind(words, take)


def _listed(value: Any) -> list[Any] | None:
    """What is inside of several things, of a mapping its keys; None for text and single things."""
    if isinstance(value, (str, bytes)) or not isinstance(value, abc.Iterable):
        return None
    try:
        return list(value)
    except TypeError:  # an array without axes
        return None


def _several(kind: Kind, made: Any) -> Kind:
    words = "a list" if kind is ANYTHING else f"a list, each {kind.words}"

    def take(where: str, value: Any) -> Any:
        plain = _listed(value)
        if plain is None:
            do = f"give [{short(value)}]" if isinstance(value, str) else ""
            raise InputError(where, words, shown(value), do)
        found = [kind.take(f"{where}[{i}]", each) for i, each in enumerate(plain)]
        same = made is None and isinstance(value, (list, tuple))
        return (made or (type(value) if same and type(value) in (list, tuple) else list))(found)

    return Kind(words, take)


def _mapping(key: Kind, value: Kind) -> Kind:
    def take(where: str, given: Any) -> Any:
        if not isinstance(given, abc.Mapping):
            raise InputError(where, "a mapping (a dict)", shown(given))
        found = {}
        for name, each in given.items():
            found[key.take(f"{where}: key", name)] = value.take(f"{where}[{short(name)}]", each)
        return found

    return Kind("a mapping (a dict)", take)


class _Checks:
    """The kinds of a function's arguments, found when it is called first.

    function: whose. owners: dataclasses whose fields with an `Option` judge arguments of their
    name. home: the module whose names its annotations use. where: its name there.
    """

    def __init__(
        self, function: Callable[..., Any], owners: tuple[type, ...], home: str, where: str
    ) -> None:
        self.owners, self.home, self.name = owners, home, where
        self.signature = inspect.signature(function)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Name of an argument -> its kind; those without an annotation are left out."""
        every = [f for owner in self.owners for f in fields(owner)]
        options = {f.name: f for f in every if "option" in f.metadata}
        found, annotated = {}, SimpleNamespace(__annotations__={})
        for name, parameter in self.signature.parameters.items():
            if name in options:
                field = options[name]
                found[name] = _optional(field.metadata["option"], field.default)
            elif parameter.annotation is not parameter.empty:
                if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                    annotated.__annotations__[name] = parameter.annotation
        names = vars(sys.modules[self.home])
        hints = get_type_hints(annotated, names, include_extras=True)
        return found | {name: kind_of(hint) for name, hint in hints.items()}

    @cached_property
    def where(self) -> str:
        """The function as it is called: eventsnn.errors.decompose."""
        if self.name.partition(".")[0] in getattr(sys.modules.get("eventsnn"), "__all__", ()):
            return f"eventsnn.{self.name}"
        package, _, module = self.home.rpartition(".")
        if hasattr(sys.modules.get("eventsnn"), module):
            return f"eventsnn.{module}.{self.name}"
        known = hasattr(sys.modules.get(package), self.name.partition(".")[0])
        return f"{package if known else self.home}.{self.name}"

    def taken(self, args: tuple[Any, ...], given: dict[str, Any]) -> inspect.BoundArguments:
        """The arguments, each checked. Raises OptionError and InputError."""
        names = self.signature.parameters
        if not any(each.kind is each.VAR_KEYWORD for each in names.values()):
            own = ("self", "_cls")  # which no caller gives
            check_options(self.where, given, [name for name in names if name not in own])
        try:
            bound = self.signature.bind(*args, **given)
        except TypeError as error:
            raise self._unbound(str(error), args) from None
        try:
            for name, value in bound.arguments.items():
                if name in self.kinds:
                    bound.arguments[name] = self.kinds[name].take(name, value)
        except InputError as error:
            do = error.do or f"see help({self.where})"
            raise InputError(error.where, error.expected, error.found, do) from None
        return bound

    def _unbound(self, words: str, args: tuple[Any, ...]) -> OptionError:
        """What to say of arguments that are missing or too many. words: Python's own."""
        do = f"see help({self.where})"
        made = MADE_BY.get(self.name.rpartition(".")[2])
        do = f"{made}; {do}" if made else do
        if "'" not in words:
            every = list(self.signature.parameters.values())
            own = every[0].name in ("self", "_cls")  # which no caller gives
            named = (every[0].KEYWORD_ONLY, every[0].VAR_KEYWORD)
            plain = sum(p.kind not in named for p in every) - own
            expected = f"at most {plain} arguments without a name"
            return OptionError(self.where, expected, len(args) - own, do)
        name = words.split("'")[1]
        if "multiple" in words:
            return OptionError(self.where, f"{name} once", "it twice", do)
        return OptionError(self.where, f"the argument {name}", "none", do)


def _optional(option: Any, default: Any) -> Kind:
    """The kind of an `Option`, which judges everything but a None that is its default."""

    def take(where: str, value: Any) -> Any:
        return value if value is None and default is None else option.taken(where, value)

    return Kind("", take)


def checked_by(*owners: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """`checked`, where fields with an `Option` judge the arguments of their name.

    owners: dataclasses with such fields.
    """
    return lambda function: _checked(function, owners, function.__module__, function.__qualname__)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function that takes what is near enough to its annotations, and refuses the rest.

    An argument of another kind, one that is missing and one that there is not are InputErrors of
    one line.
    """
    return checked_by()(function)


def checked_fields(cls: type[T]) -> type[T]:
    """A dataclass whose fields are checked like a function's arguments."""
    made = _checked(cls.__init__, (cls,), cls.__module__, cls.__qualname__)
    type.__setattr__(cls, "__init__", made)
    return cls


def named_fields(cls: type[T]) -> type[T]:
    """A dataclass or NamedTuple that answers a field which it does not have with the nearest.

    It, or what takes it, checks the values.
    """
    name = "__init__" if hasattr(cls, "__dataclass_fields__") else "__new__"
    made = _checked(getattr(cls, name), (), cls.__module__, cls.__qualname__)
    made.checks.kinds = {}  # type: ignore[attr-defined]
    type.__setattr__(cls, name, made if name == "__init__" else staticmethod(made))
    return cls


def _checked(
    function: Callable[P, R], owners: tuple[type, ...], home: str, where: str
) -> Callable[P, R]:
    checks = _Checks(function, owners, home, where.removesuffix(".__init__"))

    @wraps(function)
    def call(*args: P.args, **given: P.kwargs) -> R:
        bound = checks.taken(args, given)
        return function(*bound.args, **bound.kwargs)

    call.checks = checks  # type: ignore[attr-defined]
    return call
