"""The delayed readout (semantics, section 3): the naive twin's, in both engines and every way."""

from fractions import Fraction

import numpy as np
import pytest
from support import twin
from support.compare import twin_drive, twin_net, twin_start
from support.models import models_of
from support.networks import pixel_range, random_graph, random_pixels, small_graph
from support.ways import CASES, STEPS, both

import eventsnn
from eventsnn import InputError
from eventsnn.ann.forward import by_neuron
from eventsnn.ann.forward import logits as ann_logits
from eventsnn.neurons import TPP
from eventsnn.run import main, settings_of
from eventsnn.simulation.simulation import Simulation

DELAYED = 2


def output(simulation, charges):
    """Fractions of charge as the result has them: float64, in the ANN's units."""
    return [float(simulation.arithmetic.readout(float(c))) for c in charges]


def assert_twins(simulation, readout, outcome):
    """The readout of an outcome, [T, classes], is the twin's after each step that counts."""
    for step in range(1, simulation.steps + 1):
        expected = twin.result_after(outcome, step, DELAYED)
        charge = readout[step - 1].tolist()
        if expected is None:
            assert charge == [0] * len(charge)
            continue
        assert [Fraction(c, step - DELAYED) for c in charge] == expected
        assert simulation.output(readout[step - 1], step).tolist() == pytest.approx(
            output(simulation, expected), rel=1e-15
        )


@pytest.mark.parametrize("case", CASES)
def test_every_order_gives_the_twins_readout(case):
    simulation, run, _, outcome = both(61 + len(case), case, "if", readout_from=DELAYED)
    assert_twins(simulation, simulation.counted(run.readout), outcome)
    assert outcome.readout[DELAYED - 1] != [0] * len(outcome.readout[0])


@pytest.mark.parametrize(
    ("engine", "encoding"),
    [
        ("clocked", "constant"),
        ("event", "constant"),
        ("clocked", "rate"),
        ("event", "rate"),
        ("clocked", "events"),
    ],
)
@pytest.mark.parametrize("srp", [0, 3])
def test_every_encoding_that_divides_gives_the_twins_readout(engine, encoding, srp):
    rng = np.random.default_rng(7)
    graph = random_graph(rng)
    pixels = random_pixels(rng, graph, 2)
    if encoding == "events":
        c, h, w = graph.input_shape
        times = np.sort(rng.uniform(0, STEPS, (2, 30)), axis=1)
        inputs, signs = rng.integers(0, c * h * w, (2, 30)), rng.choice([-1, 1], (2, 30))
        pixels = [list(zip(*rows)) for rows in zip(times, inputs, signs)]
    result = eventsnn.simulate(
        eventsnn.convert(graph),
        pixels,
        steps=STEPS,
        srp=srp,
        encoding=encoding,
        readout_from=DELAYED,
        engine=engine,
        order="clocked" if engine == "event" else "fifo",
    )
    simulation = result.simulation
    for i in range(2):
        image = result._image(i)
        model, net, start = models_of(simulation), twin_net(simulation), twin_start(simulation)
        mask = None
        if srp:
            first = twin.run_clocked(
                net, twin_drive(simulation, image, i, 1)[:srp], start, srp, model
            )
            mask = [
                [layer.pool or n == net.readout or v >= 0 for v in first.potentials[n]]
                for n, layer in enumerate(net.layers)
            ]
        drive = twin_drive(simulation, image, i)[:STEPS]
        outcome = twin.run_clocked(net, drive, start, STEPS, model, mask=mask)
        assert_twins(simulation, result.batch.readout[i], outcome)


def run(**options):
    rng = np.random.default_rng(3)
    graph = small_graph()
    pixels = random_pixels(rng, graph, 6)
    snn = eventsnn.convert(graph)
    labels = [0, 1, 2, 3, 0, 1]
    given = {"steps": 8, "pixel_range": pixel_range(pixels), "labels": labels}
    return eventsnn.simulate(snn, pixels, **given | options)


@pytest.fixture(scope="module")
def delayed():
    return run(readout_from=3)


def test_only_the_readout_changes(delayed):
    plain = run()
    for name in ("spikes", "operations", "ties", "t_eq"):
        assert np.array_equal(getattr(delayed.batch, name), getattr(plain.batch, name)), name
    rest = 8 * plain.readout(8) - 3 * plain.readout(3)
    np.testing.assert_allclose(delayed.readout(), rest / 5, rtol=1e-12)
    assert not np.array_equal(delayed.readout(), plain.readout())
    assert np.array_equal(run(readout_from=0).readout(), plain.readout())


def test_what_has_no_result_is_left_out_or_refused(delayed):
    assert [row["T"] for row in delayed.table()] == [4, 8]
    for ask in (delayed.readout, delayed.accuracy, delayed.predictions):
        with pytest.raises(InputError, match="expected 4 to 8, after those that do not count"):
            ask(3)
    assert delayed.accuracy(4) >= 0 and "readout from 3" in repr(delayed)
    readout = delayed.to_xarray()["readout"].values
    assert np.isnan(readout[:, :3]).all() and np.array_equal(readout[:, 7], delayed.readout())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"readout_from": 8}, "fewer than the steps=8, found 8"),
        ({"readout_from": -1}, "readout_from: expected"),
        ({"readout_from": 1, "encoding": "even"}, "divided by steps, found encoding='even'"),
        ({"readout_from": 1, "neuron": "st-bif"}, "divided by steps, found encoding='even'"),
        ({"readout_from": 1, "bias_once": True}, "biases in every step"),
        ({"readout_from": 1, "neuron": TPP}, "a result after every step"),
    ],
)
def test_what_means_nothing_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        run(**options)


def test_studies_that_do_not_read_the_readout_refuse_it(delayed):
    network, images = delayed.network, delayed.images
    with pytest.raises(InputError, match="errors: expected readout_from=0"):
        eventsnn.errors.decompose(network, images, steps=8, readout_from=3)
    with pytest.raises(InputError, match="intervals: expected readout_from=0"):
        eventsnn.certified.certify(network, images, steps=8, readout_from=3)


def test_surgery_reads_it_as_a_run_does(delayed):
    given = {"labels": delayed.labels, "steps": 8, "readout_from": 3, "pixel_range": (-5, 5)}
    plain = eventsnn.simulate(delayed.network, delayed.images, **given)
    given["progress"] = False
    costs = eventsnn.surgery.costs(delayed.network, delayed.images, **given)
    assert costs.snn["hits"] == round(6 * plain.accuracy())
    logits = by_neuron(ann_logits(delayed.network.graph, delayed.images))
    square = np.square(plain.readout() - logits).mean()
    assert costs.snn["square"] == pytest.approx(square)
    none = eventsnn.surgery.replace_layers(
        delayed.network, delayed.images, [], counts="own", times="kept", **given
    )
    assert np.array_equal(none.readout(), plain.readout())


def test_a_replay_tells_the_readout_that_counts():
    result = run(engine="event", readout_from=3)
    again = result.replay(image=2)
    assert np.array_equal(again.readouts, np.stack([result.readout()[2]] * 2))
    dropped = result.replay([eventsnn.Drop(0)], image=2)
    assert np.array_equal(dropped.readouts[0], result.readout()[2])


def test_on_the_command_line(tmp_path, capsys):
    out = tmp_path / "out"
    given = ["--limit", "4", "--steps", "8", "--readout-from", "4", "--out", str(out)]
    assert main([*given, "--engine", "event", "--trace", "spikes"]) == 0
    results = eventsnn.open_results(out)
    assert [row["T"] for row in results.accuracy] == [8]
    assert results.settings["readout_from"] == 4
    assert "readout from 4" in results.summary["conditions"]
    assert "since step 4" in results.contents()["readout"]
    assert not results.read("readout")[:, :4].any()
    # a trace is of spikes, which do not depend on when the readout begins
    images = eventsnn.load_images("sample", limit=4)
    snn = eventsnn.convert(eventsnn.load("sample"))
    plain = eventsnn.simulate(snn, images[:1], steps=8, engine="event").simulation
    assert len(results.trace(0, plain).spikes) > 0
    capsys.readouterr()
    for wrong, words in (
        ("--readout-from 32", "--readout-from: expected fewer than the --steps 32"),
        ("--readout-from 4 --report-steps 4,8", "numbers above --readout-from 4"),
        ("--readout-from 4 --encoding even", "--readout-from: expected an encoding"),
        ("--readout-from x", "--readout-from: expected a whole number"),
    ):
        assert main(wrong.split()) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1, err
    assert settings_of([]).id() == settings_of(["--readout-from", "0"]).id()
    assert settings_of([]).id() != settings_of(["--readout-from", "1"]).id()


def test_a_simulation_of_wider_numbers_counts_the_same():
    rng = np.random.default_rng(3)
    graph = small_graph()
    pixels = random_pixels(rng, graph, 1)
    snn = eventsnn.convert(graph)
    simulation = Simulation(snn, steps=8, readout_from=3, pixel_range=pixel_range(pixels))
    one, other = simulation.image(pixels[0]), simulation.wider().image(pixels[0])
    assert np.array_equal(one.readout, other.readout) and one.readout[-1].any()
