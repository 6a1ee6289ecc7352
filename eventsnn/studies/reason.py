"""Why a spiking network has an image wrong that its ANN has right.

    print(eventsnn.why(result, 17))

`splitting` says what the parts mean; semantics, section 18.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann.forward import by_neuron, classes_of, is_map, logits
from eventsnn.arguments import named_fields
from eventsnn.exceptions import InputError, one_line
from eventsnn.simulation.conditions import conditions
from eventsnn.simulation.simulation import Simulation, cores
from eventsnn.simulation.time import Time
from eventsnn.studies.asynchronism import Neurons, of_trace
from eventsnn.studies.replacing import Replacing
from eventsnn.studies.setting import check_exact, check_levels, numbers_of
from eventsnn.studies.splitting import NEURONS, Part, Restored, Splitting, Wrong
from eventsnn.trace.explain import Explanation, explain_neuron
from eventsnn.trace.trace import Trace, record
from eventsnn.views.progress import bar as progress_bar
from eventsnn.views.tables import html_table, optional, text_table

if TYPE_CHECKING:  # what draws is imported where it is used
    from matplotlib.figure import Figure

SHOWN = 8  # neurons of a table
WHERE = "why"


@named_fields
@dataclass(frozen=True, repr=False, eq=False)
class Reason:
    """Why an image is wrong, from `eventsnn.why`; print it.

    simulation: that is asked about. number: the image's, in its data set. right, wrong: the classes
    of the ANN and of the spiking network. labelled: whether `right` is the image's label, too.
    classes: names of the classes, or ().

    Margins are outputs of the right class less those of the wrong one, in the ANN's units. ann,
    snn: of the two. ideal: with right spikes in every layer: of the ANN with as many levels as
    there are steps.

    layers: a dict for each layer of neurons: layer, order (in asynchronous time), counts, times,
    together (the three), from SNN, from ANN (counts and times, from either side). rest: of `ideal`
    less `snn`, what the layers' parts do not add up to; 0 where every spike arrives. restored: the
    smallest set of layers that restores the class.

    neurons: those that win most of the margin where each alone is set right, a dict each: layer,
    neuron, place, fired, right (the ideal staircase's count, which ends at the threshold), gain,
    late (late inhibition in thresholds, DNISNM eq. 16). off: how
    many neurons of `among` have a wrong count. among: the layers that were looked at.
    timed: layers that were looked at before, and err in times alone. worst: the
    first of these neurons explained, or None where there is none. trace: of the image.
    """

    simulation: Simulation
    number: int
    right: int
    wrong: int
    labelled: bool
    classes: tuple[str, ...]
    ann: float
    snn: float
    ideal: float
    layers: list[dict[str, Any]]
    rest: float
    restored: Restored
    neurons: list[dict[str, Any]]
    off: int
    among: tuple[str, ...]
    timed: tuple[str, ...]
    worst: Explanation | None
    trace: Trace

    def table(self) -> list[dict[str, Any]]:
        """One row a layer, as in `layers`."""
        return self.layers

    def to_pandas(self) -> tuple[Any, Any]:
        """(layers, neurons) as DataFrames; needs pandas."""
        pandas = optional("pandas")
        layers = pandas.DataFrame(self.layers).set_index("layer")
        return layers, pandas.DataFrame(self.neurons, columns=list(COLUMNS))

    def plot(self) -> Figure:
        """Each layer's part in the margin that went missing; a matplotlib Figure."""
        from eventsnn.views.margins import margin_figure

        title = f"image {self.number}: {self._named(self.right)} taken for "
        title += self._named(self.wrong)
        ends = {"SNN": self.snn, "ANN, L = T": self.ideal, "ANN": self.ann}
        return margin_figure(self.layers, ends, title, conditions(self.simulation))

    def plot_worst(self) -> Figure:
        """The microscope of the neuron that wins most. Raises InputError where there is none."""
        from eventsnn.trace.microscope import plot

        if self.worst is None:
            raise InputError(WHERE, "a neuron with a wrong count that costs margin", "none")
        return plot(self.worst.observation)

    def _named(self, number: int) -> str:
        """A class with its name, where it has one."""
        name = self.classes[number] if number < len(self.classes) else ""
        return f"{number} ({one_line(name)})" if name else str(number)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return (
            f"<Reason of image {self.number}: {self.right} taken for {self.wrong}, margin "
            f"{self.snn:+.4g} of {self.ann:+.4g}; {conditions(self.simulation)}>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        first, *_ = str(self).split("\n")
        parts = [f"<p>{escape(first)}</p>", _picture(self), html_table(self.layers, HEADINGS)]
        lines = _below(self, tables=False)
        parts.append(f"<pre>{escape(chr(10).join(lines))}</pre>")
        if self.neurons:
            parts.append(html_table(self.neurons, HEADINGS))
        return "".join(parts)


COLUMNS = ("layer", "neuron", "place", "fired", "right", "gain", "late")
SIGNED = ("order", "counts", "times", "together", "from SNN", "from ANN", "gain")
HEADINGS = {name: (name, "+.4g") for name in SIGNED}


def reason(
    simulation: Simulation,
    image: NDArray[Any],
    number: int,
    label: int | None,
    classes: tuple[str, ...] = (),
    progress: bool | None = None,
) -> Reason:
    """The `Reason` of one image.

    simulation: that has it wrong. image: raw pixels [C, H, W]. number: the image's, for randomness.
    label: its class, or None: the ANN's counts. classes: their names. progress: whether a progress
    bar is shown. Raises InputError for an image that is not wrong in the spiking network and right
    in the ANN, and for simulations that cannot be taken apart: in floating point, with SRP, a
    delayed readout, input events or free running, with a model that changes between arrivals, and
    with fewer steps than a threshold's worth of spikes takes.
    """
    check_reason(simulation)
    outputs = by_neuron(logits(simulation.network.graph, image[None]))[0]
    ran, trace = _recorded(simulation, image, number)
    right, wrong = int(classes_of(outputs)), int(classes_of(ran))
    check_wrong(number, right, wrong, label)
    asynchronous = simulation.engine.asynchronous and simulation.time.order != "clocked"
    clocked = simulation.on("clocked") if simulation.engine.asynchronous else simulation
    if asynchronous:  # more spikes than the bound of clocked time counts with
        clocked = clocked.wider()
    with ThreadPoolExecutor(cores()) as pool, progress_bar(0, "run", progress) as bar:
        numbers = np.array([number])
        part = Replacing(clocked, image[None], numbers, 0, pool, bar)
        split = Splitting(part, right, wrong, trace if asynchronous else None)
        parts, ideal = split.parts()
        among: tuple[str, ...]
        if asynchronous and split.restores(split.own):  # the order alone did it
            restored = Restored((), True, 0, split.margin(split.own))
            among = (max(parts, key=lambda each: each.order).name,)
        else:
            restored = split.restored()
            worst_layer = max(parts, key=lambda each: each.counts + each.times).name
            among = restored.names or (worst_layer,)
        wrongs, off = split.neurons(among)
        timed = among if not off else ()
        if timed:  # these err in times alone, and others count wrong for it
            among = (max(parts, key=lambda each: each.counts).name,)
            wrongs, off = split.neurons(among)
    snn = split.margin_of(ran)

    def unit(charge: float) -> float:
        return float(simulation.output(np.array([charge]), simulation.steps)[0])

    found = of_trace(trace)
    layers = [_row(each, unit, asynchronous) for each in parts]
    missing = 2 * (ideal - snn) - sum(each.order + each.counts + each.times for each in parts)
    neurons = [_neuron(trace.simulation, found, each, unit) for each in wrongs[:SHOWN]]
    worst = explain_neuron(trace, wrongs[0].layer, wrongs[0].neuron) if wrongs else None
    return Reason(
        simulation,
        number,
        right,
        wrong,
        label is not None,
        classes,
        _margin(outputs, right, wrong),
        unit(snn),
        unit(ideal),
        layers,
        unit(missing / 2),
        restored,
        neurons,
        off,
        among,
        timed,
        worst,
        trace,
    )


def check_reason(simulation: Simulation) -> None:
    """Raises InputError for a simulation whose images cannot be taken apart."""
    if is_map(simulation.network.graph):
        raise InputError(WHERE, "an output of classes", "a map")
    if simulation.srp:
        raise InputError(WHERE, "no SRP, whose silenced neurons have no spikes", "⟦srp⟧")
    if not numbers_of(simulation.network):
        raise InputError(WHERE, "a network with neurons", "none")
    check_exact(simulation, WHERE)
    simulation.encoding.check_model(simulation.neuron)
    check_levels(simulation)


def check_wrong(number: int, right: int, wrong: int, label: int | None) -> None:
    """Raises InputError unless the ANN has an image right, and the spiking network wrong.

    number: the image's. right, wrong: the classes of the two. label: its class, or None.
    """
    expected = "one that the spiking network has wrong and the ANN right"
    where = f"{WHERE}: image {number}"
    if label is not None and right != label:
        found = f"label {label}, ANN {right}, spiking network {wrong}: the ANN has it wrong itself"
        raise InputError(where, expected, found, "choose another")
    if right == wrong:
        raise InputError(where, expected, f"class {right} in both", "choose another")


def _recorded(
    simulation: Simulation, image: NDArray[Any], number: int
) -> tuple[NDArray[Any], Trace]:
    """(the charge at the readout, the trace) of an image; a clocked one is run in order clocked."""
    events = simulation
    if not simulation.engine.records:
        events = simulation.on("event", Time(order="clocked"))
    run, trace = record(events, image, number)
    return run.readout[-1], trace


def _margin(outputs: NDArray[Any], right: int, wrong: int) -> float:
    """The ANN's margin. outputs: its logits."""
    if len(outputs) == 1:
        return float(outputs[0]) * (1 if right else -1)
    return float(outputs[right]) - float(outputs[wrong])


def _row(part: Part, unit: Any, asynchronous: bool) -> dict[str, Any]:
    """A layer's row. unit: turns charge into the ANN's units."""
    row: dict[str, Any] = {"layer": part.name}
    if asynchronous:
        row["order"] = unit(part.order / 2)
    row |= {"counts": unit(part.counts / 2), "times": unit(part.times / 2)}
    row["together"] = unit((part.order + part.counts + part.times) / 2)
    return row | {"from SNN": unit(part.from_snn), "from ANN": unit(part.from_ann)}


def _neuron(
    simulation: Simulation, found: dict[str, Neurons], wrong: Wrong, unit: Any
) -> dict[str, Any]:
    """A neuron's row. found: `asynchronism.of_trace`. unit: turns charge into the ANN's units."""
    i = numbers_of(simulation.network)[wrong.layer]
    threshold = simulation.arithmetic.one.item() * float(simulation.quanta[i])
    late = int(found[wrong.layer].late[wrong.neuron]) / threshold
    place = simulation.network.layers[i].place(wrong.neuron)
    values = (wrong.layer, wrong.neuron, place, wrong.own, wrong.ideal, unit(wrong.gain), late)
    return dict(zip(COLUMNS, values))


def _lines(r: Reason) -> Iterator[str]:
    """A reason in words, line by line."""
    said = "label" if r.labelled else "class, as the ANN has it (no label)"
    yield (
        f"Image {r.number}, {said} {r._named(r.right)}: the spiking network says "
        f"{r._named(r.wrong)}, the ANN is right."
    )
    yield f"{conditions(r.simulation)}"
    yield (
        f"Margin, output of {r.right} less that of {r.wrong}: {r.ann:+.4g} in the ANN, "
        f"{r.snn:+.4g} in the spiking network; {r.ideal:+.4g} with right spikes in every layer."
    )
    yield from _below(r)


def _below(r: Reason, tables: bool = True) -> Iterator[str]:
    """What follows the margins. tables: among the lines, too."""
    yield "What each layer cost of the margin (a minus: it helped):"
    if tables:
        yield text_table([*r.layers, _sum(r)], HEADINGS)
    yield (
        "  counts and times: the mean of two ways, from the SNN side (layers are set right from "
        "input to output)\n  and from the ANN side (all are right, and err again from input to "
        "output)"
    )
    if "order" in r.layers[0]:
        yield "  order: what the order of arrival cost against clocked time, from input to output"
    together = sum(row["together"] for row in r.layers)
    yield (
        f"  {r.snn:+.4g} {_plus(together)}{'' if not r.rest else ' ' + _plus(r.rest) + ' (rest)'} "
        f"= {r.ideal:+.4g}; {_plus(r.ann - r.ideal)} more to the ANN: T = {r.simulation.steps} "
        "levels, clipping and rounding"
    )
    yield _restored(r)
    yield from _neurons(r, tables)


def _plus(number: float) -> str:
    return f"{'+' if number >= 0 else '-'} {abs(number):.4g}"


def _sum(r: Reason) -> dict[str, Any]:
    """The last row of the table."""
    total: dict[str, Any] = {"layer": "sum"}
    return total | {key: sum(row[key] for row in r.layers) for key in list(r.layers[0])[1:]}


def _restored(r: Reason) -> str:
    """The smallest set of layers in words."""
    found = r.restored
    if not found.names and not found.tried:
        return "In clocked time the class is right: the order of arrival alone changed it."
    if not found.names:
        do = "choose more steps or other thresholds"
        return f"Right spikes in every layer do not restore class {r.right}: {do}."
    which = ", ".join(map(one_line, found.names))
    layers = f"layer{'s' * (len(found.names) > 1)} {which}"
    how = f"the smallest set that does, of {found.tried:,} tried"
    if not found.exact:
        how = f"found by adding what helps most, {found.tried:,} sets tried: a smaller one may be"
    return f"Right spikes in {layers} restore class {r.right} ({how})."


def _neurons(r: Reason, tables: bool) -> Iterator[str]:
    """The neurons that carry most of it, in words."""
    among = ", ".join(map(one_line, r.among))
    tried = min(r.off, NEURONS)
    if r.timed:
        timed = ", ".join(map(one_line, r.timed))
        yield f"Every count of {timed} is right, and its times are not; so {among} is looked at."
    told = f"{r.off:,} neurons of {among} have a wrong count"
    if not r.neurons:
        yield f"{told}; of the {tried:,} furthest off none wins margin where it alone is set right."
        return
    yield f"{told}; of the {tried:,} furthest off these win most where each alone is set right:"
    if tables:
        yield text_table(r.neurons, HEADINGS)
    late = sum(row["late"] < 0 for row in r.neurons)
    yield "  right: what the charge is worth, but no more than what the threshold stands for"
    yield f"  late: inhibition after the last excitation, in thresholds; {late} of these have some"
    if r.worst is not None:
        yield f"The first of them:\n{r.worst}"


def _picture(r: Reason) -> str:
    """The layers' parts as a picture in HTML."""
    file = io.BytesIO()
    r.plot().savefig(file, format="png", dpi=100)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="parts of the margin by layer" src="data:image/png;base64,{data}">'
