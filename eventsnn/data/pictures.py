"""PNG and JPEG files as pixels, resized and cropped as torchvision's recipes are.

What a file holds decides, not its name. Pixels are those of Pillow. Only the header is read before
the size is known.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsnn.data.folders import Listing
from eventsnn.data.formats import Window, check_size, open_file, peek, reading
from eventsnn.exceptions import InputError, named
from eventsnn.values import shown

STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
MAX_PIXELS = 10**8  # of one file, and of what it is resized to
MAX_FILE = 2**28  # bytes of one
MAX_SIDE = 2**14
ORIENTATION = 0x0112  # EXIF's tag; 1: as stored
THREADS = 8
SAID = {
    "cmyk": "{} of CMYK inks became RGB without a colour profile, as Pillow has it",
    "turned": "{} to be turned, as EXIF says, left as stored, as torchvision does",
    "grey": "{} in grey became RGB of three equal channels",
    "equal": "{} of three equal channels taken as one channel",
    "palette": "{} with a palette became RGB",
}


@dataclass(frozen=True)
class Recipe:
    """What becomes of each image.

    resize: the length of the shorter side, (n,), or height and width; None: as stored. Bilinear
    with antialias, as Pillow has it. crop: height and width of the middle that is kept, (n,) for a
    square; None: all. channels: 1 or 3; None: 3 unless all images are grey.
    """

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    channels: int | None = None

    @classmethod
    def of(cls, resize: Any, crop: Any, channels: Any) -> Recipe:
        """A recipe of values as callers give them: a number, or two in a row; None or () for none.

        Raises InputError for other values.
        """
        if channels not in (None, 1, 3) or isinstance(channels, bool):
            raise InputError("channels", "1 or 3", shown(channels), "leave it out")
        return cls(_sides("resize", resize), _sides("crop", crop), channels)

    @property
    def asked(self) -> str:
        """The first option that is given, or ""."""
        return "resize" if self.resize else "crop" if self.crop else ""


def _sides(name: str, given: Any) -> tuple[int, ...] | None:
    if given is None or (isinstance(given, (tuple, list)) and not given):
        return None
    sides = given if isinstance(given, (tuple, list)) else (given,)
    plain = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in sides)
    if len(sides) > 2 or not plain or not all(1 <= n <= MAX_SIDE for n in sides):
        expected = f"one or two whole numbers from 1 to {MAX_SIDE:,}"
        do = f"for example {named(name, '224')}, or height and width"
        raise InputError(named(name), expected, shown(given), do)
    return tuple(int(n) for n in sides)


class _Decoded(NamedTuple):
    pixels: NDArray[np.uint8]  # [H, W, C], C: 1 or 3
    said: tuple[str, ...]


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with these bytes is PNG or JPEG. head: 8 or more, if it has so
    many.
    """
    return head.startswith(STARTS)


def read_pictures(
    listing: Listing, window: Window, recipe: Recipe
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None, str]:
    """(pixels uint8 [n, C, H, W], labels int64 [n] or None, what to say) of a window's files.

    listing: of all files. window: positions among them. recipe: for each. Raises InputError for a
    file that is damaged, too large, or has what pixels of 8 bits do not (16 bits, transparency,
    several frames), and where the sizes differ.
    """
    opened = _pillow(listing.files[0])
    start, stop = window.rows(len(listing.files), 1, listing.folder)
    files = listing.files[start:stop]
    decode = partial(_decode, opened, recipe)
    found: NDArray[np.uint8] | None = None
    said: Counter[str] = Counter()
    grey: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata, which no pixel depends on
        for first in range(0, len(files), 256):
            part = files[first : first + 256]
            for at, each in enumerate(_all(decode, part), first):
                said.update(each.said)
                height, width, channels = each.pixels.shape
                if channels == 1:
                    grey.append(at)
                if found is None:
                    check_size(len(files) * height * width * 3, listing.folder)
                    found = np.zeros((len(files), height, width, 3), np.uint8)
                if found.shape[1:3] != (height, width):
                    expected = f"{found.shape[1]}x{found.shape[2]} pixels, as {files[0].name}"
                    do = (
                        "give the network's size: where it is 224x224 "
                        f"{named('resize', 256)} {named('crop', 224)}"
                    )
                    raise InputError(files[at], expected, f"{height}x{width}", do)
                found[at] = each.pixels
    assert found is not None
    found, told = _channels(found, files, grey, recipe.channels)
    said.update(told)
    labels = None if listing.labels is None else np.array(listing.labels[start:stop], np.int64)
    notes = [listing.note, *(SAID[key].format(_counted(n)) for key, n in sorted(said.items()))]
    if labels is not None and (of := len(np.unique(labels))) < len(listing.classes):
        notes.append(f"{_counted(len(labels))} of {of:,} of {len(listing.classes):,} classes")
    return found, labels, "; ".join(filter(None, notes))


def _counted(count: int) -> str:
    return f"{count:,} image{'s' * (count > 1)}"


def _channels(
    pixels: NDArray[np.uint8], files: Sequence[Path], grey: list[int], wanted: int | None
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """(pixels [N, C, H, W] of [N, H, W, 3], what was done to how many). grey: places of such."""
    colour = len(files) - len(grey)
    if wanted == 3 or (wanted is None and colour):
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), {
            "grey": len(grey)
        } if grey else {}
    one = np.ascontiguousarray(pixels[:, None, :, :, 0])
    for at in np.flatnonzero((pixels != pixels[..., :1]).any(axis=(1, 2, 3)))[:1]:
        do = "convert the files: Image.convert('L') in Pillow"
        raise InputError(files[at], "an image in grey, for one channel", "colours", do)
    return one, {"equal": colour} if colour else {}


def _all(decode: Callable[[Path], _Decoded], files: Sequence[Path]) -> Any:
    """What `decode` makes of files, in order; large sets in threads."""
    if len(files) < 16:
        yield from map(decode, files)
        return
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(decode, files)


def _pillow(where: Path) -> Callable[..., Any]:
    """Pillow's function that opens images. Raises InputError where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        do = "pip install pillow"
        raise InputError(where, "Pillow, which reads PNG and JPEG", "none installed", do) from None
    return Image.open


def _decode(opened: Callable[..., Any], recipe: Recipe, path: Path) -> _Decoded:
    """One file's pixels, and what there is to say of it."""
    expected = "a PNG or JPEG file"
    head = peek(path, 32)
    if not is_picture(head):
        found = "an empty file" if not head else f"a file starting with {head[:8]!r}"
        raise InputError(path, expected, found, "fetch it again, or take it out")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise InputError(path, f"at most {MAX_FILE:,} bytes", f"{size:,}", "store it smaller")
    if head[1:4] == b"PNG" and head[24:25] == b"\x10":  # Pillow would cut colours to 8 bits
        do = "store it with 8 bits"
        raise InputError(path, "8 bits a channel", "16 bits", do)
    with reading(path), open_file(path) as stream, _quiet(opened, stream, path) as image:
        width, height = image.size
        if width * height > MAX_PIXELS or min(width, height) < 1:
            found = f"{width:,} x {height:,}"
            raise InputError(path, f"at most {MAX_PIXELS:,} pixels", found, "store it smaller")
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise InputError(path, "one image", "an animation", "store one frame")
        said = ["turned"] if image.getexif().get(ORIENTATION, 1) not in (0, 1) else []
        image.load()
        plain = _plain(image, path, said)
        pixels = np.asarray(_cropped(_resized(plain, recipe, path), recipe, path))
    return _Decoded(pixels if pixels.ndim == 3 else pixels[:, :, None], tuple(said))


def _quiet(opened: Callable[..., Any], stream: Any, path: Path) -> Any:
    try:
        return closing(opened(stream, formats=("PNG", "JPEG")))
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":
            found = "far more"
            do = "store it smaller"
            raise InputError(path, f"at most {MAX_PIXELS:,} pixels", found, do) from None
        raise


def _plain(image: Any, path: Path, said: list[str]) -> Any:
    """An image of mode L or RGB. Raises InputError for what has no such form."""
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        with_alpha = image.convert("RGBA")
        if with_alpha.getchannel("A").getextrema()[0] < 255:
            do = "put it on a background"
            raise InputError(path, "an image without transparency", "transparent pixels", do)
    if image.mode in ("1", "L", "LA"):
        return image.convert("L")
    if image.mode == "P":
        said.append("palette")
    elif image.mode == "CMYK":
        said.append("cmyk")
    elif image.mode not in ("RGB", "RGBA"):
        found = f"Pillow's mode {image.mode!r}"
        raise InputError(path, "8 bits a channel, grey or RGB", found, "convert it to RGB")
    return image.convert("RGB")


def _resized(image: Any, recipe: Recipe, path: Path) -> Any:
    """torchvision's Resize: the shorter side becomes n, the longer int(n long / short)."""
    if recipe.resize is None:
        return image
    width, height = image.size
    if len(recipe.resize) == 2:
        rows, columns = recipe.resize
    else:
        (n,) = recipe.resize
        short, long = sorted(image.size)
        longer = int(n * long / short)
        rows, columns = (n, longer) if height <= width else (longer, n)
    if rows * columns > MAX_PIXELS:
        found = f"{columns:,} x {rows:,}"
        raise InputError(path, f"at most {MAX_PIXELS:,} pixels", found, "take it out")
    if (columns, rows) == image.size:
        return image
    from PIL import Image

    return image.resize((columns, rows), Image.Resampling.BILINEAR)


def _cropped(image: Any, recipe: Recipe, path: Path) -> Any:
    """torchvision's CenterCrop, but for an image that is smaller: that is refused, not padded."""
    if recipe.crop is None:
        return image
    rows, columns = recipe.crop if len(recipe.crop) == 2 else recipe.crop * 2
    width, height = image.size
    if rows > height or columns > width:
        found = f"{height}x{width}"
        do = f"give {named('resize', max(rows, columns))} or more, too"
        raise InputError(path, f"{rows}x{columns} pixels or more to crop", found, do)
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return image.crop((left, top, left + columns, top + rows))
