"""Small ONNX models whose operators move values, and other words for what is read."""

import numpy as np
from support.onnx_models import ints

RNG = np.random.default_rng(0)


def some(*shape):
    return RNG.normal(size=shape).astype(np.float32)


K, D = some(4, 2, 3, 3), some(64, 3)
SQUARE = "N, 2, 6, 6"
LAST = "N, 6, 6, 2"
BODY = "c = Conv(t, k) r = Relu(c)"
# name: (shape of the input, text, initializers, operators that come out)
CASES = {
    "channels last in and out": (
        LAST,
        f"t = Transpose<perm=[0,3,1,2]>(x) {BODY} u = Transpose<perm=[0,2,3,1]>(r) f = "
        "Reshape(u, s) y = MatMul(f, m)",
        {"k": K, "m": D, "s": ints(-1, 64)},
        "Conv Relu Flatten Gemm",
    ),
    "an activation and a bias on channels last": (
        LAST,
        "t = Transpose<perm=[0,3,1,2]>(x) c = Conv(t, k) u = Transpose<perm=[0,2,3,1]>(c) "
        "a = Add(u, b) r = Relu(a) f = Flatten(r) y = MatMul(f, m)",
        {"k": K, "m": D, "b": some(4)},
        "Conv BatchNormalization Relu Flatten Gemm",
    ),
    "pixels scaled with channels last": (
        LAST,
        f"a = Sub(x, b) d = Div(a, e) t = Transpose<perm=[0,3,1,2]>(d) {BODY} y = Identity(r)",
        {"k": K, "b": some(2), "e": np.float32([2, 3])},
        "BatchNormalization BatchNormalization Conv Relu",
    ),
    "a residual sum on channels last": (
        LAST,
        "t = Transpose<perm=[0,3,1,2]>(x) c = Conv<pads=[1,1,1,1]>(t, k) r = Relu(c) "
        "u = Transpose<perm=[0,2,3,1]>(r) v = Add(u, x) w = Transpose<perm=[0,3,1,2]>(v) "
        "y = Relu(w)",
        {"k": K[:2]},
        "Conv Relu Add Relu",
    ),
    "a concatenation on channels last": (
        "N, 6, 6, 3",
        "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) u = Transpose<perm=[0,2,3,1]>(r) "
        "v = Concat<axis=3>(u, x) w = Transpose<perm=[0,3,1,2]>(v) y = Relu(w)",
        {},
        "Relu Concat Relu",
    ),
    "a pad on channels last": (
        "N, 6, 6, 3",
        "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) u = Transpose<perm=[0,2,3,1]>(r) "
        "p = Pad(u, q) y = Transpose<perm=[0,3,1,2]>(p)",
        {"q": ints(0, 1, 2, 0, 0, 0, 1, 0)},
        "Relu Pad",
    ),
    "a mean over channels last": (
        LAST,
        "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) u = Transpose<perm=[0,2,3,1]>(r) "
        "y = ReduceMean<axes=[1,2], keepdims=0>(u)",
        {},
        "Relu GlobalAveragePool Flatten",
    ),
    "a dense layer along channels": (
        LAST,
        f"t = Transpose<perm=[0,3,1,2]>(x) {BODY} u = Transpose<perm=[0,2,3,1]>(r) "
        "z = MatMul(u, m) a = Add(z, b) q = Relu(a) y = Transpose<perm=[0,3,1,2]>(q)",
        {"k": K, "m": some(4, 5), "b": some(5)},
        "Conv Relu Conv BatchNormalization Relu",
    ),
    "a map with channels last at the output": (
        LAST,
        f"t = Transpose<perm=[0,3,1,2]>(x) {BODY} y = Transpose<perm=[0,2,3,1]>(r)",
        {"k": K},
        "Conv Relu Index",
    ),
    "a part of the channels": (
        SQUARE,
        "r = Relu(x) s = Slice(r, a, b, c) y = Relu(s)",
        {"a": ints(1), "b": ints(2**62), "c": ints(1)},
        "Relu Index Relu",
    ),
    "a slice backwards": (
        SQUARE,
        "r = Relu(x) s = Slice(r, a, b, c, d) y = Relu(s)",
        {"a": ints(-1, 5), "b": ints(-(2**62), 0), "c": ints(1, 3), "d": ints(-1, -2)},
        "Relu Index Relu",
    ),
    "a gather": (
        SQUARE,
        "r = Relu(x) s = Gather<axis=1>(r, i) y = Relu(s)",
        {"i": ints(1, 0, -1)},
        "Relu Index Relu",
    ),
    "a shuffle of channels": (
        SQUARE,
        "c = Conv<pads=[1,1,1,1]>(x, k) r = Relu(c) a = Reshape(r, s) b = "
        "Transpose<perm=[0,2,1,3,4]>(a) d = Reshape(b, t) y = Relu(d)",
        {"k": K, "s": ints(0, 2, 2, 6, 6), "t": ints(0, -1, 6, 6)},
        "Conv Relu Relu Index",
    ),
    "a split and its parts added": (
        SQUARE,
        "r = Relu(x) a, b = Split<axis=1>(r, s) c = Add(a, b) y = Relu(c)",
        {"s": ints(1, 1)},
        "Relu Index Index Add Relu",
    ),
    "a split put together again": (
        SQUARE,
        "r = Relu(x) a, b = Split<axis=1>(r, s) c = Concat<axis=1>(b, a) y = Relu(c)",
        {"s": ints(1, 1)},
        "Relu Relu Index",
    ),
    "channels of zeros": (
        SQUARE,
        "r = Relu(x) c = Concat<axis=1>(z, r, z) y = Relu(c)",
        {"z": np.zeros((1, 3, 6, 6), np.float32)},
        "Relu Index Relu",
    ),
    "a pad of channels": (
        SQUARE,
        "r = Relu(x) c = Pad(r, p) y = Relu(c)",
        {"p": ints(0, 1, 0, 0, 0, 2, 0, 0)},
        "Relu Index Relu",
    ),
    "a pad by reflection": (
        SQUARE,
        'p = Pad<mode="reflect">(x, p0) c = Relu(p) y = Pad<mode="reflect">(c, p1)',
        {"p0": ints(0, 0, 1, 2, 0, 0, 0, 3), "p1": ints(0, 1, 0, 0, 0, 0, 2, 0)},
        "Index Relu Index",
    ),
    "a pad by its edge": (
        SQUARE,
        'r = Relu(x) p = Pad<mode="edge">(r, p0) y = Relu(p)',
        {"p0": ints(0, 0, 1, 2, 0, 0, 0, 3)},
        "Relu Index Relu",
    ),
    "maps beside each other": (
        SQUARE,
        "r = Relu(x) c = Clip(x, l, h) d = Concat<axis=3>(r, c) y = Relu(d)",
        {"l": np.float32(0), "h": np.float32(1)},
        "Relu Clip Index Index Add Relu",
    ),
    "a smaller map added to a larger": (
        SQUARE,
        "g = GlobalAveragePool(x) r = Relu(x) c = Add(r, g) y = Relu(c)",
        {},
        "GlobalAveragePool Relu Index Add Relu",
    ),
    "a difference": (
        SQUARE,
        "r = Relu(x) c = Sub(r, x) y = Relu(c)",
        {},
        "Relu BatchNormalization Add Relu",
    ),
    "a mean of three": (SQUARE, "r = Relu(x) c = Mean(x, r, x) y = Relu(c)", {}, None),
    "a negative": (SQUARE, "r = Neg(x) y = Relu(r)", {}, "BatchNormalization Relu"),
    "a picture taken away": (
        SQUARE,
        "a = Sub(x, m) c = Conv(a, k) y = Relu(c)",
        {"k": K, "m": some(2, 6, 6)},
        "Flatten BatchNormalization Index Conv Relu",
    ),
    "depth to space": (
        SQUARE,
        "c = Conv(x, k) d = DepthToSpace<blocksize=2>(c) y = Relu(d)",
        {"k": K},
        "Conv Relu Index",
    ),
    "depth to space, the other way": (
        SQUARE,
        'c = Conv(x, k) d = DepthToSpace<blocksize=2, mode="CRD">(c) y = Relu(d)',
        {"k": K},
        "Conv Relu Index",
    ),
    "space to depth": (SQUARE, "d = SpaceToDepth<blocksize=2>(x) y = Relu(d)", {}, "Relu Index"),
    "the largest of all": (SQUARE, "r = Relu(x) y = GlobalMaxPool(r)", {}, "Relu MaxPool"),
    "the largest over axes": (
        SQUARE,
        "r = Relu(x) m = ReduceMax<axes=[2,3], keepdims=0>(r) y = Relu(m)",
        {},
        "Relu MaxPool Relu Flatten",
    ),
    "a product with factors": (
        SQUARE,
        "f = Flatten(x) y = Gemm<alpha=0.5, beta=2.0, transB=1>(f, m, b)",
        {"m": some(5, 72), "b": some(5)},
        "Flatten Gemm",
    ),
    "a ReLU of two limits": (
        SQUARE,
        "a = Max(x, z) y = Min(a, s)",
        {"z": np.float32(0), "s": np.float32([1.5])},
        "Clip",
    ),
    "a clip behind a ReLU": (
        SQUARE,
        "a = Relu(x) y = Clip(a, , s)",
        {"s": np.float32(0.5)},
        "Clip",
    ),
    "a convolution back": (
        SQUARE,
        "c = ConvTranspose<strides=[2,3], pads=[1,0,0,2], output_padding=[1,0], dilations=[1,2]>"
        "(x, k, b) y = Relu(c)",
        {"k": some(2, 3, 3, 2), "b": some(3)},
        "Index Conv Relu",
    ),
    "one axis": (
        "N, 2, 9",
        "c = Conv<pads=[1,2], strides=[2]>(x, k, b) r = Relu(c) p = MaxPool<kernel_shape=[2], "
        "strides=[2]>(r) q = AveragePool<kernel_shape=[2]>(p) f = Flatten(q) y = MatMul(f, m)",
        {"k": some(4, 2, 3), "b": some(4), "m": some(4, 3)},
        "Conv Relu MaxPool AveragePool Flatten Gemm",
    ),
    "one axis, normalised and pooled": (
        "N, 2, 9",
        "c = Conv<dilations=[2]>(x, k) n = BatchNormalization(c, s, b, u, v) r = Relu(n) "
        "g = GlobalAveragePool(r) q = Squeeze(g, a) y = MatMul(q, m)",
        {"k": some(4, 2, 3), "s": some(4), "b": some(4), "u": some(4), "v": np.ones(4, "f4")}
        | {"m": some(4, 3), "a": ints(2)},
        "Conv BatchNormalization Relu GlobalAveragePool Flatten Gemm",
    ),
    "one axis with channels last": (
        "N, 9, 2",
        "e = Unsqueeze(x, a) t = Transpose<perm=[0,3,1,2]>(e) c = Conv(t, k) r = Relu(c) "
        "u = Transpose<perm=[0,2,3,1]>(r) s = Squeeze(u, a) y = ReduceMean<axes=[1], "
        "keepdims=0>(s)",
        {"k": some(4, 2, 1, 3), "a": ints(1)},
        "Conv Relu GlobalAveragePool Flatten",
    ),
    "one axis back": (
        "N, 2, 5",
        "c = ConvTranspose<strides=[2]>(x, k) y = Relu(c)",
        {"k": some(2, 3, 3)},
        "Index Conv Relu",
    ),
    "colours turned round": (
        "N, 3, 4, 4",
        "a, b, c = Split<axis=1>(x, s) d = Concat<axis=1>(c, b, a) e = Conv(d, k) y = Relu(e)",
        {"s": ints(1, 1, 1), "k": some(2, 3, 3, 3)},
        "Index Conv Relu",
    ),
    "colours scaled one by one": (
        "N, 4, 4, 3",
        "a, b, c = Split<axis=3>(x, s) d = Sub(a, p) e = Sub(b, q) f = Concat<axis=3>(d, e, c) "
        "t = Transpose<perm=[0,3,1,2]>(f) g = Conv(t, k) y = Relu(g)",
        {"s": ints(1, 1, 1), "k": some(2, 3, 3, 3), "p": np.float32(1), "q": np.float32(2)},
        None,
    ),
    "standardised weights": (
        SQUARE,
        "u = ReduceMean<axes=[1,2,3]>(k) a = Sub(k, u) q = Mul(a, a) v = "
        "ReduceMean<axes=[1,2,3]>(q) s = Sqrt(v) w = Div(a, s) c = Conv(x, w) y = Relu(c)",
        {"k": K},
        "Conv Relu",
    ),
}


def image(x, graph):
    """Inputs of a model as the graph's images: channels last where these are."""
    c, h, w = graph.input_shape
    if x.ndim == 4 and x.shape[1:] == (h, w, c) != (c, h, w):
        return x.transpose(0, 3, 1, 2)
    if x.ndim == 3 and x.shape[1:] == (w, c):
        return x.transpose(0, 2, 1)[:, :, None]
    return x.reshape(len(x), c, h, w)
