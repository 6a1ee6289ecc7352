"""Make the ONNX files of this folder again, with PyTorch's two exporters.

ONNX Runtime's outputs stand beside PyTorch's.

pip install torch onnx onnxruntime onnxscript && python tests/files/onnx/make.py
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
from torch_networks import Mixed, ResNet, Vgg16, randomise  # noqa: E402


def make(name, module, size, **options):
    torch.manual_seed(1)
    x, path = torch.rand(4, 3, size, size), str(HERE / f"{name}.onnx")
    randomise(module, 0)
    torch.onnx.export(module, (x[:1],), path, **options)
    model = onnx.load(path)
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("metadata_props")  # where the exporter ran
        part.ClearField("doc_string")
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path)
    key = session.get_inputs()[0].name
    with torch.no_grad():
        expected = module(x).numpy()
    np.savez_compressed(
        HERE / f"{name}.npz",
        x=x.numpy(),
        torch=expected,
        onnxruntime=np.concatenate(
            [session.run(None, {key: image[None]})[0] for image in x.numpy()]
        ),
    )


old = {"dynamo": False, "input_names": ["image"], "output_names": ["scores"]}
# the norms stay apart, and the size of the batch is asked for when the network runs
make(
    "vgg_opset9",
    Vgg16(torch.nn.ReLU, (3, 4, 4, 4, 4)),
    32,
    opset_version=9,
    training=torch.onnx.TrainingMode.PRESERVE,
    do_constant_folding=False,
    dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
    **old,
)
make(
    "resnet_opset17",
    ResNet(torch.nn.ReLU, (1, 1), (4, 6)),
    16,
    opset_version=17,
    dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
    **old,
)
make("mixed_dynamo", Mixed(), 8, dynamo=True, external_data=False, opset_version=18)
