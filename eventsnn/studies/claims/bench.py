"""What claims are judged on: networks by their part, and their runs, each made once."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.ann import forward as ann
from eventsnn.ann.graph import Graph
from eventsnn.data.images import Images
from eventsnn.inputs.loading import load_calibration, load_inputs
from eventsnn.network.network import Network
from eventsnn.result import Result, simulate
from eventsnn.settings import Settings
from eventsnn.studies import at_rest, errors, scripts
from eventsnn.studies.claims.findings import NotRun
from eventsnn.studies.unevenness import Cases

MODELS: dict[str, dict[str, Any]] = {"st-bif": at_rest.REST}
RELU, QCFS, LSQ, TCL = "relu", "qcfs", "lsq", "tcl"


class Bench:
    """Networks and runs for claims.

    settings: of data and limit; a network takes its place for each part. nets: part (RELU, QCFS,
    LSQ, TCL) -> the network's name or file. tables: a folder with one folder for each figure of
    training_figures, which has its CSV files; None: there is none.
    """

    def __init__(
        self, settings: Settings, nets: Mapping[str, str], tables: Path | None = None
    ) -> None:
        self.settings, self.nets, self.tables = settings, nets, tables
        self._loaded: dict[str, tuple[Graph, Images, NDArray[np.float32]]] = {}
        self._networks: dict[str, Network] = {}
        self._runs: dict[str, Result] = {}
        self._studies: dict[str, Any] = {}

    def of(self, part: str) -> Settings:
        """The settings of a part's network."""
        return replace(self.settings, net=self.nets[part])

    def loaded(self, part: str) -> tuple[Graph, Images, NDArray[np.float32]]:
        """(the ANN, labelled images, its logits)."""
        if part not in self._loaded:
            graph, images, _ = load_inputs(self.of(part))
            if images.labels is None:
                raise NotRun("images with labels")
            self._loaded[part] = graph, images, ann.by_neuron(ann.logits(graph, images.pixels))
        return self._loaded[part]

    def calibration(self, part: str) -> Images:
        """The images on which thresholds are found."""
        return load_calibration(self.loaded(part)[0], self.of(part))

    def network(self, part: str, **convert: Any) -> Network:
        """The spiking network. convert: options of the conversion."""
        key = json.dumps([part, convert])
        if key not in self._networks:
            graph, images, _ = self.loaded(part)
            args = argparse.Namespace(settings=self.of(part))
            self._networks[key] = scripts.network_of(args, graph, images, **convert)
        return self._networks[key]

    def run(
        self, part: str, steps: int, convert: Mapping[str, Any] | None = None, **options: Any
    ) -> Result:
        """A run of a part's network. convert: options of the conversion. options: of `simulate`."""
        key = json.dumps([part, steps, dict(convert or {}), options])
        if key not in self._runs:
            network = self.network(part, **(convert or {}))
            images = self.loaded(part)[1]
            given = {**MODELS.get(str(options.get("neuron")), {}), **options}
            self._runs[key] = simulate(network, images, steps=steps, progress=False, **given)
        return self._runs[key]

    def hits(
        self, part: str, steps: int, at: int | None = None, **options: Any
    ) -> NDArray[np.bool_]:
        """Which images a run has right, bool [N]. at: after how many of the steps (None: all)."""
        found: NDArray[np.bool_] = scripts.hits(self.run(part, steps, **options), at)
        return found

    def ann_hits(self, part: str) -> NDArray[np.bool_]:
        """Which images the ANN has right, bool [N]."""
        _, images, logits = self.loaded(part)
        return np.asarray(ann.classes_of(logits) == images.labels)

    def squares(self, part: str, steps: int, at: int, **options: Any) -> NDArray[np.float64]:
        """The mean squared distance of each image's readout from the ANN's logits, [N]."""
        run, logits = self.run(part, steps, **options), self.loaded(part)[2]
        found: NDArray[np.float64] = np.square(run.readout(at) - logits).mean(axis=1)
        return found

    def cases(self, part: str, steps: int, **options: Any) -> Cases:
        """`errors.cases` of a part's network."""
        return self._study(errors.cases, part, steps, options)

    def parts(self, part: str, steps: int, **options: Any) -> errors.Errors:
        """`errors.decompose` of a part's network."""
        return self._study(errors.decompose, part, steps, options)

    def rest(self, part: str, steps: int, **options: Any) -> at_rest.AtRest:
        """A part's network at rest beside the quantised ANN."""
        return self._study(at_rest.at_rest, part, steps, options)

    def distances(self, part: str, steps: int) -> at_rest.Distances:
        """How far a part's layers are from the quantised ANN's."""
        return self._study(at_rest.distances, part, steps, {})

    def _study(self, study: Any, part: str, steps: int, options: Mapping[str, Any]) -> Any:
        key = json.dumps([study.__name__, part, steps, dict(options)])
        if key not in self._studies:
            images = self.loaded(part)[1]
            network = self.network(part)
            self._studies[key] = study(network, images, steps=steps, progress=False, **options)
        return self._studies[key]

    def table(self, figure: str, name: str = "training_figures") -> list[dict[str, Any]]:
        """The rows that `training_figures` wrote of a figure, numbers as such.

        figure: as for --figure. name: of the table. Raises NotRun where there are none.
        """
        path = None if self.tables is None else self.tables / figure / f"{name}.csv"
        if path is None or not path.is_file():
            raise NotRun(f"it takes the networks of training_figures --figure {figure}")
        with path.open(encoding="utf-8", newline="") as file:
            return [{key: _number(x) for key, x in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    """A cell of a CSV file; None for nothing."""
    try:
        return float(text) if text else None
    except ValueError:
        return text
