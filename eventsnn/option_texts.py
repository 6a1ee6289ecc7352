"""A run's options as text: the arguments of a command line, their help, and files of options."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from eventsnn.called import called
from eventsnn.exceptions import InputError
from eventsnn.settings import Settings, option_in, option_of
from eventsnn.simulation.renamed import settings_now

if sys.version_info >= (3, 11):  # noqa: UP036, the oldest Python that is supported is 3.10
    import tomllib
else:
    import tomli as tomllib

MOST_OF_SETTINGS = 10**7  # bytes of a file of options
METAVARS = {int: "N", float: "X", "steps": "T,T,…", "numbers": "X,X,…", str: "TEXT"}


def read_settings(path: str) -> dict[str, Any]:
    """The options in a file, name -> value: TOML, or the summary.json of a run.

    path: the file. Raises InputError for a file that cannot be read, and for a name that is no
    option.
    """
    given = _read_file(path)
    names = [f.name for f in fields(Settings)]
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in names:
            near = get_close_matches(name, names, 1, 0.6)
            do = f"did you mean {near[0]}?" if near else f"see {called('run')} --help"
            raise InputError(f"--settings {path}", "names of options", repr(key), do)
        if value is not None:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values


def _read_file(path: str) -> dict[str, Any]:
    where = f"--settings {path}"
    do = "give a TOML file of options, or the summary.json of a run"
    try:
        if Path(path).stat().st_size > MOST_OF_SETTINGS:
            found = f"{Path(path).stat().st_size:,} bytes"
            raise InputError(where, f"at most {MOST_OF_SETTINGS:,} bytes", found, do)
        text = Path(path).read_text("utf-8")
        if path.endswith(".json"):
            summary = json.loads(text)
            given = summary.get("settings") if isinstance(summary, dict) else None
            if isinstance(given, dict) and summary.get("format", 1) == 1:
                given = settings_now(given)
        else:
            given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise InputError(where, "a file of options", words or error, do) from None
    if not isinstance(given, dict):
        raise InputError(where, "options by name", "none", do)
    return given


def read(f: Field[Any], text: str) -> Any:
    """The value of a field from the command line's text; Settings checks its range.

    f: the field. text: as given. Raises InputError for text that is no value of its kind.
    """
    return option_in(f).read(option_of(f), text)


def add_option(group: Any, f: Field[Any], words: str, default: Any = None) -> argparse.Action:
    """Adds a field to a parser, or to a group of its options; its value stays text.

    group: what it is added to. f: the field. words: its help, as `help_of` has it. default: the
    value where it is not given; None leaves that to Settings. Returns argparse's action.
    """
    known, option = option_in(f), option_of(f)
    if known.kind is bool:
        action: argparse.Action = group.add_argument(option, action="store_true", help=words)
        return action
    choices = known.chosen_from
    metavar = "{" + ",".join(choices) + "}" if choices else METAVARS[known.kind]
    metavar += f"|FILE{known.file}" if known.file else ""
    action = group.add_argument(option, metavar=metavar, help=words, default=default)
    if choices:
        # what argcomplete asks for
        action.completer = lambda **asked: choices  # type: ignore[attr-defined]
    return action


def help_of(f: Field[Any], default: Any = None) -> str:
    """What --help says of a field, as argparse takes it.

    f: the field. default: its default, where it is not the field's own.
    """
    known, default = option_in(f), f.default if default is None else default
    told = ",".join(f"{x:g}" for x in default) if isinstance(default, tuple) else default
    words = f" (default: {told})" if default not in (None, (), False, MISSING) else ""
    return f"{known.words}{words}\ne.g. {known.example}".replace("%", "%%")


def given_values(given: argparse.Namespace) -> dict[str, Any]:
    """The fields that a command line gives, name -> value.

    given: what argparse made of it. Raises InputError for text that is no value of its kind.
    """
    values = {}
    for f in fields(Settings):
        text = getattr(given, f.name, None)
        if text not in (None, False):
            values[f.name] = read(f, text) if isinstance(text, str) else text
    return values


class _Layout(argparse.RawDescriptionHelpFormatter):
    """Help texts keep their line ends."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        lines = []
        for line in text.split("\n"):
            lines += super()._split_lines(line, width)
        return lines


def layout(prog: str) -> _Layout:
    """How --help is laid out. prog: the program's name."""
    width = min(110, get_terminal_size().columns - 2)
    return _Layout(prog, max_help_position=6, width=width)
