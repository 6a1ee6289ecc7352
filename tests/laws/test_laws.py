"""The laws of the semantics (section 7) on random converted networks in both engines: in fixed
point, without tolerance.
"""

from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from support import twin
from support.compare import by_layer, twin_drive, twin_net, twin_start
from support.models import MODELS, models_of
from support.networks import (
    mobile_graph,
    pixel_range,
    pooled_graph,
    quantised_graph,
    random_pixels,
    yolo_graph,
)
from support.ways import CASES, FEW_BITS

from eventsnn import convert
from eventsnn.ann import forward as ann
from eventsnn.engine.event import layout
from eventsnn.network.connect import connect
from eventsnn.network.network import INPUT
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies.equivalence import quantised
from eventsnn.trace.trace import Recorder

STEPS = 5
WAYS = ["engine", *CASES]
REST = 160  # steps in which these networks come to rest in every way of time
COARSE = 4  # fraction bits with which potentials meet thresholds exactly all the time


def with_levels(graph, rng, levels=None):
    """The graph with QCFS activations of so many levels; each with its own where none are given."""
    for node in graph.activations:
        object.__setattr__(node, "op", "QCFS")
        node.attrs.clear()
        node.attrs.update(
            {"lambda": float(rng.uniform(0.5, 1.5)), "levels": levels or int(rng.integers(2, 7))}
        )
    return graph


GRAPHS = {
    "quantised": quantised_graph,
    "pooled": pooled_graph,
    "mobile": lambda rng: with_levels(mobile_graph(rng), rng),
    "yolo": lambda rng: with_levels(yolo_graph(rng, "QCFS"), rng),
}


def time_of(way, network, rng):
    """Engine and time of a way in WAYS; delays by projection and by neuron are drawn."""
    if way == "engine":
        return {}
    time, names = dict(CASES[way][0]), [layer.name for layer in network.layers]
    if time.get("delays") == "by projection":
        time["delays"] = {
            (names[p.source], names[p.target]): int(rng.integers(0, 6)) / 4
            for p in network.projections
            if p.source != INPUT
        }
    elif time.get("delays") == "by neuron":
        time["delays"] = [rng.integers(0, 9, layer.size) / 8 for layer in network.spiking]
    return {"engine": "event", "time": Time(**time)}


# in 64 bits and in floating point each model is compiled anew: here it is integrate-and-fire alone
LONG = pytest.mark.long
MORE = [pytest.param(model, marks=LONG) for model in ("snm", "gn")]


def simulation_of(graph, pixels, model, way="engine", rng=None, convert_options=None, **options):
    network = convert(graph, **convert_options or {})
    settings = {
        "steps": STEPS,
        "seed": 5,
        **MODELS.get(model, {}),
        **time_of(way, network, rng),
        **options,
    }
    if settings.get("arithmetic", "fixed") == "fixed":
        settings = {"fraction_bits": FEW_BITS, **settings}
    return Simulation(network, neuron=model.split()[0], pixel_range=pixel_range(pixels), **settings)


def random_simulation(seed, make, model, way="engine", images=1, **options):
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, images)
    return simulation_of(graph, pixels, model, way, rng, **options), pixels


def total_drive(simulation, image, number=0):
    """int64 [neurons]: all drive of a run."""
    rows = simulation.drive(image, number)
    last = len(rows) - 1
    return sum(
        rows[min(step, last)].astype(np.int64)
        for step in range(min(simulation.steps, simulation.drive_steps))
    )


def arrived(simulation, drive, counts):
    """int64 [neurons]: drive and the charge of so many net spikes of each neuron; of a pool the
    largest count in its windows, or the smallest.
    """
    counts, result = by_layer(simulation, counts), by_layer(simulation, np.array(drive, np.int64))
    net = twin_net(simulation)
    for p in net.projections:
        if net.layers[p.target].pool:
            minima = net.layers[p.target].minima
            members = [counts[p.source][row] for row in p.mask]
            ends = [min(m) if i in minima else max(m) for i, m in enumerate(members)]
            result[p.target] = np.array(ends)
        else:
            result[p.target] = result[p.target] + p.weights.astype(np.int64) @ counts[p.source]
    return np.concatenate(result)


def kinds(simulation):
    """bool [neurons] each: which are neurons, which pool units, which the readout's."""
    layers = simulation.network.layers
    pools = np.repeat([layer.pools for layer in layers], [layer.size for layer in layers])
    readout = np.arange(len(pools)) >= len(pools) - layers[-1].size
    return ~pools & ~readout, pools, readout


# --- law 1: conservation -----------------------------------------------------------------------


def assert_conserved(simulation, drive, counts, potentials, readout, muted=None, sent=None):
    """v(T) = v(0) + arrived - q S(T) in whole numbers. sent: net spikes that were delivered, where
    they are others than `counts`.

    A muted neuron's S is reported by nobody, but it is a whole number.
    """
    neurons, pools, last = kinds(simulation)
    charge = arrived(simulation, drive, counts if sent is None else sent)
    difference = simulation.resting.astype(np.int64) + charge - potentials
    muted = np.zeros(len(neurons), bool) if muted is None else muted
    one = simulation.arithmetic.one.item()
    assert np.array_equal(difference[neurons & ~muted], one * counts[neurons & ~muted])
    assert not (difference[muted] % one).any() and not counts[muted].any()
    assert np.array_equal(charge[last], readout) and np.array_equal(charge[last], potentials[last])
    if sent is None:
        assert np.array_equal(counts[pools], charge[pools]) and np.array_equal(
            potentials[pools], charge[pools]
        )
    return difference[muted] // one


@pytest.mark.parametrize("encoding", ["constant", "even", "rate"])
@pytest.mark.parametrize("model", ["if", "snm", *MODELS])
def test_law_1_conservation(model, encoding):
    spikes = taken_back = 0
    for i, way in enumerate(
        (
            "engine",
            "fifo",
            "random",
            "lifo",
            "excitatory_first",
            "refractory",
            "window",
            "window, halves",
            "jitter",
            "delays by projection",
        )
    ):
        make = list(GRAPHS.values())[i % 2 if i else 2]
        bits = COARSE if i % 3 == 2 else FEW_BITS
        simulation, pixels = random_simulation(
            1000 + i, make, model, way, images=2, encoding=encoding, fraction_bits=bits
        )
        batch = simulation.run(pixels, numbers=[4, 7], neurons=True)
        for j, number in enumerate((4, 7)):
            drive = total_drive(simulation, pixels[j], number)
            assert_conserved(
                simulation, drive, batch.counts[j], batch.potentials[j], batch.readout[j, -1]
            )
            spikes += np.abs(batch.counts[j]).sum()
            taken_back += (
                batch.spikes[j].sum() - np.abs(batch.counts[j][~kinds(simulation)[2]]).sum()
            )
    assert spikes and (taken_back > 0 or model not in ("snm", "st-bif"))


@pytest.mark.parametrize("model", ["if", "snm", "st-bif", "gn"])
def test_law_1_conservation_while_spikes_are_under_way(model):
    """Without a barrier some spikes are fired but not yet delivered at the end: what arrived is
    what was delivered.
    """
    under_way = 0
    for seed in range(1020, 1024):
        simulation, pixels = random_simulation(seed, quantised_graph, model, "free-running")
        recorder = Recorder()
        found = simulation.image(pixels[0], 3, recorder)
        run, simulation = found.run, found.ran
        spikes, _, deliveries = recorder.records()
        fired, delivered = np.zeros((2, len(simulation.resting)), np.int64)
        np.add.at(fired, spikes[:, layout.S_NEURON], spikes[:, layout.S_SIGN])
        taken = spikes[deliveries[:, layout.D_SPIKE]]
        np.add.at(delivered, taken[:, layout.S_NEURON], taken[:, layout.S_SIGN])
        assert_conserved(
            simulation,
            total_drive(simulation, pixels[0], 3),
            fired,
            run.state.v,
            run.readout[-1],
            sent=delivered,
        )
        under_way += len(spikes) - len(deliveries)
    assert under_way


@pytest.mark.parametrize("way", ["engine", "fifo", "random", "excitatory_first", "refractory"])
@pytest.mark.parametrize("model", ["if", "snm", "st-bif", "gn"])
def test_law_1_conservation_with_masks(model, way):
    """In SRP's second stage; a muted neuron integrates and resets, and nobody hears its spikes."""
    resets = 0
    for seed, make in ((1040, quantised_graph), (1041, pooled_graph), (1042, GRAPHS["yolo"])):
        simulation, pixels = random_simulation(seed, make, model, way, images=2, srp=2)
        batch = simulation.run(pixels, neurons=True)
        assert not batch.masks.all()
        for i in range(2):
            resets += np.abs(
                assert_conserved(
                    simulation,
                    total_drive(simulation, pixels[i], i),
                    batch.counts[i],
                    batch.potentials[i],
                    batch.readout[i, -1],
                    muted=~batch.masks[i],
                )
            ).sum()
    assert resets


# --- laws 2 and 3: ST-BIF comes to the quantised network
# --------------------------------------------


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("way", WAYS)
def test_laws_2_and_3_confluence_and_equivalence(way, make):
    """Whatever the order, delays and timing: at rest net spikes and readout are the quantised
    network's.
    """
    late = ties = 0
    for seed, bits in ((1100, FEW_BITS), (1101, COARSE)):
        simulation, pixels = random_simulation(
            seed,
            GRAPHS[make],
            "st-bif",
            way,
            images=2,
            encoding="even",
            steps=REST,
            fraction_bits=bits,
        )
        batch = simulation.run(pixels, neurons=True)
        counts, readout = quantised(simulation, pixels)
        assert (batch.t_eq < REST).all()
        assert np.array_equal(batch.counts, counts) and np.array_equal(
            batch.readout[:, -1], readout
        )
        late, ties = late + batch.spikes.sum() - np.abs(counts).sum(), ties + batch.ties.sum()
    assert late > 0 and ties > 0  # spikes were taken back on the way


@pytest.mark.parametrize("make", GRAPHS)
def test_law_3_the_quantised_network_is_the_twins_and_the_anns(make):
    """`quantised` against the twin's plain sums of the same whole numbers, and against the ANN in
    float64.
    """
    for seed, bits in ((1110, 40), (1111, 40), (1112, COARSE)):
        simulation, pixels = random_simulation(
            seed, GRAPHS[make], "st-bif", images=2, encoding="even", steps=9, fraction_bits=bits
        )
        network = simulation.network
        counts, readout = quantised(simulation, pixels)
        for i, image in enumerate(pixels):
            drive = by_layer(simulation, total_drive(simulation, image))
            drive = [
                None if layer.pools else charges.tolist()
                for layer, charges in zip(network.layers, drive)
            ]
            levels, output = twin.equilibrium(
                twin_net(simulation),
                drive,
                twin_start(simulation),
                simulation.neuron.limits.tolist(),
            )
            assert [s.tolist() for s in by_layer(simulation, counts[i])[:-1]] == levels and readout[
                i
            ].tolist() == output
        if bits == 40:
            assert_is_the_ann(
                simulation, pixels, counts, simulation.output(readout, simulation.steps)
            )


def assert_is_the_ann(simulation, pixels, counts, output):
    """Every neuron's spikes are its activation in float64, in levels, and the readout is the ANN's
    output up to its rounding.
    """
    network = simulation.network
    names = [layer.name for layer in network.spiking]
    values = ann.forward(
        network.graph, network.graph.preprocessing(pixels), keep=names, dtype=np.float64
    )
    for i, layer in enumerate(network.spiking):
        mine = np.split(counts, np.cumsum([layer.size for layer in network.layers])[:-1], axis=1)[i]
        expected = (
            values[layer.name]
            .reshape(len(pixels), *layer.grid)
            .transpose(0, 2, 3, 1)
            .reshape(len(pixels), -1)
        )
        assert np.array_equal(mine, np.rint(expected / layer.theta * simulation.quanta[i])), (
            layer.name
        )
    assert np.allclose(
        output, values[network.graph.output].reshape(len(pixels), -1), rtol=0, atol=1e-7
    )


# --- law 4: SRP, Theorem 1
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", GRAPHS)
def test_law_4_theorem_1_of_srp(make):
    """L = T, lambda = theta, v(0) = theta / 2: where the ANN's activation for the same weighted
    input is a > 0, v(T) < 0 if and only if the neuron fired more; where a = 0, v(T) < 0 is
    necessary for firing more and sufficient for firing as much. The mask is v(T) >= 0.
    """
    seen, at_rest = set(), 0
    for T, bits in ((1, None), (2, None), (4, None), (8, None), (2, COARSE), (5, COARSE)):
        simulation, pixels = random_simulation(
            1200 + T, GRAPHS[make], "if", images=4, steps=T, fraction_bits=bits
        )
        batch = simulation.run(pixels, neurons=True)
        bits = simulation.arithmetic.fraction_bits
        stages, _ = random_simulation(
            1200 + T, GRAPHS[make], "if", images=4, steps=2, srp=T, fraction_bits=bits
        )
        masks = stages.run(pixels, neurons=True).masks
        neurons, one = kinds(simulation)[0], simulation.arithmetic.one.item()
        for i, image in enumerate(pixels):
            charge = arrived(simulation, total_drive(simulation, image), batch.counts[i])
            a = np.clip((charge + one // 2) // one, 0, T)  # in spikes
            fired, below = batch.counts[i], batch.potentials[i] < 0
            assert np.array_equal(below[neurons], ~masks[i][neurons])
            assert np.array_equal(below[neurons & (a > 0)], (fired > a)[neurons & (a > 0)])
            assert below[neurons & (a == 0) & (fired > 0)].all()
            seen.update(zip(a[neurons] == 0, below[neurons], np.sign(fired - a)[neurons]))
            at_rest += (batch.potentials[i][neurons] == 0).sum()
    assert at_rest and seen == {
        (True, True, 1),
        (True, True, 0),
        (True, False, 0),
        (False, True, 1),
        (False, False, 0),
        (False, False, -1),
    }


# --- law 5: weight normalisation and threshold balancing; two engines
# ----------------------------------


def relu_graph(rng):
    """A random graph of Relu activations, which has no thresholds of its own."""
    graph = quantised_graph(rng)
    for node in graph.activations:
        object.__setattr__(node, "op", "Relu")
        node.attrs.clear()
    return graph


def calibrated(seed, rule, make=relu_graph, images=8):
    """(graph, images, options of convert) with thresholds found on the images."""
    rng = np.random.default_rng(seed)
    graph = make(rng)
    pixels = random_pixels(rng, graph, images)
    return graph, pixels, {"thresholds": rule, "calibration": pixels}


def fractions(values):
    return np.array([Fraction(float(x)) for x in np.ravel(values)], object).reshape(
        np.shape(values)
    )


def two_forms(network, image, members):
    """Twin's network, one step's drive and v(0) in exact fractions: balanced (thresholds theta[i],
    charge theta[j] w[i, j], the ANN's own weights) and normalised (thresholds 1, everything that
    arrives at i divided by theta[i]). The readout keeps its charge in both.
    """
    raw, projections = connect(network.graph, {layer.name: 1.0 for layer in network.spiking})
    thetas = [
        fractions(np.broadcast_to(layer.theta, layer.bias.shape).reshape(-1))
        for layer in network.layers
    ]
    x = network.graph.preprocessing(image[None])[0].transpose(1, 2, 0).reshape(-1)
    drive, forms = [fractions(layer.bias.reshape(-1)) for layer in raw], ([], [])
    for p in projections:
        weights = p.map.dense().T
        mask = replace(p.map, weights=np.ones_like(p.map.blocks), factor=None).dense().T > 0
        if p.source == INPUT:
            drive[p.target] = drive[p.target] + fractions(weights) @ fractions(x)
            continue
        charge = fractions(weights) * thetas[p.source] / members
        for form, charges in zip(forms, (charge, charge / thetas[p.target][:, None])):
            form.append(twin.Projection(p.source, p.target, charges, mask))
    ones = [fractions(np.ones(len(theta))) for theta in thetas]
    for form, theta, divisor in zip(forms, (thetas, ones), (ones, thetas)):
        net = twin.Net(
            [
                twin.Layer(layer.name, layer.size, t.tolist())
                for layer, t in zip(network.layers, theta)
            ],
            form,
        )
        v0 = [(t / (2 * members)).tolist() for t in theta[:-1]] + [[Fraction(0)] * len(theta[-1])]
        yield net, [(d / by).tolist() for d, by in zip(drive, divisor)], v0


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "seeds"), [("dni", (1306, 1310)), ("max", (1335,))])
@pytest.mark.parametrize("model", ["if", *MORE])
def test_law_5_weight_normalisation_is_threshold_balancing(model, rule, seeds):
    """In exact fractions both forms fire the same spikes, and the engines, which know the
    normalised form alone, fire the balanced ones.
    """
    members, steps = (3 if model == "gn" else 1), 4
    twins = {"if": twin.IF(), "snm": twin.SNM(), "gn": twin.GN(3)}[model]
    for seed in seeds:
        graph, pixels, options = calibrated(seed, rule)
        network = convert(graph, **options)
        assert (np.ndim(network.layers[0].theta) > 0) == (rule == "dni")
        outcomes = []
        for net, drive, v0 in two_forms(network, pixels[0], members):
            outcomes.append(
                [
                    twin.run_clocked(net, [drive] * steps, v0, steps, twins),
                    twin.run_async(net, [drive] * steps, v0, steps, twins, twin.fifo),
                ]
            )
        for balanced, normalised in zip(*outcomes):
            spikes = [
                [
                    (s.tick, s.step, s.layer, s.neuron, s.sign, s.member, s.cause)
                    for s in outcome.spikes
                ]
                for outcome in (balanced, normalised)
            ]
            assert spikes[0] == spikes[1] and spikes[0]
            assert (
                balanced.readout == normalised.readout
                and balanced.equalities == normalised.equalities
            )
        for arithmetic, bits in (("float64", None), ("fixed", 40)):
            for way, balanced in zip(("engine", "fifo"), outcomes[0]):
                simulation = simulation_of(
                    graph,
                    pixels,
                    model,
                    way,
                    convert_options=options,
                    steps=steps,
                    arithmetic=arithmetic,
                    fraction_bits=bits,
                )
                batch = simulation.run(pixels[:1], neurons=True)
                for layer, counts in enumerate(by_layer(simulation, batch.counts[0])[:-1]):
                    assert counts.tolist() == [sum(n) for n in zip(*balanced.counts[layer])], (
                        seed,
                        arithmetic,
                        way,
                    )
                    assert batch.spikes[0, layer].sum() == sum(
                        s.layer == layer for s in balanced.spikes
                    )
                expected = [float(x) for x in balanced.readout[-1]]
                assert np.allclose(
                    simulation.output(batch.readout[0, -1], 1), expected, rtol=0, atol=1e-6
                )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "arithmetic"),
    [
        *(("if", "fixed"), ("if", "float64")),
        *((model, "fixed") for model in ("snm", "st-bif", "gn")),
        *(pytest.param(model, "float64", marks=LONG) for model in ("snm", "st-bif", "gn")),
    ],
)
def test_one_threshold_a_neuron_in_both_engines_is_the_twins(model, arithmetic):
    """DNI: every synapse has a weight of its own."""
    make = quantised_graph if model == "st-bif" else relu_graph
    for seed in (1310, 1311):
        graph, pixels, options = calibrated(seed, "dni", make)
        for way in ("engine", "fifo", "excitatory_first"):
            simulation = simulation_of(
                graph, pixels, model, way, convert_options=options, arithmetic=arithmetic
            )
            batch = simulation.run(pixels[:1], neurons=True)
            given = (
                twin_net(simulation),
                twin_drive(simulation, pixels[0]),
                twin_start(simulation),
                STEPS,
                models_of(simulation),
            )
            outcome = (
                twin.run_clocked(*given)
                if way == "engine"
                else twin.run_async(*given, **CASES[way][1])
            )
            assert [
                v.tolist() for v in by_layer(simulation, batch.potentials[0])
            ] == outcome.potentials
            assert batch.readout[0].tolist() == outcome.readout and batch.t_eq.tolist() == [
                outcome.t_eq
            ]
            assert (batch.spikes.sum(), batch.operations.sum()) == (
                len(outcome.spikes),
                outcome.synaptic_operations,
            )
            for layer, counts in enumerate(by_layer(simulation, batch.counts[0])[:-1]):
                assert counts.tolist() == [sum(n) for n in zip(*outcome.counts[layer])]


SAME = "readout", "spikes", "operations", "ties", "counts", "potentials", "t_eq"


@pytest.mark.parametrize("thresholds", ["own", "dni"])
@pytest.mark.parametrize("model", ["if", "if-hard", "snm", *MODELS])
def test_law_5_order_clocked_is_the_clocked_engine(model, thresholds):
    for seed, make in enumerate(
        (GRAPHS["quantised"], GRAPHS["mobile"], GRAPHS["pooled"], GRAPHS["yolo"])
    ):
        if thresholds == "dni" and seed > 1:
            continue  # a pool counts spikes of one worth only
        graph, pixels, options = calibrated(1320 + seed, "dni", make)
        options = options if thresholds == "dni" else {}
        for encoding, srp in (("constant", 0), ("rate", 2)):
            clocked, events = (
                simulation_of(
                    graph, pixels, model, way, convert_options=options, encoding=encoding, srp=srp
                )
                for way in ("engine", "clocked")
            )
            a, b = (simulation.run(pixels[:3], neurons=True) for simulation in (clocked, events))
            assert a.spikes.sum()
            for name in (*SAME, *(("masks", "stage_one") if srp else ())):
                assert np.array_equal(getattr(a, name), getattr(b, name)), (seed, encoding, name)


# --- law 7: GN of as many members as levels
# ----------------------------------------------------------------


@pytest.mark.parametrize("levels", [2, 4, 8])
@pytest.mark.parametrize(
    "make", [quantised_graph, pooled_graph, mobile_graph, partial(yolo_graph, op="QCFS")]
)
def test_law_7_one_step_of_group_neurons_is_the_quantised_network(make, levels):
    """tau = L, theta = lambda, T = 1: every neuron's spikes are its staircase at what arrived, and
    so the ANN's activation.
    """
    for seed in (1400, 1401):
        rng = np.random.default_rng(seed)
        graph = with_levels(make(rng), rng, levels)
        pixels = random_pixels(rng, graph, 4)
        simulation = simulation_of(graph, pixels, "gn", tau=levels, steps=1, fraction_bits=36)
        batch = simulation.run(pixels, neurons=True)
        neurons, _, last = kinds(simulation)
        for i, image in enumerate(pixels):
            charge = arrived(simulation, total_drive(simulation, image), batch.counts[i])
            staircase = np.clip(
                (simulation.resting + charge) // simulation.arithmetic.one.item(), 0, levels
            )
            assert np.array_equal(batch.counts[i][neurons], staircase[neurons]) and np.array_equal(
                batch.readout[i, 0], charge[last]
            )
        assert set(batch.counts[:, neurons].flat) == set(range(levels + 1))
        assert_is_the_ann(
            simulation, pixels, batch.counts, simulation.output(batch.readout[:, 0], 1)
        )
