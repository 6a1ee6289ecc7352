"""Random runs for the oracle: a network, a model, an encoding and a way of time (`draw`)."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from support.oracle_events import HALVES
from support.oracle_models import GN, IF, LIF, SNM, STBIF, TPP, Adaptive, IFHard
from support.oracle_networks import MAKERS, QUANTISED, features

import eventsnn

ORDERS = ("fifo", "lifo", "index", "random", "priority", *HALVES, "jitter", "delays", "clocked")
ALL_ORDERS = ("clocked engine", *ORDERS)
ENCODINGS = ("constant", "even", "rate", "events")
# name -> rng -> (as `simulate` takes it, the oracle's)
MODELS = {
    "if": lambda rng: ("if", IF()),
    "if-hard": lambda rng: ("if-hard", IFHard()),
    "snm": lambda rng: ("snm", SNM()),
    "st-bif": lambda rng: ("st-bif", STBIF()),
    "gn": lambda rng: _with(rng, "gn:{}", GN, [1, 2, 3, 4, 7]),
    "lif": lambda rng: _with(rng, "lif:{}", LIF, [0.5, 0.9, 0.99, 1.0]),
    "adaptive": lambda rng: _with(
        rng, "adaptive:beta={},leak={}", Adaptive, [0.0, 0.125, 0.3], [0.5, 0.9, 1.0]
    ),
    "tpp": lambda rng: ("tpp", TPP(0)),
}
LENGTHS = [*(Fraction(n, 4) for n in range(1, 7)), *(Fraction(n, 3) for n in range(1, 5))]


def _with(rng, text, model, *choices):
    chosen = [rng.choice(values).item() for values in choices]
    return text.format(*chosen), model(*chosen)


@dataclass
class Case:
    """One run. family: the maker of its graph. time: options of `simulate` that say how time goes,
    with lengths as fractions of a step; None: the clocked engine. minima: whether a pool took
    minima in the run.
    """

    graph: object
    pixels: np.ndarray
    model: str
    text: str
    oracle: object
    family: str = ""
    time: dict | None = None
    encoding: str = "constant"
    options: dict = field(default_factory=dict)
    release: int | None = None
    bias_once: bool = False
    unit: float = 1.0
    events: list = field(default_factory=list)
    thresholds: object = "auto"
    minima: bool = False

    @property
    def order(self):
        """The order's name, or "clocked engine"."""
        return self.time.get("order", "fifo") if self.time is not None else "clocked engine"

    def words(self):
        """The case in a line."""
        return f"{self.family}, {self.text}, {self.encoding}, {self.time}, {self.options}"

    def facts(self):
        """[(dimension, value)] of all that the table of a campaign counts."""
        time, options = self.time or {}, self.options
        rows = [("operator", name) for name in sorted(features(self.graph))]
        if self.minima:
            rows.append(("operator", "MaxPool, minima"))
        rows += [("network", self.family), ("model", self.model), ("encoding", self.encoding)]
        rows += [("order", self.order), ("numbers", options.get("arithmetic", "fixed"))]
        rows += [("time", name) for name in ("refractory", "window") if time.get(name)]
        if time.get("refractory") and time.get("window"):
            rows.append(("time", "refractory and window"))
        if time.get("delays"):
            rows.append(("time", f"delays, {time['delays']}"))
        if "barrier" in time:
            rows.append(("time", "barrier" if time["barrier"] else "no barrier"))
        if options.get("srp"):
            rows.append(("stages", "SRP"))
        if self.bias_once:
            rows.append(("encoding", f"{self.encoding}, bias_once"))
        if isinstance(self.thresholds, dict):
            rows.append(("thresholds", "one for each neuron"))
        if options.get("fraction_bits"):
            rows.append(("numbers", f"F = {options['fraction_bits']}"))
        return rows


def draw(seed, *, models=MODELS, orders=ALL_ORDERS, encodings=ENCODINGS, families=MAKERS, **fixed):
    """A random `Case`, which depends on the seed and what it is drawn from. fixed: options that
    are not drawn.
    """
    rng = np.random.default_rng(seed)
    model = str(rng.choice(list(models)))
    text, oracle = MODELS[model](rng)
    weights = np.array([MAKERS[name][1] for name in families])
    family = str(rng.choice(list(families), p=weights / weights.sum()))
    ops = QUANTISED if model == "st-bif" else ("ClippedRelu", "QCFS", "QuantRelu")
    graph = MAKERS[family][0](rng, ops, bool(rng.integers(2)))
    scale, shift = float(rng.choice([1, 0.5])), float(rng.choice([0, 0.25]))
    prepare = eventsnn.Preprocessing(scale, np.array([shift]), np.array([0.5 + 0.5 * (shift == 0)]))
    graph = replace(graph, preprocessing=prepare)
    pixels = rng.integers(-16, 33, (1, *graph.input_shape)).astype(np.float32) / 16
    case = Case(graph, pixels, model, text, oracle, family)
    steps = int(rng.integers(1, 6))
    case.options = {"steps": steps, "seed": int(rng.integers(100))}
    case.options["fraction_bits"] = [None, 3, 4, 6, 10, 16][int(rng.integers(6))]
    order = str(rng.choice(orders))
    if order != "clocked engine":
        case.time = _time(rng, order, model)
    case.encoding = "even" if model == "st-bif" else str(rng.choice(encodings))
    levels = any("levels" in node.attrs for node in graph.nodes)
    if case.encoding == "even" and (rng.integers(2) or not levels):
        case.release = int(rng.integers(1, 6))
    if case.encoding in ("constant", "even"):
        case.bias_once = bool(rng.integers(4) == 0)
    if case.encoding == "events":
        case.events = _events(rng, graph.input_shape, steps)
        case.unit = float(rng.choice([1.0, 0.5]))
    if model != "tpp":
        case.options["initial"] = [0.5, 0.0, 0.3, -0.25][int(rng.integers(4))]
        if rng.integers(5) == 0:
            case.options["srp"] = int(rng.integers(1, 4))
            case.options["srp_epsilon"] = float(rng.choice([0.0, 0.1]))
    pools = any(node.op == "MaxPool" for node in graph.nodes)
    if graph.activations and not pools and rng.integers(5) == 0:
        case.thresholds = {
            node.name: rng.uniform(0.5, 1.5, graph.shapes[node.name]) for node in graph.activations
        }
    case.options |= fixed
    return case


def _time(rng, order, model):
    time = {"order": order}
    if order == "clocked" or model == "tpp":
        return {"order": "fifo" if order in ("jitter", "delays") else order}
    time["barrier"] = bool(rng.integers(3))
    for name in ("refractory", "window"):
        if rng.integers(3) == 0:
            time[name] = LENGTHS[int(rng.integers(len(LENGTHS)))]
    if order == "jitter":
        time["jitter"] = Fraction(int(rng.integers(1, 9)), 4)
    if order == "delays" or (order not in ("fifo", "jitter") and rng.integers(4) == 0):
        time["delays"] = str(rng.choice(["one", "by projection", "by neuron"]))
    if not {"window", "jitter", "delays"} & set(time):
        time["barrier"] = True  # without one nothing would be under way, so it is refused
    return time


def _events(rng, shape, steps):
    """(time in sixteenths of a step, place, sign), in the order of time."""
    rows = []
    for _ in range(int(rng.integers(1, 13))):
        time, place = int(rng.integers(16 * steps)), int(rng.integers(np.prod(shape)))
        rows.append((time, place, int(rng.choice([-1, 1]))))
    return sorted(rows, key=lambda row: row[0])
