"""Edits in a file: what an attack found, so that anyone replays it.

A JSON object: "format" and "version", "image" (its number in the data set), "edits" (lists such as
["Delay", 12, 1.0]: the edit's name and what it is made of, in the order in which they are made),
and "about", which says what the file is from and decides nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eventsnn.arguments import Natural, checked
from eventsnn.exceptions import InputError
from eventsnn.trace.edits import Delay, Drop, Edit, Move, Swap
from eventsnn.values import shown

FORMAT, VERSION = "eventsnn.edits", 1
NAMES: dict[str, Any] = {kind.__name__: kind for kind in (Swap, Move, Drop, Delay)}


@checked
def save_edits(
    path: str | os.PathLike[str],
    edits: Iterable[Edit],
    *,
    image: Natural,
    about: dict[str, Any] | None = None,
) -> None:
    """Writes edits into a file, which is replaced whole.

    path: the file. edits: in the order in which they are made. image: its number in the data set.
    about: what JSON can hold, for whoever reads the file. Raises InputError for what is no edit.
    """
    listed = []
    for edit in edits:
        name = type(edit).__name__
        if not isinstance(edit, tuple) or name not in NAMES:
            raise InputError("edits", f"{', '.join(NAMES)}", shown(edit))
        listed.append([name, *(x.item() if isinstance(x, np.generic) else x for x in edit)])
    content = {"format": FORMAT, "version": VERSION, "image": int(image), "about": about or {}}
    text = json.dumps(content | {"edits": listed}) + "\n"
    temporary = Path(f"{os.fspath(path)}.tmp")
    temporary.write_text(text, "utf-8")
    os.replace(temporary, path)


@checked
def read_edits(path: str | os.PathLike[str]) -> tuple[int, tuple[Edit, ...], dict[str, Any]]:
    """(the image's number, its edits, what the file says of itself) of a file of `save_edits`.

    path: the file. Raises InputError for one that cannot be read, and for another.
    """
    where = f"edits {path}"
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "another"
        raise InputError(where, "a JSON file of edits", words or "another") from None
    good = isinstance(content, dict) and content.get("format") == FORMAT
    if not good or content.get("version") != VERSION:
        raise InputError(where, f"the format {FORMAT}, version {VERSION}", "another")
    image, listed, about = (content.get(key) for key in ("image", "edits", "about"))
    if not _whole(image) or not isinstance(listed, list) or not isinstance(about, dict):
        raise InputError(where, "an image's number, its edits, and what they are from", "others")
    return image, tuple(_edit(where, each) for each in listed), about


def _edit(where: str, given: Any) -> Edit:
    """One edit of a file. given: as it stands there."""
    name, *values = given if isinstance(given, list) and given else [None]
    kind = NAMES.get(name) if isinstance(name, str) else None
    steps = name == "Delay" and len(values) == 2 and isinstance(values[1], (int, float))
    seqs = values[:1] if steps else values
    if kind is None or len(values) != len(kind._fields) or not all(map(_whole, seqs)):
        raise InputError(where, 'edits such as ["Delay", 12, 0.5]', shown(given))
    edit: Edit = kind(*values)
    return edit


def _whole(value: Any) -> bool:
    """Whether a value of JSON is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
