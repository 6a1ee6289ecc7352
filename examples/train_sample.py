"""Train the bundled network on Fashion-MNIST and write network.h5 and images.npz.

The network is a small VGG: five 3x3 convolutions with BatchNormalization, two average poolings, two
dense layers. Every activation is QCFS (SRP eq. 7): lambda * clip(floor(y * L / lambda + 1/2) / L,
0, 1), with one trained lambda a layer. The floor counts as the identity in the backward pass, so
weights and lambda both get a gradient.

Data: the four IDX files of Fashion-MNIST (Zalando SE, MIT licence). Debian installs them with
``apt-get install dataset-fashion-mnist``; https://github.com/zalandoresearch/fashion-mnist has them
too.

The bundled files were made with PyTorch 2.13.0 (CPU) by

    python examples/train_sample.py --out eventsnn/sample --epochs 16 --seed 1

The network reached 93.20 % on the 10,000 test images after its weights were rounded to float16. The
weights of the last epoch are kept: the test images choose nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
import time
from pathlib import Path

import h5py
import numpy as np

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SCALE, MEAN, STD = (
    1 / 255,
    0.2860,
    0.3530,
)  # mean and deviation of the training images' pixels in [0, 1]
LEVELS = 4
CHANNELS = (16, 32, 32, 64, 64)
POOLED = (1, 3)  # the convolutions (counted from 1) that a 2x2 average pooling follows
HIDDEN = 64
SIZE = 28
EPSILON = 1e-5
BATCH = 100
SHIFT = 2  # largest random shift in pixels


def main():
    parser = argparse.ArgumentParser(
        description="Train the bundled Fashion-MNIST network with QCFS activations."
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("/usr/share/datasets/fashion-mnist"),
        help="folder with the four IDX .gz files (default: where Debian installs them)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("eventsnn/sample"), help="folder to write into"
    )
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch = import_torch()
    try:
        x_train, y_train, x_test, y_test = read_data(args.data)
    except OSError as error:
        sys.exit(
            f"{error}; give the folder of the Fashion-MNIST files with --data "
            "(on Debian: apt-get install dataset-fashion-mnist)"
        )

    torch.set_num_threads(1)  # sums in one order, so that a seed gives one network
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    nodes = architecture()
    params = initial_parameters(torch, nodes)
    train(torch, nodes, params, x_train, y_train, args.epochs)

    params = rounded(params)
    accuracy = evaluate(torch, nodes, params, x_test, y_test)
    print(f"test accuracy {accuracy:.4f} on {len(y_test)} images, weights as stored")
    args.out.mkdir(parents=True, exist_ok=True)
    write_network(
        args.out / "network.h5", nodes, params, accuracy, f"{args.epochs} epochs, seed {args.seed}"
    )
    np.savez_compressed(
        args.out / "images.npz",
        x_test=x_test[:1000],
        y_test=y_test[:1000],
        x_train=x_train[:256],
        y_train=y_train[:256],
    )


def import_torch():
    try:
        import torch
    except ImportError:
        sys.exit("train_sample.py needs PyTorch: pip install torch")
    return torch


def read_data(folder):
    """x_train, y_train, x_test, y_test: uint8 images [N, 28, 28] and labels [N], in file order."""
    return [
        read_idx(folder / f"{part}-{kind}-ubyte.gz")
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ]


def read_idx(path):
    """An IDX file of bytes: two zeros, type 8, number of axes, big-endian sizes, values."""
    with gzip.open(path) as file:
        content = file.read()
    if content[:3] != b"\0\0\x08":
        sys.exit(f"{path}: expected an IDX file of bytes, found another header")
    axes = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(
        np.frombuffer(content, ">u4", axes, 4)
    )


def architecture():
    """The graph's nodes as network.h5 holds them; each reads the one before it."""
    nodes = []

    def add(name, op, roles=(), **attrs):
        nodes.append(
            {
                "name": name,
                "op": op,
                "inputs": [nodes[-1]["name"] if nodes else "input"],
                "attrs": attrs,
                "params": {role: f"{name}/{role}" for role in roles},
            }
        )

    pools = 0
    for i in range(1, len(CHANNELS) + 1):
        add(
            f"conv{i}",
            "Conv",
            ["W"],
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[1, 1, 1, 1],
            dilations=[1, 1],
            group=1,
        )
        add(
            f"bn{i}",
            "BatchNormalization",
            ["scale", "B", "input_mean", "input_var"],
            epsilon=EPSILON,
        )
        add(f"act{i}", "QCFS", levels=LEVELS)
        if i in POOLED:
            pools += 1
            add(
                f"pool{pools}",
                "AveragePool",
                kernel_shape=[2, 2],
                strides=[2, 2],
                pads=[0, 0, 0, 0],
            )
    add("flatten", "Flatten", axis=1)
    add("fc1", "Gemm", ["B", "C"], transB=1)
    add(f"act{len(CHANNELS) + 1}", "QCFS", levels=LEVELS)
    add("fc2", "Gemm", ["B", "C"], transB=1)
    return nodes


def initial_parameters(torch, nodes):
    """ "node/role" -> tensor; a QCFS node's lambda stands here while it is trained."""
    params = {}
    channels = 1
    size = SIZE
    for node in nodes:
        name, op = node["name"], node["op"]
        if op == "Conv":
            fan_out = CHANNELS[int(name.removeprefix("conv")) - 1]
            params[f"{name}/W"] = torch.randn(fan_out, channels, 3, 3) * math.sqrt(
                2 / (9 * channels)
            )
            channels = fan_out
        elif op == "BatchNormalization":
            params[f"{name}/scale"] = torch.ones(channels)
            params[f"{name}/B"] = torch.zeros(channels)
            params[f"{name}/input_mean"] = torch.zeros(channels)
            params[f"{name}/input_var"] = torch.ones(channels)
        elif op == "QCFS":
            params[f"{name}/lambda"] = torch.tensor(2.0)
        elif op == "AveragePool":
            size //= 2
        elif op == "Flatten":
            channels *= size * size
        elif op == "Gemm":
            fan_out = len(CLASSES) if node is nodes[-1] else HIDDEN
            params[f"{name}/B"] = torch.randn(fan_out, channels) * math.sqrt(2 / channels)
            params[f"{name}/C"] = torch.zeros(fan_out)
            channels = fan_out
    for key, value in params.items():
        value.requires_grad_(not key.endswith(("input_mean", "input_var")))
    return params


def forward(torch, nodes, params, x, training=False):
    """Logits [N, 10] of prepared images [N, 1, 28, 28]; training updates BatchNormalization's
    statistics.
    """
    functional = torch.nn.functional
    for node in nodes:
        attrs, p = node["attrs"], {role: params[key] for role, key in node["params"].items()}
        match node["op"]:
            case "Conv":
                x = functional.conv2d(x, p["W"], padding=1)
            case "BatchNormalization":
                x = functional.batch_norm(
                    x, p["input_mean"], p["input_var"], p["scale"], p["B"], training, eps=EPSILON
                )
            case "QCFS":
                x = qcfs(torch, x, params[f"{node['name']}/lambda"], attrs["levels"])
            case "AveragePool":
                x = functional.avg_pool2d(x, attrs["kernel_shape"])
            case "Flatten":
                x = x.flatten(1)
            case "Gemm":
                x = functional.linear(x, p["B"], p["C"])
    return x


def qcfs(torch, y, threshold, levels):
    """SRP eq. 7 (`threshold` is its lambda); backward, the rounding counts as the identity."""
    share = torch.clamp(y / threshold, 0, 1)
    rounded_share = torch.floor(share.detach() * levels + 0.5) / levels
    return threshold * (share + (rounded_share - share.detach()))


def prepared(torch, images):
    """uint8 images [N, 28, 28] -> float32 input of the network [N, 1, 28, 28]."""
    return (images[:, None].to(torch.float32) * SCALE - MEAN) / STD


def augmented(torch, padded):
    """Random crops of images padded by SHIFT, half of them mirrored: uint8 [N, 28, 28]."""
    n = len(padded)
    rows = torch.randint(2 * SHIFT + 1, (n, 1)) + torch.arange(SIZE)
    columns = torch.randint(2 * SHIFT + 1, (n, 1)) + torch.arange(SIZE)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns, columns.flip(1))
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def train(torch, nodes, params, images, labels, epochs):
    """Fit `params` in place: SGD with Nesterov momentum, one learning-rate cycle."""
    padded = torch.from_numpy(np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT))))
    labels = torch.from_numpy(labels.astype(np.int64))
    trained = [value for value in params.values() if value.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = len(labels) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.1, total_steps=epochs * steps
    )
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        total = 0.0
        right = 0
        for batch in torch.randperm(len(labels))[: steps * BATCH].split(BATCH):
            x, target = prepared(torch, augmented(torch, padded[batch])), labels[batch]
            logits = forward(torch, nodes, params, x, training=True)
            loss = torch.nn.functional.cross_entropy(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            right += (logits.argmax(1) == target).sum().item()
        print(
            f"epoch {epoch}/{epochs}: loss {total / steps:.4f}, training accuracy "
            f"{right / (steps * BATCH):.4f}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )


def rounded(params):
    """The parameters with the precision they are stored in: weights float16, the rest float32."""
    return {
        key: (value.detach().half().float() if value.ndim > 1 else value.detach())
        for key, value in params.items()
    }


def evaluate(torch, nodes, params, images, labels):
    """The share of images classified correctly."""
    right = 0
    with torch.no_grad():
        for i in range(0, len(images), 500):
            logits = forward(
                torch, nodes, params, prepared(torch, torch.from_numpy(images[i : i + 500].copy()))
            )
            right += int((logits.argmax(1).numpy() == labels[i : i + 500]).sum())
    return right / len(images)


def write_network(path, nodes, params, accuracy, how):
    """One HDF5 file: the graph as JSON, one dataset for each parameter, what is known as
    attributes.
    """
    for node in nodes:
        if node["op"] == "QCFS":
            node["attrs"]["lambda"] = params[f"{node['name']}/lambda"].item()
    with h5py.File(path, "w") as file:
        file["graph"] = json.dumps({"input": "input", "output": nodes[-1]["name"], "nodes": nodes})
        for key in (key for node in nodes for key in node["params"].values()):
            value = params[key].numpy()
            file[f"params/{key}"] = value.astype(np.float16) if value.ndim > 1 else value
        file.attrs.update(
            {
                "format": "eventsnn.ann",
                "version": 1,
                "arch": "vgg7",
                "input_shape": [1, SIZE, SIZE],
                "input_scale": SCALE,
                "input_mean": [MEAN],
                "input_std": [STD],
                "classes": np.array(CLASSES, dtype=object),
                "test_accuracy": accuracy,
                "note": f"QCFS L={LEVELS}; trained on Fashion-MNIST by train_sample.py, {how}",
            }
        )


if __name__ == "__main__":
    main()
