"""The live microscope: one neuron of a recorded image, whose arriving spikes can be moved.

What a hand does to a spike is an edit of the recorded run (`eventsnn.edits`). The run is replayed,
and the page shows the neuron, the layers and the readout as recorded and as edited.
"""

from __future__ import annotations

from typing import Annotated, Any

from eventsnn.arguments import OWN, checked
from eventsnn.exceptions import InputError
from eventsnn.network.linear import Grid
from eventsnn.network.network import neuron_number
from eventsnn.notebook import scene
from eventsnn.notebook.specimen import Specimen
from eventsnn.notebook.view import Gestures, View, look, told
from eventsnn.notebook.widget import make_widget
from eventsnn.result import Result
from eventsnn.trace.edits import Edit
from eventsnn.trace.observation import Observation
from eventsnn.trace.replay import Replayed
from eventsnn.trace.trace import Trace
from eventsnn.values import shown, whole

Layer = Annotated[int | str | None, OWN]
Neuron = Annotated[int | tuple[int] | Grid | None, OWN]
Image = Annotated[int | None, OWN]


@checked
def live(
    recorded: Trace | Result, layer: Layer = None, neuron: Neuron = None, image: Image = None
) -> LiveMicroscope:
    """The live microscope in Jupyter: move one spike, and see what a replay makes of it.

    recorded: a result of the event engine, or a complete trace of one image. layer: its name or
    number. neuron: its number in the layer, (c, y, x), or (i,), the index in a flat vector. Without
    both it begins at the neuron that errs most of those that hear spikes, or else with the first
    layer that does; without `neuron` at the layer's worst. image: its place in the result (None:
    0); not beside a trace.

    Needs anywidget (pip install anywidget). Raises InputError where it is not installed,
    for another engine, for a layer, neuron or image that there is not, and for what the microscope
    (`eventsnn.microscope.observe`) refuses.
    """
    return LiveMicroscope(recorded, layer, neuron, image)


class LiveMicroscope:
    """See `live`, which makes it. Jupyter shows it, and what is called here shows there.

    recorded, layer, neuron, image, and what is raised: as in `live`. widget: the part that Jupyter
    shows, for layouts of ipywidgets.
    """

    @checked
    def __init__(
        self,
        recorded: Trace | Result,
        layer: Layer = None,
        neuron: Neuron = None,
        image: Image = None,
    ) -> None:
        if isinstance(recorded, Trace) and image is not None:
            do = "leave it out: a trace is one image's"
            raise InputError("image", "none beside a trace", shown(image), do)
        self._recorded = recorded
        self._kept: dict[int, Gestures] = {}
        self.widget = make_widget(self._answer)
        specimen = self._specimen(0 if image is None else image)
        if layer is None:
            if neuron is not None:
                do = 'for example layer="act2"'
                raise InputError("neuron", "the layer that it is of beside it", shown(neuron), do)
            layer, neuron = specimen.first()
        self._show(self._found(specimen, layer, neuron))

    @property
    def image(self) -> int:
        """The image's place in the result; a trace's number."""
        return self._view.specimen.place

    @property
    def layer(self) -> str:
        """The layer's name."""
        return self._view.specimen.trace.names[self._view.layer]

    @property
    def neuron(self) -> int:
        """The neuron's number in its layer."""
        return self._view.neuron

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The image's edits, one after the other."""
        return self._view.edits

    @property
    def replayed(self) -> Replayed:
        """The edited run beside the recorded one: what `replay` gives for the edits."""
        return self._view.replayed

    @property
    def before(self) -> Observation:
        """The neuron as recorded."""
        return self._view.before

    @property
    def after(self) -> Observation:
        """The neuron as edited."""
        return self._view.after

    @property
    def code(self) -> str:
        """The edits as lines of Python that give the same replay."""
        return self._code(self._view)

    @checked
    def choose(self, layer: Layer = None, neuron: Neuron = None, image: Image = None) -> None:
        """Looks at another neuron or image. Each image keeps its edits.

        layer, neuron, image: as in `live`; None: what they are. Another layer without a neuron:
        its worst. Raises InputError for what there is not; then all stays as it is.
        """
        last = self._view
        specimen = last.specimen
        if image is not None and image != self.image:
            specimen = self._specimen(image)
        if layer is None:
            layer, neuron = last.layer, last.neuron if neuron is None else neuron
        elif neuron is None and specimen.trace.layer(layer) == last.layer:
            neuron = last.neuron
        self._show(self._found(specimen, layer, neuron, last))

    @checked
    def edit(self, *edits: Edit) -> None:
        """Edits the image further. `undo` takes back together what was edited together.

        edits: `Swap`, `Move`, `Drop`, `Delay`; they name spikes by their seq in the recorded trace.
        Raises InputError for what `replay` refuses; then all stays as it is.
        """
        if edits:
            self._replay((*self._view.gestures, edits))

    def undo(self) -> None:
        """Takes the last edit back. Raises InputError where there is none."""
        if not self._view.gestures:
            raise InputError("undo", "an edit to take back", "none")
        self._replay(self._view.gestures[:-1])

    def reset(self) -> None:
        """Takes all edits of this image back."""
        self._replay(())

    def _replay(self, gestures: Gestures) -> None:
        last = self._view
        self._show(look(last.specimen, gestures, last.layer, last.neuron, last))

    def _specimen(self, image: Any) -> Specimen:
        """The image at a place of the result, or the trace's."""
        recorded = self._recorded
        if isinstance(recorded, Trace):
            if self._kept and image != recorded.number:
                raise InputError("image", f"{recorded.number}, the trace's", shown(image))
            return Specimen(recorded, None, recorded.number)
        image = whole("image", image)
        return Specimen(recorded.trace(image), recorded._image(image), image)

    def _found(self, specimen: Specimen, layer: Any, neuron: Any, last: View | None = None) -> View:
        """The view of a neuron (None: the layer's worst). last: the one so far."""
        number = specimen.trace.layer(layer)
        if neuron is None:
            neuron = specimen.first_neuron(number)
        neuron = neuron_number(specimen.simulation.network.layers[number], neuron)
        return look(specimen, self._kept.get(specimen.place, ()), number, neuron, last)

    def _show(self, view: View) -> None:
        """The page shows a view from now on."""
        names = scene.classes(view.specimen.simulation, getattr(self._recorded, "images", None))
        picture = told(view, names, self._code(view))
        picture["images"] = 1 if isinstance(self._recorded, Trace) else len(self._recorded)
        picture["label"] = self._label(view.specimen.place, names)
        self._view = view
        self._kept[view.specimen.place] = view.gestures
        self.widget.show(picture)

    def _label(self, place: int, names: list[str]) -> str:
        """The class of an image, in words; "" where it is not known."""
        labels = None if isinstance(self._recorded, Trace) else self._recorded.labels
        if labels is None:
            return ""
        label = int(labels[place])
        return f"class {label}" + (f", {names[label]}" if label < len(names) else "")

    def _code(self, view: View) -> str:
        names = sorted({type(edit).__name__ for edit in view.edits})
        lines = [f"from eventsnn import {', '.join(names)}", ""] if names else []
        lines += ["edits = [", *(f"    {edit!r}," for edit in view.edits), "]"]
        if isinstance(self._recorded, Trace):
            lines.insert(0, "import eventsnn")
            lines.append("replayed = eventsnn.replay.replay(trace.simulation, trace, edits=edits)")
        else:
            lines.append(f"replayed = result.replay(edits, image={view.specimen.place})")
        return "\n".join([*lines, "print(replayed)"])

    def _answer(self, message: Any) -> None:
        """Does what the page asks for. A refusal is told there, and changes nothing."""
        try:
            self._do(dict(message))
        except InputError as error:
            self.widget.refuse(str(error))

    def _do(self, asked: dict[str, Any]) -> None:
        what, arrivals = asked.get("do"), self._view.arrivals
        if what in ("place", "swap", "shift", "drop") and asked.get("of") != self.widget.number:
            raise InputError("picture", "an edit of what is shown", "one of an earlier picture")
        if what == "choose":
            self.choose(asked.get("layer"), asked.get("neuron"), asked.get("image"))
        elif what == "place":
            self.edit(*arrivals.place(asked.get("at"), asked.get("gap")))
        elif what == "swap":
            self.edit(*arrivals.swap(asked.get("at"), asked.get("by")))
        elif what == "shift":
            self.edit(*arrivals.shift(asked.get("at"), asked.get("steps")))
        elif what == "drop":
            self.edit(*arrivals.drop(asked.get("at")))
        elif what == "undo":
            self.undo()
        elif what == "reset":
            self.reset()
        else:
            raise InputError("page", "something that the microscope does", shown(what))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """What Jupyter shows, and in words where it cannot."""
        found = self.widget._repr_mimebundle_(**options)
        data = found[0] if isinstance(found, tuple) else found
        data["text/plain"] = repr(self)
        return found

    def __repr__(self) -> str:
        count = len(self.edits)
        edits = f"{count} edit{'s' * (count != 1)}" if count else "no edits"
        return f"<LiveMicroscope of {self._view.before.name}, image {self.image}: {edits}>"
