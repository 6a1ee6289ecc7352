"""The command `eventsnn run --net vgg16_qcfs.h5 --data cifar-10-batches-bin`."""

from __future__ import annotations

from eventsnn.console import Parser as CommandParser
from eventsnn.console import answer, begin, command

if __name__ == "__main__":
    import sys

    from eventsnn.runs.pictures import get_ready

    begin()
    get_ready(sys.argv)

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import partial
from typing import NoReturn

from eventsnn.called import called
from eventsnn.exceptions import InputError, starting_threads
from eventsnn.option_texts import add_option, given_values, help_of, layout, read_settings
from eventsnn.settings import GROUPS, Settings, option_in, option_of
from eventsnn.version import VERSION

DESCRIPTION = """\
Convert a trained ANN to a spiking network, simulate it spike by spike, and report what became of
its accuracy.

  %(prog)s
      the bundled network on bundled images
  %(prog)s --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 --limit 1000

Prints tables and leaves a results folder: summary.json, layers.csv, accuracy.csv, run.h5,
accuracy.png, rates.png. A run that was stopped goes on where it was when the same command is given
again."""

EPILOG = """\
exit status: 0 when all is well, 2 for wrong input (one line on standard error says what is wrong
and what to do), 130 when stopped by Ctrl-C"""


MEMORY = (
    "room for the network, the images and --workers batches",
    "use fewer --workers, a smaller --batch, fewer --steps or a --limit",
)
GOES_ON = "stopped; the same command goes on from the last whole batch"


class Parser(CommandParser):
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
        usage = f"see {self.prog} --help; a network is given as --net FILE, images as --data PATH"
        do = f"did you mean {near[0]}?" if near else usage
        raise InputError("command line", "options that --help lists", found, do)


def _quoted(message: str) -> str:
    """The part of argparse's message in quotes: what was found."""
    return message[message.find("'") :] if "'" in message else message


def parser() -> Parser:
    """The options are the fields of Settings; values stay text."""
    result = Parser(
        prog=called("run"),
        usage="%(prog)s [option value …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=layout,
    )
    result.late = []
    groups = {key: result.add_argument_group(title) for key, title in GROUPS.items()}
    for f in fields(Settings):
        late = callable(option_in(f).help)
        action = add_option(groups[option_in(f).group], f, "" if late else help_of(f))
        if late:
            result.late.append((action, partial(help_of, f)))
    result.add_argument(
        "--settings",
        metavar="FILE",
        help="options from a file: run.toml, or the summary.json of a run, which it repeats; "
        "options given beside it count more\ne.g. --settings runs/sample-1a2b3c4d/summary.json",
    )
    version = f"eventsnn {VERSION}"
    result.add_argument("--version", action="version", version=version, help="print the version")
    return result


def settings_of(argv: Sequence[str] | None = None) -> Settings:
    """The Settings of a command line; argv: None for this process's.

    Raises InputError for what is wrong with them, or with the file of --settings.
    """
    given = parser().parse_args(argv)
    values = read_settings(given.settings) if given.settings else {}
    return Settings(**values | given_values(given))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 0, 2 for wrong input, 130 when stopped.

    argv: the arguments; None: this process's.
    """
    return answer(lambda: _run(argv), MEMORY, GOES_ON)


def _run(argv: Sequence[str] | None) -> int:
    settings = settings_of(argv)
    from eventsnn.runs.pipeline import run

    with starting_threads():
        run(settings)
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
