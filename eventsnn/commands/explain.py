"""Why a neuron fired as often as it did, from a run's trace.

    %(prog)s RUN --image 3 --layer act2 --neuron 17
    %(prog)s RUN --image 3 --layer act2 --neuron 17 --out neuron.png

Prints what arrived at the neuron, what the order of arrival did to it, and the chain of causes
behind one of its spikes, back to the drive. With --out the microscope draws it: every arrival, and
the potential before and after. Without --layer and --neuron it is the neuron whose spikes are
furthest from what its charge is worth. With --ordering it prints in which order the run's events
come instead, and who is evaluated when; with --out PAGE.html as a page, with a picture of the queue
where the run kept a trace.

The run has to have kept the image's trace (--trace spikes); where it has not, the message is the
command that makes one.

exit status: 0, or 2 for wrong input, after one line
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from eventsnn.called import called
from eventsnn.commands import asking
from eventsnn.console import Parser, answer
from eventsnn.exceptions import InputError, one_line, printable
from eventsnn.plugins import load_plugins
from eventsnn.runs.again import again
from eventsnn.runs.ordered import ordering
from eventsnn.trace.explain import Explanation, explain_neuron, explain_spike
from eventsnn.trace.microscope import plot
from eventsnn.trace.trace import Trace


def parser() -> Parser:
    """What the command takes."""
    result = Parser(
        prog=called("explain"),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.add_run(result)
    words = "the image, by its number in the data set (default: the first that was traced)"
    result.add_argument("--image", metavar="NUMBER", help=words)
    asking.add_neuron(result)
    words = "the spike whose causes are told, by its seq in the trace (default: one that would not "
    words += "exist had the inhibition come in time, else the neuron's last)"
    result.add_argument("--spike", metavar="SEQ", help=words)
    words = "print how the run is ordered instead; --out is a page then, PAGE.html"
    result.add_argument("--ordering", action="store_true", help=words)
    asking.add_out(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Prints why a neuron fired; returns the exit status. argv: None for this process's."""
    return answer(lambda: _explain(argv), asking.MEMORY)


def _explain(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    load_plugins(args.plugin)
    if args.ordering:
        return _order(args)
    asking.check_out(args.out)
    run = again(args.run)
    traced = sorted(run.results.traces) or run.images.indices.tolist()
    trace = run.stored_trace(asking.image_of(args.image, traced))
    layer, neuron, why = asking.neuron_of(trace, args.layer, args.neuron)
    found = explain_neuron(trace, layer, neuron)
    for line in filter(None, (why, str(found), *_chain(trace, found, args.spike))):
        print(printable(line), flush=True)
    if args.out is not None:
        asking.draw(plot(found.observation), args.out)
    return 0


def _order(args: argparse.Namespace) -> int:
    """Prints how a run is ordered."""
    asking.check_out(args.out, (".html",))
    for option in ("layer", "neuron", "spike"):
        if getattr(args, option) is not None:
            do = "leave one of them out: the rules are those of all neurons"
            raise InputError(f"--{option}", "no --ordering beside it", "both", do)
    if args.image is not None and args.out is None:
        raise InputError("--image", "--out beside it, for its queue", "none", "leave it out")
    image = None if args.image is None else asking.image_of(args.image, [0])
    found = ordering(args.run, image)
    print(printable(str(found)), flush=True)
    if args.out is not None:
        found.save(args.out)
        print(f"page in {one_line(args.out, 1000)}")
    return 0


def _chain(trace: Trace, found: Explanation, given: str | None) -> Iterator[str]:
    """The causes of one of a neuron's spikes, in words. given: which, as on the command line."""
    own = found.observation.spikes
    if given is not None:
        if given not in map(str, own["seq"].tolist()):
            expected = f"a spike of {found.observation.name}: "
            expected += ", ".join(map(str, own["seq"].tolist())) or "it has none"
            raise InputError("--spike", expected, repr(given))
        yield f"Behind spike {given}:\n{explain_spike(trace, int(given))}"
        return
    if not len(own):
        yield "It never fired, so no spike has causes."
        return
    first = found.superfluous if len(found.superfluous) else own
    words = "one that is too many" if len(found.superfluous) else "its last"
    seq = int(first[-1]["seq"])
    yield f"Behind spike {seq}, {words}:\n{explain_spike(trace, seq)}"
