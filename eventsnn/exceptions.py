"""The one exception for wrong input: what was expected, what was found, where, and what to do."""


class InputError(ValueError):
    """Something a user gave cannot be used.

    The message is one line: ``where: expected …, found …; what to do``. The command line prints it
    and exits with status 2. limit: of the characters in `found`, for errors that list many things.
    """

    def __init__(self, where, expected, found, do="", limit=300):
        self.where, self.expected, self.do = (one_line(x) for x in (where, expected, do))
        self.found, self.limit = one_line(found, limit), limit
        super().__init__(f"{self.where}: expected {self.expected}, found {self.found}" + (f"; {self.do}" if do else ""))

    def __reduce__(self):
        return type(self), (self.where, self.expected, self.found, self.do, self.limit)


class TooManyEvents(InputError):
    """The event queue did not empty: firing explodes, or `max_events` is too small.

    step: in which it happened, from 1. waiting: events in the queue then. layers: names of the layers still firing.
    """

    def __init__(self, found: str, step: int, waiting: int, layers: tuple[str, ...]) -> None:
        super().__init__("max_events", "a queue that empties", found, "raise max_events, or choose a refractory period")
        self.step, self.waiting, self.layers = step, waiting, layers

    def __reduce__(self):
        return type(self), (self.found, self.step, self.waiting, self.layers)


class PotentialsTooLarge(InputError):
    """A potential left the numbers that 64 bits hold: firing explodes, or fixed point has too many fraction bits."""

    def __init__(self, found: object) -> None:
        super().__init__("potentials", "sums that 64 bits hold", found, "choose fewer steps or fewer fraction bits")

    def __reduce__(self):
        return type(self), (self.found,)


def one_line(text, limit=300):
    """`text` as one printable line of at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
