"""What training calls by name: activations, architectures and their words. Needs no torch."""

from __future__ import annotations

import re

from eventsnn.exceptions import InputError

# name -> what its number is: levels L, steps T, or "": it has none
ACTIVATIONS = {
    "relu": "",
    "qcfs": "levels",
    "tcl": "",
    "lsq": "levels",
    "slip": "levels",
    "rnl": "",
    "rts": "steps",
}
MAX_NUMBER = 2**20
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
    """(name, number) of a text such as "qcfs:8" or "rts:8"; that of "relu" is 0.

    text: as given. Raises InputError for another one.
    """
    name, colon, rest = text.partition(":")
    where = "⟦activation⟧"
    if name not in ACTIVATIONS:
        letter = {"levels": ":L", "steps": ":T", "": ""}
        known = ", ".join(n + letter[number] for n, number in ACTIVATIONS.items())
        raise InputError(where, f"one of {known}", repr(text), "for example qcfs:8")
    if not ACTIVATIONS[name]:
        if colon:
            raise InputError(where, f"{name} alone, which has no levels or steps", repr(text))
        return name, 0
    if not re.fullmatch("[1-9][0-9]{0,6}", rest) or int(rest) > MAX_NUMBER:
        expected = f"{name}: and a whole number of {ACTIVATIONS[name]} from 1 to 2^20"
        raise InputError(where, expected, repr(text), f"for example {name}:8")
    return name, int(rest)
