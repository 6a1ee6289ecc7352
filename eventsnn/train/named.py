"""What training calls by name: activations, architectures and their words. Needs no torch."""

from __future__ import annotations

import re

from eventsnn.exceptions import InputError

# name -> whether it has levels
ACTIVATIONS = {"relu": False, "qcfs": True, "tcl": False, "lsq": True, "slip": True, "rnl": False}
MAX_LEVELS = 2**20
ARCHITECTURES = (
    "lenet",
    "resnet8",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "vgg16",
    "mobilenet",
    "yolo",
)
STEMS = ("auto", "cifar", "imagenet")


def parsed_activation(text: str) -> tuple[str, int]:
    """(name, levels) of a text such as "qcfs:8" or "relu", whose levels are 0.

    text: as given. Raises InputError for another one.
    """
    name, colon, rest = text.partition(":")
    where = "⟦activation⟧"
    if name not in ACTIVATIONS:
        known = ", ".join(f"{n}:L" if levels else n for n, levels in ACTIVATIONS.items())
        raise InputError(where, f"one of {known}", repr(text), "for example qcfs:8")
    if not ACTIVATIONS[name]:
        if colon:
            raise InputError(where, f"{name} alone, which has no levels", repr(text))
        return name, 0
    if not re.fullmatch("[1-9][0-9]{0,6}", rest) or int(rest) > MAX_LEVELS:
        expected = f"{name}: and a whole number of levels from 1 to 2^20"
        raise InputError(where, expected, repr(text), f"for example {name}:8")
    return name, int(rest)
