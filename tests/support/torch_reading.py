"""How a graph of `load_torch` is compared with its module. Needs torch."""

import numpy as np
import torch
from torch import nn

import eventsnn
from eventsnn.ann import forward as ann


class Function(nn.Module):
    """A module that applies a function of x."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def deviation(module, shape, **options):
    """(The largest difference of the graph's output from the module's, over 4 images, as a share of
    the largest output, the graph).
    """
    graph = eventsnn.load_torch(module, shape, **options)
    torch.manual_seed(1)
    x, training = torch.rand(4, *shape) * 4 - 1, module.training
    with torch.no_grad():
        expected = module.eval()(x).numpy()
    module.train(training)
    found = ann.forward(graph, x.numpy().reshape(-1, *graph.input_shape))[graph.output]
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / max(1e-6, np.abs(expected).max()), graph
