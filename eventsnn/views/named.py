"""Numbers that have names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError, one_line


class Named(np.ndarray[Any, np.dtype[np.float64]]):
    """Numbers of layers, float64 [L], that are reached by the layer's name, too: rates["act1"].

    What is computed or cut from it is a plain array. names: of its places, in order.
    """

    names: tuple[str, ...] = ()

    def __new__(cls, values: NDArray[np.float64], names: Sequence[str]) -> Named:
        """values: float64 [L]. names: as many, each once."""
        named = np.array(values, np.float64).view(cls)
        named.names = tuple(names)
        return named

    def __getitem__(self, key: Any) -> Any:
        """The number of a layer, or what a plain array has. Raises InputError for another name."""
        if not isinstance(key, str):
            return np.asarray(self)[key]
        if key not in self.names:
            raise InputError("layer", f"one of {', '.join(self.names)}", repr(key))
        return float(np.asarray(self)[self.names.index(key)])

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def items(self) -> list[tuple[str, float]]:
        """(name, number) of each layer."""
        return list(zip(self.names, map(float, np.asarray(self))))

    def __str__(self) -> str:
        return ", ".join(f"{one_line(name)} {value:.4g}" for name, value in self.items())

    def __repr__(self) -> str:
        return f"<{self}>"
