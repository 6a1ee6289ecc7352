"""Advice can be followed: options that it names exist, and what it has installed is there."""

import ast
import configparser
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import eventsnn
from eventsnn import run
from eventsnn.commands import sweep
from eventsnn.commands.main import COMMANDS
from eventsnn.exceptions import FLAGS
from eventsnn.settings import Settings
from eventsnn.studies import scripts
from eventsnn.train import command

PACKAGE = Path(eventsnn.__file__).parent
ROOT = PACKAGE.parent
SOURCES = [*sorted(PACKAGE.rglob("*.py")), *sorted((ROOT / "analysis").glob("*.py"))]
OF_COMMANDS = ("run.py", "inspect.py", "settings.py", "console.py", "command_line.py")  # and runs
OF_REPORT = PACKAGE / "commands" / "report.py"
OTHERS = {"--inputs-as-nchw", "--output"}  # tf2onnx's
PLUGINS = {"hdf5plugin"}  # packages for what h5py lacks


def texts(path):
    """The texts in a file but for docstrings, with … for what is put into them."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            skipped.add(id(first.value))
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            parts = [getattr(part, "value", "") for part in node.values]
            yield "".join(part if isinstance(part, str) else "…" for part in parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in skipped:
                yield node.value


TEXTS = {path: list(texts(path)) for path in SOURCES}


def options_in(parser):
    return {option for action in parser._actions for option in action.option_strings}


def added_in(path):
    """The options that a file adds to a parser itself."""
    return {text for text in TEXTS[path] if re.fullmatch(r"--[a-z-]+", text)}


def known_to(path):
    """The options that the reader of a file's messages has: of all commands that use the file."""
    of_run = options_in(run.parser())
    of_scripts = options_in(scripts.options("", limit=1, out="x"))
    if path.name == "training_figures.py":  # it trains by the options of eventsnn.train
        return of_scripts | added_in(path) | options_in(command.parser())
    if path.parent.name == "analysis":
        reads_stores = "stored.add_options" in path.read_text()
        of_stores = added_in(PACKAGE / "sweep" / "ways.py") if reads_stores else set()
        return of_scripts | added_in(path) | of_stores
    if path.parent.name == "sweep" or path.name == "sweep.py":
        parsers = (sweep.parser(), sweep.status_parser(), sweep.export_parser())
        of_sweeps = of_run.union(*map(options_in, parsers))
        return of_sweeps | added_in(PACKAGE / "sweep" / "ways.py")
    if path.parent.name == "commands":
        its = [row.module for row in COMMANDS.values() if row.module.endswith(f".{path.stem}")]
        modules = map(import_module, its or [row.module for row in COMMANDS.values()])
        return of_run.union(*(options_in(module.parser()) for module in modules))
    if path.parent.name == "claims":  # whole commands of scripts, which docs/claims.md has
        return of_scripts.union(*map(added_in, (ROOT / "analysis").glob("*.py")))
    if path.parent.name == "studies":
        return of_scripts | of_run
    if path.parent.name in ("train", "reference"):
        return options_in(command.parser())
    if path == OF_REPORT or path.parent.name == "pages":
        return of_run | added_in(OF_REPORT)
    if path.name == "inspect.py":
        return of_run | added_in(path)
    if path.parent.name == "runs" or path.name in OF_COMMANDS:
        return of_run
    return of_run | added_in(PACKAGE / "inspect.py")


@pytest.mark.parametrize("place", ["eventsnn", "analysis"])
def test_options_that_are_named_exist(place):
    unknown = [
        f"{path.name}: {option} in {text!r}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == place
        for text in TEXTS[path]
        for option in re.findall(r"(?<![-\w.])--[a-z][a-z-]*[a-z]", text)
        if option not in known_to(path) | OTHERS
    ]
    assert unknown == []


def test_what_scripts_can_reach_names_options_that_they_have():
    of_scripts = options_in(scripts.options("", limit=1, out="x"))
    for path in sorted((PACKAGE / "inputs").glob("*.py")):
        named = {o for text in TEXTS[path] for o in re.findall(r"--[a-z][a-z-]*[a-z]", text)}
        assert named <= of_scripts, path


def test_options_spelt_for_both_exist():
    names = {f.name for f in fields(Settings)} | set(FLAGS) | {name.split("=")[0] for name in FLAGS}
    names |= {option[2:] for option in added_in(OF_REPORT)}
    of_training = {option[2:].replace("-", "_") for option in options_in(command.parser())}
    unknown = [
        f"{path.name}: {name}"
        for path in SOURCES
        for text in TEXTS[path]
        for name in re.findall("⟦([a-z_]+)(?:=[^⟧]*)?⟧", text)
        if name not in (of_training if path.parent.name == "train" else names)
    ]
    assert unknown == []


def test_packages_that_are_to_be_installed_are_on_the_index_or_of_a_clone():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = dict(setup["options.extras_require"])
    required = "\n".join([*extras.values(), setup["options"]["install_requires"]])
    packages = set(re.findall(r"^\s*([\w-]+)", required, re.MULTILINE)) | PLUGINS | {"…"}
    found = 0
    for path in SOURCES:
        for text in TEXTS[path]:
            for what in re.findall(r"pip install (-e \"\.\[\w+\]\"|\S*[\w…\])'])", text):
                found += 1
                extra = re.fullmatch(r'-e "\.\[(\w+)\]"', what)
                assert (extra[1] in extras) if extra else (what in packages), f"{path}: {what}"
    assert found > 4
