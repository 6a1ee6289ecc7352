"""The command line: python -m eventsnn.run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps
32.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import MISSING, fields
from difflib import get_close_matches
from shutil import get_terminal_size

import eventsnn
from eventsnn.console import STOPPED, explain, fail, start
from eventsnn.exceptions import InputError
from eventsnn.settings import GROUPS, Settings, option_of, read

DESCRIPTION = """\
Convert a trained ANN to a spiking network, simulate it spike by spike, and report what became of its accuracy.

  python -m eventsnn.run                                   the bundled network on bundled images
  python -m eventsnn.run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 --limit 1000

Prints tables and leaves a results folder: summary.json, layers.csv, accuracy.csv, run.h5, accuracy.png, rates.png.
A run that was stopped goes on where it was when the same command is given again."""

EPILOG = """\
exit status: 0 when all is well, 2 for wrong input (one line on standard error says what is wrong and what to do),
130 when stopped by Ctrl-C"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are InputErrors in the words of Settings."""

    def error(self, message):
        options = {option_of(f): f for f in fields(Settings)}
        where, _, what = message.removeprefix("argument ").partition(": ")
        if where in options and options[where].metadata["kind"] is bool:
            raise InputError(where, "no value", _quoted(what), f"write {where} alone")
        if where in options:
            raise InputError(
                where,
                "a value",
                "none",
                f"for example {options[where].metadata['example']}; one that begins with a dash "
                f"is written {where}=-…",
            )
        names = re.findall(r"(?<!\S)-[^\s=]*", what)
        near = (
            get_close_matches(names[0], [*options, "--help", "--version"], 1, 0.7) if names else ()
        )
        found = what if where == "unrecognized arguments" else message
        raise InputError(
            "command line",
            "options that --help lists",
            found,
            f"did you mean {near[0]}?"
            if near
            else "see python -m eventsnn.run --help; a network is given as --net FILE, images as --data PATH",
        )


def _quoted(message):
    """The part of argparse's message in quotes: what was found."""
    return message[message.find("'") :] if "'" in message else message


def parser():
    """The options are the fields of Settings; values stay text."""
    p = Parser(
        prog="python -m eventsnn.run",
        usage="%(prog)s [option value …]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: _Layout(
            prog, max_help_position=6, width=min(110, get_terminal_size().columns - 2)
        ),
    )
    groups = {key: p.add_argument_group(title) for key, title in GROUPS.items()}
    metavars = {int: "N", float: "X", "steps": "T,T,…", "numbers": "X,X,…", str: "TEXT"}
    for f in fields(Settings):
        m = f.metadata
        default = f" (default: {f.default})" if f.default not in (None, (), False, MISSING) else ""
        text = f"{m['help']}{default}\ne.g. {m['example']}".replace("%", "%%")
        add = groups[m["group"]].add_argument
        if m["kind"] is bool:
            add(option_of(f), action="store_true", help=text)
        else:
            add(
                option_of(f),
                metavar="{" + ",".join(m["choices"]) + "}" if m["choices"] else metavars[m["kind"]],
                help=text,
            )
    p.add_argument(
        "--version",
        action="version",
        version=f"eventsnn {eventsnn.__version__}",
        help="print the version",
    )
    return p


class _Layout(argparse.RawDescriptionHelpFormatter):
    """Help texts keep their line ends."""

    def _split_lines(self, text, width):
        return [
            part
            for line in text.split("\n")
            for part in super(_Layout, self)._split_lines(line, width)
        ]


def settings_of(argv=None):
    """The Settings of a command line (default: this process's). Raises InputError."""
    given = parser().parse_args(argv)
    texts = {f: getattr(given, f.name) for f in fields(Settings)}
    return Settings(
        **{
            f.name: read(f, text) if isinstance(text, str) else text
            for f, text in texts.items()
            if text is not None
        }
    )


def main(argv=None):
    """Run the command line; returns the exit status: 0, 2 for wrong input, 130 when interrupted."""
    try:
        settings = settings_of(argv)
        from eventsnn.runs.pipeline import run

        run(settings)
    except InputError as error:
        return fail(error)
    except MemoryError:
        return fail(
            InputError(
                "memory",
                "room for the network, the images and --workers batches",
                "none left",
                "use fewer --workers, a smaller --batch, fewer --steps or a --limit",
            )
        )
    except OSError as error:
        return fail(explain(error))
    except KeyboardInterrupt:
        print(
            "eventsnn: stopped; the same command goes on from the last whole batch", file=sys.stderr
        )
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(start(main))
