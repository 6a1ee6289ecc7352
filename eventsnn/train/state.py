"""What a training has reached, in a file that is whole or not there."""

from __future__ import annotations

import pickle
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from eventsnn.exceptions import InputError
from eventsnn.files.writing import new_file
from eventsnn.train.recipe import Recipe

FORMAT = "eventsnn.train 1"
KEYS = {"format", "recipe", "data", "module", "optimiser", "progress"}


def write_state(path: Path, values: dict[str, Any]) -> None:
    """Writes a state; an older one is replaced at once or not at all.

    path: the file. values: tensors and plain values, with all of `KEYS` but the format.
    """
    with new_file(path) as file:
        torch.save({"format": FORMAT} | values, file)


def read_state(path: Path, recipe: Recipe, data: str) -> dict[str, Any] | None:
    """The state in a file, or None where there is none.

    path: the file. recipe: of the training that goes on. data: digest of its images. Raises
    InputError where the file is damaged, or of another training.
    """
    if not path.exists():
        return None
    do = "delete it to begin anew, or choose another ⟦out⟧"
    with open(path, "rb") as file:
        start = file.read(2)
    if start != b"PK":  # torch's older kind of file is a pickle from its first byte on
        raise InputError(path, "the state of a training", f"a file that starts {start!r}", do)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(path, "the state of a training", error, do) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.keys() != KEYS:
        raise InputError(path, f"a state of {FORMAT!r}", "another file", do)
    _compare(path, found["recipe"], asdict(recipe), do)
    if found["data"] != data:
        raise InputError(path, "the images that the training began with", "other ones", do)
    return found


def _compare(path: Path, before: Any, now: dict[str, Any], do: str) -> None:
    """Raises InputError for the first option of a recipe that differs; where data lie does not."""
    before = before if isinstance(before, dict) else {}
    # an older version had fewer options, which then were as they are by default
    before = {f.name: f.default for f in fields(Recipe)} | before
    for key, value in now.items():
        if key != "data" and before.get(key, value) != value:
            raise InputError(
                path, f"a training with {key} {value!r}", f"one with {before[key]!r}", do
            )
    if before.keys() != now.keys():
        raise InputError(path, "a recipe of this version of eventsnn", "another one", do)
