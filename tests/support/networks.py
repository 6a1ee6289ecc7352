"""Small random networks of every operator and topology, for tests."""

import numpy as np

from eventsnn.ann.graph import Graph, Node
from eventsnn.ann.indexing import index_lists

ABSENT = {"constant_values": -1}
MOVES = ("slice", "strided", "gather", "turned", "channels last", "padded", "vector")
MAP_OPERATORS = (
    "conv",
    "grouped",
    "depthwise",
    "strided",
    "pool",
    "pool3",
    "bn",
    "pad",
    "resize",
    "identity",
)


class Builder:
    """Adds nodes one after the other; every method returns the new node's name."""

    def __init__(self, rng, shape=(2, 6, 6)):
        self.rng = rng
        self.nodes = []
        self.shapes = {"input": shape}
        self.shape = shape

    def add(self, op, inputs, attrs=None, params=None):
        node = Node(f"{op.lower()}{len(self.nodes)}", op, tuple(inputs), attrs or {}, params or {})
        self.nodes.append(node)
        self.shapes = Graph(tuple(self.nodes), "input", node.name, self.shape).shapes | self.shapes
        return node.name

    def weights(self, *shape, size=1.0):
        return self.rng.normal(0, size / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    def conv(self, x, out=3, kernel=3, group=1, bias=True, **attrs):
        channels = self.shapes[x][0]
        params = {"W": self.weights(out, channels // group, kernel, kernel, size=1.5)}
        if bias:
            params["B"] = self.rng.normal(0, 0.2, out).astype(np.float32)
        return self.add("Conv", [x], {"kernel_shape": [kernel] * 2, "group": group} | attrs, params)

    def bn(self, x):
        n = self.shapes[x][0]
        return self.add(
            "BatchNormalization",
            [x],
            {"epsilon": 1e-3},
            {
                "scale": self.rng.uniform(0.5, 1.5, n).astype(np.float32),
                "B": self.rng.normal(0, 0.3, n).astype(np.float32),
                "input_mean": self.rng.normal(0, 0.3, n).astype(np.float32),
                "input_var": self.rng.uniform(0.3, 2, n).astype(np.float32),
            },
        )

    def index(self, x, kind):
        """One of the ways to move the values of a map; 0 where there is no value."""
        c, h, w = self.shapes[x]
        whole = np.arange(c * h * w).reshape(c, h, w)
        moved = {
            "slice": lambda: whole[c // 2 :, :, min(1, w - 1) :],
            "strided": lambda: np.pad(whole[:, ::2, ::2], [(1, 1), (0, 0), (0, 0)], **ABSENT),
            "gather": lambda: whole[[c - 1, 0, c - 1]],
            "turned": lambda: whole[:, ::-1].transpose(0, 2, 1),
            "channels last": lambda: whole.transpose(2, 0, 1),
            "padded": lambda: np.pad(whole, [(0, 1), (1, 0), (0, 2)], **ABSENT),
            "vector": lambda: whole.transpose(1, 2, 0).reshape(-1),
        }[kind]()
        return self.add("Index", [x], index_lists(moved))

    def gemm(self, x, out=4):
        transposed = int(self.rng.integers(2))
        weight = self.weights(out, self.shapes[x][0], size=2)
        return self.add(
            "Gemm",
            [x],
            {"transB": transposed},
            {
                "B": weight if transposed else np.ascontiguousarray(weight.T),
                "C": self.rng.normal(0, 0.2, out).astype(np.float32),
            },
        )

    def linear(self, x, kind):
        """One linear operator on a map."""
        channels = self.shapes[x][0]
        return {
            "conv": lambda: self.conv(x, 3, pads=[1, 1, 1, 1]),
            "grouped": lambda: self.conv(x, 2 * channels, group=channels, pads=[0, 1, 1, 0]),
            "depthwise": lambda: self.conv(
                x, channels, 2, group=channels, bias=False, pads=[1, 0, 0, 1], dilations=[1, 2]
            ),
            "strided": lambda: self.conv(x, 4, 2, strides=[2, 1], pads=[1, 1, 0, 0]),
            "pool": lambda: self.add(
                "AveragePool",
                [x],
                {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]},
            ),
            "pool3": lambda: self.add(
                "AveragePool",
                [x],
                {
                    "kernel_shape": [3, 3],
                    "strides": [1, 1],
                    "pads": [1, 1, 1, 1],
                    "count_include_pad": 1,
                },
            ),
            "bn": lambda: self.bn(x),
            "pad": lambda: self.add("Pad", [x], {"pads": [0, 0, 1, 0, 0, 0, 0, 2]}),
            "resize": lambda: self.add("Resize", [x], {"scales": [1, 1, 2, 1]}),
            "identity": lambda: self.add(str(self.rng.choice(["Identity", "Dropout"])), [x]),
        }[kind]()

    def activation(self, x, op=None):
        op = op or str(self.rng.choice(["ClippedRelu", "QCFS", "QuantRelu"]))
        threshold = float(self.rng.uniform(0.5, 1.5))
        attrs = {
            "ClippedRelu": {"lambda": threshold},
            "QCFS": {"lambda": threshold, "levels": 4},
            "QuantRelu": {"scale": threshold / 4, "levels": 4},
            "Relu": {},
            "Clip": {"min": 0, "max": threshold},
        }[op]
        return self.add(op, [x], attrs)

    def graph(self, output):
        return Graph(tuple(self.nodes), "input", output, self.shape, source="random network")


def random_graph(rng):
    """Two to four layers with random linear paths: residual adds, concatenations, several operators
    in a row.

    Some layers reach the last ones past those between.
    """
    b = Builder(rng, (int(rng.integers(1, 4)), int(rng.integers(4, 8)), int(rng.integers(4, 8))))
    x, early = b.activation(b.linear("input", "conv")), None
    for _ in range(int(rng.integers(1, 4))):
        y = x
        for _ in range(int(rng.integers(1, 4))):
            kinds = [
                k
                for k in MAP_OPERATORS
                if min(b.shapes[y][1:]) >= 3 or k in ("bn", "identity", "pad", "conv")
            ]
            y = b.linear(y, str(rng.choice(kinds)))
        join = rng.integers(4)
        if join == 0 and b.shapes[y][1:] == b.shapes[x][1:]:
            y = b.add("Concat", [y, x])
        elif join == 1 and b.shapes[y][1:] == b.shapes[x][1:]:
            y = b.add("Add", [y, b.conv(x, b.shapes[y][0], 1)])
        elif join == 2:
            y = b.add("Add", [y, y])
        elif join == 3:
            early = x
        x = b.activation(y)
    if rng.integers(2):
        x = b.add("GlobalAveragePool", [x])
    x = b.add("Flatten", [x], {"axis": 1})
    if early:
        x = b.add("Concat", [x, b.add("Flatten", [early])])
    if rng.integers(2):
        x = b.activation(b.bn(b.gemm(x, 5)))
    return b.graph(b.gemm(x))


def skipping_graph(rng):
    """Three layers, of which the first reaches the other two and the readout, past the layers
    between; some weights are 0.
    """
    b = Builder(rng, (2, 4, 4))
    first = b.activation(b.conv("input", 3, pads=[1, 1, 1, 1]))
    second = b.activation(b.conv(first, 4, pads=[1, 1, 1, 1]))
    third = b.activation(
        b.add("Add", [b.conv(second, 3, 1), b.conv(first, 3, pads=[1, 1, 1, 1], group=3)])
    )
    for node in b.nodes:
        if "W" in node.params:
            node.params["W"][rng.random(node.params["W"].shape) < 0.2] = 0
    joined = b.add("Flatten", [b.add("Concat", [third, first])], {"axis": 1})
    return b.graph(b.gemm(joined))


def mobile_graph(rng):
    """Inverted residual blocks as in MobileNet: depthwise and grouped convolutions, linear nodes
    between them, sums of several inputs.
    """
    b = Builder(rng, (3, 8, 8))

    def block(x, out, stride=1, group=1):
        wide = b.activation(b.bn(b.conv(x, 2 * b.shapes[x][0], 1, group=group, bias=False)))
        deep = b.conv(
            wide,
            b.shapes[wide][0],
            group=b.shapes[wide][0],
            bias=False,
            strides=[stride] * 2,
            pads=[1, 1, 1, 1],
        )
        return b.bn(b.conv(b.activation(b.bn(deep)), out, 1, bias=False))

    stem = b.activation(b.bn(b.conv("input", 4, pads=[1, 1, 1, 1])))
    first = block(stem, 4)
    second = b.add("Add", [block(first, 4, group=2), first, stem])
    x = block(second, 6, stride=2)
    x = b.add("Add", [x, block(x, 6)])
    x = b.activation(b.bn(b.conv(x, 8, 1)))
    return b.graph(b.gemm(b.add("Flatten", [b.add("GlobalAveragePool", [x])])))


def yolo_graph(rng, op):
    """A detector as in YOLO: spatial pyramid pooling (max pools of max pools), a nearest Resize, a
    Concat neck, a head for each scale.

    Its max pools stand in front of an activation, behind one, and behind a Concat.
    """
    b = Builder(rng, (3, 8, 8))
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    same = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}

    def conv(x, out, kernel=3):
        return b.activation(b.bn(b.conv(x, out, kernel, bias=False, pads=[kernel // 2] * 4)), op)

    one = conv("input", 3)
    two = conv(one, 3)
    fine = b.add("Concat", [one, two, b.add("Add", [one, two])])
    coarse = conv(b.add("MaxPool", [b.add("Concat", [one, two])], half), 4)
    also = b.activation(b.bn(b.add("MaxPool", [b.conv(fine, 3, pads=[1, 1, 1, 1])], half)), op)
    joined = b.add("Concat", [coarse, also])
    pyramid = [joined]
    for _ in range(2):
        pyramid.append(b.add("MaxPool", [pyramid[-1]], same))
    coarse = conv(b.add("Concat", pyramid), 4, 1)
    up = b.add("Resize", [coarse], {"scales": [1, 1, 2, 2], "mode": "nearest"})
    fine = conv(b.add("Concat", [up, fine]), 3)
    return b.graph(b.add("Concat", [b.add("Flatten", [b.conv(x, 2, 1)]) for x in (fine, coarse)]))


def pixel_range(pixels):
    """A range to declare for pixels: what they say; or of whole numbers that of their type; or
    their lowest and highest.
    """
    if getattr(pixels, "pixel_range", None):
        return pixels.pixel_range
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        return limits.min, limits.max
    return float(pixels.min()), float(pixels.max())


class Declared(np.ndarray):
    """Images that say their range, as `Images` do, since no preprocessing expects such pixels."""

    def __array_finalize__(self, source):
        self.pixel_range = getattr(source, "pixel_range", None)


def declared(pixels, low=-5.0, high=5.0):
    """Raw images that say between which numbers they are."""
    found = pixels.view(Declared)
    found.pixel_range = low, high
    return found


def random_pixels(rng, graph, count=2):
    """Raw images, float32 in -1..2, which declare that."""
    pixels = rng.uniform(-1, 2, (count, *graph.input_shape)).astype(np.float32)
    return declared(pixels, -1.0, 2.0)


def quantised_graph(rng):
    """A random graph in which each activation has its own number of levels."""
    graph = random_graph(rng)
    for node in graph.nodes:
        if node.is_activation:
            object.__setattr__(node, "op", "QCFS")
            node.attrs.clear()
            node.attrs.update(
                {"lambda": float(rng.uniform(0.5, 1.5)), "levels": int(rng.integers(2, 7))}
            )
    return graph


def turned(b, x, channels, zero=()):
    """A batch normalisation with scales below 0 in these channels, and of 0 in those of `zero`."""
    norm = b.bn(x)
    scale = b.nodes[-1].params["scale"]
    scale[channels] *= -1
    scale[list(zero)] = 0
    return norm


def pooled_graph(rng):
    """Three layers of several levels with max pools between them: overlapping, strided, of a pool,
    and past a layer. Two pool what a normalisation with scales of both signs gives.
    """
    b = Builder(rng, (2, 6, 6))

    def activation(x):
        return b.add(
            "QCFS", [x], {"lambda": float(rng.uniform(0.5, 1.5)), "levels": int(rng.integers(2, 6))}
        )

    first = turned(b, activation(b.conv("input", 3, pads=[1, 1, 1, 1])), [0])
    pooled = b.add(
        "MaxPool", [first], {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}
    )
    x = activation(b.conv(pooled, 3, pads=[1, 1, 1, 1]))
    x = b.add("MaxPool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
    after = turned(b, pooled, [0, 1])
    short = b.add("MaxPool", [after], {"kernel_shape": [2, 2], "strides": [2, 2]})
    x = activation(b.add("Add", [b.conv(x, 3, 1), b.conv(short, 3, 1)]))
    return b.graph(b.gemm(b.add("Flatten", [x], {"axis": 1})))


def small_graph(op="QCFS", pool=None, softmax=False, channels=2):
    """Two spiking layers on images of 2x6x6, four classes."""
    b = Builder(np.random.default_rng(1), (channels, 6, 6))
    x = b.activation(b.bn(b.conv("input", 3, pads=[1, 1, 1, 1])), op)
    if pool:
        x = b.add(pool, [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
    x = b.activation(b.conv(x, 4), op)
    x = b.gemm(b.add("Flatten", [x]))
    return b.graph(b.add("Softmax", [x]) if softmax else x)
