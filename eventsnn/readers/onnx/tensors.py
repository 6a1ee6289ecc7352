"""TensorProtos as arrays: data in the model, or in a file beside it.

A file beside a model lies in the model's folder or below it, is a file and no link, and is as long
as it has to be; nothing else is opened.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path, PurePosixPath
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, MAX_ARRAYS, told

DAMAGED = "the file is damaged: copy, download or export it again"
ONE_FILE = (
    "keep the model and its data in one folder, or write one file: onnx.save(onnx.load(PATH), NEW)"
)


class Tensors:
    """Reads tensors.

    onnx: the package. folder: where the model lies. left: how many bytes may still be read from
    files beside it.
    """

    def __init__(self, onnx: Any, folder: Path) -> None:
        self.onnx = onnx
        self.folder = folder
        self.left = MAX_ARRAYS

    def __repr__(self) -> str:
        return f"<Tensors of {self.folder}>"

    def array(self, tensor: Any, where: str) -> NDArray[Any]:
        """A tensor as an array of numbers; bfloat16 becomes float32.

        tensor: a TensorProto. where: what to call it in messages. Raises InputError for what is no
        array of numbers, and for data that are not where the model says.
        """
        kinds = self.onnx.TensorProto
        try:
            if any(n < 0 for n in tensor.dims):  # numpy would make something of -1
                raise ValueError(f"the shape {list(tensor.dims)}")
            if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
                tensor = self._with_data(tensor, where)
            if tensor.data_type == kinds.BFLOAT16:
                return _bfloat16(tensor)
            array = np.asarray(self.onnx.numpy_helper.to_array(tensor))
        except InputError:
            raise
        except FAILURES as error:
            raise InputError(where, "an array of numbers", told(error), DAMAGED) from error
        if array.dtype.kind not in "biuf":
            raise InputError(where, "an array of numbers", array.dtype)
        return array

    def _with_data(self, tensor: Any, where: str) -> Any:
        """A copy of a tensor, with its data from the file beside the model."""
        told_of = {entry.key: entry.value for entry in tensor.external_data}
        location = told_of.get("location", "")
        size = math.prod(tensor.dims) * self._width(tensor.data_type, where)
        numbers = [told_of.get("offset", "0"), told_of.get("length", str(size))]
        if not all(n.isascii() and n.isdigit() and len(n) < 19 for n in numbers):
            raise InputError(where, "an offset and a length in bytes", short(numbers), DAMAGED)
        offset, length = map(int, numbers)
        if length != size:
            expected = f"{size:,} bytes of data for the shape {list(tensor.dims)}"
            raise InputError(where, expected, f"{length:,}", DAMAGED)
        self.left -= size
        if self.left < 0:
            raise InputError(where, f"at most {MAX_ARRAYS:,} bytes of data", "more")
        whole = type(tensor)()
        whole.dims.extend(tensor.dims)
        whole.data_type = tensor.data_type
        whole.raw_data = self._bytes(location, offset, size, where)
        return whole

    def _width(self, kind: int, where: str) -> int:
        """Bytes of a number; four of those whose type numpy has not are in none of ours."""
        if kind == self.onnx.TensorProto.BFLOAT16:
            return 2
        dtype = np.dtype(self.onnx.helper.tensor_dtype_to_np_dtype(kind))
        if dtype.kind not in "biuf":
            raise InputError(where, "an array of numbers", dtype)
        return dtype.itemsize

    def _bytes(self, location: str, offset: int, size: int, where: str) -> bytes:
        """`size` bytes from `offset` on of a file in the model's folder, reached by no link."""
        steps = PurePosixPath(location).parts
        expected = "data in a file in the model's folder"
        if not steps or ".." in steps or any("\\" in s or ":" in s or "\0" in s for s in steps):
            raise InputError(where, expected, short(location), ONE_FILE)
        if PurePosixPath(location).is_absolute():
            raise InputError(where, expected, short(location), ONE_FILE)
        path = self.folder
        for step in steps:
            path = path / step
            if path.is_symlink():
                found = f"{short(location)}, by way of a link"
                raise InputError(where, expected, found, "put the file itself there")
        try:
            number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _NO_WAIT)
        except OSError as error:
            found = f"{short(location)}: {error.strerror}"
            raise InputError(where, expected, found, ONE_FILE) from error
        with os.fdopen(number, "rb") as file:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(where, expected, f"{short(location)}, which is no file", ONE_FILE)
            if offset + size > status.st_size:
                expected = f"a file {short(location)} of {offset + size:,} bytes or more"
                do = "copy or download it again, with the model"
                raise InputError(where, expected, f"{status.st_size:,}", do)
            file.seek(offset)
            return file.read(size)


_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # of a pipe, for a writer


def _bfloat16(tensor: Any) -> NDArray[np.float32]:
    """A TensorProto of bfloat16, which numpy lacks: the upper half of a float32."""
    if tensor.raw_data:
        bits = np.frombuffer(tensor.raw_data, "<u2")
    else:
        bits = np.array(tensor.int32_data)
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(tuple(tensor.dims))
