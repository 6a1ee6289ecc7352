"""Calibrations: each channel, or neuron, fires, on average, as often as its ANN.

Biases and potentials are SNNC's (`means`), and so are weights (`by_gradient`). v(0) is calibrated
under an order of arrival:

In asynchronous time a neuron of integrate-and-fire answers each arrival. Without a rest it has
fired, at the end, as often as the largest of its sums of charge is worth, where a clocked neuron
counts the last sum alone: late inhibition (DNISNM section 3.3) comes when the spikes are gone. What
the order adds is the height of that peak above the last sum. It is paid once in a run, not once in
a step, so it is v(0) that takes it away, and neither thresholds nor biases. Layers are calibrated
from input to output, each behind those that are already calibrated (as COS and SNNC do), on the
counts of the engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.graph import Graph
from eventsnn.arguments import Count, checked, named_fields
from eventsnn.data.accepting import GivenImages
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError, named
from eventsnn.network.network import Network
from eventsnn.network.own import with_initial
from eventsnn.neurons import IF
from eventsnn.neurons.contract import check_declared
from eventsnn.simulation.conditions import Conditions, conditions
from eventsnn.simulation.simulation import Simulation
from eventsnn.studies import by_gradient
from eventsnn.studies.means import CALIBRATED_BIASES, METHODS, by_means
from eventsnn.studies.setting import neuron_layers, numbers_of, simulated, top_of
from eventsnn.studies.up_to import up_to, worth
from eventsnn.views.progress import following
from eventsnn.views.tables import COLUMNS, ByLayer, Table

WHERE = "calibrate"
ROUNDS = 6  # runs of each layer
STEP = 0.9  # of the way that a neuron's error asks for
FURTHEST = 1.5  # how far v(0) goes in a round, in spikes
FEWEST = 0.1  # of a channel's neurons that are taken to fire, at least
CHANGED = (CALIBRATED_BIASES, by_gradient.CALIBRATED)  # of networks that `up_to` would undo
TITLE = (
    "Calibrated v(0) of each layer, in the charge of one spike, or what biases gained, in "
    "thresholds a step: mean and extremes of channels or neurons; moved: weights, of their mean "
    "size; off: squared distance of ideal outputs from the ANN's, thresholds squared; "
    "spikes: of a neuron and image, of the ANN's activation and as fired before and after; apart: "
    "of a channel's mean from the ANN's, mean of channels; correlation: of counts with the ANN's"
)
FORMATS = COLUMNS | {
    "v(0)": ("v(0)", ".2f"),
    "change": ("change", ".4f"),
    "moved": ("moved", ".2%"),
    "off before": ("off before", ".5f"),
    "off": ("off", ".5f"),
    "least": ("least", ".2f"),
    "most": ("most", ".2f"),
    "ANN": ("ANN", ".3f"),
    "before": ("before", ".3f"),
    "after": ("after", ".3f"),
    "apart before": ("apart before", ".3f"),
    "apart": ("apart", ".3f"),
    "correlation before": ("correlation before", ".3f"),
    "correlation": ("correlation", ".3f"),
}


@named_fields
@dataclass(repr=False)
class Calibration(ByLayer):
    """What was calibrated, from `eventsnn.calibrate`.

    simulation: the calibrated network with the calibrated v(0). images: how many it was calibrated
    on. channels: name of a layer -> v(0) in the charge of one spike, float64 [C] of its channels,
    or of its neurons in the activation's shape; empty where biases were calibrated. biases: name
    -> what its channels' biases gained, in units of the activation, float64 [C]; empty where v(0)
    was. weights: (source, layer), by name, None for the input -> the blocks of the projection
    between them, in thresholds, float64 [K, G, ci, co]; empty but for "weights". method: of
    `calibrate`.

    layers: one row each, from input to output: `v(0)`, the mean of its channels or neurons (of
    biases `change`, in thresholds a step), `least` and `most`; of "weights" `moved`, the mean
    change of its weights, of their mean size, and `off before` and `off`, the mean squared distance
    of its ideal output from the ANN's activation, in thresholds squared; the mean spikes of a
    neuron and image: `ANN`, those that its activation is worth, `before`, those fired behind
    calibrated layers before this one was, and `after`; `apart before` and `apart`: how far a
    channel's mean is from the ANN's, mean of channels; of "v0" also `correlation before` and
    `correlation` of counts with the ANN's, over neurons and images.
    """

    simulation: Simulation
    images: int
    channels: dict[str, NDArray[np.float64]]
    layers: list[dict[str, Any]]
    biases: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    weights: by_gradient.Weights = field(default_factory=dict)
    method: str = "v0"

    @property
    def network(self) -> Network:
        """The calibrated network; thresholds are as they were, and so is the ANN."""
        return self.simulation.converted

    @property
    def initial(self) -> list[NDArray[np.float64]]:
        """v(0) as `eventsnn.simulate` takes it: float64 [neurons] for each spiking layer."""
        return self.simulation.initial

    @property
    def conditions(self) -> Conditions:
        """What decided it."""
        return conditions(self.simulation)

    @property
    def graph(self) -> Graph:
        """The ANN, whose activations have v(0) with them: `eventsnn.save` keeps it.

        A run of that file begins with this v(0) and runs with IF neurons. Thresholds are not in it.
        Raises InputError for a calibration of another model.
        """
        model = self.simulation.neuron
        if self.biases:
            do = "give calibration.network to simulate, or run with ⟦calibrate=bias⟧"
            raise InputError("graph", "a calibration of v(0)", "one of biases", do)
        if self.weights:
            do = "give calibration.network to simulate, or run with ⟦calibrate=weights⟧"
            raise InputError("graph", "a calibration of v(0)", "one of weights", do)
        if type(model) is not IF:
            do = "give its v(0) to simulate: initial=calibration.initial"
            found = type(model).__name__
            raise InputError("graph", f"a calibration of {named('neuron', 'if')}", found, do)
        words = f"v(0) calibrated on {self.images:,} images: {self.conditions}"
        return with_initial(self.network.graph, self.channels, words)

    def table(self) -> Table:
        """Rows to print: v(0) and mean spikes by layer."""
        return Table(self.layers, f"{TITLE}\n{self.conditions}", FORMATS)

    def __repr__(self) -> str:
        before, after = (
            np.mean([row[key] for row in self.layers]) for key in ("apart before", "apart")
        )
        return (
            f"<Calibration of {len(self.layers)} layers on {self.images:,} images, "
            f"{self.conditions}: channels {before:.3f} spikes apart from the ANN before, "
            f"{after:.3f} after, means of layers>"
        )


@checked
def calibrate(
    network: Network,
    images: GivenImages,
    *,
    method: str = "v0",
    steps: Count = 8,
    rounds: Count | None = None,
    workers: Count | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Calibration:
    """The `Calibration` of v(0), biases or weights: neurons fire as often as the ANN on average.

    "v0" is v(0) of each channel. Layer by layer, from input to output, the images run up to that
    layer. A channel that fires too often gets a lower v(0), by the spikes that its neurons that
    fire have too many; `rounds` runs are made, and each channel keeps the v(0) that came nearest.
    Weights and thresholds stay.
    "bias" is SNNC's light pipeline: after one run of each layer, a channel's bias gains what its
    mean activation lacks. "potential" is SNNC's v(0) of each neuron, which gains the spikes that
    its mean over images lacks. (`means`)
    "weights" is SNNC's advanced pipeline: layer by layer, weights go down the gradient of the
    squared distance between the layer's ideal staircase and the ANN's activations, in `rounds`
    steps (`by_gradient`); then potentials are calibrated. It needs one threshold for each layer.

    network: that runs. images: as for `eventsnn.simulate`, without labels: take training images.
    method: "v0", "bias", "potential" or "weights". steps: T. rounds: of each layer, runs for "v0"
    (None: 6) and steps of Adam for "weights" (None: 300). workers: threads (None: one for each
    core); they change nothing. progress: whether a progress bar is
    shown. settings: of `Simulation` (engine, neuron, initial, seed, …) and `Time` (order, spread,
    …), as they will run; engine "event" by default for "v0", else "clocked".
    Raises InputError for images that do not fit, for encoding "events", SRP, a model that does not
    conserve charge, a network whose biases or weights are calibrated, and what a simulation
    refuses; TooManyEvents where firing explodes.
    """
    if method not in METHODS:
        raise InputError("method", f"one of {', '.join(METHODS)}", repr(method))
    if method in ("bias", "potential") and rounds is not None:
        do = "leave it out: one run of each layer decides"
        raise InputError("rounds", "method='v0' or 'weights'", f"method={method!r}", do)
    settings = {"engine": "event" if method == "v0" else "clocked"} | settings
    simulation, pixels, numbers = simulated(network, images, WHERE, steps=steps, **settings)
    _check(simulation)
    declared = settings.get("pixel_range") or getattr(images, "pixel_range", None)
    settings |= {"pixel_range": range_of(network.graph, pixels, declared).ends}
    if method != "v0":
        steps_of = by_gradient.ROUNDS if rounds is None else rounds
        found = by_means(
            network, simulation, pixels, numbers, method, settings, workers, progress, steps_of
        )
        return Calibration(*found, method=method)
    rounds = ROUNDS if rounds is None else rounds
    layers = neuron_layers(network)
    channels: dict[str, NDArray[np.float64]] = {}
    rows = []

    def runs(part: Network, beside: Sequence[NDArray[np.float64]]) -> Simulation:
        its = {**settings, "initial": _by_layer(part, channels, beside)}
        return simulated(part, pixels, WHERE, steps=steps, **its)[0]

    with following(len(layers) * rounds, "run", progress) as bar:
        for i, layer in layers.items():
            part = up_to(network, layer)
            last = numbers_of(part)[layer.name]
            seen = _Seen(worth(part.graph, layer, pixels, top_of(simulation, i)))
            start = simulation.initial[i].reshape(-1, layer.grid[0]).mean(axis=0)
            channels[layer.name] = start
            for _ in range(rounds):
                its = runs(part, ())
                seen.begin(channels[layer.name])
                for first, batch in its.stream(
                    pixels, numbers=numbers, workers=workers, neurons=True
                ):
                    assert batch.counts is not None
                    seen.add(first, batch.counts[:, part.columns(last)])
                channels[layer.name] = seen.next()
                bar.update()
            channels[layer.name] = seen.best
            rows.append({"layer": layer.name, "channels": layer.grid[0], **seen.row()})
    return Calibration(runs(network, simulation.initial), len(pixels), channels, rows)


def _check(simulation: Simulation) -> None:
    """Raises InputError for what has no counts that v(0) could bring to the ANN's."""
    check_declared(simulation.neuron, WHERE, "conserves")
    if simulation.encoding.kind == "events":
        do = "give images: the ANN has no activations for events"
        raise InputError(WHERE, "an encoding of images", named("encoding", "events"), do)
    words = [word for word in CHANGED if word in simulation.network.thresholds.split(", ")]
    if words:
        do = "give the network that `eventsnn.convert` returned"
        raise InputError(WHERE, "a network as it was converted", ", ".join(words), do)
    if simulation.srp:
        found = named("srp", simulation.srp)
        raise InputError(WHERE, "one stage", found, "leave it out: its first stage is no count")


def _by_layer(
    network: Network,
    channels: Mapping[str, NDArray[np.float64]],
    beside: Sequence[NDArray[np.float64]],
) -> list[NDArray[np.float64]]:
    """v(0) [neurons] of each spiking layer. beside: of those that `channels` does not have."""
    found = []
    for i, layer in enumerate(network.spiking):
        if layer.name in channels:
            found.append(np.tile(channels[layer.name], layer.size // layer.grid[0]))
        else:
            found.append(beside[i] if i < len(beside) else np.zeros(layer.size))
    return found


class _Seen:
    """What a layer's channels fired, run by run, and the v(0) that came nearest to the ANN.

    ideal: the ANN's spikes, [N, places, C]. best: v(0), float64 [C].
    """

    def __init__(self, ideal: NDArray[np.float32]) -> None:
        self.ideal = ideal
        self.size = ideal[..., 0].size
        self.mean = ideal.mean(axis=(0, 1), dtype=np.float64)
        self.best = self.now = np.zeros(0)
        self.first = self.nearest = self.sums = np.zeros((0, 0))

    def begin(self, now: NDArray[np.float64]) -> None:
        """A run begins. now: its v(0), [C]."""
        self.now = now
        self.sums = np.zeros((4, len(now)))

    def add(self, start: int, counts: NDArray[np.int64]) -> None:
        """Takes the net spikes [n, neurons] of images from `start` on."""
        ideal = self.ideal[start : start + len(counts)]
        fired = counts.reshape(ideal.shape).astype(np.float64)
        for row, values in zip(self.sums, (fired, fired > 0, fired * fired, fired * ideal)):
            row += values.sum(axis=(0, 1))

    def next(self) -> NDArray[np.float64]:
        """The run is over: the v(0) of the next one, [C]."""
        means = self.sums / self.size
        error = means[0] - self.mean
        if not len(self.first):
            self.first, self.nearest, self.best = means, means.copy(), self.now
        nearer = abs(error) < abs(self.nearest[0] - self.mean)
        self.nearest = np.where(nearer, means, self.nearest)
        self.best = np.where(nearer, self.now, self.best)
        asked = error / np.maximum(means[1], FEWEST)
        return self.now - STEP * np.clip(asked, -FURTHEST, FURTHEST)

    def row(self) -> dict[str, Any]:
        """What is told of the layer."""
        row: dict[str, Any] = {
            "v(0)": float(self.best.mean()),
            "least": float(self.best.min()),
            "most": float(self.best.max()),
            "ANN": float(self.mean.mean()),
        }
        for when, means in ((" before", self.first), ("", self.nearest)):
            row["before" if when else "after"] = float(means[0].mean())
            row[f"apart{when}"] = float(abs(means[0] - self.mean).mean())
            row[f"correlation{when}"] = self._correlation(means)
        return row

    def _correlation(self, means: NDArray[np.float64]) -> float:
        """Of counts with the ANN's spikes, over all neurons and images; NaN where one is even."""
        fired, _, squares, products = means.mean(axis=1)
        ideal = self.mean.mean()
        spread = squares - fired**2
        of_ideal = np.mean(np.square(self.ideal, dtype=np.float64)) - ideal**2
        if not (spread > 0 and of_ideal > 0):
            return float("nan")
        return float((products - fired * ideal) / np.sqrt(spread * of_ideal))
