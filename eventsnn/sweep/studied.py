"""What a store keeps of studies as rows: each number of each image, or its mean over images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 1000  # numbers of an image that a variable may have to be among the rows
TITLE = (
    "What studies kept, means over images, or image by image; variable, at: which number; value: "
    "in its unit; what each is: eventsnn.sweep.open"
)


def rows_of(data: Any, by: str) -> Iterator[dict[str, Any]]:
    """The rows of a group that holds a study. data: of `open`. by: "run" or "image".

    A row has the options that tell runs apart, T, `variable`, `at` (its place along other axes),
    `images` or `image`, `value` and `unit`. Hashes are left out, and variables with more than MOST
    numbers an image. NaN is no number of a mean.
    """
    names = [key for key in data.coords if data[key].dims == ("run",)]
    names = [key for key in names if key not in ("run", "key", "settings", "steps")]
    for place in range(data.sizes["run"]):
        here = np.flatnonzero(data.done.values[place])
        if not len(here):
            continue
        its = data.isel(run=place, image=here)
        options = {key: its[key].item() for key in names} | {"T": int(its.steps)}
        if "step" in its.dims:
            its = its.isel(step=slice(int(its.steps)))
        for name, variable in its.data_vars.items():
            size = math.prod(variable.shape[1:])
            if name == "ann" or variable.dtype == np.uint64 or size > MOST:
                continue
            values = variable.values.reshape(len(here), size).astype(np.float64)
            unit = str(variable.attrs.get("unit", ""))
            for at, column in zip(_places(its, variable.dims[1:]), values.T):
                row = {**options, "variable": str(name), "at": at}
                if by == "run":
                    yield {**row, **_mean(column), "unit": unit}
                    continue
                for image, value in zip(its.image.values.tolist(), column.tolist()):
                    yield {**row, "image": image, "value": value, "unit": unit}


def _places(data: Any, dims: tuple[str, ...]) -> Iterator[str]:
    """Where each number of a variable stands, such as "layer act1, case 2". dims: its own axes."""
    labels = [
        data[dim].values.tolist() if dim in data.coords else range(data.sizes[dim]) for dim in dims
    ]
    for point in product(*labels):
        yield ", ".join(f"{dim} {label}" for dim, label in zip(dims, point))


def _mean(column: NDArray[np.float64]) -> dict[str, Any]:
    """How many images have a number, and their mean."""
    numbers = column[~np.isnan(column)]
    mean = float(numbers.mean()) if len(numbers) else float("nan")
    return {"images": len(numbers), "value": mean}
