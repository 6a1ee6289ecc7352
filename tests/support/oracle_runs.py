"""One run by an engine and by the oracle, compared number by number."""

import warnings
from fractions import Fraction

import numpy as np
from support.oracle import Run, TwoStages
from support.oracle_events import Events, Time
from support.oracle_graph import Synapse, build
from support.oracle_models import TPP, Fixed, Floating, chained, ticks_of

import eventsnn

PIXELS = (-1.0, 2.0)  # the range that is declared


def _delays(case, network, rng):
    """(what `simulate` is given, ticks -> function of (spike, cell, target layer))."""
    kind = case.time["delays"]
    names = [layer.name for layer in network.layers]
    some = [Fraction(n, 8) for n in range(0, 12)]

    def any_():
        return some[int(rng.integers(len(some)))]

    if kind == "one":
        kind = any_()
    if isinstance(kind, Fraction):
        return float(kind), lambda ticks: lambda n, cell, target: int(kind * ticks)
    if kind == "by projection":
        joined = [(names[p.source], names[p.target]) for p in network.projections if p.source >= 0]
        kind = {pair: any_() for pair in joined}
    if isinstance(kind, dict):
        given = {pair: float(delay) for pair, delay in kind.items()}
        pairs = {tuple(map(names.index, pair)): delay for pair, delay in kind.items()}
        return given, lambda ticks: lambda n, cell, to: int(pairs.get((cell.layer, to), 0) * ticks)
    lists = [[any_() for _ in range(layer.size)] for layer in network.spiking]
    given = [np.array([float(d) for d in row]) for row in lists]
    return given, lambda ticks: lambda n, cell, to: int(lists[cell.layer][cell.number] * ticks)


class Skipped(Exception):
    """Why a case says nothing."""


def compared(case):
    """{what: how it differs} of one case. Raises `Skipped` where floating point cannot say how a
    weight is rounded.
    """
    rng = np.random.default_rng(case.options["seed"])
    network = eventsnn.convert(case.graph, thresholds=case.thresholds)
    options = {k: v for k, v in case.options.items()}
    encoding = eventsnn.Encoding(
        kind=case.encoding, release=case.release, bias_once=case.bias_once, unit=case.unit
    )
    given, delay = dict(case.time or {}), None
    if "delays" in given:
        given["delays"], delay = _delays(case, network, rng)
    lengths = [given[name] for name in ("refractory", "window", "jitter") if given.get(name)]
    given.update({k: float(given[k]) for k in ("refractory", "window") if given.get(k)})
    if "jitter" in given:
        given["jitter"] = f"uniform:{float(given['jitter'])}"
    if case.time is not None:
        given["engine"] = "event"
    images = case.pixels
    if case.encoding == "events":
        images = [[(at / 16, place, sign) for at, place, sign in case.events]]
    else:
        options = {**options, "pixel_range": PIXELS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventsnn.RoundedWeights)  # few fraction bits are drawn, too
        result = eventsnn.simulate(
            network, images, neuron=case.text, encoding=encoding, neurons=True, **options, **given
        )
    trace = result.trace(0) if case.time is not None else None
    ticks = ticks_of([*lengths, Fraction(1, 8)])
    mine = Mine(case, network, result.simulation.arithmetic)
    time = None
    if case.time is not None and case.time.get("order") != "clocked":
        time = Time(ticks, case.order, given.get("barrier", True))
        time.refractory = int(case.time.get("refractory", 0) * ticks)
        time.window = int(case.time.get("window", 0) * ticks)
        time.delay = delay(ticks) if delay else None
        time.split = isinstance(given.get("delays"), dict)
        seed = case.options["seed"]
        time.ranks = ranks = lambda number: chained(seed, 0, number)
        if case.order == "jitter":
            most = int(case.time["jitter"] * ticks)
            time.delay = lambda number, cell, to: (ranks(number) >> 32) * (most + 1) >> 32
    return mine.differences(result, trace, time, ticks)


class Mine:
    """The oracle's side of a case."""

    def __init__(self, case, network, arithmetic):
        self.case, self.network = case, network
        kind = case.options.get("arithmetic", "fixed")
        self.numbers = (
            Fixed(arithmetic.fraction_bits, arithmetic.readout_exponent, arithmetic.finer)
            if kind == "fixed"
            else Floating(kind)
        )
        self.net = build(
            network.graph,
            [layer.theta for layer in network.layers],
            [layer.grid for layer in network.layers],
            self.numbers,
            case.oracle.parts,
        )
        case.minima = any(cell.least for cells in self.net.layers for cell in cells)
        if hasattr(case.oracle, "beta"):
            rise = case.oracle.beta * float(self.numbers.one)
            case.oracle.rise = round(rise) if kind == "fixed" else self.numbers.dtype(rise)
        if isinstance(case.oracle, TPP):
            case.oracle.seed = case.options["seed"]
        p = case.graph.preprocessing
        self.x = [
            (float(pixel) * p.scale - float(p.mean[0])) / float(p.std[0])
            for pixel in case.pixels.reshape(-1)
        ]
        ends = [(e * p.scale - float(p.mean[0])) / float(p.std[0]) for e in self._range()]
        self.largest = max(abs(float(e)) for e in ends)

    def _range(self):
        return PIXELS if self.case.encoding != "events" else (0.0, 1.0)

    def start(self, cell):
        """v(0)."""
        zero = self.numbers.one - self.numbers.one
        if cell.kind != "fires":
            return zero
        default = 0.0 if isinstance(self.case.oracle, TPP) else 0.5
        return self.numbers.take(self.case.options.get("initial", default))

    def drive(self, stage=0):
        """step -> {id of a cell: charge} or None (section 3)."""
        case, take = self.case, self.numbers.take
        cells = [c for row in self.net.layers for c in row if c.kind != "pools"]
        steps = case.options["srp" if stage else "steps"]
        wholes, biases = {}, {}
        for c in cells:
            heard = sum(self.x[at] * w for at, w in c.inputs)
            wholes[id(c)] = take(heard + c.bias, c.kind)
            biases[id(c)] = take(c.bias, c.kind)
        parts = case.release or max((levels for levels in self.net.levels if levels), default=1)
        fired = self.fired(steps, stage) if case.encoding == "rate" else None

        def charge(key, cell, step):
            whole, bias = wholes[key], biases[key]
            if case.encoding == "events":
                return bias
            if case.encoding == "rate":
                spikes = fired[step - 1]
                heard = (spikes[at] * take(self.largest * w, cell.kind) for at, w in cell.inputs)
                return bias + sum(heard)
            if case.encoding == "constant" and step == 1:
                return whole  # rounded once (section 3)
            rest = whole - bias if case.bias_once else whole
            if case.encoding == "even":
                rest = self.numbers.part(rest, step, parts)
            return rest + bias if case.bias_once and step == 1 else rest

        def at(step):
            if case.encoding == "even" and step > parts:
                return None
            return {id(cell): charge(id(cell), cell, step) for cell in cells}

        rows = [at(step) for step in range(1, steps + 1)]
        return lambda step: rows[step - 1]

    def fired(self, steps, stage):
        """[steps][places] of -1, 0, 1: which inputs fire (section 3)."""
        c, h, w = self.case.graph.input_shape
        rows = []
        for step in range(steps):
            rows.append([0] * len(self.x))
            for at, x in enumerate(self.x):
                number = at % (h * w) * c + at // (h * w)
                nth = (step + stage * 2**32) * len(self.x) + number
                drawn = (chained(self.case.options["seed"], 0, nth) >> 11) * 2.0**-53
                if drawn * self.largest < abs(x):
                    rows[-1][at] = 1 if x > 0 else -1
        return rows

    def events(self, ticks):
        """(step, ticks after its beginning, synapses, sign) of each input event."""
        rows = []
        for time, place, sign in self.case.events:
            step, after = divmod(time * ticks // 16, ticks)
            synapses = [
                Synapse(None, s.post, self.numbers.take(s.weight * self.case.unit, s.post.kind))
                for s in self.net.input.get(place, [])
            ]
            rows.append((step + 1, after, synapses, sign))
        return rows

    def run(self, time, steps, ticks, stage=0, muted=()):
        """One stage."""
        given = (
            self.net,
            self.case.oracle,
            self.numbers,
            self.start,
            self.drive(stage),
            steps,
            self.events(ticks),
            muted,
        )
        if isinstance(self.case.oracle, TPP):
            return TwoStages(*given).run()
        if time is None:
            return Run(*given).clocked(at_once=self.case.order == "clocked")
        return Events(*given).run(time)

    def differences(self, result, trace, time, ticks):
        """{what: (the oracle's, the engine's)} of all that is not equal."""
        case, batch = self.case, result.batch
        steps, srp = case.options["steps"], case.options.get("srp", 0)
        rows, muted = {}, ()
        if srp:
            first = self.run(time, srp, ticks, stage=1)
            theta = case.options["srp_epsilon"] * float(self.numbers.one)
            muted = {
                key
                for key, body in first.bodies.items()
                if body.cell.kind == "fires" and body.v < theta * case.oracle.parts(body.levels)
            }
            sent = [c.kind != "fires" or id(c) not in muted for r in self.net.layers for c in r]
            rows["masks"] = sent, batch.masks[0]
            rows["stage one"] = [[sum(s) for s in c] for c in first.counted], batch.stage_one[0]
        run = self.run(time, steps, ticks, muted=muted)
        if self.numbers.doubtful:
            raise Skipped("a weight is too near a half")
        bodies = [body for row in run.rows for body in row]
        wires = sum(len(b.cell.synapses) - len(b.cell.heard) for b in bodies)
        rows |= {
            "synapses": (wires, self.network.synapses),
            "spikes": (run.counted[0], batch.spikes[0]),
            "operations": (run.counted[1], batch.operations[0]),
            "ties": (run.ties, batch.ties[0]),
            "readout": (run.readout, batch.readout[0]),
            "counts": ([0 if b.muted else b.net for b in bodies], batch.counts[0]),
            "potentials": (
                [b.net if b.cell.kind == "pools" else b.v for b in bodies],
                batch.potentials[0],
            ),
        }
        if time is None or time.barrier:
            rows["t_eq"] = run.moved, batch.t_eq[0]
        if isinstance(case.oracle, TPP):
            rows["readout"] = run.readout[-1], batch.readout[0, -1]
            rows.pop("ties")
        if trace is not None:
            rows |= self.order(run, trace, time)
        return {name: pair for name, pair in rows.items() if not _equal(*pair)}

    def order(self, run, trace, time):
        """Every spike in its place."""
        found = trace.spikes
        places = {"layer": "layer", "neuron": "number", "sign": "sign"}
        more = {"tick": "tick", "cause": "cause"}
        of_neurons = {"member": "member", "v_before": "before", "v_after": "after"}
        pools = np.array(self.net.kinds)[found["layer"]] == "pools"
        fires = [spike for spike in run.spikes if spike.pre.kind == "fires"]
        if isinstance(self.case.oracle, TPP):
            # its steps are told by all of them, and its pool units answer one by one
            places, more, of_neurons = {}, {}, places
        elif time is None:
            more, of_neurons = {}, {}
        rows = {}
        for name, mine in (places | more | of_neurons).items():
            kept = fires if name in of_neurons else run.spikes
            theirs = found[~pools] if name in of_neurons else found
            rows[f"spike's {name}"] = [getattr(spike, mine) for spike in kept], theirs[name]
        if not isinstance(self.case.oracle, TPP):
            rows["spike's step"] = [spike.step - 1 for spike in run.spikes], found["step"]
        return rows


def _equal(mine, theirs):
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    return mine.shape == theirs.shape and bool((mine == theirs).all())
