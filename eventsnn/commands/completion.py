"""Completion in the shell, by argcomplete (extra `completion`)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from importlib import import_module

Table = Mapping[str, tuple[str, str, str]]  # word -> its module, help and heading


def complete(commands: Table) -> None:
    """Answers the shell, and ends the process. Does nothing where argcomplete is missing.

    commands: the table of words.
    """
    try:
        import argcomplete
    except ImportError:
        return
    words = os.environ.get("COMP_LINE", "").split()
    word = next((word for word in words if word in commands), None)
    argcomplete.autocomplete(parser(commands, word))


def parser(commands: Table, word: str | None) -> argparse.ArgumentParser:
    """The whole command's parser, with the options of one word alone.

    commands: the table of words. word: the command's that is asked about, or None.
    """
    result = argparse.ArgumentParser(prog="eventsnn")
    result.add_argument("--version", action="version", version="")
    words = result.add_subparsers(parser_class=argparse.ArgumentParser)
    for name, (module, its_help, _) in commands.items():
        its = [import_module(module).parser()] if name == word else []
        words.add_parser(name, parents=its, help=its_help, add_help=not its)
    return result
