"""The end of a module: activations that change no class, and which of its outputs is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.readers.torch import moving

# name of a function, method or class of modules -> what is said of it
NOTES = {
    name: f"the {words} at the output is left out: the largest output stays the largest" + more
    for names, words, more in (
        (("log_softmax", "LogSoftmax"), "log_softmax", ""),
        (("sigmoid", "Sigmoid"), "sigmoid", ", and one output alone means class 1 above 0"),
        (
            ("logsigmoid", "LogSigmoid"),
            "logsigmoid",
            ", and one output alone means class 1 above 0",
        ),
    )
    for name in names
}
MAX_NAMES = 20


def note_of(node: Any, name: str) -> str:
    """What is said of a node that is left out at the end of a trace, or "".

    node: of torch.fx. name: of the function, method or class of the module that it calls. It is the
    end where nothing but what moves values comes behind it.
    """
    if name not in NOTES:
        return ""
    waiting = [node]
    while waiting:
        for user in waiting.pop().users:
            called = str(getattr(user.target, "__name__", user.target))
            moves = called in moving.MOVES and user.op in ("call_function", "call_method")
            if user.op != "output" and not moves:
                return ""
            waiting.append(user)
    return NOTES[name]


def chosen(value: Any, output: str | None, where: str, is_one: Callable[[Any], bool]) -> Any:
    """The output that is meant, among what a module returns.

    value: what it returns. output: a key, a field's name or a place from 0; None where there is
    one. where: for messages. is_one: whether a value is an output. Raises InputError where none, or
    more than one, is meant.
    """
    if is_one(value):
        if output not in (None, "0"):
            found = f"one output, and output={output!r}"
            raise InputError(where, "a module with more outputs", found, "leave it out")
        return value
    outputs = {name: part for name, part in _named(value).items() if is_one(part)}
    if not outputs:
        expected = "a module that returns one tensor"
        raise InputError(where, expected, type(value).__name__)
    if output is None or output not in outputs:
        names = ", ".join(list(outputs)[:MAX_NAMES])
        found = f"{len(outputs)} outputs: {names}"
        asked = "" if output is None else f", and output={output!r}"
        do = f"choose one of them: output={next(iter(outputs))!r}"
        raise InputError(where, "a module that returns one tensor", found + asked, do)
    return outputs[output]


def _named(value: Any) -> dict[str, Any]:
    """Name -> part of what a module returns: keys, fields or places from 0."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if not isinstance(value, (tuple, list)):
        return {}
    names = getattr(value, "_fields", None) or range(len(value))
    return {str(name): part for name, part in zip(names, value)}
