"""Attacks in files of edits, one an image: found once, replayed by anyone, not sought again."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from eventsnn.exceptions import InputError, named
from eventsnn.studies.adversary.attacks import Attack
from eventsnn.studies.adversary.budgets import Budget
from eventsnn.trace.edit_files import read_edits, save_edits

Found = tuple[Attack, bool]


class Saved:
    """The folder of an adversary's attacks.

    folder: where they go; None: nowhere. name: what the files' names begin with. command:
    JSON-able, all that decides what is found. Raises InputError where the folder cannot be made.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, name: str, command: Mapping[str, Any]
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.name = re.sub(r"[^\w.-]+", "-", name)
        self.command = dict(command)
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                expected = "a folder that can be made"
                raise InputError(named("save"), expected, f"{folder}: {error.strerror}") from None

    def path(self, image: int) -> Path | None:
        """The file of an image, by its number; None where nothing is saved."""
        return None if self.folder is None else self.folder / f"{self.name}-{image}.json"

    def keep(self, found: Found) -> None:
        """Writes an attack. found: it, and whether it ended at rest."""
        attack, rests = found
        path = self.path(attack.image)
        if path is None:
            return
        about = {f.name: getattr(attack, f.name) for f in fields(Attack) if f.name != "edits"}
        about |= {"rests": rests, "command": self.command}
        save_edits(path, attack.edits, image=attack.image, about=about)

    def known(self, image: int) -> Found | None:
        """What was found of an image before, by its number; None where it was not sought.

        Raises InputError for a file that cannot be read, and for one of another command.
        """
        path = self.path(image)
        if path is None or not path.exists():
            return None
        number, edits, about = read_edits(path)
        if number != image or about.get("command") != self.command:
            expected = "what the same attack left, or nothing yet"
            do = "choose another folder, or take the file away"
            raise InputError(named("save"), expected, f"{path}, of another", do)
        try:
            attack = Attack(
                image=image,
                place=int(about["place"]),
                right=int(about["right"]),
                predicted=int(about["predicted"]),
                edits=edits,
                budget=Budget(*about["budget"]),
                in_step=int(about["in_step"]),
                random=tuple((Budget(*its), bool(flips)) for its, flips in about["random"]),
                movable=int(about["movable"]),
                replays=int(about["replays"]),
                seconds=float(about["seconds"]),
            )
        except (KeyError, TypeError, ValueError):
            raise InputError(named("save"), "a whole file of an attack", path) from None
        return attack, bool(about.get("rests"))
