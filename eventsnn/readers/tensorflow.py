"""TensorFlow's own files, which are known by how they begin and not read."""

from __future__ import annotations


def is_saved_model(start: bytes) -> bool:
    """Whether a file is the saved_model.pb of a SavedModel.

    Its first field is the schema's version, 1, as an ONNX model's first is the version of its IR.
    Its second is a graph with facts about itself, which have the number 1; an ONNX model's second
    is the name of what wrote it. start: the file's first bytes.
    """
    if not start.startswith(b"\x08\x01\x12"):
        return False
    length = 3
    while length < min(len(start), 13) and start[length] & 0x80:
        length += 1
    return start[length + 1 : length + 2] == b"\n"
