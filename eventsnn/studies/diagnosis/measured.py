"""What the verdicts of a diagnosis are made from: one run, the ANN's activations, the errors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.doubts import DoubtfulAccuracy
from eventsnn.exceptions import InputError
from eventsnn.network.network import Layer, Network
from eventsnn.network.running import Percentile
from eventsnn.result import Result, simulate
from eventsnn.simulation.rounding import RoundedWeights
from eventsnn.simulation.simulation import Simulation
from eventsnn.statistics import Paired, compare
from eventsnn.studies import errors
from eventsnn.studies.setting import by_neuron as in_layer
from eventsnn.studies.setting import neuron_layers, theta_of, top_of
from eventsnn.views.tables import report_steps

CERTAIN = 0.01  # p below it: a network is said to be below its ANN
HIGH = 99.9  # percentile of a layer's activations
CHUNK = 2**24  # activations that are held at a time

Row = dict[str, Any]


@dataclass(frozen=True)
class Activity:
    """One layer's activations in the ANN, over all images and neurons, in thresholds.

    largest: the largest. high: their 99.9th percentile, zeros among them. above, active: the shares
    that are above the threshold, and above 0.
    """

    largest: float
    high: float
    above: float
    active: float


@dataclass
class Measured:
    """A network on labelled images, as a diagnosis sees it.

    graph: the ANN. images: with labels. own_labels: whether these are the images' own, not the
    ANN's classes. options: of `simulate`. result: the run. ann_right: which images the ANN has
    right, bool [N]. activity: layer's name -> `Activity`. errors: the parts of each layer's error;
    None where they cannot be had, for the reason `why`. shown: whether progress bars are.
    """

    graph: Graph
    images: Images
    own_labels: bool
    options: dict[str, Any]
    result: Result
    ann_right: NDArray[np.bool_]
    activity: dict[str, Activity]
    errors: errors.Errors | None
    why: str = ""
    shown: bool | None = None

    @property
    def network(self) -> Network:
        """The network that ran."""
        return self.result.network

    @property
    def simulation(self) -> Simulation:
        """The simulation that ran it."""
        return self.result.simulation

    @property
    def layers(self) -> dict[int, Layer]:
        """The layers with neurons, by number."""
        return neuron_layers(self.network)

    @property
    def steps(self) -> list[int]:
        """The numbers T that are looked at, the last one last."""
        simulation = self.simulation
        if simulation.stages > 1:
            return [simulation.steps]
        return report_steps(simulation.steps, simulation.readout_from)

    def right(self, step: int | None = None) -> NDArray[np.bool_]:
        """Which images are classified as labelled, bool [N]. step: after how many (None: all)."""
        return np.asarray(self.result.predictions(step) == self.images.labels)

    @property
    def against_ann(self) -> Paired:
        """The network against its ANN, image by image."""
        return compare({"snn": (self.right(), self.ann_right)})["snn"]

    @property
    def below(self) -> bool:
        """Whether the network is worse than its ANN, by more than chance."""
        found = self.against_ann
        return found.lost > found.gained and found.p < CERTAIN

    def state(self, harmful: bool = True) -> str:
        """ "found" where something can explain that the network is below its ANN, else "noted".

        harmful: whether it can.
        """
        return "found" if harmful and self.below else "noted"

    def rate(self, i: int) -> float:
        """Spikes of layer number i over those that would stand for its threshold everywhere."""
        spikes = float(self.result.spikes[:, i].sum())
        size = self.network.layers[i].size
        # of a code one spike may stand for all
        most = max(1, top_of(self.simulation, i) // self.simulation.worth)
        return spikes / (len(self.images) * size * most)

    def error(self, layer: str) -> Row | None:
        """A layer's row of `Errors`. layer: its name; None where errors cannot be had."""
        rows = [] if self.errors is None else self.errors.layers
        return next((row for row in rows if row["layer"] == layer), None)


def run(network: Network, images: Images, options: dict[str, Any], shown: bool | None) -> Result:
    """`simulate`, without its warnings: a diagnosis says what they say.

    network, images: as there. options: of it. shown: whether a progress bar is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulAccuracy)
        warnings.simplefilter("ignore", RoundedWeights)
        return simulate(network, images, progress=shown, **options)


def measure(
    graph: Graph,
    network: Network,
    images: Images,
    own_labels: bool,
    ann_right: NDArray[np.bool_],
    options: dict[str, Any],
    shown: bool | None,
) -> Measured:
    """Runs the network, and measures its layers; parameters as in `Measured` and `run`."""
    result = run(network, images, options, shown)
    found, why = None, ""
    of_layers = {name: value for name, value in options.items() if name != "readout_from"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundedWeights)
            found = errors.decompose(network, images, progress=shown, **of_layers)
    except InputError as error:
        why = f"expected {error.expected}, found {error.found}"
    activity = activities(network, images.pixels)
    return Measured(
        graph, images, own_labels, options, result, ann_right, activity, found, why, shown
    )


def activities(network: Network, pixels: NDArray[Any]) -> dict[str, Activity]:
    """Layer's name -> the `Activity` of its neurons' activation.

    network: whose thresholds they are told in. pixels: raw images [N, C, H, W].
    """
    graph, layers = network.graph, neuron_layers(network)
    names = [layer.name for layer in layers.values()]
    high = {layer.name: Percentile((layer.size,), len(pixels), HIGH) for layer in layers.values()}
    sums = {name: np.zeros(2) for name in names}
    largest = dict.fromkeys(names, 0.0)
    size = max(1, CHUNK // max(1, sum(layer.size for layer in layers.values())))
    for start in range(0, len(pixels), size):
        values = ann.forward(graph, graph.preprocessing(pixels[start : start + size]), keep=names)
        for layer in layers.values():
            a, theta = in_layer(values[layer.name], layer), theta_of(layer)
            none = np.zeros_like(a)
            u = np.divide(
                a, theta, out=none, where=np.broadcast_to(np.not_equal(theta, 0), a.shape)
            )
            u = u.astype(np.float32, copy=False)
            high[layer.name].add(u)
            largest[layer.name] = max(largest[layer.name], float(u.max()))
            sums[layer.name] += np.sum(u > ABOVE), np.sum(a > 0)
    return {
        layer.name: Activity(
            largest[layer.name],
            high[layer.name].theta(),
            *(sums[layer.name] / (len(pixels) * layer.size)).tolist(),
        )
        for layer in layers.values()
    }


ABOVE = 1 + 1e-5  # thresholds: float32 activations that are clipped at theta are not above it
