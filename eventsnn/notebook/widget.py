"""The part of the live microscope that Jupyter shows, by anywidget: an ES module and its style."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError

HERE = Path(__file__).parent


def make_widget(answer: Callable[[Any], None]) -> Any:
    """A widget that shows pictures and asks for edits; see `_widget_class`.

    answer: called with each message of the page. Raises InputError where anywidget is missing.
    """
    return _widget_class()(answer)


@cache
def _widget_class() -> Any:
    """The class of the widget, made where anywidget is needed."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        do = "pip install anywidget"
        raise InputError("live", "anywidget", "none installed", do) from None

    class Microscope(anywidget.AnyWidget):
        """Its page draws `picture`, a dict of `view.told`, and tells `refusal`.

        number: of the picture, so that an edit of an earlier one is known.
        """

        _esm = HERE / "microscope.js"
        _css = HERE / "microscope.css"
        picture = traitlets.Dict().tag(sync=True)
        refusal = traitlets.Dict().tag(sync=True)

        def __init__(self, answer: Callable[[Any], None]) -> None:
            super().__init__()
            self.number = 0
            self._refusals = 0
            self.on_msg(lambda _, message, __: answer(message))

        def show(self, picture: dict[str, Any]) -> None:
            """Draws another picture."""
            self.number += 1
            self.picture = {**picture, "number": self.number}

        def refuse(self, why: str) -> None:
            """Tells in a line what was refused; the picture stays."""
            self._refusals += 1
            self.refusal = {"words": why, "count": self._refusals}

    return Microscope
