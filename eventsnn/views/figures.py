"""What all pictures share: colours, sizes, captions, and how they are shown and saved."""

from __future__ import annotations

import io
import os
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text

from eventsnn.arguments import Count, checked
from eventsnn.exceptions import one_line

BLUE = "#0072B2"
ORANGE = "#D55E00"
# inches; with texts of 8 to 10 points it can stand in a column of print
WIDTH = 5.2
PANEL = 3.5  # of each of several panels side by side; their texts are as large
DPI = 200
DPI_OF_NOTEBOOKS = 100
COMPRESSION = 3  # of a PNG, from 0 to 9: half of the time of 6, and a tenth larger
SMALL = 7.5  # points, of what a picture is of
LETTER = 0.6  # of a letter's height, its mean width
LEGEND = 8  # points
BESIDE = 7  # letters, of a legend's mark


class Picture(Figure):
    """A Figure that Jupyter shows, whether matplotlib is set up for notebooks or not."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        with _without_warnings():
            self.savefig(file, format="png", dpi=DPI_OF_NOTEBOOKS)
        return file.getvalue()


def caption(figure: Figure, conditions: object) -> None:
    """Writes what a picture is of above it, small, below its title where it has one for all.

    figure: the picture. conditions: its engine, order, neuron and so on, as a line ("": none).
    """
    words = one_line(conditions, 1000)
    if not words:
        return
    # lines break between parts, not inside them
    words = "; ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in words.split("; "))
    title = figure.get_suptitle()
    letters = int(72 * figure.get_figwidth() / (LETTER * SMALL))
    lines = [*textwrap.wrap(title, letters), *textwrap.wrap(words, letters)]
    figure.suptitle("\n".join(lines), fontsize=SMALL, parse_math=False)


@checked
def save(figure: Figure, path: str | os.PathLike[str], dpi: Count = DPI) -> None:
    """Write a figure, without a warning for letters that the font does not have.

    figure: the picture. path: the file, .png or .svg. dpi: dots an inch, of a PNG.
    """
    write(figure, path, dpi)


def write(
    figure: Figure, file: Any, dpi: int, kind: str | None = None, metadata: Any = None
) -> None:
    """What `save` does. file: a path or an open binary file. kind: "svg" of an open file.

    metadata: as matplotlib's savefig takes it.
    """
    for legend in figure.findobj(Legend):
        for text in legend.findobj(Text):  # of which some are names of files
            text.set_parse_math(False)
    engine = figure.get_layout_engine()
    options: dict[str, Any] = {"dpi": dpi, "format": kind, "metadata": metadata}
    if str(file).endswith(".png"):
        options["pil_kwargs"] = {"compress_level": COMPRESSION}
    with _without_warnings():
        try:
            if engine is not None and "pil_kwargs" in options:
                _lay_out(figure, engine, dpi)
            figure.savefig(file, **options)
        finally:
            figure.set_layout_engine(engine)


def _lay_out(figure: Figure, engine: LayoutEngine, dpi: int) -> None:
    """Lays a figure out, and leaves it without engine: `savefig` would draw it all for that."""
    before = figure.dpi
    figure.dpi = dpi
    try:
        engine.execute(figure)
    finally:
        figure.dpi = before
    figure.set_layout_engine(None)


def legend_below(figure: Figure, axes: Axes | None = None) -> None:
    """Writes a figure's legend below it, in as many columns as there is room for.

    axes: those whose lines it names (None: all of the figure's).
    """
    places = figure.axes if axes is None else [axes]
    named: dict[str, Any] = {}
    for place in places:
        for handle, label in zip(*place.get_legend_handles_labels()):
            named.setdefault(label, handle)
    letters = max(map(len, named), default=0) + BESIDE
    room = 72 * figure.get_figwidth() / (LETTER * LEGEND)
    columns = max(1, min(len(named), int(room / letters)))
    rows = -(-len(named) // columns)
    where: Any = "outside lower center"
    if named:
        columns = -(-len(named) // rows)
        figure.legend(
            named.values(), list(named), loc=where, ncols=columns, frameon=False, fontsize=LEGEND
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Inside `with`, matplotlib says nothing of letters that the font does not have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        yield


def shown(text: str, limit: int = 24) -> str:
    """A text of a file, such as a layer's name, as a picture shows it: on one printable line.

    text: of any length. limit: the most letters; the middle is left out beyond.
    """
    line = one_line(text, len(text))
    return line if len(line) <= limit else line[: limit // 2] + "…" + line[1 - limit // 2 :]
