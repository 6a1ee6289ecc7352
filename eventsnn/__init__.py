"""eventsnn: an event-driven simulator of converted spiking networks, one spike at a time.

    net = eventsnn.load("vgg16_qcfs.h5")
    snn = eventsnn.convert(net)
    images = eventsnn.load_images("cifar-10-batches-bin", limit=100)
    result = eventsnn.simulate(snn, images, steps=32)

`dir(eventsnn)` lists all there is, `help(eventsnn.simulate)` explains every option of a run. Names
and modules are imported on first use, so that the command line starts fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eventsnn.version import VERSION as __version__

if TYPE_CHECKING:
    from eventsnn import ann as ann
    from eventsnn import data as data
    from eventsnn import detection as detection
    from eventsnn import export as export
    from eventsnn import neurons as neurons
    from eventsnn import readers as readers
    from eventsnn import statistics as statistics
    from eventsnn import sweep as sweep
    from eventsnn import trace as trace
    from eventsnn.ann.graph import Graph, Node, Preprocessing
    from eventsnn.data.images import Images, load_images
    from eventsnn.data.recordings import Recordings, load_events
    from eventsnn.doubts import DoubtfulAccuracy
    from eventsnn.exceptions import InputError, OptionError, PotentialsTooLarge, TooManyEvents
    from eventsnn.network import presets as presets
    from eventsnn.network.convert import convert
    from eventsnn.network.network import Layer, Network, Projection
    from eventsnn.notebook.live import LiveMicroscope, live
    from eventsnn.pages.report import report
    from eventsnn.plugins import register
    from eventsnn.readers import load, save
    from eventsnn.readers.torch.module import load_torch
    from eventsnn.reference import fetch
    from eventsnn.result import Result, simulate
    from eventsnn.runs.differing import Difference, diff
    from eventsnn.runs.ordered import ordering
    from eventsnn.runs.results import Results, open_results
    from eventsnn.runs.why import why
    from eventsnn.simulation import arithmetic as arithmetic
    from eventsnn.simulation import encoding as encoding
    from eventsnn.simulation.arithmetic import Arithmetic
    from eventsnn.simulation.batch import Batch
    from eventsnn.simulation.encoding import Encoding
    from eventsnn.simulation.rounding import RoundedWeights
    from eventsnn.simulation.simulation import Simulation
    from eventsnn.simulation.time import Time
    from eventsnn.studies import adversary as adversary
    from eventsnn.studies import asynchronism as asynchronism
    from eventsnn.studies import budgets as budgets
    from eventsnn.studies import certified as certified
    from eventsnn.studies import cost as cost
    from eventsnn.studies import equivalence as equivalence
    from eventsnn.studies import errors as errors
    from eventsnn.studies import order_sampling as order_sampling
    from eventsnn.studies import surgery as surgery
    from eventsnn.studies import timing as timing
    from eventsnn.studies.calibrating import Calibration, calibrate
    from eventsnn.studies.diagnosis.diagnosing import diagnose
    from eventsnn.studies.diagnosis.remedies import Remedy
    from eventsnn.studies.diagnosis.report import Diagnosis
    from eventsnn.studies.diagnosis.verdict import Verdict
    from eventsnn.studies.reason import Reason
    from eventsnn.trace import edits as edits
    from eventsnn.trace import explain as explain
    from eventsnn.trace import microscope as microscope
    from eventsnn.trace import replay as replay
    from eventsnn.trace.edits import Delay, Drop, Move, Swap
    from eventsnn.trace.ordering import Ordering
    from eventsnn.trace.trace import Trace
    from eventsnn.views import plots as plots
    from eventsnn.views import tables as tables

__all__ = [
    "Arithmetic",
    "Batch",
    "Calibration",
    "Delay",
    "Difference",
    "Diagnosis",
    "DoubtfulAccuracy",
    "Drop",
    "Encoding",
    "Graph",
    "Images",
    "InputError",
    "Layer",
    "LiveMicroscope",
    "Move",
    "Network",
    "Node",
    "OptionError",
    "Ordering",
    "PotentialsTooLarge",
    "Preprocessing",
    "Projection",
    "Reason",
    "Recordings",
    "Remedy",
    "Result",
    "Results",
    "RoundedWeights",
    "Simulation",
    "Swap",
    "Time",
    "TooManyEvents",
    "Trace",
    "Verdict",
    "__version__",
    "calibrate",
    "convert",
    "diff",
    "diagnose",
    "fetch",
    "live",
    "load",
    "load_events",
    "load_images",
    "load_torch",
    "open_results",
    "ordering",
    "register",
    "report",
    "save",
    "simulate",
    "why",
]

# the module that each name comes from
_NAMES = {
    name: module
    for module, names in {
        "ann.graph": "Graph Node Preprocessing",
        "data.images": "Images load_images",
        "data.recordings": "Recordings load_events",
        "doubts": "DoubtfulAccuracy",
        "exceptions": "InputError OptionError PotentialsTooLarge TooManyEvents",
        "network.convert": "convert",
        "network.network": "Layer Network Projection",
        "notebook.live": "LiveMicroscope live",
        "pages.report": "report",
        "plugins": "register",
        "readers": "load save",
        "readers.torch.module": "load_torch",
        "reference": "fetch",
        "result": "Result simulate",
        "runs.differing": "Difference diff",
        "runs.results": "Results open_results",
        "runs.ordered": "ordering",
        "runs.why": "why",
        "simulation.arithmetic": "Arithmetic",
        "simulation.batch": "Batch",
        "simulation.encoding": "Encoding",
        "simulation.rounding": "RoundedWeights",
        "simulation.simulation": "Simulation",
        "simulation.time": "Time",
        "studies.calibrating": "Calibration calibrate",
        "studies.diagnosis.diagnosing": "diagnose",
        "studies.diagnosis.remedies": "Remedy",
        "studies.diagnosis.report": "Diagnosis",
        "studies.diagnosis.verdict": "Verdict",
        "studies.reason": "Reason",
        "trace.edits": "Delay Drop Move Swap",
        "trace.ordering": "Ordering",
        "trace.trace": "Trace",
    }.items()
    for name in names.split()
}

# public modules, and where they stand: their names stay flat, whatever the room
_MODULES = {
    name: f"{room}.{name}" if room else name
    for room, names in {
        "": "ann data detection export neurons readers statistics sweep trace",
        "network": "presets",
        "simulation": "arithmetic encoding",
        "studies": "adversary asynchronism budgets certified cost equivalence errors "
        "order_sampling surgery timing",
        "trace": "edits explain microscope replay",
        "views": "plots tables",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """A name of `__all__` or a public module, imported on first use."""
    if name in _MODULES:
        value: Any = import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _NAMES:
        value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])


class _Flat(MetaPathFinder, Loader):
    """Imports `eventsnn.errors` and the like, which stand in a room, under their public names."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        if package != __name__ or _MODULES.get(module, module) == module:
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(f"{__name__}.{_MODULES[spec.name.rpartition('.')[2]]}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The module has run already; it keeps its own spec."""
        if module.__spec__ is not None and module.__spec__.loader is self:
            module.__spec__ = module.__spec__.loader_state


sys.meta_path.append(_Flat())
