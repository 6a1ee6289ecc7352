"""Folders where a file should be: which of their files to give, or what to do with them."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from pathlib import Path

from eventsnn.exceptions import InputError

MAX_NAMES = 1000
WEIGHTS = "model.weights.h5"
ONNX = "with tf2onnx, python -m tf2onnx.convert --{} {} --output net.onnx, and give net.onnx"


def check_no_folder(path: str | os.PathLike[str]) -> None:
    """Raises InputError for a folder, which says what of it can be read.

    path: what was given; what is no folder passes.
    """
    names: list[str] = []
    with suppress(OSError, TypeError, ValueError):
        if not os.path.isdir(path):
            return
        names = [entry.name for entry in islice(os.scandir(path), MAX_NAMES)]
    if not names:
        return  # the check of files says what there is instead
    found, do = "a directory", "check the path"
    files = sorted(n for n in names if n.endswith((".safetensors", ".keras", ".onnx", ".pth")))
    if "saved_model.pb" in names:
        found = "a directory with a SavedModel of TensorFlow"
        do = ONNX.format("saved-model", path)
    elif WEIGHTS in names and "config.json" in names:
        found = "a directory with what a .keras archive holds"
        do = f"give {Path(path, WEIGHTS)} and ⟦arch={Path(path, 'config.json')}⟧"
    elif "data.pkl" in names:
        found = "a directory with what a PyTorch file holds"
        do = f"pack it again: zip -0 -r net.pth {path}"
    elif {"network.h5", "recipe.toml"} <= set(names):
        found, do = "the directory of a training", f"give {Path(path, 'network.h5')}"
    elif "pytorch_model.bin" in names:
        do = f"give {Path(path, 'pytorch_model.bin')}"
    elif files:
        do = f"give {Path(path, files[0])}"
    raise InputError(path, "a file with a network", found, do)
