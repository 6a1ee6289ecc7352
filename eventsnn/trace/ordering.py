"""How a run is ordered, as text, as a page and, of a trace, as a picture of the queue.

print(eventsnn.ordering(result))
eventsnn.ordering(result, image=0).save("ordering.html")
"""

from __future__ import annotations

import io
import os
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.arguments import checked, named_fields
from eventsnn.exceptions import InputError, one_line
from eventsnn.simulation.ordering import Rule
from eventsnn.trace.arrivals import is_clocked
from eventsnn.trace.trace import Trace

if TYPE_CHECKING:  # what draws is imported where it is used
    from matplotlib.figure import Figure

COLUMNS = 100  # of the text
MARK = "an answer of eventsnn"  # in files that commands which ask a run may replace
PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{mark}">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }}
dt {{ font-weight: 600; margin-top: .8rem; }}
dd {{ margin: 0; }}
figure {{ margin: 1.5rem 0; }}
figure svg {{ width: 100%; height: auto; background: #fff; border-radius: 4px; }}
figcaption, .small {{ font-size: .875rem; }}
</style></head><body>
<main><h1>{title}</h1>
<p class="small">{conditions}</p>
<dl>{rules}</dl>
{picture}</main></body></html>
"""


@named_fields
@dataclass(frozen=True, repr=False, eq=False)
class Ordering:
    """Which events a run has, in which order, and who is evaluated when; print it.

    conditions: what decided the run, as a line. rules: in the order in which a step goes. trace: of
    one image, whose queue is drawn, or None.
    """

    conditions: str
    rules: list[Rule]
    trace: Trace | None = None

    def table(self) -> list[dict[str, Any]]:
        """One row a rule: its title and its words."""
        return [rule._asdict() for rule in self.rules]

    def plot(self) -> Figure:
        """The queue in the first step of the trace; a matplotlib Figure.

        Raises InputError where there is no trace, and where no spike was delivered in that step.
        """
        from eventsnn.views.queue import queue_figure

        bars, waiting = _queue(self.trace)
        assert self.trace is not None
        title = f"image {self.trace.number}, the queue in step 1"
        return queue_figure(bars, waiting, self.trace.names[:-1], title, self.conditions)

    def html(self) -> str:
        """The rules as one page by itself, with the picture where there is a trace."""
        rules = "".join(
            f"<dt>{escape(rule.title)}</dt><dd>{escape(rule.words)}</dd>" for rule in self.rules
        )
        title = "How this run is ordered"
        decided = escape(one_line(self.conditions, 1000))
        picture = self._picture()
        return PAGE.format(mark=MARK, title=title, conditions=decided, rules=rules, picture=picture)

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `html` to a file. path: it, .html. Raises InputError for another ending."""
        if Path(path).suffix.lower() != ".html":
            raise InputError("path", "a file that ends in .html", path)
        Path(path).write_text(self.html(), encoding="utf-8")

    def _picture(self) -> str:
        if self.trace is None:
            return '<p class="small">No trace, so there is no picture of the queue.</p>'
        try:
            figure = self.plot()
        except InputError as error:
            return f'<p class="small">{escape(str(error))}</p>'
        import matplotlib as mpl

        file = io.StringIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "eventsnn"}):
            figure.savefig(file, format="svg", metadata={"Date": None})
        svg = file.getvalue()
        words = f"the spikes that wait in step 1 of image {self.trace.number}, layer by layer"
        svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
        return (
            f"<figure>{svg}<figcaption>Above, the first spikes that are delivered: a bar begins "
            "where the spike is fired and ends where it is delivered. Below, how many wait. Events "
            f"count what is taken from the queue; image {self.trace.number}.</figcaption></figure>"
        )

    def __str__(self) -> str:
        width = max(len(rule.title) for rule in self.rules) + 2
        lines = [
            textwrap.fill(
                rule.words,
                COLUMNS,
                initial_indent=f"{rule.title:{width}}",
                subsequent_indent=" " * width,
            )
            for rule in self.rules
        ]
        return "\n".join([self.conditions, *lines])

    def __repr__(self) -> str:
        return f"<Ordering: {len(self.rules)} rules; {self.conditions}>"

    def _repr_html_(self) -> str:
        rules = "".join(
            f"<dt>{escape(rule.title)}</dt><dd>{escape(rule.words)}</dd>" for rule in self.rules
        )
        return f"<p>{escape(self.conditions)}</p><dl>{rules}</dl>{self._picture()}"


def _queue(trace: Trace | None) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """(int64 [B, 3], the event of firing, the event of delivery and the layer of each spike; for
    each layer int64 [E + 1], how many wait after each event) in the first step of a trace.

    A spike that is delivered in parcels waits until the last of them.
    """
    if trace is None:
        raise InputError("trace", "a trace, whose queue is drawn", "none", "give an image")
    deliveries, spikes = trace.deliveries, trace.spikes
    first = spikes[spikes["step"] == 0]
    taken = np.full(len(spikes), -1)
    np.maximum.at(taken, deliveries["spike"], deliveries["event"])
    delivered = taken[first["seq"]]
    if not (delivered >= 0).any() or is_clocked(trace.simulation) and not len(first):
        raise InputError("trace", "a spike that is delivered in step 1", "none")
    kept = delivered >= 0
    bars = np.stack([first["event"][kept], delivered[kept], first["layer"][kept]], axis=1)
    events = int(bars[:, 1].max())
    waiting = []
    for layer in range(len(trace.names) - 1):
        mine = bars[bars[:, 2] == layer]
        change = np.bincount(mine[:, 0], minlength=events + 1)[: events + 1].astype(np.int64)
        change -= np.bincount(mine[:, 1], minlength=events + 1)[: events + 1]
        waiting.append(np.cumsum(change))
    return bars, waiting
