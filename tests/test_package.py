"""The package as it is installed."""

from pathlib import Path

import eventsnn


def test_every_folder_with_code_is_a_package():
    """Without __init__.py a folder is left out when the package is built."""
    root = Path(eventsnn.__file__).parent
    folders = {path.parent for path in root.rglob("*.py")}
    assert {folder.name for folder in folders} == {
        "ann",
        "clocked",
        "data",
        "engine",
        "event",
        "eventsnn",
        "export",
        "files",
        "keras",
        "network",
        "neurons",
        "onnx",
        "readers",
        "runs",
        "sample",
        "simulation",
        "studies",
        "torch",
        "trace",
        "views",
    }
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_names_it_promises_are_there():
    for name in eventsnn.__all__:
        assert callable(getattr(eventsnn, name))
