"""The command line: python -m eventsnn.run --net vgg16.h5 --data cifar-10-batches-bin --steps 32."""
from __future__ import annotations

import argparse
import sys
from dataclasses import MISSING, fields

from eventsnn.checks import InputError, one_line
from eventsnn.settings import Settings

DESCRIPTION = """\
Convert a trained ANN to a spiking network, simulate it spike by spike, and report what became of its accuracy.

  python -m eventsnn.run                                   the bundled network on bundled images
  python -m eventsnn.run --net vgg16_qcfs.h5 --data cifar-10-batches-bin --steps 32 --limit 1000

Prints a table and leaves a results folder: summary.json, layers.csv, accuracy.csv, run.h5, accuracy.png, rates.png.
A run that was stopped goes on where it was when the same command is given again."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError("command line", "options as --help lists them", one_line(message), "see python -m eventsnn.run --help")


def parser():
    """The options are the fields of Settings."""
    p = Parser(prog="python -m eventsnn.run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter,
               allow_abbrev=False)
    for f in fields(Settings):
        m, name = f.metadata, "--" + f.name.replace("_", "-")
        shown = "" if f.default in (None, (), False, MISSING) else f" (default: {str(f.default).replace('%', '%%')})"
        text = f"{m['help']}{shown}; e.g. {m['example']}"
        if m["kind"] is bool:
            p.add_argument(name, action="store_true", help=text)
        else:
            read = {int: _whole, float: _number, "steps": _steps, str: str}[m["kind"]]
            metavar = {int: "N", float: "X", "steps": "T,T,…", str: "TEXT"}[m["kind"]]
            metavar = "{" + ",".join(m["choices"]) + "}" if m["choices"] else metavar
            p.add_argument(name, type=read, default=f.default, metavar=metavar, help=text)
    return p


def _whole(text):
    return _read(int, text, "a whole number")


def _number(text):
    return _read(float, text, "a number")


def _steps(text):
    return tuple(_read(int, part, "whole numbers separated by commas") for part in text.split(","))


def _read(kind, text, expected):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{expected} is needed, not {text!r}") from None


def main(argv=None):
    """Run the command line; returns the exit status: 0, 2 for wrong input, 130 when interrupted."""
    try:
        settings = Settings(**vars(parser().parse_args(argv)))
        from eventsnn.pipeline import run
        run(settings)
    except InputError as error:
        return _fail(error)
    except MemoryError:
        return _fail("out of memory: use fewer --workers, a smaller --batch or fewer --steps")
    except OSError as error:
        return _fail(f"{error.filename or 'files'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("eventsnn: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _fail(message):
    print(f"eventsnn: error: {one_line(message, 1000)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
