"""The parser of every command and script: what it does not know is one line, not a page."""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import NoReturn

from eventsnn.exceptions import InputError


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are InputErrors, with the nearest option there is."""

    def error(self, message: str) -> NoReturn:
        """Raises InputError for what argparse found; message: in its words."""
        found = message.removeprefix("unrecognized arguments: ")
        names = re.findall(r"(?<!\S)-[^\s=]*", found)
        near = get_close_matches(names[0], self._option_string_actions, 1, 0.7) if names else []
        told = near and near[0] != names[0].rstrip(":,")  # or else what follows it is wrong
        do = f"did you mean {near[0]}?" if told else f"see {self.prog} --help"
        raise InputError("command line", "what --help lists", found, do)
