"""The numpy forward pass against plain loops, hand-computed values, and itself in other batches."""

import itertools
import math
import tracemalloc
import weakref

import numpy as np
import pytest

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph, Node, Preprocessing
from eventsnn.ann.operators import ACTIVATIONS, IDENTITIES, OPERATORS, infer_shape
from eventsnn.exceptions import InputError


def run(op, x, attrs=None, params=None):
    """Apply one node to x, a list of inputs or one; also checks that graph and forward pass agree
    on the shape.
    """
    inputs = x if isinstance(x, list) else [x]
    node = Node("node", op, tuple(f"x{i}" for i in range(len(inputs))), attrs or {}, params or {})
    expected = infer_shape(node, [i.shape[1:] for i in inputs], "test")
    before = [i.copy() for i in inputs]
    y = ann.apply(node, inputs)
    assert y.shape == (len(inputs[0]), *expected)
    assert y.dtype == inputs[0].dtype
    for now, then in zip(inputs, before):
        assert np.array_equal(now, then), "an input was overwritten"
    return y


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def pixel(x, n, c, row, column):
    """x[n, c, row, column], or None outside."""
    return x[n, c, row, column] if 0 <= row < x.shape[2] and 0 <= column < x.shape[3] else None


def under(x, n, c, y, z, attrs):
    """[(i, j, value or None where padded)] of the window at output position y, z."""
    (top, left, bottom, right), (sh, sw), (dh, dw) = (
        attrs[k] for k in ("pads", "strides", "dilations")
    )
    return [
        (i, j, pixel(x, n, c, y * sh - top + i * dh, z * sw - left + j * dw))
        for i in range(attrs["kernel_shape"][0])
        for j in range(attrs["kernel_shape"][1])
    ]


def out_size(x, attrs):
    top, left, bottom, right = attrs["pads"]
    room = (x.shape[2] + top + bottom, x.shape[3] + left + right)
    return [
        (r - (k - 1) * d - 1) // s + 1
        for r, k, d, s in zip(room, attrs["kernel_shape"], attrs["dilations"], attrs["strides"])
    ]


def random_window(rng, pool=False):
    """A random input [2, C, H, W] and attributes of a window that fits it."""
    while True:
        attrs = {
            "kernel_shape": rng.integers(1, 4, 2).tolist(),
            "strides": rng.integers(1, 4, 2).tolist(),
            "dilations": rng.integers(1, 3, 2).tolist(),
            "pads": rng.integers(0, 3, 4).tolist(),
        }
        x = rng.standard_normal((2, int(rng.integers(1, 5)), *rng.integers(1, 8, 2)))
        reach = [(k - 1) * d + 1 for k, d in zip(attrs["kernel_shape"], attrs["dilations"])]
        if min(out_size(x, attrs)) < 1 or (
            pool and any(p >= r for p, r in zip(attrs["pads"], reach + reach))
        ):
            continue
        windows = itertools.product(range(out_size(x, attrs)[0]), range(out_size(x, attrs)[1]))
        if not pool or all(
            any(v is not None for *_, v in under(x, 0, 0, y, z, attrs)) for y, z in windows
        ):
            return x, attrs


def naive_conv(x, weight, bias, attrs):
    maps, depth = weight.shape[:2]
    height, width = out_size(x, attrs)
    out = np.zeros((len(x), maps, height, width))
    for n, m, y, z in np.ndindex(out.shape):
        first = m // (maps // attrs["group"]) * depth
        out[n, m, y, z] = (0 if bias is None else bias[m]) + sum(
            weight[m, c, i, j] * value
            for c in range(depth)
            for i, j, value in under(x, n, first + c, y, z, attrs)
            if value is not None
        )
    return out


@pytest.mark.parametrize("seed", range(60))
def test_conv_is_the_plain_loop(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    x, attrs = random_window(rng)
    channels = x.shape[1]
    attrs["group"] = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    maps = attrs["group"] * int(rng.integers(1, 4))
    params = {"W": rng.standard_normal((maps, channels // attrs["group"], *attrs["kernel_shape"]))}
    if seed % 2:
        params["B"] = rng.standard_normal(maps)
    expected = naive_conv(x, params["W"], params.get("B"), attrs)
    close(run("Conv", x, attrs, params), expected)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    close(run("Conv", channels_last, attrs, params), expected)
    for block in (1, 300, 1000):  # parts of rows, rows, images
        monkeypatch.setattr(ann, "BLOCK", block)
        close(run("Conv", x, attrs, params), expected)


def test_conv_attributes_default_to_onnx_s():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    assert run("Conv", x, {}, {"W": np.ones((1, 1, 2, 2))}).tolist() == [[[[8, 12], [20, 24]]]]


def test_depthwise_with_a_multiplier_keeps_onnx_s_channel_order():
    x = np.array([1.0, 10.0]).reshape(1, 2, 1, 1)
    weight = np.array([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1, 1)
    assert run("Conv", x, {"group": 2}, {"W": weight}).ravel().tolist() == [1, 2, 30, 40]


def test_conv_of_a_large_image_stays_within_its_block():
    x = np.ones((1, 32, 96, 96), np.float32)
    weight = np.ones((4, 32, 3, 3), np.float32)
    tracemalloc.start()
    run("Conv", x, {"pads": [1, 1, 1, 1]}, {"W": weight})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    columns = 96 * 96 * 32 * 9 * 4
    assert peak < 4 * x.nbytes + 2 * ann.BLOCK < columns


@pytest.mark.parametrize("seed", range(40))
def test_pools_are_the_plain_loops(seed):
    x, attrs = random_window(np.random.default_rng(seed), pool=True)
    height, width = out_size(x, attrs)
    largest, inside, whole = (np.zeros((*x.shape[:2], height, width)) for _ in range(3))
    for n, c, y, z in np.ndindex(largest.shape):
        window = under(x, n, c, y, z, attrs)
        values = [v for *_, v in window if v is not None]
        largest[n, c, y, z] = max(values)
        inside[n, c, y, z] = sum(values) / len(values)
        whole[n, c, y, z] = sum(values) / len(window)
    close(run("MaxPool", x, attrs), largest)
    close(run("AveragePool", x, attrs), inside)
    close(run("AveragePool", x, attrs | {"count_include_pad": 0}), inside)
    close(run("AveragePool", x, attrs | {"count_include_pad": 1}), whole)


def test_pools_by_hand():
    x = np.array([[-4.0, -3.0], [-2.0, -1.0]]).reshape(1, 1, 2, 2)
    attrs = {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0], "strides": [2, 2]}
    assert run("MaxPool", x, attrs).tolist() == [[[[-4]]]], (
        "padding must not win over negative values"
    )
    assert run("AveragePool", x, attrs).tolist() == [[[[-4]]]]
    assert run("AveragePool", x, attrs | {"count_include_pad": 1}).tolist() == [[[[-1]]]]
    assert run("GlobalAveragePool", x).tolist() == [[[[-2.5]]]]


@pytest.mark.parametrize("transposed", (0, 1))
@pytest.mark.parametrize("bias", (False, True))
def test_gemm_is_the_plain_loop(transposed, bias):
    rng = np.random.default_rng(transposed)
    x = rng.standard_normal((3, 5))
    weight = rng.standard_normal((5, 4))
    shift = rng.standard_normal(4)
    expected = [
        [sum(x[n, k] * weight[k, m] for k in range(5)) + bias * shift[m] for m in range(4)]
        for n in range(3)
    ]
    params = {"B": weight.T.copy() if transposed else weight} | ({"C": shift} if bias else {})
    close(run("Gemm", x, {"transB": transposed}, params), expected)


@pytest.mark.parametrize("shape", ((3, 2, 4, 5), (3, 6)))
def test_batch_normalization_is_its_formula(shape):
    rng = np.random.default_rng(0)
    x, channels = rng.standard_normal(shape), shape[1]
    params = {r: rng.standard_normal(channels) for r in ("scale", "B", "input_mean")}
    params["input_var"] = rng.random(channels) * 3
    for attrs, epsilon in (({}, 1e-5), ({"epsilon": 1e-3}, 1e-3)):
        expected = np.empty(shape)
        for at in np.ndindex(shape):
            c = at[1]
            centred = (x[at] - params["input_mean"][c]) / math.sqrt(
                params["input_var"][c] + epsilon
            )
            expected[at] = params["scale"][c] * centred + params["B"][c]
        close(run("BatchNormalization", x, attrs, params), expected)


def test_shapes_and_sums():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    assert run("Flatten", x).tolist() == x.reshape(2, 12).tolist()
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert run("Flatten", last).tolist() == x.reshape(2, 12).tolist(), (
        "the order in memory must not show"
    )
    assert run("Add", [x, 2 * x, 3 * x]).tolist() == (6 * x).tolist()
    joined = run("Concat", [x, -x[:, :1]], {"axis": 1})
    assert joined[1].tolist() == [*x[1].tolist(), (-x[1, 0]).tolist()]
    for op in ("Identity", "Dropout"):
        assert run(op, x).tolist() == x.tolist()


def test_pad_puts_zeros_around():
    x = np.ones((1, 1, 1, 2))
    expected = [[[[0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]]]
    assert run("Pad", x, {"pads": [1, 0, 2, 1]}).tolist() == expected
    assert run("Pad", x, {"pads": [0, 0, 1, 0, 0, 0, 2, 1]}).tolist() == expected


def test_resize_by_hand():
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    doubled = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert run("Resize", x, {"scales": [2.0, 2.0]})[0, 0].tolist() == doubled
    attrs = {
        "scales": [1.0, 1.0, 1.0, 1.5],
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    assert run("Resize", x, attrs)[0, 0].tolist() == [[1, 1, 2], [3, 3, 4]]
    assert run("Resize", x, {"sizes": [1, 2]})[0, 0].tolist() == [[1, 2]]


def test_softmax_is_its_formula_and_does_not_overflow():
    y = run("Softmax", np.array([[0.0, math.log(3.0)], [1000.0, 1000.0]]))
    close(y, [[0.25, 0.75], [0.5, 0.5]])


def act(op, values, **attrs):
    node = Node("a", op, ("x",), {"lambda" if k == "lamda" else k: v for k, v in attrs.items()})
    return ann.activation_function(node)(np.array(values)).tolist()


def test_activations_by_hand():
    values = [-2.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5, 9.0]
    assert act("Relu", values) == [0, 0, 0, 0.5, 1, 1.5, 2.5, 9]
    assert act("Relu", values, max=1.5) == [0, 0, 0, 0.5, 1, 1.5, 1.5, 1.5]
    assert act("Clip", values) == act("Relu", values)
    assert act("Clip", values, min=0, max=6.0) == [0, 0, 0, 0.5, 1, 1.5, 2.5, 6]
    assert act("ClippedRelu", values, lamda=2.0) == [0, 0, 0, 0.5, 1, 1.5, 2, 2]
    # levels 0, 1/2, 1, 3/2, 2; halfway values go up
    assert act(
        "QCFS",
        [-1.0, -0.25, 0.0, 0.249, 0.25, 0.74, 0.75, 1.25, 1.75, 2.0, 7.0],
        lamda=2.0,
        levels=4,
    ) == [0, 0, 0, 0, 0.5, 0.5, 1, 1.5, 2, 2, 2]
    # multiples of 1/4, at most 3 of them; 1/8, 3/8 and 5/8 are halves
    assert act(
        "QuantRelu",
        [-1.0, -0.125, 0.124, 0.125, 0.374, 0.375, 0.625, 0.75, 5.0],
        scale=0.25,
        levels=3,
    ) == [0, 0, 0, 0.25, 0.25, 0.5, 0.75, 0.75, 0.75]
    # a quarter of the clipped value and three quarters of steps of 1/2 up to 2
    assert act(
        "SlipRelu", [-1.0, 0.2, 0.25, 1.0, 1.2, 2.0, 9.0], lamda=2.0, step_levels=4, slope=0.25
    ) == pytest.approx([0, 0.05, 0.4375, 1, 1.05, 2, 2])


@pytest.mark.parametrize(
    "changes", [{"slope": 1.5}, {"slope": None}, {"step_levels": 0}, {"lambda": 0.0}]
)
def test_a_slip_relu_that_is_none_is_refused(changes):
    node = Node("a", "SlipRelu", ("x",), {"lambda": 2.0, "step_levels": 4, "slope": 0.5} | changes)
    with pytest.raises(InputError, match=next(iter(changes))):
        infer_shape(node, [(3,)], "a")


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize(
    "op, attrs",
    (
        ("Relu", {}),
        ("Clip", {"max": np.float64(1)}),
        ("ClippedRelu", {"lambda": np.float64(1)}),
        ("QCFS", {"lambda": np.float64(1), "levels": 4}),
        ("QuantRelu", {"scale": np.float64(0.5), "levels": 4}),
        ("SlipRelu", {"lambda": np.float64(1), "step_levels": 4, "slope": np.float64(0.5)}),
    ),
)
def test_activations_keep_the_dtype(op, attrs, dtype):
    assert run(op, np.ones((1, 3), dtype), attrs).dtype == dtype


def test_every_operator_has_an_operation():
    assert set(OPERATORS) == set(ann.OPERATIONS) | set(ACTIVATIONS) | set(IDENTITIES)


def residual(seed=0, size=7):
    """A small residual network with quantised activations, where rounding differences would
    show.
    """
    rng = np.random.default_rng(seed)

    def conv(name, source, shape, **attrs):
        params = {"W": rng.standard_normal(shape), "B": rng.standard_normal(shape[0])}
        return Node(name, "Conv", (source,), attrs, params)

    def norm(name, source, n):
        params = {r: rng.random(n) + 0.5 for r in ("scale", "B", "input_mean", "input_var")}
        return Node(name, "BatchNormalization", (source,), {}, params)

    nodes = (
        conv("c1", "image", (6, 3, 3, 3), pads=[1, 1, 1, 1]),
        norm("n1", "c1", 6),
        Node("a1", "QCFS", ("n1",), {"lambda": 2.0, "levels": 8}),
        conv("c2", "a1", (6, 1, 3, 3), pads=[1, 1, 1, 1], group=6),
        conv("c3", "a1", (6, 6, 1, 1)),
        Node("s", "Add", ("c2", "c3")),
        Node("a2", "QuantRelu", ("s",), {"scale": 0.3, "levels": 6}),
        Node("p", "AveragePool", ("a2",), {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("m", "MaxPool", ("a2",), {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Node("j", "Concat", ("p", "m")),
        Node("g", "GlobalAveragePool", ("j",)),
        Node("f", "Flatten", ("g",)),
        Node(
            "fc",
            "Gemm",
            ("f",),
            {"transB": 1},
            {"B": rng.standard_normal((5, 12)), "C": rng.standard_normal(5)},
        ),
        Node("o", "Softmax", ("fc",)),
    )
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.25])
    return Graph(nodes, "image", "o", (3, size, size), Preprocessing(1 / 255, mean, std))


def pixels(n, size=7):
    return np.random.default_rng(1).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def test_forward_is_node_by_node():
    graph = residual()
    x = graph.preprocessing(pixels(3)).astype(np.float64)
    values = {"image": x}
    for node in graph.nodes:
        values[node.name] = ann.apply(node, [values[i] for i in node.inputs])
    results = ann.forward(graph, x, keep=("image", "a1", "s"), dtype=np.float64)
    assert set(results) == {"image", "a1", "s", "o"}
    for name, result in results.items():
        assert result.dtype == np.float64 and result.flags.c_contiguous
        close(result, values[name])
    single = ann.forward(graph, x)
    assert set(single) == {"o"} and single["o"].dtype == np.float32
    np.testing.assert_allclose(single["o"], results["o"], atol=1e-4)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("size", (2, 7, 40))
def test_an_image_s_result_does_not_depend_on_its_batch(dtype, size):
    graph = residual(size, size)
    x = graph.preprocessing(pixels(9, size))
    names = tuple(graph.by_name)
    whole = ann.forward(graph, x, keep=names, dtype=dtype)
    for n in range(len(x)):
        alone = ann.forward(graph, x[n : n + 1], keep=names, dtype=dtype)
        for name in names:
            assert np.array_equal(alone[name][0], whole[name][n]), name


def test_forward_frees_what_nothing_needs(monkeypatch):
    names = [f"r{i}" for i in range(8)]
    graph = Graph(
        tuple(Node(b, "Relu", (a,)) for a, b in zip(["x", *names], names)), "x", "r7", (1, 2, 2)
    )
    alive = []
    most = []
    apply = ann.apply

    def watched(node, inputs):
        y = apply(node, inputs)
        alive.append(weakref.ref(y))
        most.append(sum(ref() is not None for ref in alive))
        return y

    monkeypatch.setattr(ann, "apply", watched)
    ann.forward(graph, np.ones((1, 1, 2, 2)))
    assert max(most) == 2
    alive.clear(), most.clear()
    ann.forward(graph, np.ones((1, 1, 2, 2)), keep=names)
    assert max(most) == 8


def test_predict_is_forward_on_preprocessed_pixels_for_any_batch_and_workers(monkeypatch):
    graph, images = residual(), pixels(11)
    expected = ann.forward(graph, graph.preprocessing(images))["o"]
    for batch, workers in itertools.product((1, 4, 100), (None, 1, 3)):
        result = ann.predict(graph, images, batch=batch, workers=workers)
        assert result.dtype == np.float32 and np.array_equal(result, expected)
    monkeypatch.setattr(ann, "CHUNK", 1)
    assert np.array_equal(ann.predict(graph, images), expected)
    assert ann.predict(graph, images[:0]).shape == (0, 5)


def test_predict_reports_progress():
    seen = []
    ann.predict(residual(), pixels(7), batch=3, progress=lambda *at: seen.append(at))
    assert seen == [(3, 7), (6, 7), (7, 7)]


def test_large_maps_are_computed_in_smaller_batches(monkeypatch):
    sizes, inner = [], ann.forward
    counted = lambda graph, x, **keep: sizes.append(len(x)) or inner(graph, x, **keep)  # noqa: E731
    monkeypatch.setattr(ann, "forward", counted)
    monkeypatch.setattr(ann, "CHUNK", 3 * 6 * 7 * 7 * 4)
    ann.predict(residual(), pixels(7), workers=1)
    assert sizes == [3, 3, 1]


def test_blas_gets_its_threads_back():
    before = ann.ONE_BLAS_THREAD.get()
    try:
        ann.ONE_BLAS_THREAD.set(2)
        two = (
            ann.ONE_BLAS_THREAD.get()
        )  # 0 where no OpenBLAS was found, 1 where it has been built for one thread
        with ann.ONE_BLAS_THREAD, ann.ONE_BLAS_THREAD:
            assert ann.ONE_BLAS_THREAD.get() in (0, 1)
        assert ann.ONE_BLAS_THREAD.get() == two
        with pytest.raises(RuntimeError), ann.ONE_BLAS_THREAD:
            raise RuntimeError
        assert ann.ONE_BLAS_THREAD.get() == two
    finally:
        ann.ONE_BLAS_THREAD.set(before)


@pytest.mark.parametrize(
    "images",
    (
        np.zeros((2, 1, 7, 7)),
        np.zeros((3, 7, 7)),
        np.zeros((2, 7, 7, 3)),
        np.array("x"),
        np.full((1, 3, 7, 7), "x"),
        np.zeros((1, 3, 7, 7), complex),
    ),
)
def test_wrong_images_are_refused(images):
    with pytest.raises(InputError, match=r"images of shape \[N, 3, 7, 7\]"):
        ann.forward(residual(), images)
    expected = (
        r"images of shape \[N, 3, 7, 7\]|pixels: expected an array of numbers, found an array"
    )
    with pytest.raises(InputError, match=expected):
        ann.predict(residual(), images)


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="'nowhere'"):
        ann.forward(residual(), np.zeros((1, 3, 7, 7)), keep=("nowhere",))
    for setting in ({"batch": 0}, {"workers": 0}):
        with pytest.raises(InputError, match="expected a whole number from 1"):
            ann.predict(residual(), pixels(1), **setting)
