"""What a diagnosis says: one thing, of one layer or of the network, with its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eventsnn.arguments import named_fields
from eventsnn.exceptions import in_python

FOUND, NOTED, UNKNOWN, FINE = STATES = ("found", "noted", "not known", "fine")


@named_fields
@dataclass(frozen=True)
class Verdict:
    """One verdict of `eventsnn.diagnose`; `str` is its sentence.

    kind: what was looked for, as "threshold too high". layer: the layer's name; "" of the whole
    network. state: "found", it is so and the network is worse than its ANN, or would be in any
    case; "noted", it is so, and no harm was seen; "fine"; "not known", the images cannot tell.
    number: what decided, in the unit that `words` names; None where nothing was measured. words: a
    sentence with the number in it.
    """

    kind: str
    layer: str
    state: str
    number: float | None
    words: str

    @property
    def line(self) -> str:
        """Its sentence, in which options are `exceptions.named`."""
        return f"{self.layer}: {self.words}" if self.layer else self.words

    def __str__(self) -> str:
        return in_python(self.line)

    def row(self) -> dict[str, Any]:
        """It as a row of a table."""
        return {
            "state": self.state,
            "layer": self.layer,
            "verdict": self.kind,
            "number": self.number,
            "words": in_python(self.words),
        }
