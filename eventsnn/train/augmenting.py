"""Training images moved, mirrored and with holes: the same for the same seed, epoch and batch."""

from __future__ import annotations

from typing import Any

import torch

from eventsnn.train.policies import autoaugment


def generator(*numbers: int) -> Any:
    """A generator of random numbers of its own for whole numbers such as seed, epoch and batch."""
    made, state = torch.Generator(), 0
    for number in numbers:  # splitmix64, chained
        state = (state ^ number) + 0x9E3779B97F4A7C15 & 2**64 - 1
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & 2**64 - 1
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & 2**64 - 1
        state ^= state >> 31
    return made.manual_seed(state & 2**63 - 1)


def augmented(images: Any, how: str, random: Any) -> Any:
    """Training images as `how` says, one of `recipe.AUGMENTATIONS`.

    images: raw pixels [N, C, H, W]. random: the generator. Returns new ones of the same dtype.
    """
    if how == "none":
        return images
    images = flipped(images, random)
    if how == "flip":
        return images
    images = cropped(images, random)
    if how == "autoaugment":
        images = autoaugment(images, random)
    return images if how == "crop" else holed(images, random)


def flipped(images: Any, random: Any) -> Any:
    """Images of which each is mirrored with probability 1/2."""
    mirrored = torch.rand(len(images), generator=random) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def cropped(images: Any, random: Any) -> Any:
    """Images moved by up to an eighth of their width either way, black where nothing was."""
    n, _, height, width = images.shape
    most = max(width // 8, 1)
    padded = torch.nn.functional.pad(images, (most, most, most, most))
    rows = torch.randint(2 * most + 1, (n, 1), generator=random) + torch.arange(height)
    columns = torch.randint(2 * most + 1, (n, 1), generator=random) + torch.arange(width)
    here = torch.arange(n)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[here, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def holed(images: Any, random: Any) -> Any:
    """Images with a black square of half their width (Cutout, DeVries and Taylor 2017).

    Its centre lies anywhere in the image, so a part of it may lie outside.
    """
    n, _, height, width = images.shape
    half = max(width // 4, 1)
    row = torch.randint(height, (n, 1), generator=random)
    column = torch.randint(width, (n, 1), generator=random)
    across = (torch.arange(width) - column >= -half) & (torch.arange(width) - column < half)
    down = (torch.arange(height) - row >= -half) & (torch.arange(height) - row < half)
    hole = down[:, None, :, None] & across[:, None, None, :]
    return images.masked_fill(hole, 0)
