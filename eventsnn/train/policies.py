"""AutoAugment's policies for CIFAR-10 (Cubuk et al. 2019, Table 7), on batches of raw pixels.

Operations are those of the paper's appendix A with its ranges, magnitudes from 0 to 9. Pixels are
whole numbers from 0 to 255; what an operation brings in from outside an image is grey (128).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

# (operation, probability in tenths, magnitude), two of them a policy
POLICIES: tuple[tuple[tuple[str, int, int], tuple[str, int, int]], ...] = (
    (("Invert", 1, 7), ("Contrast", 2, 6)),
    (("Rotate", 7, 2), ("TranslateX", 3, 9)),
    (("Sharpness", 8, 1), ("Sharpness", 9, 3)),
    (("ShearY", 5, 8), ("TranslateY", 7, 9)),
    (("AutoContrast", 5, 8), ("Equalize", 9, 2)),
    (("ShearY", 2, 7), ("Posterize", 3, 7)),
    (("Color", 4, 3), ("Brightness", 6, 7)),
    (("Sharpness", 3, 9), ("Brightness", 7, 9)),
    (("Equalize", 6, 5), ("Equalize", 5, 1)),
    (("Contrast", 6, 7), ("Sharpness", 6, 5)),
    (("Color", 7, 7), ("TranslateX", 5, 8)),
    (("Equalize", 3, 7), ("AutoContrast", 4, 8)),
    (("TranslateY", 4, 3), ("Sharpness", 2, 6)),
    (("Brightness", 9, 6), ("Color", 2, 8)),
    (("Solarize", 5, 2), ("Invert", 0, 3)),
    (("Equalize", 2, 0), ("AutoContrast", 6, 0)),
    (("Equalize", 2, 8), ("Equalize", 6, 4)),
    (("Color", 9, 9), ("Equalize", 6, 6)),
    (("AutoContrast", 8, 4), ("Solarize", 2, 8)),
    (("Brightness", 1, 3), ("Color", 7, 0)),
    (("Solarize", 4, 5), ("AutoContrast", 9, 3)),
    (("TranslateY", 9, 9), ("TranslateY", 7, 9)),
    (("AutoContrast", 9, 2), ("Solarize", 8, 3)),
    (("Equalize", 8, 8), ("Invert", 1, 3)),
    (("TranslateY", 7, 9), ("AutoContrast", 9, 1)),
)
GREY = 128.0


def autoaugment(images: Any, random: Any) -> Any:
    """Images, each changed by a policy drawn for it.

    images: uint8 [N, 3, H, W]. random: the generator. Returns new ones.
    """
    n = len(images)
    chosen = torch.randint(len(POLICIES), (n,), generator=random)
    drawn = torch.rand(n, 2, generator=random)
    signs = torch.where(torch.rand(n, 2, generator=random) < 0.5, -1.0, 1.0)
    out = images.to(torch.float32)
    for number in torch.unique(chosen).tolist():
        for place, (name, tenths, magnitude) in enumerate(POLICIES[number]):
            here = ((chosen == number) & (drawn[:, place] < tenths / 10)).nonzero()[:, 0]
            if len(here):
                out[here] = OPERATIONS[name](out[here], magnitude / 9, signs[here, place])
    return out.round().clamp(0, 255).to(images.dtype)


def _moved(images: Any, matrices: Any) -> Any:
    """Images read at matrices [N, 2, 3] of the places, in pixels from the centre; nearest."""
    n, _, height, width = images.shape
    rows = torch.arange(height) - (height - 1) / 2
    columns = torch.arange(width) - (width - 1) / 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    found = matrices @ places
    column = (found[:, 0] + (width - 1) / 2).round().long()
    row = (found[:, 1] + (height - 1) / 2).round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    taken = images.flatten(2).gather(2, flat[:, None].expand(-1, images.shape[1], -1))
    return torch.where(inside[:, None], taken, GREY).reshape(images.shape)


def _matrices(n: int, **entries: Any) -> Any:
    """[N, 2, 3] of the identity, with some entries, named a to f row by row, of each image."""
    made = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).repeat(n, 1, 1)
    for name, values in entries.items():
        row, column = divmod("abcdef".index(name), 3)
        made[:, row, column] = values
    return made


def _shear_x(images: Any, share: float, signs: Any) -> Any:
    return _moved(images, _matrices(len(images), b=0.3 * share * signs))


def _shear_y(images: Any, share: float, signs: Any) -> Any:
    return _moved(images, _matrices(len(images), d=0.3 * share * signs))


def _translate_x(images: Any, share: float, signs: Any) -> Any:
    far = 150 / 331 * share * images.shape[3]
    return _moved(images, _matrices(len(images), c=far * signs))


def _translate_y(images: Any, share: float, signs: Any) -> Any:
    far = 150 / 331 * share * images.shape[2]
    return _moved(images, _matrices(len(images), f=far * signs))


def _rotate(images: Any, share: float, signs: Any) -> Any:
    angle = math.radians(30) * share * signs
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _moved(images, _matrices(len(images), a=cos, b=-sin, d=sin, e=cos))


def _auto_contrast(images: Any, share: float, signs: Any) -> Any:
    low = images.amin((2, 3), keepdim=True)
    high = images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * 255 / (high - low).clamp(min=1), images)


def _invert(images: Any, share: float, signs: Any) -> Any:
    return 255 - images


def _equalize(images: Any, share: float, signs: Any) -> Any:
    """Each channel's histogram made even, as PIL does: steps of (pixels - last bin) / 255."""
    flat = images.round().clamp(0, 255).long().flatten(2)
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.long)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    last = 255 - (counts.flip(2) > 0).int().argmax(2, keepdim=True)
    step = (flat.shape[2] - counts.gather(2, last)) // 255
    before = counts.cumsum(2) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    even = table.gather(2, flat)
    return torch.where(step > 0, even, flat).reshape(images.shape).to(images.dtype)


def _solarize(images: Any, share: float, signs: Any) -> Any:
    return torch.where(images >= 256 * (1 - share), 255 - images, images)


def _posterize(images: Any, share: float, signs: Any) -> Any:
    kept = 2 ** (8 - round(4 * share))
    return torch.floor(images / (256 / kept)) * (256 / kept)


def _grey(images: Any) -> Any:
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return (images * weights).sum(1, keepdim=True)


def _blended(images: Any, other: Any, share: float, signs: Any) -> Any:
    """other + factor (images - other), factors 1 plus or minus 0.9 share."""
    factor = (1 + 0.9 * share * signs)[:, None, None, None]
    return (other + factor * (images - other)).clamp(0, 255)


def _contrast(images: Any, share: float, signs: Any) -> Any:
    mean = _grey(images).mean((1, 2, 3), keepdim=True)
    return _blended(images, mean, share, signs)


def _color(images: Any, share: float, signs: Any) -> Any:
    return _blended(images, _grey(images), share, signs)


def _brightness(images: Any, share: float, signs: Any) -> Any:
    return _blended(images, torch.zeros(1), share, signs)


def _sharpness(images: Any, share: float, signs: Any) -> Any:
    channels = images.shape[1]
    kernel = (torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13).repeat(channels, 1, 1, 1)
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = torch.nn.functional.conv2d(images, kernel, groups=channels)
    return _blended(images, smooth, share, signs)


OPERATIONS: dict[str, Callable[[Any, float, Any], Any]] = {
    "ShearX": _shear_x,
    "ShearY": _shear_y,
    "TranslateX": _translate_x,
    "TranslateY": _translate_y,
    "Rotate": _rotate,
    "AutoContrast": _auto_contrast,
    "Invert": _invert,
    "Equalize": _equalize,
    "Solarize": _solarize,
    "Posterize": _posterize,
    "Contrast": _contrast,
    "Color": _color,
    "Brightness": _brightness,
    "Sharpness": _sharpness,
}
