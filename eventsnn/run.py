"""The command line: python -m eventsnn.run --net vgg16_qcfs.h5 --data cifar-10-batches-bin."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from functools import partial
from shutil import get_terminal_size
from typing import Any, NoReturn

from eventsnn.console import STOPPED, command, explain, fail
from eventsnn.exceptions import InputError
from eventsnn.settings import GROUPS, Settings, option_in, option_of, read, read_settings
from eventsnn.version import VERSION

DESCRIPTION = """\
Convert a trained ANN to a spiking network, simulate it spike by spike, and report what became of
its accuracy.

  python -m eventsnn.run                                   the bundled network on bundled images
  python -m eventsnn.run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 --limit 1000

Prints tables and leaves a results folder: summary.json, layers.csv, accuracy.csv, run.h5,
accuracy.png, rates.png. A run that was stopped goes on where it was when the same command is given
again."""

EPILOG = """\
exit status: 0 when all is well, 2 for wrong input (one line on standard error says what is wrong
and what to do), 130 when stopped by Ctrl-C"""


USAGE = "see python -m eventsnn.run --help; a network is given as --net FILE, images as --data PATH"
METAVARS = {int: "N", float: "X", "steps": "T,T,…", "numbers": "X,X,…", str: "TEXT"}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are InputErrors in the words of Settings.

    Attributes: late: (an option, what --help says of it) of those that say it when they are asked.
    """

    late: list[tuple[argparse.Action, Callable[[], str]]]

    def format_help(self) -> str:
        """What --help prints."""
        for action, text in self.late:
            action.help = text()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raises InputError for what argparse found; message: in its words."""
        options = {option_of(f): f for f in fields(Settings)}
        where, _, what = message.removeprefix("argument ").partition(": ")
        if where in options and option_in(options[where]).kind is bool:
            raise InputError(where, "no value", _quoted(what), f"write {where} alone")
        if where in options:
            example = option_in(options[where]).example
            do = f"for example {example}; one that begins with a dash is written {where}=-…"
            raise InputError(where, "a value", "none", do)
        names = re.findall(r"(?<!\S)-[^\s=]*", what)
        known = [*options, "--settings", "--help", "--version"]
        near = get_close_matches(names[0], known, 1, 0.7) if names else []
        found = what if where == "unrecognized arguments" else message
        do = f"did you mean {near[0]}?" if near else USAGE
        raise InputError("command line", "options that --help lists", found, do)


def _quoted(message: str) -> str:
    """The part of argparse's message in quotes: what was found."""
    return message[message.find("'") :] if "'" in message else message


def parser() -> Parser:
    """The options are the fields of Settings; values stay text."""
    result = Parser(
        prog="python -m eventsnn.run",
        usage="%(prog)s [option value …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=_layout,
    )
    result.late = []
    groups = {key: result.add_argument_group(title) for key, title in GROUPS.items()}
    for f in fields(Settings):
        known = option_in(f)
        kind, choices = known.kind, known.chosen_from
        late = callable(known.help)
        text = "" if late else _help(f)
        group = groups[known.group]
        if kind is bool:
            action = group.add_argument(option_of(f), action="store_true", help=text)
        else:
            metavar = "{" + ",".join(choices) + "}" if choices else METAVARS[kind]
            metavar += f"|FILE{known.file}" if known.file else ""
            action = group.add_argument(option_of(f), metavar=metavar, help=text)
        if late:
            result.late.append((action, partial(_help, f)))
    result.add_argument(
        "--settings",
        metavar="FILE",
        help="options from a file: run.toml, or the summary.json of a run, which it repeats; "
        "options given beside it count more\ne.g. --settings runs/sample-1a2b3c4d/summary.json",
    )
    version = f"eventsnn {VERSION}"
    result.add_argument("--version", action="version", version=version, help="print the version")
    return result


def _help(f: Field[Any]) -> str:
    """What --help says of a field, as argparse takes it."""
    known = option_in(f)
    default = f" (default: {f.default})" if f.default not in (None, (), False, MISSING) else ""
    return f"{known.words}{default}\ne.g. {known.example}".replace("%", "%%")


class _Layout(argparse.RawDescriptionHelpFormatter):
    """Help texts keep their line ends."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        lines = []
        for line in text.split("\n"):
            lines += super()._split_lines(line, width)
        return lines


def _layout(prog: str) -> _Layout:
    width = min(110, get_terminal_size().columns - 2)
    return _Layout(prog, max_help_position=6, width=width)


def settings_of(argv: Sequence[str] | None = None) -> Settings:
    """The Settings of a command line; argv: None for this process's.

    Raises InputError for what is wrong with them, or with the file of --settings.
    """
    given = parser().parse_args(argv)
    values = read_settings(given.settings) if given.settings else {}
    for f in fields(Settings):
        text = getattr(given, f.name)
        if text not in (None, False):
            values[f.name] = read(f, text) if isinstance(text, str) else text
    return Settings(**values)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for wrong input, 130 when stopped.

    argv: the arguments; None: this process's.
    """
    try:
        settings = settings_of(argv)
        from eventsnn.runs.pipeline import run

        run(settings)
    except InputError as error:
        return fail(error)
    except MemoryError:
        expected = "room for the network, the images and --workers batches"
        do = "use fewer --workers, a smaller --batch, fewer --steps or a --limit"
        return fail(InputError("memory", expected, "none left", do))
    except OSError as error:
        return fail(explain(error))
    except KeyboardInterrupt:
        words = "eventsnn: stopped; the same command goes on from the last whole batch"
        print(words, file=sys.stderr)
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
