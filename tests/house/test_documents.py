"""Documents keep their word: their Python runs, their links lead somewhere, the law is cited
right.
"""

import ast
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import eventsnn

ROOT = Path(eventsnn.__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [
    path
    for folder in ("eventsnn", "tests", "analysis", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != Path(__file__)
]
CITED = re.compile(
    r"(?:[Ss]emantics,?\s+(?:sections?\s+)?(\d+)(?:\.\d+)?(?:\s*(?:,|and|to)\s*(\d+))?)|§\s?(\d+)"
)


def blocks():
    """(document, number, code) of every block of Python."""
    found = []
    for path in DOCUMENTS:
        codes = re.findall(r"```python\n(.*?)```", path.read_text(), re.S)
        if path.name == "tutorial.md":  # one story, told in pieces
            codes = ["\n".join(codes)]
        for number, code in enumerate(codes):
            marks = [pytest.mark.frameworks] if "from torch" in code else []
            found.append(pytest.param(path, code, marks=marks, id=f"{path.name}-{number}"))
    return found


class State(dict):
    """What torch.load gives, for those who have no torch."""

    def items(self):
        return [(k, types.SimpleNamespace(numpy=lambda v=v: v)) for k, v in super().items()]


@pytest.mark.slow
@pytest.mark.parametrize("path, code", blocks())
def test_the_python_of_documents_runs(path, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "import torch" in code and "from torch" not in code:
        given = State({"conv.weight": np.ones((2, 1, 3, 3), np.float32)})
        torch = types.SimpleNamespace(load=lambda *_, **__: given)
        monkeypatch.setitem(sys.modules, "torch", torch)
    module = types.ModuleType("document")
    module.__file__ = str(tmp_path / "document.py")
    (tmp_path / "document.py").write_text(code)
    monkeypatch.setitem(sys.modules, "document", module)
    exec(compile(code, module.__file__, "exec"), vars(module))


def test_documents_have_python():
    assert len(blocks()) >= 4


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


PEERS = re.compile(r"\b(Brian2|NEST|brainevent)\b")
FIGURES = re.compile(r"\d (ms|times)\b|\| ms \|")


def parts_with_peers():
    """(document, text) of every part under a heading that has figures of engines for random
    synapses.
    """
    return [
        pytest.param(part, id=f"{path.name}: {part.splitlines()[0]}")
        for path in DOCUMENTS
        for part in re.split(r"^(?=#)", path.read_text(encoding="utf-8"), flags=re.M)
        if PEERS.search(part) and FIGURES.search(part)
    ]


@pytest.mark.parametrize("part", parts_with_peers())
def test_figures_of_other_engines_say_command_machine_and_connectivity(part):
    assert "tructured connectivity" in part
    assert re.search(r"AVX2|AVX-512", part) and re.search(r"\d{1,2} \w+ 20\d\d", part)
    assert "python tests/benchmarks/" in part


def test_there_are_figures_of_other_engines():
    assert len(parts_with_peers()) >= 2


def sections():
    """The numbers of the sections of the law."""
    text = (ROOT / "docs" / "semantics.md").read_text()
    return {int(number) for number in re.findall(r"^## (\d+)\. ", text, re.M)}


def cited(text):
    """The sections that a text cites."""
    return {int(number) for found in CITED.findall(text) for number in found if number}


def test_every_cited_section_exists():
    there = sections()
    assert there == set(range(1, 19))
    wrong = {
        str(path.relative_to(ROOT)): missing
        for path in [*CODE, *DOCUMENTS]
        if (missing := cited(path.read_text()) - there)
    }
    assert not wrong


def test_citations_are_found():
    text = "(semantics, section 5), semantics section 2, §11, Semantics, sections 3 and 7, § 4"
    assert cited(text) == {2, 3, 4, 5, 7, 11}
    assert cited("the semantics of a join, section 9 of another paper") == set()
    assert sum(len(CITED.findall(path.read_text())) for path in CODE) > 60


def test_marks_of_what_is_not_built_stand_alone():
    """A mark is a line of its own, so that the work which builds a rule takes just that line
    away.
    """
    lines = (ROOT / "docs" / "semantics.md").read_text().splitlines()
    marks = [line.strip() for line in lines if "Not built yet" in line]
    assert marks
    assert all(re.fullmatch(r"\*Not built yet(: .*)?\.\*", mark) for mark in marks)


def test_public_docstrings_name_every_parameter():
    """Of everything in `__all__` of the facade and of public modules."""
    missing = []
    for name in [*eventsnn.__all__, *eventsnn._MODULES]:
        thing = getattr(eventsnn, name)
        path = getattr(thing, "__file__", None)
        if path is None:
            continue
        for node in ast.parse(Path(path).read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                missing += unnamed(node, f"{name}.{node.name}")
    assert not missing


def unnamed(function, where):
    """Parameters that a function's docstring does not name."""
    text = ast.get_docstring(function) or ""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if arguments.kwarg:
        names.append(arguments.kwarg.arg)
    return [f"{where}: {name}" for name in names if not re.search(rf"\b{name}\b", text)]
