"""Commands in documents: every option there is one that its program takes. They are not run."""

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import eventsnn
from eventsnn.commands.main import COMMANDS

ROOT = Path(eventsnn.__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples" / "networks").glob("*.toml")),
]
STARTS = ("python ", "python3 ", ".venv/bin/python ", "eventsnn ", ".venv/bin/eventsnn ")
PACKAGES = {"eventsnn.train": "eventsnn.train.command"}  # what their __main__ starts
WRONG = (SystemExit, eventsnn.InputError, pytest.fail.Exception, AssertionError)


class Parsed(BaseException):
    """Raised where a program has read its command line."""


def commands():
    """(document, words) of every command of ours: those in blocks, and those in backquotes."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"```(?:\w*)\n(.*?)```", text, re.S)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        outside = re.sub(r"```.*?```", "", text, flags=re.S)
        lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", outside)]
        for line in lines:
            line = line.split("&&")[-1].strip().lstrip("#").strip()
            if line.startswith(STARTS):
                found.append(pytest.param(line, id=f"{path.name}: {line[:80]}"))
    return found


def program(words):
    """(the main function of what a command starts, or None; the words behind its name)."""
    if words[:2] == ["-m", "eventsnn"]:
        words = words[1:]
    if words[0] == "eventsnn":
        if words[1:] == []:
            return None, []
        assert words[1] in COMMANDS, f"{words[1]} is no command of eventsnn"
        return importlib.import_module(COMMANDS[words[1]].module).main, words[2:]
    if words[0] == "-m":
        name = PACKAGES.get(words[1], words[1])
        return importlib.import_module(name).main, words[2:]
    path = ROOT / words[0]
    spec = importlib.util.spec_from_file_location(f"command_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "main", None), words[1:]


def parse(line, monkeypatch):
    """Reads a command as its program does, and no further."""
    words = shlex.split(line)
    words = ["eventsnn", *words[1:]] if words[0].endswith("eventsnn") else words[1:]
    if words[:1] == ["-m"] and words[1].partition(".")[0] != "eventsnn":
        return
    before = argparse.ArgumentParser.parse_known_args

    def then_stop(self, *args, **kwargs):
        rest = before(self, *args, **kwargs)[1]
        if rest:
            self.error(f"unrecognized arguments: {rest}")
        raise Parsed

    monkeypatch.syspath_prepend(str((ROOT / words[0]).parent))
    main, words = program(words)
    if main is None or not words or "--help" in words:  # it is there, and has nothing to parse
        return
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", then_stop)
    with pytest.raises(Parsed):
        main(words)


def runnable(line):
    """Whether a line is a whole command: placeholders such as FILE stand for words."""
    words = shlex.split(line)
    if words[0].endswith("eventsnn"):
        return len(words) > 1 and words[1][0] not in "-=|"  # also no version: `eventsnn --version`
    return len(words) > 1 and (words[1] == "-m" or words[1].endswith(".py"))


@pytest.mark.parametrize("line", commands())
def test_commands_in_documents_are_understood(line, monkeypatch):
    if not runnable(line):
        pytest.skip("no command of ours")
    parse(line, monkeypatch)


def test_there_are_commands_and_a_wrong_one_is_found(monkeypatch):
    assert len(commands()) > 30
    for wrong in (
        "python analysis/srp_tau.py --no-such-option 1",
        "eventsnn run --no-such-option 1",
        "eventsnn rnu --steps 1",
        "python -m eventsnn rnu --steps 1",
    ):
        with pytest.raises(WRONG):
            parse(wrong, monkeypatch)
    parse("eventsnn run --steps 1", monkeypatch)
