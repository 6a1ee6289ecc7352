"""Why an image is wrong: the parts of its margin, by an independent way and without remainder."""

from itertools import combinations

import numpy as np
import pytest
from support.networks import pooled_graph, random_pixels

import eventsnn
from eventsnn import InputError, surgery
from eventsnn.ann import forward as ann
from eventsnn.commands.main import main as command
from eventsnn.run import main
from eventsnn.runs import why as room
from eventsnn.simulation.time import Time
from eventsnn.studies import splitting
from eventsnn.studies.trains import train_of
from eventsnn.trace.trace import record

# of the sample: wrong in four clocked steps, right in the ANN; wrong in eight steps in random order
CLOCKED, RANDOM = 98, 4


@pytest.fixture(scope="module")
def images():
    return eventsnn.load_images("sample", limit=100)


@pytest.fixture(scope="module")
def network():
    return eventsnn.convert(eventsnn.load("sample"))


@pytest.fixture(scope="module")
def clocked(network, images):
    result = network.run(images.take([0, CLOCKED]), steps=4)
    return result, eventsnn.why(result, CLOCKED)


@pytest.fixture(scope="module")
def random(network, images):
    result = network.run(images.take([RANDOM]), steps=8, engine="event", order="random")
    return result, eventsnn.why(result, RANDOM)


def margin(found, reason):
    readout = found.readout()[0]
    return readout[reason.right] - readout[reason.wrong]


def with_right(network, images, names, reason):
    """The margin, by surgery, with right spikes in these layers; the class that it gives."""
    one = images.take([reason.number])
    found = surgery.replace_layers(network, one, names, steps=reason.simulation.steps)
    return margin(found, reason), int(found.predictions()[0])


def test_parts_are_those_of_surgery_from_both_sides(clocked, network, images):
    result, reason = clocked
    names = [row["layer"] for row in reason.layers]
    assert names == [layer.name for layer in network.spiking if not layer.pools]
    first = [with_right(network, images, names[:k], reason)[0] for k in range(len(names) + 1)]
    last = [with_right(network, images, names[k:], reason)[0] for k in range(len(names) + 1)]
    assert first[0] == last[-1] == reason.snn and first[-1] == last[0] == reason.ideal
    for k, row in enumerate(reason.layers):
        assert row["from SNN"] == first[k + 1] - first[k]
        assert row["from ANN"] == last[k] - last[k + 1]
        assert row["counts"] + row["times"] == row["together"]
        assert row["together"] == (row["from SNN"] + row["from ANN"]) / 2


def test_parts_add_up_without_remainder(clocked, random):
    for result, reason in (clocked, random):
        assert reason.rest == 0
        together = sum(row["together"] for row in reason.layers)
        assert reason.snn + together == pytest.approx(reason.ideal, abs=1e-12)
        place = np.flatnonzero(result._numbers == reason.number)[0]
        own = result.readout()[place]
        assert reason.snn == own[reason.right] - own[reason.wrong]
        pixels = result.images.pixels[place : place + 1]
        logits = ann.by_neuron(ann.logits(result.network.graph, pixels))[0]
        assert reason.ann == pytest.approx(logits[reason.right] - logits[reason.wrong])


def test_parts_of_order_add_up_to_what_clocked_time_has_more(random, network, images):
    result, reason = random
    clocked = network.run(images.take([RANDOM]), steps=8)
    lost = margin(clocked, reason) - reason.snn
    assert sum(row["order"] for row in reason.layers) == pytest.approx(lost, abs=1e-12)
    assert int(clocked.predictions()[0]) == reason.right
    assert not reason.restored.names and "the order of arrival alone" in str(reason)


def test_a_layer_that_sends_what_the_trace_has_gives_the_runs_readout(random):
    """The last of the runs of order parts: its layers' counts and its readout are the run's."""
    result, reason = random
    trace = record(result.simulation, result.images.pixels[0], RANDOM)[1]
    split = split_of(result, reason, trace)
    last = split.injected[-1]
    assert np.array_equal(last.readout[-1], result.batch.readout[0, -1])
    for i, layer in enumerate(result.network.spiking):
        here = trace.spikes[trace.spikes["layer"] == i]
        counts = np.bincount(here["neuron"], here["sign"], layer.size)
        assert np.array_equal(split.base(i).sent[result.network.columns(i)], counts)


def split_of(result, reason, trace=None, place=0):
    from concurrent.futures import ThreadPoolExecutor

    from eventsnn.studies.replacing import Replacing
    from eventsnn.views.progress import bar

    simulation = result.simulation
    if simulation.engine.asynchronous:
        simulation = simulation.on("clocked").wider()
    pixels = getattr(result.images, "pixels", result.images)[place : place + 1]
    number = result._numbers[place : place + 1]
    part = Replacing(simulation, pixels, number, 0, ThreadPoolExecutor(1), bar(0, "run", False))
    return splitting.Splitting(part, reason.right, reason.wrong, trace)


def test_the_smallest_set_is_that_of_all_sets(clocked, network, images):
    _, reason = clocked
    names = [row["layer"] for row in reason.layers]
    for size in range(1, len(names) + 1):
        found = {
            names_: with_right(network, images, names_, reason)
            for names_ in combinations(names, size)
        }
        good = {key: value for key, (value, its) in found.items() if its == reason.right}
        if good:
            break
    assert len(reason.restored.names) == size and reason.restored.exact
    assert reason.restored.names == max(good, key=good.get)


def test_a_greedy_search_says_so(clocked, monkeypatch):
    result, reason = clocked
    monkeypatch.setattr(splitting, "TRIED", 0)
    found = eventsnn.why(result, CLOCKED)
    assert not found.restored.exact and "a smaller one may be" in str(found)
    split = split_of(result, reason, place=1)
    assert split.restores(split._with(found.restored.names))


def test_replacements_of_all_sizes_count_until_the_search_is_greedy():
    """Of 11 layers, sets of three would make 11 + 110 + 495 replacements: more than 600."""
    split = object.__new__(splitting.Splitting)
    split.layers = {f"act{k}": k for k in range(11)}
    split._with = lambda names: names
    split.restores = lambda names: len(names) > 2
    split.margin = len
    found = split.restored()
    assert len(found.names) == 3 and not found.exact
    split.layers = {f"act{k}": k for k in range(10)}
    assert split.restored().exact  # 10 + 90 + 360


def test_a_neuron_of_the_last_layer_gains_by_its_weights(random, network):
    """Behind the last layer all is linear: the gain is the count's error times two weights."""
    result, reason = random
    assert reason.among == (network.spiking[-1].name,) and reason.neurons
    last = len(network.layers) - 1
    (projection,) = network.into(last)
    weights = result.simulation.blocks(projection).reshape(-1, network.readout.size)
    for row in reason.neurons:
        to = weights[row["neuron"]].astype(np.int64)
        moved = (row["right"] - row["fired"]) * (to[reason.right] - to[reason.wrong])
        assert row["gain"] == result.simulation.output(np.array([moved]), 8)[0]
    gains = [row["gain"] for row in reason.neurons]
    assert gains == sorted(gains, reverse=True) and gains[-1] > 0


def test_late_inhibition_is_that_of_asynchronism(random):
    result, reason = random
    found = eventsnn.asynchronism.of_trace(reason.trace)
    one = result.simulation.arithmetic.one.item()
    for row in reason.neurons:
        its = found[row["layer"]]
        assert row["late"] == its.late[row["neuron"]] / one
        assert row["fired"] == its.fired[row["neuron"]]
    worst = reason.neurons[0]
    assert str(result.explain(worst["layer"], worst["neuron"])) in str(reason)


def test_the_same_simulation_by_another_engine(random):
    simulation = random[0].simulation
    other = simulation.on("clocked").on("event", Time(order="random"))
    pixels = random[0].images.pixels
    same = other.run(pixels, numbers=[RANDOM])
    assert np.array_equal(same.digests, random[0].digests)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_pools_pass_on_what_a_layer_sent_in_random_order(seed):
    """Several spikes of a neuron in a step, more than it sends in clocked time."""
    rng = np.random.default_rng(seed)
    graph = pooled_graph(rng)
    network, pixels = eventsnn.convert(graph), random_pixels(rng, graph, 12)
    result = network.run(pixels, steps=3, engine="event", order="random")
    found = eventsnn.why(result)
    assert found.rest == 0
    trace = found.trace
    split = split_of(result, found, trace, found.number)
    largest = 0
    for i, layer in enumerate(network.spiking):
        here = trace.spikes[trace.spikes["layer"] == i]
        sent = np.zeros((3, layer.size), int)
        np.add.at(sent, (here["step"], here["neuron"]), here["sign"])
        assert np.array_equal(train_of(split.simulation, split.base(i), i), sent)
        largest = max(largest, sent.max())
    assert largest > 1


@pytest.mark.slow
@pytest.mark.parametrize("neuron, steps", [("snm", 1), ("gn:2", 2)])
def test_parts_add_up_for_other_models(neuron, steps, network, images):
    result = network.run(images, steps=steps, neuron=neuron)
    found = eventsnn.why(result)
    assert found.rest == 0 and found.right != found.wrong


def test_a_reason_is_shown(clocked, tmp_path):
    pytest.importorskip("pandas")
    _, reason = clocked
    page = reason._repr_html_()
    assert "<img alt=" in page and "<table>" in page and page.count("<pre>") == 1
    layers, neurons = reason.to_pandas()
    assert len(layers) == len(reason.layers) and "gain" in neurons.columns
    eventsnn.plots.save(reason.plot(), tmp_path / "a.png")
    eventsnn.plots.save(reason.plot_worst(), tmp_path / "b.png")
    assert repr(reason).startswith(f"<Reason of image {CLOCKED}: ")


@pytest.mark.slow
def test_of_a_folder_it_is_the_same(clocked, images, tmp_path, capsys):
    out = tmp_path / "r"
    given = ["--limit", "100", "--steps", "4", "--quiet", "--out", str(out)]
    assert main(given) == 0
    picture = tmp_path / "why.svg"
    assert command(["why", str(out), str(CLOCKED), "--out", str(picture)]) == 0
    told = capsys.readouterr().out
    assert str(clocked[1]) in told and picture.exists()
    assert (tmp_path / "why-neuron.svg").exists()
    assert eventsnn.why(out).number == CLOCKED  # the first that there is
    for words, expected in (
        (["0"], "found class 9 in the spiking network, which is right; it has"),
        (["100"], "one of the run's, 0 to 99, found 100"),
        (["x"], "IMAGE: expected an image's number"),
        (["0", "--out", "a.gif"], "--out: expected a file that ends in"),
    ):
        assert command(["why", str(out), *words]) == 2
        line = capsys.readouterr().err
        assert expected in line and line.count("\n") == 1


def test_what_cannot_be_taken_apart_is_one_line(network, images):
    few = images.take([0, 1])
    for settings, expected in (
        ({"srp": 2}, "no SRP"),
        ({"readout_from": 1}, "readout_from=0, as all steps count"),
        ({"arithmetic": "float64"}, "fixed point"),
        ({"engine": "event", "barrier": False, "delays": 0.5}, "a barrier"),
        ({"neuron": "lif"}, "holds|changes"),
    ):
        result = network.run(few, steps=2, **settings)
        with pytest.raises(InputError, match=expected):
            eventsnn.why(result, 0)
    result = network.run(few, steps=4)
    with pytest.raises(InputError, match="the result: image: expected one of the run's"):
        eventsnn.why(result, 7)
    with pytest.raises(InputError, match="the result: image: .* found True"):
        eventsnn.why(result, True)
    with pytest.raises(InputError, match="run: expected a Result, a results folder or Results"):
        eventsnn.why(3, 7)
    wrong = few.labels.copy()
    wrong[0] = (wrong[0] + 1) % 10
    result = network.run(few.pixels, labels=wrong, steps=4)
    with pytest.raises(InputError, match="the ANN has it wrong itself"):
        eventsnn.why(result, 0)
    assert room.why is eventsnn.why
