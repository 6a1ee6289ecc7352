"""Small runs with labels and pictures, whose names try to become markup."""

from dataclasses import replace

import numpy as np
from support.networks import small_graph

from eventsnn.ann.graph import Preprocessing
from eventsnn.readers import write_native
from eventsnn.run import main
from eventsnn.views import plots

HOSTILE = (
    "<script>alert('layer')</script>",
    """"'><img src=x onerror=alert(1)>""",
)
CLASSES = (
    "</table><script>x()</script>",
    "a & b ]]> -->",
    "' onmouseover='x()",
    "Größe naïve 猫 مرحبا",
)
NOTE = "</style><script>note()</script> ]]> <!--"
BYTES = Preprocessing(1 / 255, np.full(1, 0.5), np.full(1, 0.25))


def hostile_graph():
    """Two spiking layers on images of 3x6x6, four classes; names are hostile."""
    graph = small_graph("QCFS", channels=3)
    names = dict(zip([node.name for node in graph.activations], HOSTILE))
    nodes = tuple(
        replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(names.get(x, x) for x in node.inputs),
        )
        for node in graph.nodes
    )
    meta = {"arch": "<b>net</b>", "note": NOTE, "classes": CLASSES}
    return replace(graph, nodes=nodes, preprocessing=BYTES, meta=meta)


def made(folder, *options, images=24, graph=None, monkeypatch=None):
    """The results folder of a run of a small network on random images."""
    graph = graph or hostile_graph()
    write_native(graph, folder / "net.h5")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images + 40, *graph.input_shape), np.uint8)
    labels = rng.integers(0, graph.shapes[graph.output][0], len(pixels))
    some = {"x_test": pixels[40:], "y_test": labels[40:]}
    np.savez(folder / "data.npz", **some, x_train=pixels[:40], y_train=labels[:40])
    given = ["--net", str(folder / "net.h5"), "--data", str(folder / "data.npz"), "--quiet"]
    out = folder / "run"
    if monkeypatch is not None:  # pictures of the folder are not what is tested
        monkeypatch.setattr(plots, "save", lambda figure, path: path.write_bytes(b"picture"))
    assert main([*given, "--calibration", "train:0-39", "--out", str(out), *options]) == 0
    return out
