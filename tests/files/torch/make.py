"""Make the state dicts of this folder again, with PyTorch's own outputs beside them.

pip install torch h5py && python tests/files/torch/make.py
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
from torch_networks import ResNet, Vgg16, randomise  # noqa: E402


def make(name, module):
    randomise(module, 0)
    with h5py.File(HERE / f"{name}.h5", "w", libver="latest") as file:
        for key, value in module.state_dict().items():
            file[key] = value.numpy()
    x = (
        torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        .repeat_interleave(8, 2)
        .repeat_interleave(8, 3)
    )
    with torch.no_grad():
        np.savez_compressed(HERE / f"{name}.npz", x=x.numpy(), torch=module(x).numpy())


make("vgg16_qcfs", Vgg16())
make("resnet20_qcfs", ResNet())
