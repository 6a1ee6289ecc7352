"""What all pictures share: colours, sizes, captions, and how they are shown and saved."""

from __future__ import annotations

import io
import os
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from eventsnn.arguments import Count, checked
from eventsnn.exceptions import one_line

BLUE = "#0072B2"
ORANGE = "#D55E00"
# inches; with texts of 8 to 10 points it can stand in a column of print
WIDTH = 5.2
DPI = 200
DPI_OF_NOTEBOOKS = 100
SMALL = 7.5  # points, of what a picture is of
LETTER = 0.6  # of a letter's height, its mean width


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
    for legend in figure.findobj(Legend):
        for text in legend.findobj(Text):  # of which some are names of files
            text.set_parse_math(False)
    with _without_warnings():
        figure.savefig(path, dpi=dpi)


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
