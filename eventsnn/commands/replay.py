"""What would have happened in another order: a run's trace again, with edits.

    %(prog)s RUN --image 3 --swap 1204 1207
    %(prog)s RUN --image 3 --drop act1:17:2 --layer act2 --neuron 5
    %(prog)s RUN --image 3 --move act1:17:2 act1:9:1 --delay 1300 0.5
    %(prog)s RUN --edits attacks/if-clocked-times-3.json

Edits change when spikes are delivered, and nothing else; they are made in the order in which they
are given, as often as wanted. What follows from them by the network's own rules is printed: the
first spike that differs, spikes gained, lost and moved by layer, the neuron that --layer and
--neuron name, the readout, the class. --edits reads them from a file, as attacks leave it
(analysis/adversary.py --save); it says which image they are of.

A SPIKE is its seq in the trace, as `explain` prints it, or LAYER:NEURON:NTH, the neuron's NTH spike
from 1; a neuron is its number, C/Y/X (channel, row, column), or iINDEX in a flat vector.

Without an edit the run is played again, and every spike has to be the same. The run has to have
kept the image's trace (--trace spikes); where it has not, the message is the command that makes
one.

exit status: 0, or 2 for wrong input, after one line
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from eventsnn.called import called
from eventsnn.commands import asking
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, one_line, printable
from eventsnn.network.network import neuron_number
from eventsnn.plugins import load_plugins
from eventsnn.runs.again import again
from eventsnn.settings import place_of
from eventsnn.trace.edit_files import read_edits
from eventsnn.trace.edits import Delay, Drop, Edit, Move, Swap
from eventsnn.trace.replay import Replayed, replay
from eventsnn.trace.trace import Trace

# option -> (the edit, what follows it, words)
EDITS: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "--swap": (Swap, ("SPIKE", "SPIKE"), "the deliveries of two spikes change places and times"),
    "--move": (Move, ("SPIKE", "BEFORE"), "a spike is delivered right before another"),
    "--drop": (Drop, ("SPIKE",), "a spike is fired, and never delivered"),
    "--delay": (Delay, ("SPIKE", "STEPS"), "a spike is delivered so many steps later"),
}


class _Append(argparse.Action):
    """Adds (option, its words) to the list of edits, so that they stay in the order given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.edits = [*namespace.edits, (self.option_strings[0], values)]


def parser() -> Parser:
    """What the command takes."""
    result = Parser(
        prog=called("replay"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.add_run(result)
    words = "the image, by its number in the data set (default: the first that was traced)"
    result.add_argument("--image", metavar="NUMBER", help=words)
    edits = result.add_argument_group("edits")
    for option, (_, names, words) in EDITS.items():
        edits.add_argument(
            option,
            metavar=names,
            nargs=len(names),
            action=_Append,
            dest="edits",
            default=[],
            help=words,
        )
    words = "a file of edits, made before the others: eventsnn.trace.edit_files.save_edits"
    edits.add_argument("--edits", metavar="FILE", dest="edits_file", help=words)
    asking.add_neuron(result.add_argument_group("the neuron that is told of"))
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what edits change; returns the exit status. argv: None for this process's."""
    return answer(lambda: _replay(argv), asking.MEMORY)


def _replay(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    load_plugins(args.plugin)
    run = again(args.run)
    numbers = sorted(run.results.traces) or run.images.indices.tolist()
    of_file: tuple[Edit, ...] = ()
    if args.edits_file is not None:
        its_image, of_file, _ = read_edits(args.edits_file)
        if args.image not in (None, str(its_image)):
            do = "leave it out"
            raise InputError("--image", f"{its_image}, which the edits are of", args.image, do)
        args.image = str(its_image)
    image = asking.image_of(args.image, numbers)
    trace = run.trace(image)
    edits = [*of_file, *(_edit(trace, option, words) for option, words in args.edits)]
    named = args.layer is not None or args.neuron is not None
    if named and args.neuron is None:
        raise InputError("--layer", "--neuron beside it", "none", "for example --neuron 17")
    where = asking.neuron_of(trace, args.layer, args.neuron)[:2] if named else None
    found = replay(run.simulation, trace, run.raw(run.place(image)), edits)
    print(printable(str(found)), flush=True)
    if where is not None:
        print(printable(_neuron(found, *where)), flush=True)
    return 0


def _edit(trace: Trace, option: str, words: Sequence[str]) -> Edit:
    """An edit of the command line. option: one of EDITS. words: behind it."""
    kind, names, _ = EDITS[option]
    values: list[Any] = []
    for name, word in zip(names, words):
        values.append(_steps(word) if name == "STEPS" else spike_of(trace, option, word))
    edit: Edit = kind(*values)
    return edit


def _steps(text: str) -> float:
    try:
        steps = float(text)
    except ValueError:
        steps = math.nan
    if not math.isfinite(steps):
        raise InputError("--delay", "a number of steps", repr(text), "for example --delay 12 0.5")
    return steps


def spike_of(trace: Trace, option: str, text: str) -> int:
    """A spike's seq. trace: that has it. option: which names it. text: as on the command line.

    Raises InputError for what is no spike of the trace.
    """
    if re.fullmatch(r"\d{1,18}", text, re.ASCII):
        if int(text) >= len(trace.spikes):
            expected = f"a seq from 0 to {len(trace.spikes) - 1:,}"
            raise InputError(option, expected, text, "the trace has no more spikes")
        return int(text)
    parts = text.rsplit(":", 2)
    place = place_of(parts[1]) if len(parts) == 3 else None
    if place is None or not re.fullmatch(r"[1-9]\d{0,17}", parts[2], re.ASCII):
        do = "for example act1:17:2, the second spike of neuron 17 in act1"
        raise InputError(option, "a spike: SEQ or LAYER:NEURON:NTH", repr(text), do)
    layer = asking.layer_of(trace, parts[0], option)
    neuron = neuron_number(trace.simulation.network.layers[layer], place)
    own = _own(trace, layer, neuron)
    if int(parts[2]) > len(own):
        fired = f"{len(own):,} spike{'s' * (len(own) != 1)}"
        expected = f"a spike that {parts[0]} {neuron} fired"
        raise InputError(option, expected, text, f"it fired {fired}")
    return int(own["seq"][int(parts[2]) - 1])


def _own(trace: Trace, layer: int, neuron: int) -> Any:
    """The spikes of a neuron."""
    spikes = trace.spikes
    return spikes[(spikes["layer"] == layer) & (spikes["neuron"] == neuron)]


def _neuron(found: Replayed, layer: int, neuron: int) -> str:
    """What changed for a neuron, in words."""
    before, after = (_own(trace, layer, neuron) for trace in (found.before, found.trace))
    name = f"{one_line(found.trace.names[layer])} {neuron}"
    if len(before) == len(after) and all(
        np.array_equal(before[key], after[key]) for key in ("step", "sign", "tick")
    ):
        return f"Neuron {name}: unchanged, {_fired(before)}."
    return f"Neuron {name}: before {_fired(before)}; now {_fired(after)}."


def _fired(spikes: Any) -> str:
    """Spikes of a neuron in words: "+2, in steps 1, 4 (seq 17, 230)"."""
    if not len(spikes):
        return "no spike"
    shown = spikes[:8]
    more = f" and {len(spikes) - 8} more" if len(spikes) > 8 else ""
    steps = ", ".join(map(str, (shown["step"] + 1).tolist()))
    seqs = ", ".join(map(str, shown["seq"].tolist()))
    plural = "s" if len(spikes) > 1 else ""
    return (
        f"{len(spikes)} spike{plural} (net {int(spikes['sign'].sum()):+d}) in step{plural} "
        f"{steps}{more} (seq {seqs})"
    )
