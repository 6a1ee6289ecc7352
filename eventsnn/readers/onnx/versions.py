"""Models of old versions of ONNX's operators, brought up by onnx's own converter."""

from __future__ import annotations

from typing import Any

from eventsnn.exceptions import InputError
from eventsnn.files.reading import FAILURES, told
from eventsnn.files.trial import trial

LEAST = 7  # what is read as it is; what 7 and 8 have otherwise than 9 the operators know
CONVERTED = 9
MOST_BYTES = 2**28
SECONDS, MEMORY = 60, 2**30


def in_time(onnx: Any, model: Any, name: str) -> Any:
    """A model of operators that are read: itself, or converted.

    onnx: the package. model: a ModelProto. name: the file's, for messages. The converter, which is
    C++ and sees a file that may be damaged, is first tried in a copy of the process. Raises
    InputError where it fails.
    """
    opsets = {entry.domain or "": entry.version for entry in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 0))
    if opset >= LEAST:
        return model
    where = f"{name}: opset {opset}"
    expected = f"operators of opset {LEAST} or later, or a model that onnx.version_converter takes"
    do = "export it with a later opset_version"
    if opset < 1 or model.ByteSize() > MOST_BYTES:
        raise InputError(where, expected, f"{model.ByteSize():,} bytes", do)

    def convert() -> Any:
        from onnx import version_converter

        return version_converter.convert_version(model, CONVERTED)

    end = trial(convert, SECONDS, MEMORY)
    try:
        if not end:
            return convert()
    except (*FAILURES, Exception) as error:  # the converter's own kind of error is no RuntimeError
        end = told(error)
    raise InputError(where, expected, end, do)
