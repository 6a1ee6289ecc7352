"""What pages of the documents are made of besides text: notebooks, and options of commands."""

import argparse
import base64
import hashlib
import importlib.util
import inspect
import json
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from unittest import mock

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

import eventsnn
from eventsnn.commands.main import COMMANDS
from eventsnn.settings import Settings, flag_of
from eventsnn.studies import scripts

ROOT = Path(__file__).parents[1]


class Notebook(SphinxDirective):
    """A notebook as it is stored, its outputs too: ```{notebook} examples/first_look.ipynb```.

    Its first line is left out, since it is the page's own title.
    """

    required_arguments = 1

    def run(self):
        """The page's nodes."""
        path = ROOT / self.arguments[0]
        self.env.note_dependency(str(path))
        found, first = [], True
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                found += self.markdown(source.partition("\n")[2] if first else source)
            else:
                found.append(nodes.literal_block(source, source, language="python"))
                for output in cell["outputs"]:
                    found += self.shown(output)
            first = False
        return found

    def markdown(self, text):
        """A cell of text as nodes."""
        holder = nodes.container()
        self.state.nested_parse(StringList(text.split("\n"), self.arguments[0]), 0, holder)
        return holder.children

    def shown(self, output):
        """An output as nodes: a picture, a table, or text."""
        data = output.get("data", {})
        if "image/png" in data:
            return [self.picture("".join(data["image/png"]))]
        if "text/html" in data:
            html = "".join(data["text/html"])
            return [nodes.raw("", f'<div class="cell-output">{html}</div>', format="html")]
        text = "".join(output.get("text", data.get("text/plain", "")))
        return [nodes.literal_block(text, text, language="text", classes=["cell-output"])]

    def picture(self, encoded):
        """A picture of a cell, kept beside the pages. encoded: PNG in base64."""
        content = base64.b64decode(encoded)
        name = f"notebook-{hashlib.sha256(content).hexdigest()[:16]}.png"
        folder = Path(self.env.app.outdir) / "_images"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        up = "../" * self.env.docname.count("/")
        words = "picture that the cell above draws"
        html = f'<img class="cell-output" src="{up}_images/{name}" alt="{words}">'
        return nodes.raw("", html, format="html")


class Commands(SphinxDirective):
    """A section for each command of `eventsnn`, with all its options as its parser has them."""

    def run(self):
        """The sections."""
        return [
            section(
                f"eventsnn {word}",
                [paragraph(f"{row.words[0].upper()}{row.words[1:]}.")],
                import_module(row.module).parser(),
                PYTHON if word == "run" else {},
            )
            for word, row in COMMANDS.items()
        ]


class Scripts(SphinxDirective):
    """A section for each script in analysis/, with the options that it does not share."""

    def run(self):
        """The sections."""
        found = []
        for path in sorted((ROOT / "analysis").glob("*.py")):
            parser = parser_of(path)
            shared = option_names(parser) & SHARED
            first = parser.description.strip().split("\n\n")[0].replace("\n", " ")
            words = [paragraph(first)]
            if shared:
                count = f"and {len(shared)} options that `eventsnn run` has, above: "
                names = ", ".join(f"`{name}`" for name in sorted(shared))
                words.append(paragraph(count + names))
            found.append(section(f"analysis/{path.name}", words, parser, {}, shared))
        return found


def option_names(parser):
    """The options of a parser that are shown."""
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return {name for action in actions for name in action.option_strings if name[:2] == "--"}


def parser_of(path):
    """The parser of a script in analysis/, which it gives to `scripts.run`."""
    spec = importlib.util.spec_from_file_location(f"documented_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = []
    with mock.patch.object(scripts, "run", lambda study, parser, *_, **__: found.append(parser)):
        module.main([])
    return found[0]


def section(title, words, parser, python, without=()):
    """A section of a command: words, and a definition for each option. python: name -> words."""
    rows = nodes.definition_list(classes=["options"])
    for action in parser._actions:
        hidden = action.help == argparse.SUPPRESS or action.dest == "help"
        if not hidden and not set(action.option_strings) & set(without):
            rows += definition(parser, action, python.get(action.dest, ""))
    name = nodes.make_id(title)
    return nodes.section("", nodes.title(title, title), *words, rows, ids=[name], names=[name])


def definition(parser, action, python):
    """An option's row: how it is written, what it does, and its name in Python."""
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if action.choices and not action.metavar:
        value = " " + ",".join(map(str, action.choices))
    name = action.option_strings[0] if action.option_strings else ""
    term = nodes.term("", "", nodes.literal(text=f"{name}{value}".strip()))
    told = parser._get_formatter()._expand_help(action) if action.help else ""
    if action.default not in (None, False, argparse.SUPPRESS, "") and "(default" not in told:
        told += f" (default: {action.default})"
    lines = [
        paragraph(re.sub("^(e.g.) (.*)", r"\1 `\2`", line)) for line in told.split("\n") if line
    ]
    if python:
        lines.append(paragraph(f"in Python: {python}"))
    return nodes.definition_list_item("", term, nodes.definition("", *lines))


def paragraph(text):
    """A line of words as a paragraph; options, and what stands in backquotes, are code."""
    if "`" not in text:
        text = re.sub(r"--[a-z][-a-z]*", r"`\g<0>`", text)
    parts = re.split(r"`([^`]*)`", text)
    found = [
        nodes.literal(text=part) if k % 2 else nodes.Text(part) for k, part in enumerate(parts)
    ]
    return nodes.paragraph("", "", *found)


def in_python():
    """Field of Settings -> how the same is said in Python, in words."""
    found = {}
    for name in SETTINGS:
        for function in (eventsnn.convert, eventsnn.simulate):
            if name in inspect.signature(function).parameters:
                found[name] = f"`eventsnn.{function.__name__}({name}=…)`"
    return found | OTHERWISE


SETTINGS = [f.name for f in fields(Settings)]
SHARED = {flag_of(name) for name in SETTINGS} - {"--out", "--limit"}
# options that have another name in Python, or another place; tests see that these exist
OTHERWISE = {
    "net": "`eventsnn.load(path=…)`",
    "arch": "`eventsnn.load(arch=…)`",
    "output": "`eventsnn.load(output=…)`",
    **dict.fromkeys(
        ("input_scale", "input_mean", "input_std", "input_channels"),
        "`eventsnn.load(preprocessing=…)`, `eventsnn.load_torch(preprocessing=…)`",
    ),
    "data": "`eventsnn.load_images(spec=…)`, or any array as `images` of `eventsnn.simulate`",
    "split": "`eventsnn.load_images(split=…)`",
    "limit": "`eventsnn.load_images(limit=…)`",
    "resize": "`eventsnn.load_images(resize=…)`",
    "crop": "`eventsnn.load_images(crop=…)`",
    "plugin": "`eventsnn.register(…)`, or the thing itself, as `neuron=MyModel()`",
    "calibration": "`eventsnn.convert(calibration=…)`: the images themselves",
    "calibrate": "`eventsnn.calibrate(method=…)`",
    "report_steps": "`Result.table(steps=…)`, `Result.accuracy(step=…)`",
    "release": "`eventsnn.Encoding(release=…)`",
    "time_scale": "`eventsnn.Encoding(time_scale=…)`",
    "polarity": "`eventsnn.Encoding(polarity=…)`",
    "sensor": "`eventsnn.Encoding(sensor=…)`",
    "delay": "`eventsnn.simulate(delays=…)`",
    "free_running": "`eventsnn.simulate(barrier=…)`, False",
    "out": "a `Result` is kept in memory; `eventsnn.tables.write_csv(rows=…)` writes tables",
    "overwrite": "nothing: Python writes where you say",
    "trace": "`Result.trace(image=…)`, which records when it is asked; event engine only",
    "trace_images": "`Result.trace(image=…)` of each",
    "trace_layers": "a choice of the rows of `Trace.spikes`",
    "trace_neurons": "`Result.observe(layer=…)`",
    "trace_steps": "a choice of the rows of `Trace.spikes`",
    "export": "`eventsnn.export.write(name=…)`",
    "nir_for": '`eventsnn.export.write(name=…)`, with `options={"nir_for": …}`',
    "quiet": "nothing: Python prints when you ask",
    "json": "`eventsnn.open_results(folder=…)`, whose `summary` it is",
}
PYTHON = in_python()
