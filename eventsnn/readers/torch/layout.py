"""What layouts of networks in state dicts share: keys that are taken, and nodes that they make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.exceptions import InputError
from eventsnn.files.pickles import Unknown
from eventsnn.readers.building import some
from eventsnn.readers.torch.tensors import Stored

# the last part of a key that is a threshold -> (operator, the attribute that it becomes)
THRESHOLDS = {
    "thresh": ("QCFS", "lambda"),
    "up": ("QCFS", "lambda"),
    "v_threshold": ("QCFS", "lambda"),
    "act_alpha": ("QCFS", "lambda"),
    "s": ("QuantRelu", "scale"),
}
EXAMPLE = "for example ⟦arch=resnet20:L=4⟧"
EXAMPLES = {"L": 8, "size": 64}  # of options that are numbers
MAPPING = "give a mapping file as ⟦arch⟧"
EPSILON = 1e-5  # of BatchNormalization in PyTorch, unless a network says otherwise


def has_thresholds(keys: Iterable[str]) -> bool:
    """Whether a state dict has trained thresholds. keys: its own."""
    return any(key.rpartition(".")[2] in THRESHOLDS for key in keys)


class Layout:
    """Names a state dict's keys in the nodes of a known architecture.

    keys: key -> what the file has there. name: the file's, for messages. kind: the architecture's
    name. options: those of --arch, name -> text.

    Attributes: nodes: as a mapping file has them. last: the name of the last one. arrays: path ->
    array, for parameters that the file does not have. notes: what was assumed.
    """

    def __init__(
        self,
        keys: Mapping[str, Stored | Unknown],
        name: str,
        kind: str,
        options: Mapping[str, str],
    ) -> None:
        self.keys = keys
        self.name = name
        self.kind = kind
        self.options = options
        self.nodes: list[dict[str, Any]] = []
        self.names: set[str] = set()
        self.used: set[str] = set()
        self.last = "input"
        self.arrays: dict[str, NDArray[np.float32]] = {}
        self.notes: list[str] = []
        self.relu: tuple[str, dict[str, Any]] = ("Relu", {})
        self.levels = self.number("L", None)
        self.epsilon = self._epsilon()
        self.has_norms = any(key.endswith(".running_mean") for key in keys)
        self.has_thresholds = has_thresholds(keys)
        if self.has_thresholds == (self.levels is None):
            expected, do = "no levels L, as the file has no trained thresholds", "leave L out"
            if self.has_thresholds:
                expected = "levels L, which the file does not tell"
                do = f"for example ⟦arch={kind}:L=8⟧"
            raise InputError("⟦arch⟧", expected, self.arch, do)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} of {self.name}: {len(self.nodes)} nodes>"

    @property
    def arch(self) -> str:
        """The architecture with its options, as it was given."""
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.kind}:{options}" if options else self.kind

    def build(self) -> int:
        """Makes the nodes; returns the images' height, which is their width, too."""
        raise NotImplementedError

    def graph(self) -> dict[str, Any]:
        """The object like that of a mapping file.

        Raises InputError for keys that are missing or left over.
        """
        size = self.build()
        left = sorted(set(self.keys) - self.used)
        if left:
            expected = f"the keys of {self.kind} and no others"
            raise InputError(self.name, expected, f"{some(left)}, too", MAPPING)
        first = next(node["name"] for node in self.nodes if node["op"] == "Conv")
        if self.has_norms and "eps" not in self.options:
            words = f"BatchNormalization's epsilon is taken to be {EPSILON:g}, PyTorch's own"
            self.notes.append(f"{words} (arch={self.kind}:eps=… sets another)")
        return {
            "input": "input",
            "output": self.last,
            "input_shape": [self.weight(first).shape[1], size, size],
            "nodes": self.nodes,
        }

    def number(self, option: str, default: int | None) -> int | None:
        """An option that is a whole number from 1, or the default where it is not given.

        option: its name. Raises InputError for anything else.
        """
        value = self.options.get(option)
        if value is None:
            return default
        if not re.fullmatch("[1-9][0-9]{0,6}", value):
            do = f"for example ⟦arch={self.kind}:{option}={EXAMPLES[option]}⟧"
            raise InputError("⟦arch⟧", f"a whole number from 1 as {option}", value, do)
        return int(value)

    def size(self, default: int) -> int:
        """The images' height and width, which the file does not tell.

        default: where the option does not, either.
        """
        given = self.number("size", None)
        if given is None:
            self.notes.append(
                f"images are taken to be {default}x{default} (arch={self.kind}:size=…)"
            )
        return given or default

    def _epsilon(self) -> float:
        value = self.options.get("eps")
        if value is None:
            return EPSILON
        try:
            epsilon = float(value)
        except ValueError:
            epsilon = 0.0
        if not 0 < epsilon <= 1:
            example = "for example ⟦arch=resnet18:eps=0.001⟧"
            raise InputError("⟦arch⟧", "a number above 0 and at most 1 as eps", value, example)
        return epsilon

    def layer(
        self,
        conv: str,
        norm: str | None = None,
        activation: str | Sequence[str] | None = None,
        stride: int = 1,
        before: int | None = None,
    ) -> None:
        """A convolution that keeps the size (or divides it by the stride), norm and activation.

        conv, norm, activation: the modules' names, None for none; of an activation several, if the
        layout has several. before: how many channels come in, from which the number of groups
        follows; None: one group.
        """
        weight = self.weight(conv)
        pads = [(n - 1) // 2 for n in weight.shape[2:]]
        attrs: dict[str, Any] = {"strides": [stride, stride], "pads": pads * 2}
        if before is not None:
            attrs["group"] = max(1, before // max(1, weight.shape[1]))
        self.add(conv, "Conv", attrs, {"W": f"{conv}.weight"} | self.optional("B", f"{conv}.bias"))
        if norm and self.has_norms:
            roles = {"scale": "weight", "B": "bias"}
            roles |= {"input_mean": "running_mean", "input_var": "running_var"}
            params = {role: f"{norm}.{leaf}" for role, leaf in roles.items()}
            self.add(norm, "BatchNormalization", {"epsilon": self.epsilon}, params)
        if activation:
            self.activation(*([activation] if isinstance(activation, str) else activation))

    def weight(self, conv: str) -> Stored:
        """The weight of a convolution. conv: its name. Raises InputError for another shape."""
        weight = self.take(f"{conv}.weight")
        if len(weight.shape) != 4:
            where = f"{self.name}: {conv}.weight"
            raise InputError(where, "four axes, as of a convolution", list(weight.shape))
        return weight

    def linear(self, key: str) -> None:
        """A linear layer. key: its name."""
        params = {"B": f"{key}.weight"} | self.optional("C", f"{key}.bias")
        self.add(key, "Gemm", {"transB": 1}, params)

    def activation(self, *modules: str) -> None:
        """An activation, with its threshold where the file has some.

        modules: its name, or the names that it may have. Raises InputError where others have one.
        """
        module = next((each for each in modules if self.threshold(each)), modules[0])
        name = module if module not in self.names else modules[0]
        if not self.has_thresholds:
            op, attrs = self.relu
            return self.add(name, op, attrs)
        key = self.threshold(module)
        if key is None:
            expected = f"a threshold ({', '.join(THRESHOLDS)})"
            raise InputError(
                f"{self.name}: {module}", expected, "none", "other activations have one"
            )
        op, attr = THRESHOLDS[key.rpartition(".")[2]]
        return self.add(name, op, {"levels": self.levels}, {attr: key})

    def threshold(self, module: str) -> str | None:
        """The key of an activation's threshold, or None. module: the activation's name."""
        return next((key for leaf in THRESHOLDS if (key := f"{module}.{leaf}") in self.keys), None)

    def optional(self, role: str, key: str) -> dict[str, str]:
        """{role: key} where the file has the key."""
        return {role: key} if key in self.keys else {}

    def pooled(self, head: str) -> None:
        """The end of many networks: the mean over each map, and a linear layer called `head`."""
        self.add("avg_pool", "GlobalAveragePool")
        self.add("flatten", "Flatten")
        self.linear(head)

    def add(
        self,
        name: str,
        op: str,
        attrs: dict[str, Any] | None = None,
        keys: dict[str, str] | None = None,
        inputs: Iterable[str] = (),
    ) -> None:
        """Adds a node, behind the last one unless it has other inputs.

        name, op, attrs: the node's. keys: role -> key of the state dict, or of `arrays`.
        """
        params = {
            role: key if key in self.arrays else self.take(key).name.lstrip("/")
            for role, key in (keys or {}).items()
        }
        node = {"name": name, "op": op, "inputs": list(inputs) or [self.last]}
        self.nodes.append(node | {"attrs": attrs or {}, "params": params})
        self.names.add(name)
        self.last = name

    def take(self, key: str) -> Stored:
        """What the file has for a key, which counts as used from now on.

        Raises InputError where it has none, or something else than an array.
        """
        found = self.keys.get(key)
        if found is None:
            raise InputError(
                self.name, f"a tensor {key!r}, as {self.kind} has", "none", self._instead(key)
            )
        if isinstance(found, Unknown):
            where = f"{self.name}: {key}"
            raise InputError(where, "a tensor", found.words, "save a state dict of tensors alone")
        self.used.add(key)
        return found

    def _instead(self, key: str) -> str:
        """What to do about a key that is not there."""
        longer = next((other for other in self.keys if other.endswith(f".{key}")), None)
        if longer is not None and "from" not in self.options:
            return f"choose those keys: ⟦arch={self.kind}:from={longer[: -len(key) - 1]}⟧"
        return "give another ⟦arch⟧, or a mapping file"
