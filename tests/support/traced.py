"""Recorded runs of small random networks in every way of time, with the twin's run of the same
image at hand.
"""

from dataclasses import dataclass

import numpy as np
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.networks import pixel_range, random_graph, random_pixels, skipping_graph
from support.ways import FEW_BITS, MODELS, STEPS, in_case

from eventsnn import convert
from eventsnn.engine.event.driver import EventRun
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.trace.trace import Trace, record

IMAGE = 3


@dataclass
class Traced:
    """pixels: [C, H, W]. model: a name in MODELS. options: of the twin's run."""

    simulation: Simulation
    pixels: np.ndarray
    run: EventRun
    trace: Trace
    model: str
    options: dict

    def twin(self, **options):
        """The twin's outcome, with these options in place of its own."""
        return twin.run_async(
            twin_net(self.simulation),
            twin_drive(self.simulation, self.pixels),
            twin_start(self.simulation),
            STEPS,
            MODELS[self.model],
            **{**self.options, **options},
        )

    def first(self, layer):
        """Number of the layer's first neuron among all."""
        return sum(x.size for x in self.simulation.network.layers[:layer])

    def neurons(self, every=1, readout=True):
        """(layer, neuron) of all neurons, or of one in `every`."""
        layers = self.simulation.network.layers
        sizes = [layer.size for layer in (layers if readout else layers[:-1])]
        return [(layer, neuron) for layer, size in enumerate(sizes) for neuron in range(size)][
            ::every
        ]


def traced(seed, case="fifo", model="if", arithmetic="fixed"):
    """A network (with connections past layers where the seed is odd), image and delays that depend
    on the seed alone, in one of CASES.
    """
    rng = np.random.default_rng(seed)
    graph = skipping_graph(rng) if seed % 2 else random_graph(rng)
    pixels = random_pixels(rng, graph, 1)
    network = convert(graph)
    mine, others = in_case(case, network, rng)
    simulation = Simulation(
        network,
        steps=STEPS,
        engine="event",
        neuron=model,
        time=Time(**mine),
        seed=5,
        arithmetic=arithmetic,
        pixel_range=pixel_range(pixels),
        fraction_bits=FEW_BITS if arithmetic == "fixed" else None,
    )
    run, trace = record(simulation, pixels[0], IMAGE)
    return Traced(trace.simulation, pixels[0], run, trace, model, others)
