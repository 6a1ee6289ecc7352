"""Small random networks and ways to run them, for `verify`: few enough to follow by hand.

Charges are in eighths of q, the charge of one spike; times within a step are in eighths of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

EIGHTH = 8  # parts of q, and of a step
ORDERS = ("fifo", "lifo", "random")


class Synapse(NamedTuple):
    """A spike of neuron `pre` brings a charge to neuron `post`, of a later layer."""

    pre: int
    post: int
    charge: int


class Arrival(NamedTuple):
    """A charge from outside: in step `step`, from 1, `after` its beginning, at one neuron."""

    step: int
    after: int
    neuron: int
    charge: int


class Layer(NamedTuple):
    """A layer as models see it, a `Layered` network's. node: itself; a quantised activation."""

    name: str
    size: int
    levels: int
    pools: bool = False
    theta: float = 1.0
    op: str = "QuantRelu"

    @property
    def node(self) -> Layer:
        """The activation."""
        return self

    @property
    def attrs(self) -> dict[str, Any]:
        """Its settings."""
        return {"levels": self.levels, "scale": 1.0 / self.levels}

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.size, 1, 1)


class Seen(NamedTuple):
    """A small network as a model sees it. spiking: layers of neurons. layers: a readout, too."""

    spiking: list[Layer]
    layers: list[Layer]

    def into(self, target: int) -> list[Any]:
        """What arrives at a layer, for models that ask about pools: there are none."""
        return []


@dataclass(frozen=True)
class Small:
    """A network and what arrives at it from outside.

    levels: of each layer. layers: the layer of each neuron; it never falls. synapses: sorted.
    arrivals: in order of time, then as they stand. start: v(0) of all neurons. steps: T.
    """

    levels: tuple[int, ...]
    layers: tuple[int, ...]
    synapses: tuple[Synapse, ...]
    arrivals: tuple[Arrival, ...]
    start: int
    steps: int

    def seen(self) -> Seen:
        """The network as a model sees it."""
        sizes = enumerate(map(self.layers.count, range(len(self.levels))))
        spiking = [Layer(f"layer {i}", size, self.levels[i]) for i, size in sizes]
        return Seen(spiking, [*spiking, Layer("readout", 1, 1)])

    def place(self, neuron: int) -> int:
        """A neuron's number in its layer."""
        return neuron - self.layers.index(self.layers[neuron])

    def depths(self) -> list[int]:
        """The longest path to each layer, from 1."""
        depths = [1] * len(self.levels)
        for synapse in sorted(self.synapses, key=lambda s: s.post):
            pre, post = self.layers[synapse.pre], self.layers[synapse.post]
            depths[post] = max(depths[post], depths[pre] + 1)
        return depths


@dataclass(frozen=True)
class Way:
    """How time goes in a run (semantics, section 5).

    order: "clocked engine", or an order of the queue: "clocked", "fifo", "lifo" or "random". seed:
    of that. delays: of the spikes of each neuron; (): none. refractory, window: lengths. times:
    when each arrival comes, (step, after), in place of the network's own; (): as there. asked:
    (step, after, neuron), when a neuron is evaluated though nothing came. resting: whether the run
    goes on, behind the last step, until nothing fires any more.
    """

    order: str = "fifo"
    seed: int = 0
    delays: tuple[int, ...] = ()
    refractory: int = 0
    window: int = 0
    times: tuple[tuple[int, int], ...] = ()
    asked: tuple[tuple[int, int, int], ...] = ()
    resting: bool = False

    def arrivals(self, small: Small) -> list[tuple[int, Arrival]]:
        """(its number, what arrives), in order of time."""
        given = [
            arrival._replace(step=self.times[i][0], after=self.times[i][1])
            if self.times
            else arrival
            for i, arrival in enumerate(small.arrivals)
        ]
        return sorted(enumerate(given), key=lambda pair: (pair[1].step, pair[1].after, pair[0]))

    def words(self) -> str:
        """The way in a line."""
        order = "clocked time" if self.order == "clocked engine" else f"order {self.order}"
        parts = [order + f" (seed {self.seed})" * (self.order == "random")]
        if any(self.delays):
            spikes = (f"{i}: {time(delay)}" for i, delay in enumerate(self.delays) if delay)
            parts.append(f"delays of spikes of neuron {', '.join(spikes)}")
        if self.times:
            parts.append("arrivals at other times")
        for name in ("refractory", "window"):
            if getattr(self, name):
                parts.append(f"{name} {time(getattr(self, name))}")
        for step, after, neuron in self.asked:
            parts.append(f"neuron {neuron} is asked at {moment(step, after)}")
        return ", ".join(parts)


def time(eighths: int) -> str:
    """A length in steps, exactly."""
    return f"{eighths / EIGHTH:g}"


def moment(step: int, after: int) -> str:
    """A time in words."""
    return f"step {step}" + (f" + {time(after)}" if after else "")


def draw(random: Random, initial: float | None, most_steps: int = 4) -> Small:
    """A random network of up to five neurons.

    random: draws it. initial: the model's own v(0), in q; None: any. most_steps: of T.
    """
    count = random.randint(1, 5)
    layers = [0]
    for _ in range(count - 1):
        layers.append(layers[-1] + random.randint(0, 1))
    steps = random.randint(1, most_steps)
    synapses = [
        Synapse(pre, post, _charge(random))
        for pre in range(count)
        for post in range(pre + 1, count)
        if layers[pre] < layers[post] and random.random() < 0.7
    ]
    arrivals = []
    for _ in range(random.randint(1, 7)):
        neuron = min(random.randrange(count), random.randrange(count))
        step, after = random.randint(1, steps), random.randrange(EIGHTH)
        arrivals.append(Arrival(step, after, neuron, _charge(random)))
    start = random.choice((0, EIGHTH // 2, random.randint(0, EIGHTH)))
    return Small(
        tuple(random.randint(1, 4) for _ in range(layers[-1] + 1)),
        tuple(layers),
        tuple(synapses),
        tuple(sorted(arrivals, key=lambda a: (a.step, a.after))),
        start if initial is None else round(initial * EIGHTH),
        steps,
    )


def _charge(random: Random) -> int:
    """A few q of either sign, often a whole number of them."""
    if random.random() < 0.4:
        return EIGHTH * random.choice((-2, -1, 1, 1, 2, 3))
    return random.randint(-2 * EIGHTH, 3 * EIGHTH)


def draw_way(random: Random, small: Small, plain: bool = False) -> Way:
    """A random way through asynchronous time. plain: without rests and windows."""
    rests = 0 if plain or random.random() < 0.6 else random.randint(1, EIGHTH)
    window = 0 if plain or random.random() < 0.7 else random.randint(1, 3)
    delays = [random.choice((0, 0, 1, 3, 9)) for _ in small.layers]
    given = tuple(delays) if random.random() < 0.5 else ()
    return Way(random.choice(ORDERS), random.randrange(1000), given, rests, window)
