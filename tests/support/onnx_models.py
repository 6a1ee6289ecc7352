"""Small ONNX models, in ONNX's text format."""

import numpy as np
import pytest

from eventsnn.exceptions import InputError
from eventsnn.readers import load

onnx = pytest.importorskip("onnx")


def ints(*values):
    return np.array(values, np.int64)


def model(text, opset=17, shape="N, 2, 6, 6", kind="float", **arrays):
    """A model of the input x and the output y, in ONNX's text format, with arrays as
    initializers.
    """
    graph = onnx.parser.parse_graph(f"g ({kind}[{shape}] x) => ({kind}[] y) {{ {text} }}")
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()
    )
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )


def read(made, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return load(path)


def refused(made, tmp_path, *fragments):
    with pytest.raises(InputError) as caught:
        read(made, tmp_path)
    for fragment in (*fragments, "net.onnx"):
        assert fragment in str(caught.value)
    return str(caught.value)
