"""What was recorded of one image: every spike, and every delivery as the queue gave it out.

A `Trace` is in memory. `files.TraceFile` streams one to HDF5 while the run goes on, so that memory
stays flat (`format` says what it holds). `reading.read_trace` reads it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsnn.arguments import Natural, checked, named_fields
from eventsnn.engine.event import layout
from eventsnn.engine.event.driver import EventRun
from eventsnn.exceptions import InputError
from eventsnn.neurons.contract import own_states
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.event import engine_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.values import shown

# drive, or an evaluation of the neuron's own (the end of a window or a refractory period)
NO_CAUSE = -1
DELIVERY = np.dtype(
    [
        ("event", "i8"),
        ("tick", "i8"),
        ("step", "i4"),
        ("spike", "i8"),
        ("half", "i1"),
        ("projection", "i4"),
    ]
)
# column of a trace file -> (dtype, unit, description); dtype v: that of potentials, and their unit
COLUMNS = {
    "timestamps": ("f8", "ms", "time of the spike; a step is 1 ms"),
    "node_ids": ("u8", "", "neuron number in the layer: (y * W + x) * C + c"),
    "seq": ("u8", "", "place in the order of emission, over all layers"),
    "tick": ("i8", "ticks", "time of the spike"),
    "step": ("i4", "steps", "time step, counted from 0"),
    "event": (
        "i8",
        "",
        "number of the queue's event that fired it; drive has the number of the event before",
    ),
    "sign": ("i1", "", "+1, or -1 where a spike is taken back"),
    "member": ("u2", "", "which member of a group neuron, from 1"),
    "cause": (
        "i8",
        "",
        "seq of the spike whose arrival fired it; -1: drive, or the neuron's own evaluation",
    ),
    "v_before": ("v", "", "potential at the evaluation"),
    "v_after": ("v", "", "potential after this spike"),
}


def own_columns(own: Sequence[str]) -> list[str]:
    """The columns of a model's own states: each before and after a spike.

    own: their names. Returns them in the order in which the kernel records them.
    """
    return [f"{name}_{when}" for when in ("before", "after") for name in own]


def spike_type(potential: DTypeLike, own: Sequence[str] = ()) -> np.dtype[np.void]:
    """The structured dtype of spikes.

    potential: the dtype of potentials. own: names of the model's own states.
    """
    return np.dtype(
        [
            ("seq", "i8"),
            ("event", "i8"),
            ("tick", "i8"),
            ("step", "i4"),
            ("layer", "i4"),
            ("neuron", "i8"),
            ("sign", "i1"),
            ("member", "u2"),
            ("cause", "i8"),
            ("v_before", potential),
            ("v_after", potential),
            *((name, potential) for name in own_columns(own)),
        ]
    )


def spike_columns(
    seq: NDArray[np.integer[Any]],
    spikes: NDArray[np.int64],
    potentials: NDArray[Any],
    own: Sequence[str] = (),
) -> dict[str, NDArray[Any]]:
    """The kernel's records of S spikes by column, as in `COLUMNS`, except where they were fired.

    seq: whole numbers [S], their places in the order of emission. spikes: int64 [S, 7].
    potentials: the arithmetic's dtype [S, 2 + 2 K], before and after, and those of the K states
    named `own`. (See `engine.event.layout`.)
    """
    columns = {
        "event": layout.S_EVENT,
        "tick": layout.S_TICK,
        "step": layout.S_STEP,
        "sign": layout.S_SIGN,
        "member": layout.S_MEMBER,
        "cause": layout.S_CAUSE,
    }
    return {
        "seq": seq,
        **{name: spikes[:, at] for name, at in columns.items()},
        "v_before": potentials[:, 0],
        "v_after": potentials[:, 1],
        **{name: potentials[:, 2 + i] for i, name in enumerate(own_columns(own))},
    }


def delivery_columns(deliveries: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """The kernel's records of deliveries by column, as in `DELIVERY`.

    deliveries: int64 [D, 5] (see `engine.event.layout`).
    """
    columns = {
        "event": layout.D_EVENT,
        "tick": layout.D_TICK,
        "step": layout.D_STEP,
        "spike": layout.D_SPIKE,
    }
    part = deliveries[:, layout.D_PART]
    return {
        **{name: deliveries[:, at] for name, at in columns.items()},
        "half": part & 3,
        "projection": (part >> 3) - 1,
    }


def structured(
    simulation: Simulation,
    first_seq: int,
    spikes: NDArray[np.int64],
    potentials: NDArray[Any],
    deliveries: NDArray[np.int64],
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """(spikes, deliveries): the kernel's records as structured arrays [S] and [D].

    simulation: that ran. first_seq: the first spike's place in the order of emission. spikes: int64
    [S, 7]. potentials: the arithmetic's dtype [S, 2 + 2 K]. deliveries: int64 [D, 5].
    """
    own = own_states(simulation.neuron)
    s = np.zeros(len(spikes), spike_type(potentials.dtype, own))
    d = np.zeros(len(deliveries), DELIVERY)
    numbers = spikes[:, layout.S_NEURON]
    s["layer"] = simulation.network.layer_of[numbers]
    s["neuron"] = numbers - simulation.network.first[s["layer"]]
    seq = first_seq + np.arange(len(s))
    for name, values in spike_columns(seq, spikes, potentials, own).items():
        s[name] = values
    for name, values in delivery_columns(deliveries).items():
        d[name] = values
    return s, d


class NoSimulation:
    """Stands in a `Trace` that was read alone, and answers whatever is asked of it by InputError.

    path: the trace's file.
    """

    def __init__(self, path: object) -> None:
        self.path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions
            raise AttributeError(name)
        expected = "the simulation that made it"
        do = "give it: read_trace(path, simulation)"
        raise InputError(f"trace {self.path}", expected, "none, as it was read alone", do)

    def __repr__(self) -> str:
        return f"<NoSimulation: {self.path} was read alone>"


@named_fields
@dataclass
class Trace:
    """One image's run, event by event.

    simulation: with the arithmetic that was used, or `NoSimulation`. drive: the arithmetic's dtype
    [neurons], what arrives at the beginning of each step, or [D, neurons], of each of the first D
    steps, the last row of all further ones. number: the image's. spikes: structured [S], in the
    order of emission (fields as in `COLUMNS`, with layer and neuron). starts: int64 [T], the tick
    at which each step began. end: the tick at which the run ended.

    deliveries: structured [D], in the order in which the queue gave them out: event (a running
    number), tick, step, spike (its seq), half (0 whole, 1 positive, 2 negative charges) and
    projection (-1: all). complete: whether there is every spike and delivery, so that arrivals can
    be rebuilt. mute: uint8 [neurons], 1 where SRP silenced a neuron (None: nowhere).

    inputs: int64 [E, 4], input events (`encoding.events_of`; None: none). input_deliveries:
    structured, their deliveries, with spike = -2 - the event's place in `inputs`; what `deliveries`
    has of them goes there. about: what its file says of it, such as "layers", "ticks_per_step" and
    "semantics"; {}: it is of no file. parts: int64 [n T, 3], with spread drive (None: without) of
    each part of each step's drive the tick at which it came, the events taken and the spikes fired
    before it.
    """

    simulation: Simulation
    drive: NDArray[Any]
    number: int
    spikes: NDArray[np.void]
    deliveries: NDArray[np.void]
    starts: NDArray[np.int64]
    end: int
    complete: bool = True
    mute: NDArray[np.uint8] | None = None
    inputs: NDArray[np.int64] | None = None
    input_deliveries: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, DELIVERY))
    about: dict[str, Any] = field(default_factory=dict, repr=False)
    parts: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        ours = self.deliveries["spike"] >= 0
        if not ours.all():
            self.input_deliveries = self.deliveries[~ours]
            self.deliveries = self.deliveries[ours]

    @property
    def names(self) -> list[str]:
        """The layers' names, the readout's last."""
        if self.about:
            return list(self.about["layers"])
        return [layer.name for layer in self.simulation.network.layers]

    @property
    def conditions(self) -> str:
        """Engine, order, neuron and so on, as a line; "" for a trace that was read alone."""
        alone = isinstance(self.simulation, NoSimulation)
        return "" if alone else str(conditions(self.simulation))

    @property
    def ticks(self) -> int:
        """The ticks of a step."""
        return int(self.about["ticks_per_step"] if self.about else self.simulation.time.ticks)

    @property
    def spread(self) -> int:
        """In how many parts the drive of a step came."""
        return 1 if self.parts is None else len(self.parts) // len(self.starts)

    @property
    def times(self) -> NDArray[np.float64]:
        """The times of `spikes` in steps, float64 [S]."""
        return np.asarray(self.spikes["tick"] / self.ticks, np.float64)

    @property
    def count(self) -> int:
        """How many spikes the run has."""
        return len(self.spikes)

    def spike(self, seq: int) -> np.void:
        """A spike of a whole trace, a row of `spikes`. seq: its place in the order of emission."""
        found: np.void = self.spikes[seq]
        return found

    def places(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where spikes stand in `spikes`. seqs: int64 [N], of spikes that are there."""
        have = self.spikes["seq"]
        if len(have) and have[-1] == len(have) - 1:  # there are all
            return seqs
        return np.searchsorted(have, seqs).astype(np.int64)

    def around(self, layer: int, neuron: int) -> Trace:
        """A trace with all that one neuron sent and was sent. layer, neuron: its numbers."""
        return self

    def last_events(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """The last event that was recorded before each step, int64 [N]; 0: none.

        steps: int64 [N], from 0.
        """
        found = np.zeros(len(steps), np.int64)
        for records in (self.spikes, self.deliveries):
            if len(records):
                before = np.searchsorted(records["step"], steps) - 1
                events = np.where(before < 0, 0, records["event"][before])
                found = np.maximum(found, events)
        return found

    def layer(self, name: int | str) -> int:
        """A layer's number.

        name: the layer's name, or its number. Raises InputError for a layer that does not exist.
        """
        whole = isinstance(name, (int, np.integer)) and not isinstance(name, bool)
        if whole and 0 <= name < len(self.names):  # type: ignore[operator]
            return int(name)
        if not isinstance(name, str) or name not in self.names:
            raise InputError("layer", f"one of {', '.join(self.names)}, or its number", shown(name))
        return self.names.index(name)

    @checked
    def of(
        self,
        layer: int | str | None = None,
        neuron: Natural | None = None,
        step: Natural | None = None,
    ) -> NDArray[np.void]:
        """The spikes of a layer, neuron or step; structured, as `spikes`.

        layer: name or number. neuron: number in its layer. step: counted from 0. None: of all.
        Raises InputError for a layer or step that does not exist.
        """
        if step is not None and step >= len(self.starts):
            raise InputError("step", f"0 to {len(self.starts) - 1}", step)
        keep = np.ones(len(self.spikes), bool)
        if layer is not None:
            keep &= self.spikes["layer"] == self.layer(layer)
        for name, value in (("neuron", neuron), ("step", step)):
            if value is not None:
                keep &= self.spikes[name] == value
        return self.spikes[keep]

    def to_pandas(self) -> tuple[Any, Any]:
        """(spikes, deliveries) as DataFrames. Raises InputError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise InputError(
                "to_pandas", "pandas", "none installed", "pip install pandas"
            ) from None
        spikes = pandas.DataFrame(self.spikes)
        spikes["layer"] = pandas.Categorical.from_codes(self.spikes["layer"], self.names)
        return spikes, pandas.DataFrame(self.deliveries)

    def __repr__(self) -> str:
        words = self.about.get("semantics") if self.about else self.simulation.describe()
        order = f"; order {words['order']}" if words and "order" in words else ""
        return (
            f"<Trace of image {self.number}: {len(self.spikes):,} spikes, {len(self.deliveries):,} "
            f"deliveries, T = {len(self.starts)}{order}>"
        )


Records = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]


class Recorder:
    """A sink that keeps everything in memory (see `simulation.prepared.Sink`)."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets what was recorded: the image begins again."""
        self.parts: list[Records] = []

    def __call__(
        self, spikes: NDArray[np.int64], potentials: NDArray[Any], deliveries: NDArray[np.int64]
    ) -> None:
        """Keeps the next records; parameters as in `structured`."""
        self.parts.append((spikes, potentials, deliveries))

    def finish(self, simulation: Simulation, run: EventRun) -> None:
        """Does nothing, since `records` takes the records out.

        simulation: the one that ran the image. run: its finished `EventRun`.
        """

    def records(self, simulation: Simulation | None = None) -> Records:
        """(spikes, potentials, deliveries): all that the kernel recorded, as in `structured`.

        simulation: the one that ran, which matters where nothing was recorded.
        """
        if not self.parts:
            own = () if simulation is None else own_states(simulation.neuron)
            return (
                np.zeros((0, 7), np.int64),
                np.zeros((0, 2 + 2 * len(own)), np.int64),
                np.zeros((0, 5), np.int64),
            )
        spikes, potentials, deliveries = zip(*self.parts)
        return np.concatenate(spikes), np.concatenate(potentials), np.concatenate(deliveries)

    def trace(self, simulation: Simulation, run: EventRun, number: int) -> Trace:
        """The `Trace` of what was recorded.

        simulation: the one that ran the image. run: its finished `EventRun`. number: the image's.
        """
        return Trace(
            simulation,
            _drive(run),
            number,
            *structured(simulation, 0, *self.records(simulation)),
            run.starts,
            run.begins_at,
            mute=run.state.mute if run.state.mute.any() else None,
            inputs=run.inputs if len(run.inputs) else None,
            parts=run.parts if run.rules.spread > 1 else None,
        )

    def __repr__(self) -> str:
        return f"<Recorder: {sum(len(part[0]) for part in self.parts):,} spikes>"


def _drive(run: EventRun) -> NDArray[Any]:
    """What arrived at the beginning of each step, as in a `Trace`."""
    return run.drive[0] if len(run.drive) == 1 else run.drive


@checked
def record(
    simulation: Simulation, pixels: NDArray[Any], number: Natural = 0
) -> tuple[EventRun, Trace]:
    """Runs one image and returns (its finished `EventRun`, its `Trace`).

    simulation: with the event engine. pixels: a raw image [C, H, W], or input events int64 [E, 4]
    (`encoding.events_of`). number: the image's, for randomness. Raises InputError for another
    engine, and what a run raises.
    """
    engine_of(simulation)
    recorder = Recorder()
    found = simulation.image(pixels, number, recorder)
    ran = found.ran
    assert isinstance(ran, Simulation)
    return found.run, recorder.trace(ran, found.run, number)
