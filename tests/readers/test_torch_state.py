"""PyTorch state dicts in HDF5: the papers' layouts, mapping files, and what is wrong with some."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.states import ARCH, mapping, write

from eventsnn.ann import forward as ann
from eventsnn.exceptions import InputError
from eventsnn.readers import load

FILES = Path(__file__).parents[1] / "files" / "torch"


def state(name):
    """Key -> array of one of the stored state dicts, which have QCFS's names."""
    with h5py.File(FILES / f"{name}.h5") as file:
        return {key: file[key][()] for key in file}


def without_thresholds(arrays):
    return {key: value for key, value in arrays.items() if not key.endswith(".thresh")}


def refused(path, arch, *fragments):
    with pytest.raises(InputError) as caught:
        load(path, arch)
    for fragment in fragments:
        assert fragment in str(caught.value)


def alike(graph, other):
    """Whether two graphs are the same but for the names of nodes."""

    def described(g):
        place = {name: i for i, name in enumerate(g.shapes)}
        return [
            (
                n.op,
                [place[i] for i in n.inputs],
                n.attrs,
                {k: v.tolist() for k, v in n.params.items()},
            )
            for n in g.nodes
        ]

    return graph.shapes[graph.input] == other.shapes[other.input] and described(graph) == described(
        other
    )


@pytest.mark.parametrize("name", ARCH)
def test_outputs_are_those_of_pytorch(name):
    """The state dicts and outputs were made by PyTorch (files/torch/make.py)."""
    graph, there = load(FILES / f"{name}.h5", ARCH[name]), np.load(FILES / f"{name}.npz")
    assert np.ptp(there["torch"], axis=0).max() > 0.05
    worst = np.abs(ann.forward(graph, there["x"])[graph.output] - there["torch"]).max(axis=1)
    assert (
        worst < 1e-5
    ).sum() >= 6  # of 8 images: another processor may round an activation to the next level


@pytest.mark.parametrize(
    "name, kinds",
    (
        ("vgg16_qcfs", "Conv 13 BatchNormalization 13 QCFS 15 AveragePool 5 Flatten 1 Gemm 3"),
        (
            "resnet20_qcfs",
            "Conv 21 BatchNormalization 21 QCFS 19 Add 9 GlobalAveragePool 1 Flatten 1 Gemm 1",
        ),
    ),
)
def test_operators_and_thresholds(name, kinds):
    graph, arrays = load(FILES / f"{name}.h5", ARCH[name]), state(name)
    assert " ".join(f"{op} {n}" for op, n in graph.count_operators().items()) == kinds
    for node in graph.activations:
        assert node.attrs == {"levels": 4, "lambda": float(arrays[f"{node.name}.thresh"][0])}
    assert graph.meta["arch"] == ARCH[name].partition(":")[0]
    assert "epsilon is taken to be 1e-05" in graph.meta["note"]
    assert graph.parameters == sum(
        value.size
        for key, value in arrays.items()
        if not key.endswith(("thresh", "num_batches_tracked"))
    )


@pytest.mark.parametrize(
    "key, op, attr",
    (
        ("up", "QCFS", "lambda"),
        ("v_threshold", "QCFS", "lambda"),
        ("act_alpha", "QCFS", "lambda"),
        ("s", "QuantRelu", "scale"),
    ),
)
def test_names_of_thresholds(key, op, attr, tmp_path):
    """With GN's scalars and `relu` for the block's activation."""
    arrays = {
        re.sub(r"(?<=\d)\.act\.", ".relu.", k).replace("thresh", key): v.reshape(())
        if "thresh" in k
        else v
        for k, v in state("resnet20_qcfs").items()
    }
    graph = load(write(tmp_path / "net.h5", arrays), "resnet20:L=16")
    expected = load(FILES / "resnet20_qcfs.h5", "resnet20:L=16")
    assert [(node.op, node.attrs) for node in graph.activations] == [
        (op, {"levels": 16, attr: node.attrs["lambda"]}) for node in expected.activations
    ]


@pytest.mark.parametrize(
    "wrap",
    (
        lambda key: f"module.{key}",
        lambda key: f"model/{key}",
        lambda key: f"state_dict/module.{key}",
        lambda key: f"model/module.net.{key}",
    ),
)
def test_wrapped_keys(wrap, tmp_path):
    arrays = {wrap(key): value for key, value in state("resnet20_qcfs").items()}
    if "/" in wrap(""):
        arrays |= {"epoch": np.array(3), "optimizer/lr": np.array(0.1)}
    assert alike(
        load(write(tmp_path / "net.h5", arrays), "resnet20:L=4"),
        load(FILES / "resnet20_qcfs.h5", "resnet20:L=4"),
    )


def test_networks_without_thresholds_have_relus(tmp_path):
    path = write(tmp_path / "net.h5", without_thresholds(state("resnet20_qcfs")))
    graph, other = load(path, "resnet20"), load(FILES / "resnet20_qcfs.h5", "resnet20:L=4")
    assert [n.op for n in graph.nodes] == [n.op.replace("QCFS", "Relu") for n in other.nodes]
    assert [n.name for n in graph.nodes] == [n.name for n in other.nodes]
    refused(path, "resnet20:L=4", "no levels L", "leave L out")
    refused(path, "resnet20:size=0", "for example arch='resnet20:size=64'")


@pytest.mark.parametrize("arch, blocks", (("resnet18", (2, 2, 2, 2)), ("resnet34", (3, 4, 6, 3))))
def test_larger_resnets(arch, blocks, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    before = 2

    def layer(conv, norm, fan_in, fan_out, kernel):
        arrays[f"{conv}.weight"] = rng.normal(size=(fan_out, fan_in, kernel, kernel)).astype("f4")
        arrays.update(
            {
                f"{norm}.{leaf}": rng.uniform(0.5, 1, fan_out).astype("f4")
                for leaf in ("weight", "bias", "running_mean", "running_var")
            }
        )

    layer("conv1.0", "conv1.1", 1, 2, 3)
    for stage, count in enumerate(blocks):
        for number in range(count):
            name, after = f"conv{stage + 2}_x.{number}", 2 + stage
            layer(f"{name}.residual_function.0", f"{name}.residual_function.1", before, after, 3)
            layer(f"{name}.residual_function.3", f"{name}.residual_function.4", after, after, 3)
            if stage and not number:
                layer(f"{name}.shortcut.0", f"{name}.shortcut.1", before, after, 1)
            before = after
    arrays |= {"fc.weight": rng.normal(size=(7, 5)).astype("f4"), "fc.bias": np.zeros(7, "f4")}
    graph = load(write(tmp_path / "net.h5", arrays), f"{arch}:size=16")
    assert (
        graph.input_shape == (1, 16, 16)
        and graph.shapes["avg_pool"] == (5, 1, 1)
        and graph.shapes["conv5_x.1.add"] == (5, 2, 2)
    )
    assert len(graph.activations) == int(arch[6:]) - 1 and graph.shapes[graph.output] == (7,)


def renamed_vgg(name_of):
    """The stored VGG-16 without thresholds, its modules renamed by a function of (kind, stage,
    number in it).
    """
    result = {}
    for key, value in without_thresholds(state("vgg16_qcfs")).items():
        stage, number, leaf = re.fullmatch(r"(?:layer)?(\w+)\.(\d+)\.(\w+)", key).groups()
        kind = "linear" if stage == "classifier" else ("conv", "norm")[int(number) % 4]
        result[f"{name_of(kind, stage, int(number))}.{leaf}"] = value
    return result


def test_dnisnm_layout(tmp_path):
    def name(kind, stage, number):
        if kind == "linear":
            return f"fc{number // 3 + 1}"
        return f"{'conv' if kind == 'conv' else 'BN'}{stage}_{number // 4 + 1}"

    graph = load(write(tmp_path / "net.h5", renamed_vgg(name)), "vgg16")
    original = write(tmp_path / "original.h5", without_thresholds(state("vgg16_qcfs")))
    assert alike(graph, load(original, "vgg16"))
    assert [node.name for node in graph.nodes][:4] == [
        "conv1_1",
        "BN1_1",
        "conv1_1.relu",
        "conv1_2",
    ]


def test_torchvision_layout_and_pools(tmp_path):
    """Its numbers go on over all stages, and a file does not say how it pools."""
    before = dict(zip("12345", (0, 7, 14, 24, 34)))

    def name(kind, stage, number):
        if kind == "linear":
            return f"classifier.{number - 1}"
        return f"features.{before[stage] + number // 4 * 3 + number % 4}"

    path = write(tmp_path / "net.h5", renamed_vgg(name))
    refused(path, "vgg16", "pool=average or pool=max")
    graph = load(path, "vgg16:pool=max")
    original = write(tmp_path / "original.h5", without_thresholds(state("vgg16_qcfs")))
    assert (
        alike(graph, load(original, "vgg16:pool=max")) and graph.count_operators()["MaxPool"] == 5
    )
    assert alike(load(path, "vgg16:pool=average"), load(original, "vgg16"))


def test_size_of_images_comes_from_the_first_linear_layer(tmp_path):
    arrays = state("vgg16_qcfs")
    arrays["classifier.1.weight"] = np.zeros((12, 8 * 7 * 7), np.float32)
    assert load(write(tmp_path / "net.h5", arrays), "vgg16:L=4").input_shape == (3, 224, 224)


def test_half_and_double_precision(tmp_path):
    for kind, expected in (("f2", np.float32), (">f8", np.float64)):
        arrays = {
            key: value.astype(kind)
            for key, value in state("resnet20_qcfs").items()
            if value.dtype.kind == "f"
        }
        assert (
            load(write(tmp_path / f"{kind[-2:]}.h5", arrays), "resnet20:L=4")
            .nodes[0]
            .params["W"]
            .dtype
            == expected
        )


def without(key):
    return lambda arrays: arrays.pop(key)


@pytest.mark.parametrize(
    "arch, edit, found",
    (
        (None, None, "its keys are those of resnet20; give arch='resnet20:L=…'"),
        ("resnet20", None, "levels L, which the file"),
        ("resnet21", None, "resnet21"),
        ("resnet20:K=4", None, "resnet20:K=4"),
        ("resnet20:L=0", None, "whole number from 1 as L, found 0"),
        ("resnet20:L=x", None, "found x"),
        ("resnet20:L=4,pool=max", None, "leave pool out"),
        ("vgg16:L=4,size=3", None, "pool (VGGs, ResNets)"),
        ("resnet18:L=4", None, "residual_function"),
        ("vgg16:L=4", None, "before each norm and activation, found 'conv2_x.0.act'"),
        ("resnet20:L=4", without("fc.weight"), "a tensor 'fc.weight', as resnet20 has"),
        ("resnet20:L=4", without("conv1.1.running_var"), "'conv1.1.running_var'"),
        (
            "resnet20:L=4",
            without("conv3_x.1.act.thresh"),
            "conv3_x.1.act: expected a threshold (thresh, up",
        ),
        ("resnet20:L=4", lambda a: a.update(gate=np.zeros(2, "f4")), "gate, too"),
        (
            "resnet20:L=4",
            lambda a: a.update({"conv1.2.thresh": np.ones(3, "f4")}),
            "one value, found 3",
        ),
        (
            "resnet20:L=4",
            lambda a: a.update({"conv1.2.thresh": np.zeros(1, "f4")}),
            "lambda above 0",
        ),
        (
            "resnet20:L=4",
            lambda a: a.update({"conv1.0.weight": np.ones((3, 3), "f4")}),
            "four axes",
        ),
        (
            "resnet20:L=4",
            lambda a: a.update({"fc.weight": np.ones((10, 6), "i4")}),
            "float16, float32 or float64",
        ),
        (
            "resnet20:L=4",
            lambda a: a.update({"fc.weight": np.full((10, 6), np.nan, "f4")}),
            "finite values in B",
        ),
    ),
)
def test_what_does_not_fit_is_refused(arch, edit, found, tmp_path):
    arrays = state("resnet20_qcfs")
    if edit:
        edit(arrays)
    refused(write(tmp_path / "net.h5", arrays), arch, found)


@pytest.mark.parametrize(
    "edit, found",
    (
        (
            lambda a: [a.pop(key) for key in list(a) if re.match(r"layer5\.(8|9|10)\.", key)],
            "13 convolutions, then linear layers, found 12",
        ),
        (
            lambda a: [a.pop(key) for key in list(a) if key.startswith("classifier")],
            "found 13 of 13 layers",
        ),
        (without("layer5.8.weight"), "before each norm and activation, found 'layer5.9'"),
        (without("classifier.1.weight"), "before each norm and activation, found 'classifier.2'"),
        (
            lambda a: a.update({"layer0.0.running_mean": np.ones(2, "f4")}),
            "before each norm and activation, found 'layer0.0'",
        ),
        (
            lambda a: a.update({"layer1.3.thresh": np.ones(1, "f4")}),
            "before each norm and activation, found 'layer1.3'",
        ),
        (lambda a: a.update({"layer6.0.weight": np.ones((2, 2, 1, 1), "f4")}), "found 14"),
    ),
)
def test_vggs_that_do_not_fit_are_refused(edit, found, tmp_path):
    arrays = state("vgg16_qcfs")
    edit(arrays)
    refused(write(tmp_path / "net.h5", arrays), "vgg16:L=4", found)


def test_mapping_files(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "stem.weight": rng.normal(size=(3, 2, 3, 3)),
        "stem.alpha": np.array([1.5]),
        "head/weight": rng.normal(size=(4, 3)),
        "unused.weight": np.ones(3),
    }
    path = write(tmp_path / "net.h5", arrays)
    graph = load(path, mapping(tmp_path / "map.json"))
    assert (
        graph.input_shape == (2, 5, 4)
        and graph.by_name["a"].attrs == {"levels": 8, "lambda": 1.5}
        and graph.meta == {"arch": "map"}
    )
    x = rng.normal(size=(2, 2, 5, 4))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    y = np.einsum("nchwij,mcij->nmhw", windows, arrays["stem.weight"])
    expected = (1.5 * np.clip(np.floor(y * 8 / 1.5 + 0.5) / 8, 0, 1)).mean((2, 3)) @ arrays[
        "head/weight"
    ].T
    assert np.allclose(ann.forward(graph, x, dtype=np.float64)["y"], expected, 1e-12)
    for changes, found in (
        (dict(input_shape=[2, 5]), "three whole numbers"),
        (dict(input_shape=None), "three whole numbers"),
        (dict(nodes=3), "a list of nodes"),
        (dict(output="z"), "the graph's output"),
        (dict(input_shape=[3, 5, 4]), "W of [M, 3, kH, kW]"),
    ):
        refused(path, mapping(tmp_path / "wrong.json", **changes), found)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "text.json").write_text("{")
    for name, found in (
        ("list.json", "three whole numbers"),
        ("text.json", "valid JSON"),
        ("none.json", "nothing of that name"),
    ):
        refused(path, str(tmp_path / name), found)


def test_links_to_other_files_are_refused(tmp_path):
    write(tmp_path / "secret.h5", {"fc.weight": np.ones((10, 6), "f4")})
    arrays = state("resnet20_qcfs")
    del arrays["fc.weight"]
    with h5py.File(write(tmp_path / "net.h5", arrays), "a") as file:
        file["fc.weight"] = h5py.ExternalLink("secret.h5", "fc.weight")
    refused(tmp_path / "net.h5", "resnet20:L=4", "a link to somewhere else")


def test_other_files_take_no_architecture():
    refused("sample", "resnet20", "arch", "leave arch out")
