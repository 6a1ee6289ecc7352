"""Pictures of a trace: what stands in them is what the trace has."""

import numpy as np
import pytest

import eventsnn
from eventsnn import plots
from eventsnn.exceptions import InputError
from eventsnn.views import raster as rasters
from eventsnn.views.causes import depths, descent


@pytest.fixture(scope="module")
def result():
    network = eventsnn.convert(eventsnn.load("sample"))
    images = eventsnn.load_images("sample", limit=2)
    return eventsnn.simulate(network, images, steps=2, engine="event", order="jitter", neuron="snm")


@pytest.fixture(scope="module")
def trace(result):
    return result.trace(0)


def dots(axes):
    return sum(len(drawn.get_offsets()) for drawn in axes.collections)


def test_a_raster_has_a_dot_for_every_spike(trace):
    figure = plots.raster(trace, layers=["act6"])
    assert dots(figure.axes[0]) == len(trace.of("act6"))
    assert figure.axes[0].get_title(loc="left").startswith("image 0, ")
    assert trace.conditions.split(";")[0] in figure.get_suptitle().replace("\xa0", " ")


def test_spikes_taken_back_have_marks_of_their_own(trace):
    axes = plots.raster(trace, layers=["act6"]).axes[0]
    back = (trace.of("act6")["sign"] < 0).sum()
    assert back
    hollow = [drawn for drawn in axes.collections if not drawn.get_facecolors().size]
    assert sum(len(drawn.get_offsets()) for drawn in hollow) == back


def test_many_spikes_are_a_density_that_counts_them_all(trace, monkeypatch):
    monkeypatch.setattr(rasters, "EVENTS", 100)
    figure = plots.raster(trace)
    mesh = figure.axes[0].collections[0]
    assert mesh.get_array().sum() == len(trace.spikes)
    assert "density" in figure.axes[0].get_title(loc="left")


def test_depth_counts_causes_of_causes(trace):
    depth = depths(trace)
    spikes = trace.spikes
    place = {seq: i for i, seq in enumerate(spikes["seq"])}
    for i in np.linspace(0, len(spikes) - 1, 50).astype(int):
        steps, cause = 0, spikes["cause"][i]
        while cause >= 0:
            steps, cause = steps + 1, spikes["cause"][place[cause]]
        assert depth[i] == steps
    assert depth.max() > 2


def test_a_spikes_tree_is_what_it_caused_and_nothing_else(trace):
    spike = int(trace.spikes["cause"][depths(trace).argmax()])
    tree = descent(trace, spike)
    inside = set(trace.spikes["seq"][tree.ahead].tolist()) | {spike}
    for i, (seq, cause) in enumerate(zip(trace.spikes["seq"], trace.spikes["cause"])):
        assert (cause in inside) == (i in set(tree.ahead.tolist())), seq
    assert tree.ahead.size
    figure = plots.causes(trace, spike)
    assert dots(figure.axes[0]) == 1 + len(tree.behind) + len(tree.ahead)


def test_maps_show_net_spikes_so_far(trace):
    layer = trace.simulation.network.layers[trace.layer("act2")]
    figure = plots.feature_maps(trace, "act2", channels=[3], steps=[1, 2])
    own = trace.of("act2")
    for axes, t in zip(figure.axes, (1, 2)):
        counts = np.zeros(layer.size)
        np.add.at(counts, own["neuron"][own["step"] < t], own["sign"][own["step"] < t])
        c, height, width = layer.grid
        expected = counts.reshape(height, width, c)[:, :, 3] / t
        assert np.array_equal(axes.images[0].get_array(), expected)


def test_potentials_stand_below_a_raster(result, trace):
    seen = result.observe("act6", 3, 0)
    figure = plots.raster(trace, layers=["act5", "act6"], along="order", potentials=[seen])
    line = figure.axes[-1].lines[0]
    assert seen.in_thresholds(seen.arrivals["after"][-1]) == line.get_ydata()[-1]


@pytest.mark.parametrize(
    "draw, words",
    [
        (lambda t: plots.raster(t, layers=["nowhere"]), "layer: expected one of act1"),
        (lambda t: plots.raster(t, colour="red"), "colour: expected layer or depth, found 'red'"),
        (lambda t: plots.raster(t, along="space"), "along: expected time or order"),
        (lambda t: plots.causes(t, 10**9), "spike: expected the seq of one of"),
        (lambda t: plots.feature_maps(t, "act2", channels=[99]), "channels: expected 0 to 31"),
        (lambda t: plots.feature_maps(t, "act2", steps=[3]), "steps: expected 1 to 2, found 3"),
    ],
)
def test_what_there_is_not_is_refused(trace, draw, words):
    with pytest.raises(InputError, match=words):
        draw(trace)
