"""How the user called a command: what is said to them names the form by which they came."""

from __future__ import annotations

import os
import sys

OWN = ("run", "inspect", "train")  # the words that are modules of the package, too
PACKAGE = os.path.dirname(os.path.abspath(__file__))


def called(word: str) -> str:
    """A command as the user would write it: `eventsnn run`, or `python -m eventsnn.run`.

    word: the command's. In a process that no form of the command started, as in a notebook, it is
    the first.
    """
    folder, name = os.path.split(os.path.abspath(sys.argv[0])) if sys.argv else ("", "")
    if folder == PACKAGE and name == "__main__.py":
        return f"python -m eventsnn {word}"
    if name.endswith(".py") and (folder + os.sep).startswith(PACKAGE + os.sep):
        return f"python -m eventsnn{'.' if word in OWN else ' '}{word}"
    return f"eventsnn {word}"
