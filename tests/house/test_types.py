"""mypy checks what it is thought to check: nonsense in any room is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import eventsnn

ROOT = Path(eventsnn.__file__).parents[1]
NONSENSE = {
    "eventsnn/network/passes.py": 'def nonsense(a: int) -> int:\n    return a + "b"\n',
    "eventsnn/views/tables.py": "def nonsense(a, b):\n    return a\n",
    "eventsnn/studies/cost.py": "def nonsense() -> None:\n    one_line(1, 2, 3)\n",
    "eventsnn/engine/event/kernels.py": 'def nonsense(a):\n    return len(a) + "b"\n',
    "eventsnn/neurons/group.py": "def nonsense(a):\n    return undefined\n",
    "eventsnn/trace/edits.py": 'def nonsense() -> Swap:\n    return Swap("a")\n',
}


def mypy(folder):
    """What mypy says of a tree."""
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache")],
        cwd=folder,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.long  # it checks all of the package once more
def test_nonsense_is_found_in_every_room(tmp_path):
    shutil.copytree(ROOT / "eventsnn", tmp_path / "eventsnn")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for name, code in NONSENSE.items():
        with open(tmp_path / name, "a") as file:
            file.write(f"\n\n{code}")
    said = mypy(tmp_path)
    assert not [name for name in NONSENSE if f"{name}:" not in said], said
