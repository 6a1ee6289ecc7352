"""The same spiking network in torch, by neurons of our own and by SpikingJelly's: a loop over
steps, and all steps of a layer at once. Needs torch.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np
import torch
from torch.nn import functional as F

from eventsnn.ann.operators import IDENTITIES
from eventsnn.exceptions import InputError
from eventsnn.network.linear import batch_scale


class Dense:
    """A network's graph step by step: BatchNormalization folded into convolutions, thresholds into
    the weights behind them, what does not depend on spikes computed once. IF neurons, soft reset,
    v(0) = theta / 2, p >= theta.

    steps: T. dtype: torch's. mode: "s" (a loop over steps) or "m" (all steps of a layer at once).
    jelly: whether the neurons are SpikingJelly's.
    """

    def __init__(self, network, steps, dtype=torch.float32, mode="s", *, jelly=False):
        self.graph = network.graph
        self.steps = steps
        self.dtype = dtype
        self.mode = mode
        self.jelly = jelly
        self.watched = None
        self.resets = []
        self.at_once = None
        thetas = {layer.name: layer.theta for layer in network.spiking}
        if any(np.ndim(theta) for theta in thetas.values()):
            raise InputError("torch", "one threshold a layer", "one a neuron")
        self.scale = {self.graph.input: 1.0}
        self.before = {self.graph.input}
        self.operations = {}
        self.folded = _folded(self.graph)
        for node in self.graph.nodes:
            scales = [self.scale[name] for name in node.inputs]
            self.scale[node.name] = thetas.get(
                node.name,
                1.0 if node.op in ("Conv", "Gemm", "Add", "BatchNormalization") else scales[0],
            )
            self.operations[node.name] = (
                self._neurons(thetas[node.name])
                if node.is_activation
                else self._operation(node, scales)
            )
            if not node.is_activation and self.before.issuperset(node.inputs):
                self.before.add(node.name)

    def __call__(self, x):
        """Preprocessed images, float32 [N, C, H, W] -> the readout, [N, classes], `at_once` images
        after the other (None: all together).
        """
        with torch.inference_mode():
            x = torch.as_tensor(x, dtype=self.dtype).to(
                memory_format=torch.channels_last
            )  # torch's advice for processors
            return torch.cat([self._run(part) for part in x.split(self.at_once or len(x))])

    def _run(self, x):
        values = {self.graph.input: x}
        for node in self.graph.nodes:
            if node.name in self.before:
                values[node.name] = self.operations[node.name](
                    *(values[name] for name in node.inputs)
                )
        for reset in self.resets:
            reset()
        self.potentials = {}
        self.images = len(x)
        total = 0
        if self.mode == "m":
            used = {
                name
                for node in self.graph.nodes
                if node.name not in self.before and not node.is_activation
                for name in node.inputs
            }
            values = {
                name: self._in_all_steps(y).flatten(0, 1) if name in used else y
                for name, y in values.items()
            }
            return (
                self._advance(values).unflatten(0, (self.steps, -1)).mean(0)
                * self.scale[self.graph.output]
            )
        for _ in range(self.steps):
            total = total + self._advance(dict(values))
        return total / self.steps * self.scale[self.graph.output]

    def _fire_in_all_steps(self, y, theta):
        """[N, ...] or [T * N, ...] -> the spikes, [T * N, ...]."""
        arrives = self._in_all_steps(y)
        layout = torch.channels_last if y.dim() == 4 else torch.contiguous_format
        shape = self.steps * self.images, *y.shape[1:]
        spikes = torch.empty(shape, dtype=y.dtype, memory_format=layout)
        v = torch.full_like(arrives[0], theta / 2)
        for now, fired in zip(arrives, spikes.unflatten(0, (self.steps, -1))):
            torch.ge(v.add_(now), theta, out=fired)
            v.sub_(fired, alpha=theta)
        return spikes

    def choose(self, x, clock=time.perf_counter):
        """Find how many images at once are fastest by `clock`, where x is a batch."""
        seconds = {}
        for count in sorted({len(x), *(n for n in (4, 16) if n < len(x))}):
            self.at_once = count
            self(x)
            start = clock()
            self(x)
            seconds[count] = clock() - start
        self.at_once = min(seconds, key=seconds.get)

    def _in_all_steps(self, y):
        """[N, ...], the same in every step -> [T, N, ...] without a copy; [T * N, ...] likewise."""
        return (
            y.expand(self.steps, *y.shape)
            if len(y) == self.images
            else y.unflatten(0, (self.steps, -1))
        )

    def spikes(self, x):
        """All spikes of the images, by layer."""
        self.watched = {}
        self(x)
        watched, self.watched = self.watched, None
        return np.array([watched[node.name] for node in self.graph.activations])

    def _advance(self, values):
        for node in self.graph.nodes:
            if node.name not in self.before:
                values[node.name] = y = self.operations[node.name](
                    *(values[name] for name in node.inputs)
                )
                if self.watched is not None and node.is_activation:
                    self.watched[node.name] = self.watched.get(node.name, 0) + int(
                        y.count_nonzero()
                    )
        return values[self.graph.output]

    def _neurons(self, theta):
        if self.jelly:
            from spikingjelly.activation_based.neuron import IFNode

            node = IFNode(theta, None, step_mode=self.mode).eval()

            def reset():
                node.reset()
                node.v = theta / 2

            self.resets.append(reset)
            return node if self.mode == "s" else lambda y: node(self._in_all_steps(y)).flatten(0, 1)
        if self.mode == "m":
            return lambda y: self._fire_in_all_steps(y, theta)
        place = len(self.operations)

        def fire(y):
            v = self.potentials.get(place)
            v = y + theta / 2 if v is None else v.add_(y)
            spikes = (v >= theta).to(y.dtype)
            self.potentials[place] = v.sub_(spikes, alpha=theta)
            return spikes

        return fire

    def _operation(self, node, scales):
        """The function of a linear node; its inputs count in units of `scales`."""
        attrs, first = node.attrs, scales[0]
        if node.op in ("Conv", "Gemm"):
            factor, shift = self.folded[node.name]
            given = np.asarray(node.params["W" if node.op == "Conv" else "B"], np.float64)
            given = given.T if node.op == "Gemm" and not attrs.get("transB", 0) else given
            weight = self._tensor(given * factor.reshape(-1, *[1] * (given.ndim - 1)) * first)
            bias = self._tensor(shift)
            if node.op == "Gemm":
                return lambda x: F.linear(x, weight, bias)
            top, left, bottom, right = attrs.get("pads", (0, 0, 0, 0))
            if (top, left) != (bottom, right) or set(attrs.get("dilations", (1, 1))) != {1}:
                raise InputError(node.name, "equal padding and no dilation", attrs)
            weight = weight.to(memory_format=torch.channels_last)
            return lambda x: F.conv2d(
                x, weight, bias, attrs.get("strides", 1), (top, left), 1, attrs.get("group", 1)
            )
        if node.op == "BatchNormalization":
            if node.name in self.folded["gone"]:
                return lambda x: x
            raise InputError(node.name, "BatchNormalization behind a convolution", "another place")
        if node.op == "AveragePool" and not any(attrs.get("pads", (0,))):
            return lambda x: F.avg_pool2d(x, attrs["kernel_shape"], attrs["strides"])
        if node.op == "Add":
            return lambda x, y: (
                (x if scales[0] == 1 else x * scales[0]) + (y if scales[1] == 1 else y * scales[1])
            )
        simple = {
            "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
            "Flatten": lambda x: x.flatten(1),
            **dict.fromkeys(IDENTITIES, lambda x: x),
        }
        if node.op not in simple:
            raise InputError(node.name, "an operator of VGG or ResNet", node.op)
        return simple[node.op]

    def _tensor(self, array):
        return torch.tensor(array, dtype=self.dtype)


def _folded(graph):
    """Convolution or Gemm -> (factor, shift), float64 by target channel, with the
    BatchNormalization behind it; "gone" -> those nodes.
    """
    found = {"gone": set()}
    for node in graph.nodes:
        if node.op in ("Conv", "Gemm"):
            count = graph.shapes[node.name][0]
            found[node.name] = (
                np.ones(count),
                np.zeros(count) + node.params.get("B" if node.op == "Conv" else "C", 0.0),
            )
        elif (
            node.op == "BatchNormalization"
            and node.inputs[0] in found
            and sum(other.inputs.count(node.inputs[0]) for other in graph.nodes) == 1
        ):
            scale, (factor, shift) = batch_scale(node), found[node.inputs[0]]
            found[node.inputs[0]] = (
                factor * scale,
                (shift - node.params["input_mean"]) * scale + node.params["B"],
            )
            found["gone"].add(node.name)
    return found


def keep_memory():
    """Let glibc keep the memory of large arrays. It gives them back otherwise, and the system
    clears new pages for every layer of every run, which at T = 32 and 64 images takes longer than
    the sums.
    """
    allocator = getattr(ctypes.CDLL(None), "mallopt", None)
    for option, value in ((-4, 0), (-1, 2**31 - 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD
        if allocator:
            allocator(option, value)
