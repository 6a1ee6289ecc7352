"""Images for networks whose input is a vector."""

import numpy as np
import pytest
from support.networks import Builder

from eventsnn.data import Images, as_vectors, check_images


def graph_on(shape):
    b = Builder(np.random.default_rng(0), shape)
    return b.graph(b.gemm(b.activation(b.gemm(b.add("Flatten", ["input"])))))


PIXELS = np.random.default_rng(1).integers(0, 256, (5, 3, 2, 4), np.uint8)


def test_images_become_vectors_in_the_order_of_numpy_and_keras():
    images = Images("some", "test", np.arange(5), PIXELS, None, ())
    fitted, done = as_vectors(graph_on((24, 1, 1)), images)
    channels_last = np.moveaxis(PIXELS, 1, 3)
    assert np.array_equal(fitted.pixels, channels_last.reshape(5, 24, 1, 1))
    assert fitted.pixels.dtype == np.uint8 and fitted.name == "some"
    assert done == (
        "images of 3x2x4 are flattened in the order H, W, C: the network takes 24 numbers"
    )
    check_images(graph_on((24, 1, 1)), fitted.pixels)


def test_vectors_stay_in_their_order():
    fitted, done = as_vectors(graph_on((24, 1, 1)), PIXELS.reshape(5, 24))
    assert np.array_equal(fitted, PIXELS.reshape(5, 24, 1, 1)) and not done


@pytest.mark.parametrize("shape", [(3, 2, 4), (24, 1, 1), (23, 1, 1), (4, 2, 3)])
def test_what_fits_or_cannot_fit_stays(shape):
    pixels = PIXELS.reshape(5, 24, 1, 1) if shape == (24, 1, 1) else PIXELS
    fitted, done = as_vectors(graph_on(shape), pixels)
    assert fitted is pixels and not done
