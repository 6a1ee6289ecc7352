"""What pixels a preprocessing expects, and whether given ones are such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Preprocessing
from eventsnn.exceptions import InputError, check_options, named

HIGH_MEAN = 2.0  # a mean above it is one of pixels up to 255
SMALL_SPAN = 8.0  # pixels 0 to 255 become numbers no further apart: they are meant
PARTS = ("scale", "mean", "std", "reverse")
FAR = 32.0  # no preprocessing is meant to give numbers above it


def as_preprocessing(given: Any, where: str) -> Preprocessing:
    """The `Preprocessing` that something stands for.

    given: a `Preprocessing`; a dict with some of scale, mean, std and reverse (whether channels are
    turned round before, RGB and BGR); torchvision's Normalize, or anything with its mean and std,
    which stands behind ToTensor: where both are those of pixels from 0 to 1, raw pixels from 0 to
    255 are divided by 255 before; or None, for what is not known. where: the function that was
    called, for messages. Raises InputError for anything else, and OptionError for another key of a
    dict.
    """
    if given is None:
        return Preprocessing(known=False)
    option = f"{where}: {named('preprocessing')}"
    kinds = "an eventsnn.Preprocessing, a dict with scale, mean and std, or torchvision's Normalize"
    if isinstance(given, Preprocessing):
        parts: Mapping[str, Any] = vars(given)
        known = given.known
    elif isinstance(given, Mapping):
        check_options(option, map(str, given), PARTS)
        if not given:
            raise InputError(option, kinds, "an empty dict", "leave it out, or give its numbers")
        parts, known = given, True
    elif isinstance(given, type) or any(
        callable(getattr(given, part, print)) for part in ("mean", "std")
    ):
        found = f"a {type(given).__name__}: {given!r}"
        do = 'for example {"scale": 1 / 255, "mean": [0.5], "std": [0.25]}'
        raise InputError(option, kinds, found, do)
    else:
        parts, known = {"mean": given.mean, "std": given.std}, True
    scale = _numbers_of(f"{option}: scale", parts.get("scale", 1.0), above_zero=True)
    mean = _numbers_of(f"{option}: mean", parts.get("mean", 0.0))
    std = _numbers_of(f"{option}: std", parts.get("std", 1.0), above_zero=True)
    if scale.size != 1:
        raise InputError(f"{option}: scale", "one number", f"{scale.size} numbers")
    reverse = parts.get("reverse", False)
    if not isinstance(reverse, (bool, np.bool_)):
        raise InputError(f"{option}: reverse", "True or False", repr(reverse))
    divided = not isinstance(given, (Preprocessing, Mapping)) and max(mean.max(), std.max()) <= 1
    return Preprocessing(1 / 255 if divided else float(scale[0]), mean, std, known, bool(reverse))


def _numbers_of(where: str, given: Any, above_zero: bool = False) -> NDArray[np.float64]:
    """One number or several, as float64 [n]; InputError for anything else."""
    try:
        numbers = np.ravel(np.asarray(given, np.float64))
    except (TypeError, ValueError, RuntimeError):
        numbers = np.zeros(0)
    good = numbers.size and np.isfinite(numbers).all()
    if not good or (above_zero and not (numbers > 0).all()):
        expected = "finite numbers above 0" if above_zero else "finite numbers"
        raise InputError(where, expected, repr(given), "give one, or one for each channel")
    return numbers


def is_identity(preprocessing: Preprocessing) -> bool:
    """Whether pixels stay as they are, in whatever order. preprocessing: of raw pixels."""
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    return preprocessing.scale == 1 and not mean.any() and bool((std == 1).all())


def expected_range(preprocessing: Preprocessing) -> tuple[float, float]:
    """(lowest, highest) raw pixel that a preprocessing is made for: 0 to 255, or 0 to 1.

    preprocessing: of raw pixels; one that leaves them as they are has 0 to 1.
    """
    scale = float(preprocessing.scale)
    highest_mean = float(np.abs(preprocessing.mean).max()) / scale
    span = 255 * scale / float(np.min(preprocessing.std))
    return 0.0, 255.0 if highest_mean > HIGH_MEAN or span <= SMALL_SPAN else 1.0


def misfit(preprocessing: Preprocessing, pixels: NDArray[Any]) -> str:
    """What to say of pixels that a preprocessing is not made for, or "".

    preprocessing: of raw pixels. pixels: raw images [N, C, H, W]. Options are `named`.
    """
    least, most = float(pixels.min()), float(pixels.max())
    _, high = expected_range(preprocessing)
    reach = f"pixels from {least:.4g} to {most:.4g}"
    options = named("preprocessing")
    if is_identity(preprocessing):
        if most <= FAR:
            return ""
        told = "" if preprocessing.known else ", as the file does not tell it"
        return (
            f"{reach} enter the network as they are{told}: few networks are trained so; see "
            f"{options}"
        )
    made = f"{reach}, where the preprocessing {preprocessing.words} is made for 0 to {high:g}"
    if high == 255 and (most > 0 or least < 0) and (most <= 1 or (least < 0 and most < FAR)):
        return f"{made}: they are divided or normalised twice; give raw pixels, or see {options}"
    if high == 1 and least < -0.01:
        return f"{made}: they are normalised twice; give raw pixels, or see {options}"
    if high == 1 and float(np.abs(_ends(preprocessing, least, most)).max()) > FAR:
        return f"{made}: they are not divided by 255; see {options}"
    return ""


def _ends(preprocessing: Preprocessing, least: float, most: float) -> NDArray[np.float64]:
    """What the lowest and the highest pixel become, for every channel."""
    ends = np.array([[least], [most]]) * float(preprocessing.scale)
    return (ends - np.ravel(preprocessing.mean)) / np.ravel(preprocessing.std)
