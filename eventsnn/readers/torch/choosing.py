"""Which of the dicts in a file is the state dict, and what stands before all of its keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from eventsnn.ann.graph import is_name
from eventsnn.exceptions import InputError, named, one_line
from eventsnn.files.pickles import Named, Unknown
from eventsnn.readers.building import some
from eventsnn.readers.torch.tensors import Tensor

MAX_KEYS = 20_000
MAX_DEPTH = 3
MAX_ITEMS = 100  # of a list that is looked through for state dicts
MAX_WALK = 200_000  # keys and items that are looked at for state dicts
AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?|shadow)([._]|$)", re.IGNORECASE)
OUT = (
    "with PyTorch, save what it holds: torch.save(net.state_dict(), 'net.pth') and give ⟦arch⟧, or "
    "give the module to eventsnn.load_torch"
)
V = TypeVar("V")
Test = Callable[[dict[Any, Any]], bool]


class Chosen(NamedTuple):
    """A state dict. keys: key -> what the file has there. note: which one it is, or ""."""

    keys: dict[str, Tensor | Unknown]
    note: str


def chosen(value: Any, name: str, wanted: str | None = None) -> Chosen:
    """The state dict in what a file holds.

    value: what its pickle gives. name: the file's, for messages. wanted: the name of one, or what
    its keys begin with; None where the file has to tell. Of several, one that holds no averaged
    weights (ema, swa) is taken if it is the only one. Raises InputError where there is none, where
    the file does not tell, and for keys that cannot be any.
    """
    found = dict(_state_dicts(value, name, _has_weights))
    found = found or dict(_state_dicts(value, name, _has_tensors))
    if not found:
        expected = "a state dict: names of parameters, and tensors"
        raise InputError(name, expected, _words(value), OUT)
    if wanted is not None and wanted not in found:
        return _beginning(found, name, wanted)
    if wanted is None:
        plain = [path for path in found if not AVERAGED.search(path)] or list(found)
        if len(plain) > 1 and len(found) > 1:
            do = f"choose one: {named('arch', f'…:from={plain[0]}')}"
            raise InputError(name, "one state dict", some([repr(p) for p in found]), do)
        wanted = plain[0]
    others = [repr(path) for path in found if path != wanted]
    note = f"of its state dicts {wanted!r} is read, not {some(others)}" if others else ""
    return Chosen(_checked(found[wanted], name), note)


def stripped(keys: Mapping[str, V]) -> dict[str, V]:
    """The same without the parts of names that all of them begin with, as wrappers put them there.

    keys: key -> anything.
    """
    found = dict(keys)
    while len({key.partition(".")[0] for key in found}) == 1 and all("." in key for key in found):
        found = {key.partition(".")[2]: value for key, value in found.items()}
    return found


def _beginning(found: dict[str, dict[Any, Any]], name: str, wanted: str) -> Chosen:
    """The keys of the only state dict that begin with a name."""
    first = f"{wanted}."
    if len(found) == 1:
        keys = _checked(next(iter(found.values())), name)
        inner = {key: value for key, value in keys.items() if key.startswith(first)}
        if inner:
            others = [key for key in keys if key not in inner]
            note = f"only keys that begin with {first!r} are read, not {some(others)}"
            return Chosen(inner, note if others else "")
    expected = f"a state dict {wanted!r}, or keys that begin with {first!r}"
    raise InputError(name, expected, some([repr(path) for path in found]), "see ⟦arch⟧")


def _state_dicts(value: Any, name: str, test: Test) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yields (path, dict) of those that pass a test and are in none that does.

    Objects that are in each other many times have more paths than anyone can walk.
    """
    left = MAX_WALK
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, found, depth = waiting.pop()
        left -= len(found) + 1 if isinstance(found, (dict, list, tuple)) else 1
        if left < 0:
            raise InputError(name, f"at most {MAX_WALK:,} values to look through", "more", OUT)
        if isinstance(found, dict) and test(found):
            yield path, found
            continue
        items: list[tuple[Any, Any]] = []
        if isinstance(found, dict):
            items = list(found.items())
        elif isinstance(found, (list, tuple)):
            items = [(str(i), item) for i, item in enumerate(found[:MAX_ITEMS])]
        for key, inner in items[::-1] if depth < MAX_DEPTH else ():
            if isinstance(key, str) and isinstance(inner, (dict, list, tuple)):
                waiting.append((f"{path}.{key}" if path else key, inner, depth + 1))


def _has_weights(value: dict[Any, Any]) -> bool:
    return any(
        isinstance(key, str) and key.rpartition(".")[2] == "weight" and isinstance(item, Tensor)
        for key, item in value.items()
    )


def _has_tensors(value: dict[Any, Any]) -> bool:
    return any(isinstance(k, str) and isinstance(item, Tensor) for k, item in value.items())


def _checked(found: dict[Any, Any], name: str) -> dict[str, Tensor | Unknown]:
    """Key -> tensor, or what stands in a tensor's place; without counters."""
    if len(found) > MAX_KEYS:
        raise InputError(name, f"at most {MAX_KEYS:,} keys", f"{len(found):,}")
    keys: dict[str, Tensor | Unknown] = {}
    for key, value in found.items():
        if not is_name(key):
            raise InputError(name, "keys of printable characters", one_line(repr(key)))
        if key.endswith(("num_batches_tracked", "_extra_state")):
            continue
        if isinstance(value, Tensor):
            keys[key] = replace(value, name=key)
        elif isinstance(value, Unknown) or "." in key:
            plain = value if isinstance(value, Unknown) else Unknown(type(value).__name__)
            keys[key] = plain
    return keys


def _words(value: Any) -> str:
    """What a file holds that has no state dict."""
    if isinstance(value, dict):
        objects = [f"{k!r} made by {v.name}" for k, v in value.items() if isinstance(v, Unknown)]
        kinds = objects or [repr(key) for key in islice(value, 5)]
        return f"a dict with {some(kinds)}" if kinds else "an empty dict"
    if isinstance(value, (Unknown, Named)):
        return f"an object of {value.name}, which only its own code can open"
    if isinstance(value, Tensor):
        return "one tensor"
    return f"something of the type {type(value).__name__}"
