"""Random graphs for the oracle: all linear operators, in compositions that meet in odd ways.

Concats of branches and of the input, groups that do not divide each other, branches that several
layers share, strided, dilated and padded windows, max pools, flat layers.
"""

from support.networks import (
    MOVES,
    Builder,
    mobile_graph,
    pooled_graph,
    random_graph,
    skipping_graph,
    yolo_graph,
)

QUANTISED = ("QCFS", "QuantRelu")


class Mixed(Builder):
    """A builder whose activations are of one kind, and which draws whole linear paths."""

    def __init__(self, rng, shape, ops):
        super().__init__(rng, shape)
        self.ops = ops

    def layer(self, x):
        """An activation, of one of the kinds, with levels of its own."""
        op = str(self.rng.choice(self.ops))
        name = self.activation(x, op)
        if op in QUANTISED:
            attrs = self.nodes[-1].attrs
            attrs["levels"] = int(self.rng.integers(2, 7))
        return name

    def bn(self, x):
        """A batch normalisation, some of whose scales are below 0, and some 0."""
        name = super().bn(x)
        self.nodes[-1].params["scale"] *= self.rng.choice([1, 1, 1, -1, -1, 0], self.shapes[x][0])
        return name

    def pick(self, *choices):
        """One of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def window(self, x):
        """A convolution: any group that divides, strides, dilations, pads on each side."""
        channels, height, width = self.shapes[x]
        group = self.pick(*(g for g in (1, 1, 2, 3, channels) if channels % g == 0))
        kernel = self.pick(1, 2, 3) if min(height, width) >= 3 else 1
        dilation = self.pick(1, 1, 2) if kernel == 2 and min(height, width) >= 4 else 1
        pads = [int(n) for n in self.rng.integers(0, kernel + (kernel > 1), 4)]
        if kernel == 3 and min(height, width) < 4:
            pads = [1, 1, 1, 1]
        return self.conv(
            x,
            group * self.pick(1, 2) if group > 1 else self.pick(2, 3, 4),
            kernel,
            group,
            bias=bool(self.rng.integers(2)),
            pads=pads,
            strides=[self.pick(1, 1, 2), self.pick(1, 1, 2)] if min(height, width) > 3 else [1, 1],
            dilations=[dilation, self.pick(1, dilation)],
        )

    def path(self, x, most=3):
        """One to `most` linear operators in a row."""
        for _ in range(int(self.rng.integers(1, most + 1))):
            small = min(self.shapes[x][1:]) < 3
            kinds = ["window", "window", "bn"] + ([] if small else ["pool", "pad", "pool3"])
            if max(self.shapes[x][1:]) <= 4:
                kinds.append("resize")
            kind = self.pick(*kinds)
            x = self.window(x) if kind == "window" else self.linear(x, kind)
        return x

    def alike(self, x, pool):
        """The members of `pool` with the height and width of x."""
        return [y for y in pool if self.shapes[y][1:] == self.shapes[x][1:]]

    def pooled(self, x):
        """A MaxPool of a map."""
        if min(self.shapes[x][1:]) >= 3 and self.rng.integers(2):
            attrs = {"kernel_shape": [3, 3], "strides": [1, 2], "pads": [1, 1, 1, 1]}
        else:
            kernel = [min(2, n) for n in self.shapes[x][1:]]
            attrs = {"kernel_shape": kernel, "strides": kernel}
        return self.add("MaxPool", [x], attrs)


def joined_graph(rng, ops=("ClippedRelu", "QCFS", "QuantRelu"), pools=True):
    """Two to five layers, each of a sum or a concatenation of paths from any of those before, the
    input among them; then flat layers that hear several maps.
    """
    b = Mixed(rng, (int(rng.integers(1, 4)), int(rng.integers(3, 6)), int(rng.integers(3, 6))), ops)
    maps, shared = ["input"], []
    for number in range(int(rng.integers(2, 5))):
        y = b.path(b.pick(*maps[-2:], *shared[-1:]))
        if rng.integers(3) == 0:
            shared.append(y)  # another layer may go on from here
        join = int(rng.integers(4))
        others = b.alike(y, maps + shared)
        if join <= 1 and others:
            parts = [y, b.pick(*others)]
            if rng.integers(2):
                parts.append(b.pick(*others))
            y = b.add("Concat", parts)
            if rng.integers(2):
                y = b.window(y)
        elif join == 2 and others:
            other = b.conv(b.pick(*others), b.shapes[y][0], 1)
            y = b.add("Add", [y, other])
        if pools and rng.integers(5) == 0:
            y = b.pooled(y)
            maps.append(b.layer(y))
        else:
            maps.append(b.layer(y))
        if pools and rng.integers(4) == 0 and number:
            maps.append(b.pooled(maps[-1]))
    flats = [b.add("Flatten", [x]) for x in maps[-2:] if x != "input"]
    x = flats[-1]
    if rng.integers(3) == 0:
        x = b.add("Concat", flats)
    for _ in range(int(rng.integers(0, 3))):
        x = b.layer(b.gemm(x, int(rng.integers(3, 7))))
        if rng.integers(3) == 0:
            x = b.add("Concat", [x, flats[0]])
    if rng.integers(6) == 0:
        return b.graph(x) if b.nodes[-1].is_activation else b.graph(b.gemm(x))
    x = b.gemm(x)
    return b.graph(b.add("Softmax", [x]) if rng.integers(6) == 0 else x)


def flat_graph(rng, ops=("ClippedRelu", "QCFS", "QuantRelu"), pools=True):
    """Gemm layers, dense shortcuts between them, and a concatenation with the input."""
    b = Mixed(rng, (int(rng.integers(1, 4)), 2, int(rng.integers(1, 3))), ops)
    pixels = b.add("Flatten", ["input"])
    layers = [b.layer(b.gemm(pixels, int(rng.integers(3, 8))))]
    for _ in range(int(rng.integers(1, 4))):
        x = b.pick(*layers[-2:])
        if rng.integers(3) == 0:
            x = b.add("Concat", [x, b.pick(pixels, *layers)])
        y = b.gemm(x, int(rng.integers(3, 8)))
        if rng.integers(3) == 0:
            y = b.add("Add", [y, b.gemm(b.pick(*layers), b.shapes[y][0])])
        layers.append(b.layer(b.bn(y) if rng.integers(2) else y))
    return b.graph(b.gemm(layers[-1], int(rng.integers(1, 5))))


def indexed_graph(rng, ops=("ClippedRelu", "QCFS", "QuantRelu"), pools=True):
    """Values that only move: between layers, in front of windows and pools, as shortcuts, copied
    twice into one sum, and in front of a flat layer.
    """
    b = Mixed(rng, (int(rng.integers(2, 4)), int(rng.integers(3, 5)), int(rng.integers(3, 5))), ops)
    x = b.layer(b.index(b.window("input"), b.pick(*MOVES[:-1])))
    for _ in range(int(rng.integers(1, 3))):
        y = b.index(x, b.pick(*MOVES[:-1]))
        shortcut = b.shapes[y]
        if rng.integers(2):
            y = b.bn(y)
        y = b.conv(y, shortcut[0], 1)
        if rng.integers(2):
            y = b.add("Add", [y, b.index(x, "gather")]) if shortcut == (3, *b.shapes[x][1:]) else y
        if rng.integers(2):
            y = b.add("Concat", [y, b.nodes[-1].inputs[0]])
        x = b.layer(y)
    if pools and rng.integers(2):
        x = b.pooled(x)
    x = (
        b.index(x, "vector")
        if rng.integers(2)
        else b.add("Flatten", [b.index(x, b.pick("slice", "gather"))])
    )
    return b.graph(b.gemm(x))


def bare_graph(rng, ops=None, pools=True):
    """No hidden layer: linear operators alone, up to a map or a few outputs."""
    b = Mixed(rng, (int(rng.integers(1, 4)), int(rng.integers(1, 5)), int(rng.integers(2, 5))), ops)
    x = b.path("input")
    if rng.integers(3) == 0:
        x = b.add("Concat", [x, b.pick(*b.alike(x, ["input", x]))])
    if rng.integers(4) == 0:
        return b.graph(x)
    return b.graph(b.gemm(b.add("Flatten", [x]), int(rng.integers(1, 5))))


def with_levels(make):
    """A maker of graphs whose activations become QCFS with levels of their own where they must."""

    def made(rng, ops=None, pools=True):
        graph = make(rng)
        for node in graph.activations:
            if ops and node.op not in ops:
                object.__setattr__(node, "op", "QCFS")
                node.attrs.clear()
                threshold, levels = float(rng.uniform(0.5, 1.5)), int(rng.integers(2, 7))
                node.attrs.update({"lambda": threshold, "levels": levels})
        return graph

    return made


# name -> (maker(rng, ops, pools), how often it is drawn)
MAKERS = {
    "joined": (joined_graph, 10),
    "flat": (flat_graph, 3),
    "bare": (bare_graph, 1),
    "indexed": (indexed_graph, 2),
    "random": (with_levels(random_graph), 4),
    "skipping": (with_levels(skipping_graph), 2),
    "pooled": (with_levels(pooled_graph), 1),
    "mobile": (with_levels(mobile_graph), 0.3),
    "yolo": (with_levels(lambda rng: yolo_graph(rng, "QCFS")), 0.3),
}


def features(graph):
    """What a graph is made of, in words: its operators, and how they are used."""
    found = set()
    for node in graph.nodes:
        found.add(node.op)
        attrs, shapes = node.attrs, [graph.shapes[name] for name in node.inputs]
        if node.op == "Conv":
            group = attrs.get("group", 1)
            if group > 1:
                found.add("Conv, depthwise" if group == shapes[0][0] else "Conv, groups")
        for word in ("strides", "dilations", "pads"):
            if any(n > (word != "pads") for n in attrs.get(word, ())) and node.op != "Pad":
                found.add(f"{node.op}, {word}")
        if node.op == "Concat" and (graph.input in node.inputs):
            found.add("Concat of the input")
        if node.op == "Concat" and len(shapes[0]) == 1:
            found.add("Concat, flat")
        if node.is_activation and len(shapes[0]) == 1:
            found.add("activation, flat")
        if node.op == "BatchNormalization" and (node.params["scale"] < 0).any():
            found.add("BatchNormalization, scales below 0")
        if node.op == "MaxPool" and not graph.by_name[node.inputs[0]].is_activation:
            found.add(f"MaxPool of {graph.by_name[node.inputs[0]].op}")
    uses = [name for node in graph.nodes for name in node.inputs]
    linear = {node.name for node in graph.nodes if not node.is_activation and node.op != "MaxPool"}
    if any(uses.count(name) > 1 for name in linear):
        found.add("a linear node that several use")
    if graph.by_name[graph.output].is_activation:
        found.add("activation at the output")
    if not graph.activations:
        found.add("no hidden layer")
    return found
