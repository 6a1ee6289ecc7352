"""Results as DataFrames and Datasets, where pandas and xarray are installed; what is said where
they are not.
"""

import importlib.util

import numpy as np
import pytest
from support.networks import quantised_graph, random_pixels

from eventsnn import InputError, convert
from eventsnn.data.images import Images
from eventsnn.studies import errors


def network_and_images(count=3):
    rng = np.random.default_rng(7)
    graph = quantised_graph(rng)
    return convert(graph), random_pixels(rng, graph, count)


def labelled(pixels):
    count = np.arange(len(pixels))
    return Images("random", "test", 10 + count, pixels, count % 2, (), (-1, 2))


def test_a_run_as_a_dataframe():
    pytest.importorskip("pandas")
    network, pixels = network_and_images()
    result = network.run(labelled(pixels), steps=5)
    frame = result.to_pandas()
    assert list(frame.index) == [1, 2, 4, 5] and list(frame.columns) == [
        "accuracy",
        "spikes",
        "operations",
    ]
    assert frame.spikes[4] == result.spikes[:, :, :4].sum() / 3 and frame.accuracy[
        2
    ] == result.accuracy(2)


@pytest.mark.parametrize("encoding", ["constant", "even"])
def test_a_run_as_a_dataset(encoding):
    xarray = pytest.importorskip("xarray")
    network, pixels = network_and_images()
    result = network.run(labelled(pixels), steps=5, encoding=encoding)
    found = result.to_xarray()
    assert isinstance(found, xarray.Dataset) and set(found.data_vars) == {
        "spikes",
        "operations",
        "readout",
        "label",
    }
    assert found.image.values.tolist() == [10, 11, 12] and found.step.values.tolist() == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert found.layer.values.tolist() == [
        layer.name for layer in network.layers
    ] and found.label.values.tolist() == [0, 1, 0]
    first = network.layers[0].name
    assert np.array_equal(found.spikes.sel(image=11, layer=first, step=3), result.spikes[1, 0, 2])
    assert np.array_equal(found.operations, result.operations) and found.operations.dims == (
        "image",
        "layer",
        "step",
    )
    for step in (1, 4):
        assert np.array_equal(
            found.readout.sel(step=step).transpose("image", "class"), result.readout(step)
        )
    plain = network.run(pixels, steps=2).to_xarray()
    assert "label" not in plain and plain.image.values.tolist() == [0, 1, 2]


def test_kept_errors_as_a_dataset():
    pytest.importorskip("xarray")
    network, pixels = network_and_images()
    name = network.spiking[0].name
    found = errors.decompose(network, pixels, steps=3, keep=[name])
    arrays = found.neurons_to_xarray(name)
    assert set(arrays.data_vars) == {"total", *errors.PARTS}
    for part, values in found.neurons[name].items():
        assert arrays[part].dims == ("image", "neuron") and np.array_equal(arrays[part], values)


def test_what_is_refused():
    network, pixels = network_and_images()
    with pytest.raises(InputError, match="keep="):
        errors.decompose(network, pixels, steps=2).neurons_to_xarray(network.spiking[0].name)
    result = network.run(pixels, steps=2)
    for convert_to, package in ((result.to_pandas, "pandas"), (result.to_xarray, "xarray")):
        if importlib.util.find_spec(package) is None:
            with pytest.raises(InputError, match=package):
                convert_to()
