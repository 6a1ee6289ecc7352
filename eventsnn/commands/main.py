# PYTHON_ARGCOMPLETE_OK
"""The command `eventsnn`: one table of words, and the module that each is imported from.

A module of the table offers `main(argv) -> int` (the exit status; argv None: the process's own) and
`parser() -> argparse.ArgumentParser`. It is imported when its word is asked for, so that
`eventsnn --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

from eventsnn.called import called
from eventsnn.console import begin, command, fail
from eventsnn.exceptions import InputError
from eventsnn.runs.pictures import get_ready
from eventsnn.version import VERSION

RUN, WHY, READ = "simulate", "find the reason", "read what a run left"


class Command(NamedTuple):
    """A word's row: the module, what --help says of it, and the heading under which it does."""

    module: str
    words: str
    group: str


COMMANDS = {
    "run": Command(
        "eventsnn.run", "convert a network, simulate it, and report what became of it", RUN
    ),
    "inspect": Command("eventsnn.inspect", "what a network's file is, and how it converts", RUN),
    "sweep": Command("eventsnn.commands.sweep", "many runs on many cores, into one store", RUN),
    "train": Command(
        "eventsnn.train.command", "train a network for conversion (needs PyTorch)", RUN
    ),
    "diagnose": Command(
        "eventsnn.commands.diagnose", "why a network is below its ANN, and what helps", WHY
    ),
    "why": Command("eventsnn.commands.why", "why an image is wrong that the ANN has right", WHY),
    "explain": Command("eventsnn.commands.explain", "why a neuron of a run fired as it did", WHY),
    "replay": Command("eventsnn.commands.replay", "a run's image again, its spikes edited", WHY),
    "diff": Command(
        "eventsnn.commands.diff", "where the spikes of two runs part, whose class changes", WHY
    ),
    "report": Command("eventsnn.commands.report", "a results folder as one page of HTML", READ),
}

HELP = """\
usage: {program} COMMAND [option value …]

An event-driven simulator of converted spiking networks, one spike at a time.

{groups}
{program} COMMAND --help explains a command's options; {program} --version prints the version.
exit status: 0 when all is well, 2 for wrong input, 130 when stopped by Ctrl-C
"""


def help_text() -> str:
    """What `eventsnn --help` prints."""
    width = max(map(len, COMMANDS))
    groups = {row.group: "" for row in COMMANDS.values()}
    for word, row in COMMANDS.items():
        groups[row.group] += f"  {word:{width}}  {row.words}\n"
    texts = "\n".join(f"{title}\n{lines}" for title, lines in groups.items())
    return HELP.format(program=called("").strip(), groups=texts)


def main(argv: Sequence[str] | None = None) -> int:
    """Calls the command that the first word names, with the other words; returns its exit status.

    argv: the words behind `eventsnn`; None: this process's. 2, after one line on standard error,
    for a word that is no command.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("--help", "-h"):
        print(help_text(), end="")
        return 0
    if words[0] == "--version":
        print(f"eventsnn {VERSION}")
        return 0
    if words[0] not in COMMANDS:
        return fail(_unknown(words[0]))
    if words[0] == "run":
        get_ready(words)
    status: int = import_module(COMMANDS[words[0]].module).main(words[1:])
    return status


def _unknown(word: str) -> InputError:
    """What is said of a first word that is no command."""
    near = get_close_matches(word, COMMANDS, 1, 0.6)
    do = f"did you mean {near[0]}?" if near else f"see {called('--help')}"
    if word.startswith("-"):
        do = f"its options come behind a command, as in {called('run')} --net FILE"
    return InputError("eventsnn", f"a command, {', '.join(COMMANDS)}", repr(word), do)


def entry() -> int | str | None:
    """The installed program: what `main` does, with Ctrl-C, warnings and pipes as everywhere."""
    begin()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for what may follow
        from eventsnn.commands.completion import complete

        complete(COMMANDS)
    return command(main)
