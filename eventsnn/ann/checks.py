"""Checks of one node's attributes, parameters and input shapes, for `operators` and `windows`."""

from __future__ import annotations

from collections.abc import Container, Sequence
from reprlib import repr as short
from typing import Any, TypeGuard

from numpy.typing import NDArray

from eventsnn.ann.node import Node
from eventsnn.exceptions import InputError

# without the batch axis
Shape = tuple[int, ...]


def expect(condition: object, where: str, expected: object, found: object, do: str = "") -> None:
    """Raise InputError unless `condition` is true.

    where, expected, found, do: as in `InputError`.
    """
    if not condition:
        raise InputError(where, expected, found, do)


def expect_map(shape: Shape, where: str) -> None:
    """Raise InputError unless `shape` is (C, H, W). where: the node, for the message."""
    expect(len(shape) == 3, where, "an input with height and width", f"shape {list(shape)}")


def is_int(value: object) -> TypeGuard[int]:
    """Whether `value` is an int and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is an int or float below 2^63 in size, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63


def expect_positive(node: Node, key: str, where: str) -> None:
    """Raise InputError unless the attribute `key` of `node` is a number above 0.

    where: the node, for the message.
    """
    value = node.attrs.get(key)
    good = is_number(value) and value > 0
    expected = f"{key} above 0 and below 2^63"
    expect(good, where, expected, value, "a threshold must be positive")


def ints(
    node: Node,
    key: str,
    lengths: Container[int],
    where: str,
    default: Sequence[int] | None = None,
    least: int = 1,
    most: int = 2**20,
) -> tuple[int, ...]:
    """The whole numbers in the attribute `key` of `node`.

    lengths: how many there may be. where: the node, for the message. default: what stands for a
    missing attribute (None: it must be there). least, most: the lowest and highest number allowed.
    Raises InputError for anything else.
    """
    value = node.attrs.get(key, default)
    if (
        isinstance(value, (list, tuple))
        and len(value) in lengths
        and all(is_int(v) and least <= v <= most for v in value)
    ):
        return tuple(value)
    many = " or ".join(map(str, lengths)) if isinstance(lengths, tuple) else "1 to 2^20"
    expected = f"{key} of {many} whole numbers from {least} to 2^{most.bit_length() - 1}"
    raise InputError(where, expected, short(value))


def two_ints(
    node: Node, key: str, where: str, default: tuple[int, int] | None = None
) -> tuple[int, int]:
    """The two whole numbers above 0, for height and width, in the attribute `key` of `node`.

    where, default: as in `ints`. Raises InputError for anything else.
    """
    height, width = ints(node, key, (2,), where, default)
    return height, width


def parameter(node: Node, role: str, ndim: int, where: str) -> NDArray[Any]:
    """The parameter `role` of `node`, which must be there, with `ndim` axes, and not be empty.

    where: the node, for the message. Raises InputError otherwise.
    """
    expected = f"a parameter {role} with {ndim} axes"
    array = node.params.get(role)
    if array is None:
        raise InputError(where, expected, "none")
    good = array.ndim == ndim and array.size > 0
    expect(good, where, expected, f"shape {list(array.shape)}")
    return array


def expect_vector(node: Node, role: str, size: int, where: str, optional: bool = False) -> None:
    """Raise InputError unless the parameter `role` of `node` has shape [size].

    where: the node, for the message. optional: whether it may be missing.
    """
    if optional and role not in node.params:
        return
    array = parameter(node, role, 1, where)
    expect(array.size == size, where, f"{size} values in {role}", array.size)
