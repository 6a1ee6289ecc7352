"""What is raised for wrong input: what was expected, what was found, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

ADVICE = 2000  # characters of what to do, which may be a command with long paths
NOTE = 1000  # characters of a network's note, which may say several things
OPTION = re.compile("⟦([a-z_]+)(?:=([^⟧]*))?⟧")
# options that the command line spells in another way
FLAGS = {
    "barrier=False": "--free-running",
    "delays": "--delay",
    "preprocessing": "--input-scale, --input-mean, --input-std and --input-channels",
}


def named(name: str, value: object = None) -> str:
    """An option in a message, which Python and the command line spell each in its own way.

    name: the option's, in Python. value: what is given to it, or None.
    """
    return f"⟦{name}⟧" if value is None else f"⟦{name}={value}⟧"


def in_python(text: str) -> str:
    """A message's options as Python writes them: order='random'. text: with `named` options."""
    return OPTION.sub(lambda found: _python(found.group(1), found.group(2)), text)


def in_flags(text: str) -> str:
    """A message's options as the command line writes them: --order random. text: likewise."""
    return OPTION.sub(lambda found: _flag(found.group(1), found.group(2)), text)


def _python(name: str, value: str | None) -> str:
    if value is None:
        return name
    number = r"[-+]?[0-9.]+(e[-+]?[0-9]+)?"
    if re.fullmatch(rf"{number}(,{number})+", value):
        return f"{name}=({value.replace(',', ', ')})"
    plain = re.fullmatch(rf"{number}|True|False|None|[A-Z]+|…", value)
    return f"{name}={value if plain else repr(value)}"


def _flag(name: str, value: str | None) -> str:
    flag = FLAGS.get(name, "--" + name.replace("_", "-"))
    if value is None or value == "True":
        return flag
    # argparse takes -2.2,2.7 for an option
    return FLAGS.get(f"{name}={value}", f"{flag}{'=' if value.startswith('-') else ' '}{value}")


class InputError(ValueError):
    """Something a user gave cannot be used.

    The message is one line: `where: expected …, found …; what to do`. The command line prints it
    and exits with status 2. Options in it are `named`: `str` spells them for Python, `flags` for
    the command line.

    where: what was given: a file, a node, an option. expected, found: the two that differ. do: what
    helps, or "". limit: of the characters of `found` that are shown, for errors that list many
    things.
    """

    def __init__(
        self, where: object, expected: object, found: object, do: object = "", limit: int = 300
    ) -> None:
        self.where = one_line(where)
        self.expected = one_line(expected, max(limit, 300))
        self.found = one_line(found, limit)
        self.do = one_line(do, ADVICE)
        self.limit = limit
        super().__init__(in_python(self._line()))

    def _line(self) -> str:
        advice = f"; {self.do}" if self.do else ""
        return f"{self.where}: expected {self.expected}, found {self.found}{advice}"

    def in_words_of_flags(self) -> InputError:
        """The same error, whose options are spelled as flags in Python, too."""
        where, expected, found, do = map(in_flags, (self.where, self.expected, self.found, self.do))
        return InputError(where, expected, found, do, self.limit)

    @property
    def flags(self) -> str:
        """The message as the command line spells its options."""
        return in_flags(self._line())

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.where, self.expected, self.found, self.do, self.limit)


@contextmanager
def starting_threads() -> Iterator[None]:
    """Raises InputError where a thread cannot be started inside the block."""
    try:
        yield
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        do = "choose fewer, or allow more (ulimit -u)"
        raise InputError("⟦workers⟧", "threads that can be started", error, do) from error


class OptionError(InputError, TypeError):
    """An option that there is not; the message names the nearest one that there is."""


class TooManyEvents(InputError):
    """The event queue did not empty: firing explodes, or `max_events` is too small.

    step: in which it happened, from 1. waiting: events in the queue then. layers: names of the
    layers still firing.
    """

    def __init__(self, found: object, step: int, waiting: int, layers: tuple[str, ...]) -> None:
        do = "raise ⟦max_events⟧, or choose a refractory period"
        super().__init__("max_events", "a queue that empties", found, do)
        self.step = step
        self.waiting = waiting
        self.layers = layers

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.found, self.step, self.waiting, self.layers)


class CoresTooSlow(TooManyEvents):
    """Events come faster than cores serve them (order cores); `layers` names the busiest core's.

    step, waiting: as in `TooManyEvents`.
    """

    def __init__(self, found: object, step: int, waiting: int, layers: tuple[str, ...]) -> None:
        do = "choose a shorter ⟦service⟧ or a ⟦refractory⟧ period, or leave out ⟦barrier=False⟧"
        expected = "cores that keep up with what comes"
        InputError.__init__(self, "order 'cores'", expected, found, do)
        self.step = step
        self.waiting = waiting
        self.layers = layers


class PotentialsTooLarge(InputError):
    """A potential left the numbers that 64 bits hold: firing explodes, or F is too large."""

    def __init__(self, found: object) -> None:
        do = "choose fewer steps or fewer fraction bits"
        super().__init__("potentials", "sums that 64 bits hold", found, do)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.found,)


def check_options(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises OptionError for the first of the `given` options that is not `known`, with the
    nearest.

    where: the function that was called, for the message.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.6)
            do = f"did you mean {near[0]}?" if near else f"see help({where})"
            raise OptionError(where, f"options among {', '.join(known)}", repr(name), do, 1000)


def one_line(text: object, limit: int = 300) -> str:
    """`text` as one printable line of at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def printable(text: str) -> str:
    """`text` with spaces for what moves a terminal's cursor or colours it; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)
