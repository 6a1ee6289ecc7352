"""What the scripts in analysis/ have in common: options, errors in one line, pictures in two formats."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from eventsnn.checks import InputError


def options(words, *, limit, out):
    """An ArgumentParser with --net, --data, --limit and --out; words: the script's docstring."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="sample", help="checkpoint, or 'sample'")
    parser.add_argument("--data", default="sample", help="images with labels, as for eventsnn.run")
    parser.add_argument("--limit", type=int, default=limit, help="number of test images")
    parser.add_argument("--out", type=Path, default=Path(out), help="folder for pictures and tables")
    return parser


def run(study, parser, argv=None):
    """Make the folder and call study(args); returns the exit status: 0, or 2 after one line for wrong input."""
    args = parser.parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        study(args)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def save(figure, out, name):
    """The figure as PNG and SVG."""
    figure.savefig(out / f"{name}.png", dpi=150)
    figure.savefig(out / f"{name}.svg")
