"""ONNX models to damage, in which values move and activations are quantised."""

import numpy as np
from support.onnx_models import ints, model

IN, OUT = "Transpose<perm=[0,3,1,2]>", "Transpose<perm=[0,2,3,1]>"


def moved():
    """Channels last, a shortcut of option A, a shuffle, a split, a pad, a convolution back."""
    rng = np.random.default_rng(0)
    text = f"""
        a = Sub(x, mean) t = {IN}(a) c = Conv<pads=[1,1,1,1]>(t, w1) r = Relu(c)
        d = Conv<pads=[1,1,1,1], strides=[2,2]>(r, w2) s = Slice(r, starts, ends, axes, steps)
        p = Pad(s, pads) e = Add(d, p) f = LeakyRelu<alpha=0.1>(e)
        g = Reshape(f, apart) h = Transpose<perm=[0,2,1,3,4]>(g) i = Reshape(h, together)
        j, k = Split<axis=1>(i, parts) l = Sub(j, k) m = Concat<axis=1>(l, j) n = Relu(m)
        q = ConvTranspose<strides=[2,2]>(n, w3) u = MaxPool<kernel_shape=[2,2], ceil_mode=1,
        strides=[3,3]>(q) v = Relu(u) o = {OUT}(v) b = Gather<axis=3>(o, which)
        z = Reshape(b, flat) y = Gemm<alpha=0.5>(z, w4, bias)
    """
    arrays = {
        "mean": rng.normal(size=(1, 1, 1, 3)),
        "w1": rng.normal(size=(4, 3, 3, 3)),
        "w2": rng.normal(size=(8, 4, 3, 3)),
        "w3": rng.normal(size=(8, 3, 2, 2)),
        "w4": rng.normal(size=(32, 3)),
        "bias": rng.normal(size=3),
    }
    whole = {
        "starts": ints(0, 0),
        "ends": ints(2**62, 2**62),
        "axes": ints(2, 3),
        "steps": ints(2, 2),
        "pads": ints(0, 2, 0, 0, 0, 2, 0, 0),
        "apart": ints(0, 2, 4, 3, 3),
        "together": ints(0, -1, 3, 3),
        "parts": ints(4, 4),
        "which": ints(2, 0, 1, -1)[:2],
        "flat": ints(-1, 8),
    }
    floats = {key: array.astype(np.float32) for key, array in arrays.items()}
    floats["w4"] = floats["w4"][:8]
    return model(text, 17, "N, 6, 6, 3", **floats, **whole)


def quantised():
    """Weights and activations of whole numbers, of ONNX's own operators and of QONNX's."""
    rng = np.random.default_rng(1)
    text = """
        a = QuantizeLinear(w1, s, i8) b = DequantizeLinear(a, s, i8) c = Conv(x, b) r = Relu(c)
        d = QuantizeLinear(r, s, u8) e = DequantizeLinear(d, s, u8)
        f = MaxPool<kernel_shape=[2,2]>(e)
        g = Quant<signed=1, narrow=1, rounding_mode="ROUND">(w2, t, z, bits) h = Conv(f, g)
        i = Relu(h) j = Quant<signed=0, narrow=0, rounding_mode="ROUND">(i, t1, z, bits)
        k = Flatten(j) y = MatMul(k, w3)
    """
    made = model(
        text,
        13,
        "N, 2, 6, 6",
        w1=rng.normal(size=(4, 2, 3, 3)).astype(np.float32),
        w2=rng.normal(size=(3, 4, 2, 2)).astype(np.float32),
        w3=rng.normal(size=(12, 3)).astype(np.float32),
        s=np.float32(0.125),
        t=rng.uniform(0.1, 0.2, (3, 1, 1, 1)).astype(np.float32),
        t1=np.float32(0.25),
        z=np.float32(0),
        bits=np.float32(4),
        i8=np.int8(0),
        u8=np.uint8(0),
    )
    opset = made.opset_import.add()
    opset.domain, opset.version = "qonnx.custom_op.general", 1
    for node in made.graph.node:
        if node.op_type == "Quant":
            node.domain = "qonnx.custom_op.general"
    return made


def seeds():
    """Yields (name, bytes)."""
    yield "moved", moved().SerializeToString()
    yield "quantised", quantised().SerializeToString()
