"""Which ONNX operators are read at all, and why others are not."""

from __future__ import annotations

from eventsnn.readers.bends import why_not
from eventsnn.readers.onnx.constants import FOLDED
from eventsnn.readers.onnx.joining import JOINING
from eventsnn.readers.onnx.moving import MOVING
from eventsnn.readers.onnx.operators import OPERATORS
from eventsnn.readers.onnx.quantised import CUSTOM, DOMAINS

WHOLE = "of whole numbers; export the quantised network with QuantizeLinear and DequantizeLinear"
FIRST = "its first input, and no other, has to depend on the image"
OF_IMAGES = frozenset((*OPERATORS, *MOVING, *JOINING, "Shape", "QuantizeLinear"))


def never(domain: str, op: str, depends: bool) -> str:
    """Why an operator is never read, whatever its attributes are; else "".

    domain: the operator's. op: its name. depends: whether one of its inputs depends on the image.
    """
    if domain in DOMAINS and op in CUSTOM:
        return ""
    if domain not in ("", "ai.onnx"):
        return f"an operator of the domain {domain}"
    if "Integer" in op or op.startswith(("QLinear", "DynamicQuantize")):
        return WHOLE
    if op in OF_IMAGES or op == "DequantizeLinear" or (not depends and op in (*FOLDED, "Constant")):
        return ""
    # of Erf exporters make Gelu
    return why_not("Gelu" if op == "Erf" else op, "nothing here computes it")
