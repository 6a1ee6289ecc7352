"""Asynchronism of all neurons at once: what one neuron's explanation says, a naive count of pairs,
law 6, DNISNM's worked example.
"""

import numpy as np
import pytest
from scipy import stats
from support.networks import pixel_range, pooled_graph, quantised_graph, random_graph, random_pixels
from support.traced import traced
from support.ways import CASES, FEW_BITS
from support.worked import examples

import eventsnn
from eventsnn import InputError, convert
from eventsnn.simulation.encoding import Encoding, events_of
from eventsnn.simulation.simulation import Simulation
from eventsnn.simulation.time import Time
from eventsnn.studies import asynchronism
from eventsnn.trace.explain import explain_neuron
from eventsnn.trace.files import TraceFile, read_trace
from eventsnn.trace.microscope import DRIVE, ITSELF
from eventsnn.trace.trace import record
from eventsnn.views.tables import text_table

BOUNDS = (("fewest", "most", "in_steps"), ("fewest_any", "most_any", "in_any"))


def naive(seen):
    """Pairs of an excitatory and a later inhibitory arrival by spikes: {field: number} as in
    `Neurons`.
    """
    rows = seen.arrivals[(seen.arrivals["source"] != ITSELF) & (seen.arrivals["source"] != DRIVE)]
    found = dict.fromkeys(
        ("inversions", "pairs", "product", "products", "inversions_in_run", "pairs_in_run"), 0
    )
    charges, steps = rows["charge"].tolist(), rows["step"].tolist()
    for i, first in enumerate(charges):
        for j, second in enumerate(charges):
            if first > 0 > second:
                together = steps[i] == steps[j]
                found["pairs_in_run"] += 1
                found["inversions_in_run"] += i < j
                found["pairs"] += together
                found["products"] -= together * first * second
                found["inversions"] += together and i < j
                found["product"] -= (together and i < j) * first * second
    return found


def check(trace, every=1):
    """Every neuron against its `Explanation` and the naive count, without tolerance; returns all
    layers' `Neurons`.
    """
    found = asynchronism.of_trace(trace)
    assert list(found) == [
        layer.name for layer in trace.simulation.network.spiking if not layer.pools
    ]
    for name, neurons in found.items():
        for neuron in range(0, len(neurons.arrived), every):
            e = explain_neuron(trace, name, neuron)
            for field in ("arrived", "excitation", "inhibition"):
                assert getattr(neurons, field)[neuron] == getattr(e, field)
            assert (
                neurons.late[neuron] == e.late["charge"].sum(dtype=np.int64)
                and neurons.x_valid[neuron] == e.x_valid
            )
            assert (neurons.fired[neuron], neurons.ideal[neuron]) == (
                e.observation.fired,
                e.observation.ideal,
            )
            for fewest, most, field in BOUNDS:
                here = (
                    None
                    if neurons.most is None
                    else (getattr(neurons, fewest)[neuron], getattr(neurons, most)[neuron])
                )
                assert here == getattr(e, field)
            for field, expected in naive(e.observation).items():
                if field in ("product", "products"):  # float64, which may round
                    assert getattr(neurons, field)[neuron] == pytest.approx(expected, rel=1e-12)
                else:
                    assert getattr(neurons, field)[neuron] == expected
    return found


# --- one neuron at a time ---


@pytest.mark.parametrize("model", ["if", "snm"])
@pytest.mark.parametrize("case", CASES)
def test_all_neurons_are_as_each_is_explained(case, model):
    met = dict.fromkeys(("late", "inversions", "inversions_in_run", "error"), 0)
    for seed in (600, 601):
        for neurons in check(traced(seed, case, model).trace, every=4).values():
            for name in met:
                met[name] += np.count_nonzero(getattr(neurons, name))
    assert (
        met["late"] > 5
        and met["inversions_in_run"] > 5
        and (met["inversions"] == 0) == (case == "inhibitory_first")
    )
    assert met["error"] or case in ("inhibitory_first", "clocked")


@pytest.mark.parametrize(
    "settings",
    [
        dict(neuron="gn", tau=3),
        dict(neuron="if-hard", fraction_bits=FEW_BITS),
        dict(neuron="st-bif", encoding="even", steps=12),
        dict(initial=1.7),
        dict(initial=-0.6, encoding="even", steps=9),
        dict(neuron="gn", tau=2, time=Time(order="clocked")),
        dict(neuron="st-bif", encoding="even", time=Time(order="clocked")),
        dict(fraction_bits=9),
    ],
)
@pytest.mark.parametrize("make", [quantised_graph, pooled_graph])
def test_other_models_drives_and_pools(make, settings):
    rng = np.random.default_rng(7)
    graph = make(rng)
    pixels = random_pixels(rng, graph, 1)
    simulation = Simulation(
        convert(graph),
        **{
            "steps": 4,
            "engine": "event",
            "pixel_range": pixel_range(pixels),
            "time": Time(order="random"),
            "seed": 1,
            **settings,
        },
    )
    found = check(record(simulation, pixels[0], 2)[1], every=2)
    assert any(neurons.late.any() for neurons in found.values())


def test_potentials_of_64_bits_and_a_trace_from_a_file(tmp_path):
    run = traced(603, "excitatory_first")
    wide = run.simulation.wider()
    check(record(wide, run.pixels, 3)[1], every=5)
    file = TraceFile(tmp_path / "trace.h5", run.simulation, 3)
    run.simulation.image(run.pixels, 3, file)
    mine, its = (
        asynchronism.of_trace(trace)
        for trace in (run.trace, read_trace(tmp_path / "trace.h5", run.simulation))
    )
    for name in mine:
        assert all(
            np.array_equal(a, b)
            for a, b in zip(vars(mine[name]).values(), vars(its[name]).values())
        )


@pytest.mark.parametrize("case", ["fifo", "clocked", "jitter", "excitatory_first"])
def test_input_events_are_arrivals(case):
    rng = np.random.default_rng(11)
    graph = random_graph(rng)
    size = int(np.prod(graph.input_shape))
    given = [
        (float(time), int(rng.integers(size)), int(rng.choice((-1, 1))))
        for time in np.sort(rng.uniform(0, 4, 60))
    ]
    events = events_of(given, graph.input_shape, 4, 1024)
    simulation = Simulation(
        convert(graph),
        steps=4,
        engine="event",
        encoding=Encoding(kind="events", unit=0.8),
        inputs=[events],
        time=Time(**CASES[case][0]),
        pixel_range=(0, 1),
    )
    trace = record(simulation, events)[1]
    first = next(iter(check(trace).values()))
    assert len(trace.input_deliveries) == 60 and first.excitation.any() and first.inhibition.any()


# --- what must hold ---


@pytest.mark.parametrize("seed", range(604, 610))
def test_the_halves_reach_the_ends_of_the_interval(seed):
    for order, end in (("inhibitory_first", 0), ("excitatory_first", 1)):
        for neurons in asynchronism.of_trace(traced(seed, order).trace).values():
            assert (neurons.fired == (neurons.most if end else neurons.fewest)).all()
            assert (neurons.inversions == end * neurons.pairs).all()
            assert (neurons.place[neurons.width > 0] == end).all() and np.isnan(
                neurons.place[neurons.width == 0]
            ).all()
    for neurons in asynchronism.of_trace(traced(seed, "random").trace).values():
        ends = neurons.fewest_any, neurons.fewest, neurons.fired, neurons.most, neurons.most_any
        assert all((low <= high).all() for low, high in zip(ends, ends[1:]))
        assert (neurons.fewest_any == np.maximum(neurons.ideal, 0)).all(), "v(0) is below theta"


@pytest.mark.parametrize(
    ("order", "inversions", "late", "fired", "place"),
    [("excitatory_first", 9, -3, 5, 1), ("fifo", 9, -3, 5, 1), ("inhibitory_first", 0, 0, 2, 0)],
)
def test_the_worked_example_of_dnisnm(order, inversions, late, fired, place):
    """Fig. 3: 1 x 1, 2 x 2 and 3 x -1 arrive at threshold 1; x = 2."""
    trace = examples.at_once(order)[2]
    target, one = asynchronism.of_trace(trace)["target"], trace.simulation.arithmetic.one
    assert (target.inversions[0], target.pairs[0], target.late[0] / one) == (inversions, 9, late)
    assert (target.arrived[0] / one, target.x_valid[0] / one) == (2, 2 - late)
    assert (target.fired[0], target.ideal[0], target.error[0]) == (fired, 2, fired - 2)
    assert (target.fewest[0], target.most[0], target.place[0]) == (2, 5, place)
    assert (target.inverted[0], target.weighted[0], target.inverted_in_run[0]) == (
        place,
        place,
        place,
    )


# --- rows by layer ---


def test_rows_are_those_of_the_arrays():
    images = eventsnn.load_images("sample", limit=3)
    network = convert(eventsnn.load("sample"))
    found = asynchronism.measure(network, images, steps=4, order="random", seed=2)
    first = np.cumsum([0] + [layer.size for layer in network.layers])
    result = network.run(images, steps=4, engine="event", order="random", seed=2, neurons=True)
    correlated = 0
    for i, row in enumerate(found.layers):
        neurons, theta = found.neurons[row["layer"]], found.simulation.arithmetic.one.item()
        assert neurons.fired.shape == (3, row["neurons"]) and row["layer"] == network.layers[i].name
        assert np.array_equal(neurons.fired, result.batch.counts[:, first[i] : first[i + 1]])
        assert np.array_equal(
            neurons.arrived
            - theta * neurons.fired
            + found.simulation.resting[first[i] : first[i + 1]],
            result.batch.potentials[:, first[i] : first[i + 1]],
        ), "conservation (law 1)"
        late = (neurons.x_valid - neurons.arrived) / theta
        assert row["late"] == pytest.approx(late.mean()) and row["with late"] == np.mean(late > 0)
        assert row["fired more"] == np.mean(neurons.fired > neurons.ideal) and row[
            "fired less"
        ] == np.mean(neurons.fired < neurons.ideal)
        assert row["error"] == pytest.approx(np.mean(neurons.fired - neurons.ideal))
        for kind, ends in (
            ("", (neurons.fewest, neurons.most)),
            (" any", (neurons.fewest_any, neurons.most_any)),
        ):
            width = ends[1] - ends[0]
            assert row[f"width{kind}"] == pytest.approx(width.mean()) and row[
                f"decided{kind}"
            ] == np.mean(width == 0)
            if width.any():
                places = [
                    (n - low) / (high - low)
                    for n, low, high in zip(neurons.fired.flat, ends[0].flat, ends[1].flat)
                    if high > low
                ]
                assert row[f"place{kind}"] == pytest.approx(np.mean(places))
        mixed = neurons.pairs > 0
        assert row["with pairs"] == mixed.mean()
        predictors = {
            "inversions": neurons.inversions / np.maximum(neurons.pairs, 1),
            "late": late,
            "weighted": neurons.product / np.maximum(neurons.products, 1),
            "in run": neurons.inversions_in_run / np.maximum(neurons.pairs_in_run, 1),
        }
        assert set(predictors) == set(asynchronism.PREDICTORS)
        if not mixed.any():
            assert (
                i == 0
                and np.isnan([row["inverted"], *(row[f"{name} rho"] for name in predictors)]).all()
            )
            continue
        assert row["inverted"] == pytest.approx(predictors["inversions"][mixed].mean())
        for name, predictor in predictors.items():
            expected = np.corrcoef(predictor[mixed], neurons.error[mixed])[0, 1]
            assert row[f"{name} r"] == pytest.approx(expected)
            full = stats.spearmanr(predictor[mixed], neurons.error[mixed]).statistic
            assert row[f"{name} rho"] == pytest.approx(full)
            correlated += abs(expected) > 0.05
    assert correlated > 3
    assert repr(found).startswith("<Asynchronism of ") and "order random" in repr(found)
    assert found._repr_html_().count("<tr>") == 1 + len(found.layers) and "late rho" in text_table(
        found.table()
    )


def test_thresholds_of_several_spikes_and_models_without_bounds():
    network, images = convert(eventsnn.load("sample")), eventsnn.load_images("sample", limit=1)
    gn = asynchronism.measure(network, images, steps=2, neuron="gn", tau=4, refractory=1)
    for row in gn.layers:
        neurons = gn.neurons[row["layer"]]
        assert row["late"] == pytest.approx(
            -neurons.late.mean() / (4 * gn.simulation.arithmetic.one.item())
        )
        assert (
            neurons.place is neurons.place_any is neurons.width is None
            and np.isnan([row["place"], row["width any"]]).all()
        )


def test_tables_for_pandas_and_xarray():
    pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    found = asynchronism.measure(
        convert(eventsnn.load("sample")),
        eventsnn.load_images("sample", limit=1),
        steps=2,
        neuron="snm",
    )
    for row in found.layers:
        assert found.to_pandas().loc[row["layer"], "fired more"] == row["fired more"]
        assert float(found.to_xarray()["late"].sel(layer=row["layer"])) == row["late"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(srp=2), "asynchronism: expected fixed point, without SRP"),
        (dict(arithmetic="float64"), "arithmetic float64"),
        (dict(engine="clocked"), "trace: expected engine 'event'"),
        (dict(barrier=False, delays=0.5), "barrier False"),
        (dict(neuron="st-bif", encoding="constant"), "encoding='even'"),
        (dict(steps=0), "steps"),
        (dict(order="none"), "order"),
    ],
)
def test_what_cannot_be_measured(settings, message):
    with pytest.raises(InputError, match=message):
        asynchronism.measure(
            convert(eventsnn.load("sample")),
            eventsnn.load_images("sample", limit=1),
            **{"steps": 2, **settings},
        )


@pytest.mark.slow
def test_traces_that_cannot_be_measured(tmp_path):
    with pytest.raises(InputError, match="asynchronism: expected fixed point"):
        asynchronism.of_trace(traced(610, arithmetic="float64").trace)
    run = traced(610)
    file = TraceFile(tmp_path / "part.h5", run.simulation, 3, steps=(0, 1))
    run.simulation.image(run.pixels, 3, file)
    with pytest.raises(InputError, match="trace: expected a trace of all layers"):
        asynchronism.of_trace(read_trace(tmp_path / "part.h5", run.simulation))
