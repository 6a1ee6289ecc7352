"""Small data sets that a network learns in seconds."""

import numpy as np


def bright_rows(path, channels=3, size=8, train=96, test=32, classes=3, **changes):
    """Writes an .npz of images whose class is the brightest third of their rows; its path as text.

    changes: of arrays by name; None leaves one out.
    """
    rng = np.random.default_rng(1)
    arrays = {}
    for split, count in (("train", train), ("test", test)):
        labels = np.arange(count) % classes
        pixels = rng.integers(0, 120, (count, channels, size, size))
        for i, label in enumerate(labels):
            pixels[i, :, label * size // classes : (label + 1) * size // classes] += 120
        arrays |= {f"x_{split}": pixels.astype(np.uint8), f"y_{split}": labels}
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return str(path)
