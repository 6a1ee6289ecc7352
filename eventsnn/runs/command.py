"""A run's options as the command that gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from eventsnn.settings import Settings, option_in, option_of


def command_of(values: Mapping[str, Any]) -> list[str]:
    """The words of the command that has these options: `eventsnn run` and what is no default.

    values: name of an option -> its value, as Settings, a summary or JSON has them.
    """
    words = ["eventsnn", "run"]
    for f in fields(Settings):
        value = values.get(f.name, f.default)
        if isinstance(value, (list, tuple)):
            value = "" if tuple(value) == f.default else ",".join(map(str, value))
        if value is None or value is False or value in ("", f.default):
            continue
        flag = option_of(f)
        if option_in(f).kind is bool:
            words.append(flag)
        elif str(value).startswith("-"):  # argparse would take it for an option
            words.append(f"{flag}={value}")
        else:
            words += [flag, str(value)]
    return words
