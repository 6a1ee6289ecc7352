"""What the commands share that ask a finished run: its options, neurons and pictures."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from eventsnn.called import called
from eventsnn.exceptions import InputError, one_line
from eventsnn.network.network import neuron_number
from eventsnn.settings import Place, place_of
from eventsnn.studies.asynchronism import of_trace
from eventsnn.trace.ordering import MARK
from eventsnn.trace.trace import Trace
from eventsnn.views.figures import DPI, write

MEMORY = ("room for the run and its trace", "ask where there is more")
PICTURES = (".png", ".svg", ".pdf")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the argument RUN, and --plugin."""
    parser.add_argument("run", metavar="RUN", help="the results folder of a run (its --out)")
    words = "files that register what the run needs, as for `eventsnn run`; a folder's own are not "
    words += "loaded, since it may be anyone's"
    parser.add_argument("--plugin", metavar="FILES", help=words)


def add_neuron(parser: Any) -> None:
    """Adds --layer and --neuron. parser: or a group of its arguments."""
    words = "the layer, by its name in the run's table"
    parser.add_argument("--layer", metavar="NAME", help=words)
    words = "its number in the layer, C/Y/X (channel, row, column), or iINDEX in a flat vector"
    parser.add_argument("--neuron", metavar="NEURON", help=words)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Adds --out."""
    words = f"a picture of it: a file that ends in {', '.join(PICTURES)}"
    parser.add_argument("--out", metavar="FILE", help=words)


def image_of(text: str | None, numbers: list[int], where: str = "--image") -> int:
    """The image that --image names; without it, the first that there is.

    text: as given. numbers: to choose from, one or more. where: what was given, for messages.
    """
    if text is None:
        return numbers[0]
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        expected = "an image's number in its data set"
        example = where.replace("IMAGE", f"{called('why')} RUN")
        raise InputError(where, expected, repr(text), f"for example {example} {numbers[0]}")
    return int(text)


def neuron_of(trace: Trace, layer: str | None, neuron: str | None) -> tuple[int, int, str]:
    """(layer's number, neuron's number, why this one or "").

    Without --neuron it is the one whose spikes are furthest from what its charge is worth, in the
    layer or in all. trace: a complete one. layer, neuron: as given. Raises InputError for what
    there is not, and for --neuron without --layer.
    """
    if neuron is None:
        return _worst(trace, layer)
    if layer is None:
        raise InputError("--neuron", "--layer beside it", "none", "for example --layer act1")
    number = layer_of(trace, layer)
    place: Place | None = place_of(neuron)
    if place is None:
        do = "for example --neuron 17, --neuron 3/0/2 or --neuron i5"
        raise InputError("--neuron", "NUMBER, C/Y/X or iINDEX", repr(neuron), do)
    return number, neuron_number(trace.simulation.network.layers[number], place), ""


def layer_of(trace: Trace, layer: str, option: str = "--layer") -> int:
    """The number of a layer that fires. layer: its name. option: which names it.

    Raises InputError where none of that name fires.
    """
    names = trace.names[:-1]  # the readout has no spikes
    if layer not in names:
        raise InputError(option, f"one of {', '.join(names)}", repr(layer))
    return trace.layer(layer)


def _worst(trace: Trace, layer: str | None) -> tuple[int, int, str]:
    """`neuron_of` without a neuron."""
    found = of_trace(trace)
    if layer is not None:
        layer_of(trace, layer)
        if layer not in found:
            raise InputError("--layer", f"one of {', '.join(found)}", repr(layer))
        found = {layer: found[layer]}
    errors = {name: abs(its.error) for name, its in found.items()}
    name = max(errors, key=lambda each: errors[each].max(initial=0))
    where = f"of layer {name}" if layer else "of all"
    why = f"No neuron was named: this is the one {where} whose spikes are furthest from its charge."
    return trace.layer(name), int(errors[name].argmax()), why


def draw(figure: Figure, out: str) -> None:
    """Saves a picture, and says where. out: the file, as `check_out` lets it be."""
    key = "Software" if Path(out).suffix.lower() == ".png" else "Creator"
    write(figure, out, DPI, metadata={key: MARK})
    print(f"picture in {one_line(out, 1000)}")


def check_out(out: str | None, endings: Sequence[str] = PICTURES) -> None:
    """Raises InputError for a file of another ending, or not ours, before anything is computed.

    out: as given. endings: that it may have.
    """
    if out is not None and Path(out).suffix.lower() not in endings:
        expected = f"a file that ends in {', '.join(endings)}"
        raise InputError("--out", expected, out, f"for example --out why{endings[0]}")
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise InputError("--out", "a file in a folder that exists", out, "make the folder first")
    if out is not None and Path(out).exists():
        if not Path(out).is_file() or MARK.encode() not in Path(out).read_bytes():
            expected = f"an earlier answer of eventsnn in {out}, or nothing yet"
            do = "choose another --out, or move it away"
            raise InputError("--out", expected, "something else", do)
