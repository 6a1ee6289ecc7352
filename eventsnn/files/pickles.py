"""Pickles that come from anywhere, read without doing what they say.

A pickle is a program for a small machine with a stack. Here is such a machine that calls nothing
and imports nothing: a name of a class or function stays a name, and what a pickle would have made
by one becomes an `Unknown`, unless the reader of a format has something of its own in its place.
Python's own Unpickler would still call what `find_class` lets through, hash what it is given as a
key (a tuple of tuples of tuples takes 2^n steps) and take the room that lengths ask for.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from eventsnn.exceptions import InputError, one_line
from eventsnn.files.reading import told

# bytes of a pickle without the numbers of tensors, and how many steps its program has
MAX_PICKLE = 2**24
MAX_STEPS = 2_000_000
MAX_TEXT = 2000  # characters of a name, and of a key
DAMAGED = "it is truncated or damaged: copy or download it again"
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    TypeError,
    ValueError,
)
EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}
SINGLE = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
CALLS = ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST")
IGNORED = ("PROTO", "FRAME")
# what a value of the stack may be that the opcode brings along
PLAIN = (bool, int, float, str, bytes, bytearray)


class Named(NamedTuple):
    """A class or function that a pickle names. name: with its module, "torch.FloatStorage"."""

    name: str


@dataclass(frozen=True, eq=False)
class Unknown:
    """What a pickle would have made, and nobody here makes. name: of what would have made it."""

    name: str

    @property
    def words(self) -> str:
        """It in a message: a name of Python's, or words as they are."""
        return self.name if " " in self.name else f"what {self.name} would make"


Call = Callable[[str, Any], Any]
Persistent = Callable[[Any], Any]


def unpickled(file: IO[bytes], where: str, call: Call, persistent: Persistent) -> Any:
    """The value of a pickle: plain values, lists, tuples, dicts, `Named`, `Unknown`, and others.

    file: the pickle, from where it stands; it then stands behind it. It must not take room for
    bytes that it does not have. where: for messages. call: function of (name, arguments) for what
    a pickle has made: its value, or an `Unknown`. persistent: likewise of what it calls a
    persistent id. Raises InputError for what is no pickle, and for one that is too long.
    """
    machine = _Machine(where, call, persistent)
    try:
        for number, (opcode, given, _) in enumerate(pickletools.genops(file)):
            if number >= MAX_STEPS:
                raise InputError(where, f"a pickle of at most {MAX_STEPS:,} steps", "more")
            machine.step(opcode.name, given)
        return machine.stack.pop()
    except InputError:
        raise
    except FAILURES as error:
        raise InputError(where, "a whole pickle", told(error), DAMAGED) from error


class _Machine:
    """The stack, marks in it and the memo. Parameters as those of `unpickled`."""

    def __init__(self, where: str, call: Call, persistent: Persistent) -> None:
        self.where = where
        self.call = call
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, given: Any) -> None:
        """Does what an opcode says; given: the argument behind it."""
        stack = self.stack
        if name in IGNORED or name == "STOP":
            return
        if name in SINGLE:
            stack.append(SINGLE[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in CALLS:
            self._call(name, given)
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else given] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[given])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._named(name, given))
        elif name in ("PERSID", "BINPERSID"):
            stack.append(self.persistent(stack.pop() if name == "BINPERSID" else given))
        elif name == "POP":
            self._pop()
        elif name == "POP_MARK":
            self._marked()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "BUILD":
            stack.pop()  # of the object below, which stays as it is
            stack[-1]
        else:
            self._collect(name, given)

    def _collect(self, name: str, given: Any) -> None:
        """Opcodes for tuples, lists, dicts and sets, and plain values."""
        stack = self.stack
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            items = [stack.pop() for _ in range(count)]
            stack.append(tuple(items[::-1]))
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name == "LIST":
            stack.append(self._marked())
        elif name in ("APPEND", "APPENDS"):
            added = [stack.pop()] if name == "APPEND" else self._marked()
            if isinstance(stack[-1], list):
                stack[-1].extend(added)
        elif name == "DICT":
            pairs = self._marked()
            made: dict[Any, Any] = {}
            stack.append(made)
            _set_items(made, pairs)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else self._marked()
            _set_items(stack[-1], pairs)
        elif name == "EMPTY_SET":
            stack.append(Unknown("set"))
        elif name == "ADDITEMS":
            self._marked()
        elif name == "FROZENSET":
            self._marked()
            stack.append(Unknown("frozenset"))
        elif isinstance(given, PLAIN) and not name.startswith("EXT"):
            stack.append(given)
        else:
            found = f"the opcode {name}"
            raise InputError(self.where, "a pickle of plain values", found, DAMAGED)

    def _call(self, name: str, given: Any) -> None:
        """Something made by a class or function, which is not called."""
        stack = self.stack
        if name == "INST":
            maker: Any = self._named("GLOBAL", given)
            args: Any = tuple(self._marked())
        elif name == "OBJ":
            maker, *rest = self._marked()
            args = tuple(rest)
        else:
            if name == "NEWOBJ_EX":
                stack.pop()
            args = stack.pop()
            maker = stack.pop()
        if isinstance(maker, Named):
            stack.append(self.call(maker.name, args))
        else:
            stack.append(Unknown(maker.name if isinstance(maker, Unknown) else "an object"))

    def _named(self, name: str, given: Any) -> Named:
        if name == "STACK_GLOBAL":
            last, module = self.stack.pop(), self.stack.pop()
            if not isinstance(last, str) or not isinstance(module, str):
                raise ValueError("a name that is no text")
            if len(last) + len(module) > MAX_TEXT:
                raise ValueError("a name without end")
            return Named(one_line(f"{module}.{last}", 200))
        return Named(one_line(".".join(given[:MAX_TEXT].split(" ", 1)), 200))

    def _pop(self) -> None:
        """Drops the last value, or the last mark where nothing stands behind it."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _marked(self) -> list[Any]:
        """What stands behind the last mark, which is dropped."""
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found


def _set_items(target: Any, pairs: list[Any]) -> None:
    """Puts keys and values, one behind the other, into a dict; into other things nothing.

    Keys that Python would take long to hash or to compare are left out: nobody asks for them.
    """
    if isinstance(target, dict):
        for key, value in zip(pairs[::2], pairs[1::2]):
            small = isinstance(key, int) and -(2**63) <= key < 2**63
            short = isinstance(key, str) and len(key) <= MAX_TEXT
            if small or short or isinstance(key, float) or key is None:
                target[key] = value
