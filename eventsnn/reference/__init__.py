"""The reference networks: those that come with eventsnn, and how the others are made.

Each has a recipe, examples/networks/NAME.toml in the repository, by which `eventsnn.train` made it.
"""

from __future__ import annotations

import os
from pathlib import Path

from eventsnn.arguments import checked
from eventsnn.called import called
from eventsnn.exceptions import InputError

HERE = Path(__file__).parent
CIFAR, FASHION = "cifar-10-batches-bin", "fashion-mnist"
# those that begin with a network which does not come with eventsnn either
BEGUN_WITH = {name: "vgg16_relu" for name in ("vgg16_qcfs", "vgg16_tcl", "vgg16_lsq")}
# name -> (what it is, the data set that it is trained on)
NETWORKS = {
    "fashion_relu": ("a ResNet-8 with ReLU on Fashion-MNIST", FASHION),
    "fashion_qcfs": ("a ResNet-8 with QCFS, L = 4, on Fashion-MNIST", FASHION),
    "fashion_tcl": ("a ResNet-8 with clipping layers (TCL) on Fashion-MNIST", FASHION),
    "fashion_lsq": ("a ResNet-8 with Q-ReLU of 8 levels on Fashion-MNIST", FASHION),
    "fashion_slip": ("a ResNet-8 with SlipReLU, 4 levels, on Fashion-MNIST", FASHION),
    "fashion_rnl": ("a ResNet-8 with rate-norm layers (RNL) on Fashion-MNIST", FASHION),
    "fashion_rts": ("a ResNet-8 with a shifted threshold ReLU (RTS) on Fashion-MNIST", FASHION),
    "fashion_lenet": ("a LeNet-5 with QCFS, L = 4, on Fashion-MNIST", FASHION),
    "resnet20_relu": ("ResNet-20 with ReLU on CIFAR-10", CIFAR),
    "resnet20_qcfs": ("ResNet-20 with QCFS, L = 8, on CIFAR-10", CIFAR),
    "resnet20_tcl": ("ResNet-20 with clipping layers (TCL) on CIFAR-10", CIFAR),
    "resnet20_lsq": ("ResNet-20 with Q-ReLU of 8 levels on CIFAR-10", CIFAR),
    "yolo_lsq": ("a detector with Q-ReLU of 8 levels on scenes of Fashion-MNIST", FASHION),
    "vgg16_relu": ("VGG-16 of half width with ReLU on CIFAR-10", CIFAR),
    "vgg16_qcfs": ("VGG-16 of half width with QCFS, L = 4, on CIFAR-10", CIFAR),
    "vgg16_tcl": ("VGG-16 of half width with clipping layers (TCL) on CIFAR-10", CIFAR),
    "vgg16_lsq": ("VGG-16 of half width with Q-ReLU of 8 levels on CIFAR-10", CIFAR),
}


def is_name(path: object) -> bool:
    """Whether a path is the name of a reference network, and not of a file or folder."""
    return isinstance(path, str) and path in NETWORKS and not os.path.exists(path)


@checked
def fetch(name: str) -> Path:
    """The file of a reference network that comes with eventsnn.

    name: one of `reference.NETWORKS`; `eventsnn.load(name)` and --net take it, too. Raises
    InputError for another name, and for a network that does not come with eventsnn: the message
    says how to make it.
    """
    if name not in NETWORKS:
        raise InputError("fetch", f"one of {', '.join(NETWORKS)}", repr(name))
    file = HERE / f"{name}.h5"
    if not file.is_file():
        words, data = NETWORKS[name]
        do = (
            f"make it: {called('train')} --recipe examples/networks/{name}.toml "
            f"--data {data} --out {name}"
        )
        start = BEGUN_WITH.get(name)
        do += f", beside {start} of {start}.toml, with which it begins" if start else ""
        found = f"{name}, {words}, which does not"
        raise InputError("fetch", "a network that comes with eventsnn", found, do)
    return file
