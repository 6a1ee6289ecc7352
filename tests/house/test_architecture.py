"""The house: who may import whom (docs/development.md), also inside functions and for types
alone.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import eventsnn

PACKAGE = Path(eventsnn.__file__).parent
# an arrow goes to a room on a lower floor, or on the same one
FLOORS = (
    ("arguments", "called", "command_line", "exceptions", "interrupts", "options", "registry")
    + ("values", "version"),
    ("neurons", "data", "detection", "views", "ann", "files", "reference", "statistics"),
    ("preparing",),
    ("engine", "network", "readers", "doubts"),
    ("simulation",),
    ("trace",),
    ("result", "export", "notebook"),
    ("plugins",),
    ("settings",),
    ("option_texts",),
    ("inputs",),
    ("studies",),
    ("runs",),
    ("pages", "sweep"),
    ("console",),
    ("run", "inspect", "train"),
    ("commands",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
COMMANDS = ("run", "inspect", "train", "commands")
ILLEGAL = {
    "network": ("simulation", "result"),
    "readers": ("network",),
    "simulation": ("trace",),
    "trace": ("runs", "result"),
    "export": ("readers", "runs"),
    "studies": ("runs",),
}


def module_of(path):
    """eventsnn.trace.files for eventsnn/trace/files.py."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(path):
    """A file's syntax tree."""
    return ast.parse(path.read_text())


@cache
def imports_of(module):
    """The package's modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree_of(MODULES[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = names & MODULES.keys()
            found |= inner
            if len(inner) < len(names):
                found.add(node.module)
    return frozenset(found - {module})


def room_of(module):
    """trace for eventsnn.trace.files; the facade is no room."""
    return module.split(".")[1] if "." in module else ""


def arrows():
    """(module, imported module) of all modules but the facade."""
    return [
        (module, target)
        for module in MODULES
        if module != "eventsnn"
        for target in sorted(imports_of(module))
    ]


def circles(graph):
    """Nodes that can be reached from themselves; graph: node -> nodes."""

    def reached(start):
        waiting, seen = list(graph.get(start, ())), set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting.extend(graph.get(node, ()))
        return seen

    return sorted(node for node in graph if node in reached(node))


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in MODULES} - {"", "sample"}
    assert rooms == set(FLOOR)


def test_no_arrow_goes_up():
    wrong = [
        f"{module} -> {target}"
        for module, target in arrows()
        if room_of(target) and FLOOR[room_of(target)] > FLOOR[room_of(module)]
    ]
    assert not wrong


def test_nobody_imports_the_facade():
    assert not [module for module, target in arrows() if target == "eventsnn"]


@pytest.mark.parametrize("room", ILLEGAL)
def test_illegal_arrows(room):
    wrong = [
        f"{module} -> {target}"
        for module, target in arrows()
        if room_of(module) == room and room_of(target) in ILLEGAL[room]
    ]
    assert not wrong


def test_the_engine_knows_the_contract_of_neurons_and_how_kernels_are_kept():
    known = ("neurons.contract", "exceptions", "files.cache", "interrupts")
    wrong = [
        f"{module} -> {target}"
        for module, target in arrows()
        if room_of(module) == "engine"
        and room_of(target) != "engine"
        and target not in [f"eventsnn.{name}" for name in known]
    ]
    assert not wrong


def test_statistics_know_no_network():
    assert imports_of("eventsnn.statistics") == {
        "eventsnn.arguments",
        "eventsnn.exceptions",
        "eventsnn.values",
    }


def test_only_commands_import_what_commands_need():
    wrong = [
        f"{module} -> {target}"
        for module, target in arrows()
        if room_of(target) in ("run", "console") and room_of(module) not in COMMANDS
    ]
    assert not wrong


def test_nobody_imports_training():
    """It needs torch, which most have not."""
    assert not [
        f"{module} -> {target}"
        for module, target in arrows()
        if room_of(target) == "train" and room_of(module) != "train"
    ]


@pytest.mark.parametrize("name", ["__main__", "command", "named", "recipe"])
def test_the_command_of_training_starts_without_torch(name):
    tree = ast.parse(MODULES[f"eventsnn.train.{name}".removesuffix(".__main__")].read_text())
    assert "torch" not in str([ast.dump(node) for node in tree.body if "Import" in str(node)])


def test_there_is_no_circle_of_files():
    graph = {}
    for module, target in arrows():
        graph.setdefault(module, set()).add(target)
    assert not circles(graph)


def test_there_is_no_circle_of_rooms():
    graph = {}
    for module, target in arrows():
        if room_of(module) != room_of(target):
            graph.setdefault(room_of(module), set()).add(room_of(target))
    assert not circles(graph)


def test_no_test_imports_another():
    """What tests share stands in tests/support."""
    tests = Path(__file__).parents[1]
    names = {path.stem for path in tests.rglob("test_*.py")}
    wrong = []
    for path in sorted(tests.rglob("*.py")):
        text = path.read_text()
        if not re.search(r"^\s*(from|import)\b.*\btest_", text, re.M):
            continue  # nothing to parse
        for node in ast.walk(ast.parse(text)):
            targets = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            wrong += [f"{path.name} -> {x}" for x in targets if x.split(".")[-1] in names]
    assert not wrong


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]
    assert circles({"a": {"b"}, "b": {"c"}}) == []


@pytest.mark.parametrize(
    "imported",
    [
        "pandas",
        "torch",
        "onnx",
        "neo",
        "xarray",
        "PIL",
        "anywidget",
        "argcomplete",
        "zarr",
        "cloudpickle",
        "distributed",
        "dask",
        "submitit",
        "mpi4py",
    ],
)
def test_extras_are_imported_where_they_are_used(imported):
    """A package that need not be installed is imported inside a function."""
    for path in MODULES.values():
        if imported == "torch" and path.parent.name == "train":
            continue  # see test_nobody_imports_training
        for node in tree_of(path).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [name for name in names if name.split(".")[0] == imported], path
