"""Ways that draw something, run with several seeds (semantics, section 15)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from eventsnn.exceptions import InputError

MOST = 1000
# what draws nothing; all else may, as a plug-in's
STEADY = {
    "neuron": (
        *("if", "if-hard", "snm", "signed", "st-bif", "gn", "burst", "lif", "adaptive"),
        *("few-spike", "radix", "phase", "tsc", "ttfs", "ttfs-exact"),
    ),
    "encoding": ("constant", "even", "events"),
    "order": (
        *("fifo", "lifo", "index", "excitatory_first", "inhibitory_first"),
        *("delays", "clocked", "cores"),
    ),
    "arbitration": ("fifo", "index", "round_robin"),
}


def draws(options: Mapping[str, Any]) -> bool:
    """Whether a run may depend on its seed.

    options: of `simulate`; those that are not there or None are the defaults, which draw nothing.
    """
    for name, steady in STEADY.items():
        given = options.get(name)
        if given is None:
            continue
        if not isinstance(given, str) or given.partition(":")[0] not in steady:
            return True
    return False


def seeds_of(args: argparse.Namespace, options: Mapping[str, Any]) -> range:
    """The seeds that a way is run with: --seeds of them from --seed on, or one if it draws nothing.

    args: the options of a script. options: of `simulate`.
    """
    return range(args.seed, args.seed + (args.seeds if draws(options) else 1))


def add_option(parser: argparse.ArgumentParser, offered: bool) -> None:
    """Adds --seeds. offered: whether a script compares ways that may draw; others refuse it."""
    words = "runs of each way that draws something, with this many seeds from --seed on"
    help_of = words if offered else argparse.SUPPRESS
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help=help_of)
    parser.set_defaults(offers_seeds=offered)


def check(args: argparse.Namespace) -> None:
    """Raises InputError for --seeds without effect, and outside 1 to 1000. args: of a script."""
    if args.seeds != 1 and not args.offers_seeds:
        do = "leave it out: nothing here depends on a seed, or no ways are compared that do"
        scripts = "(arrival_order, accuracy_latency) or times that are drawn (timing)"
        expected = f"a script that compares ways that draw {scripts}"
        raise InputError(f"--seeds {args.seeds}", expected, "another one", do)
    if not 1 <= args.seeds <= MOST:
        raise InputError("--seeds", f"a number from 1 to {MOST}", args.seeds)


def check_ways(args: argparse.Namespace, ways: Iterable[Mapping[str, Any]], do: str) -> None:
    """Raises InputError for several seeds where nothing draws.

    args: the options of a script. ways: options of `simulate` of each way. do: what would draw.
    """
    if args.seeds > 1 and not any(map(draws, ways)):
        expected = "at least one way that draws something"
        raise InputError(f"--seeds {args.seeds}", expected, "none", do)
