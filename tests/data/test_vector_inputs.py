"""Images for networks whose input is a vector."""

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import InputError
from eventsnn.data import Images, as_vectors, check_images, load_images


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


VECTORS, LABELS = PIXELS.reshape(5, 24), np.array([3, 1, 0, 2, 2])


@pytest.mark.parametrize("kind", ["npz", "npy", "floats"])
def test_files_of_vectors_fit_networks_on_vectors(kind, tmp_path):
    """As MNIST is often kept: [N, 784]."""
    vectors = VECTORS / np.float32(255) if kind == "floats" else VECTORS
    path = tmp_path / "x_test.npy"
    if kind == "npy":
        np.save(path, vectors)
        np.save(tmp_path / "y_test.npy", LABELS)
    else:
        path = tmp_path / "set.npz"
        np.savez(path, x_test=vectors, y_test=LABELS)
    images = load_images(path, limit=3, offset=1)
    assert images.split == "test" and images.pixels.dtype == vectors.dtype
    assert np.array_equal(images.pixels, vectors[1:4].reshape(3, 24, 1, 1))
    assert images.labels.tolist() == [1, 0, 2]
    check_images(graph_on((24, 1, 1)), images.pixels, images.labels)


def test_an_npy_file_without_labels_beside_it_has_none(tmp_path):
    np.save(tmp_path / "images.npy", np.asfortranarray(PIXELS))
    images = load_images(tmp_path / "images.npy", split="train")
    assert images.labels is None and np.array_equal(images.pixels, PIXELS)
    (tmp_path / "images.npy").write_bytes((tmp_path / "images.npy").read_bytes()[:-1])
    with pytest.raises(InputError, match="expected .* bytes for uint8 .*the file may be damaged"):
        load_images(tmp_path / "images.npy")


@pytest.mark.parametrize("shape", [(5, 24), (5, 24, 1, 1)])
def test_vectors_become_images_of_one_channel_and_no_others(shape):
    vectors = VECTORS.reshape(shape)
    fitted, done = as_vectors(graph_on((1, 6, 4)), vectors)
    assert np.array_equal(fitted, VECTORS.reshape(5, 1, 6, 4))
    assert done == "vectors of 24 numbers are taken as images of 1x6x4, row by row"
    graph = graph_on((2, 3, 4))
    assert as_vectors(graph, vectors)[0] is vectors
    with pytest.raises(InputError, match="of vectors nobody can tell the order of the channels"):
        check_images(graph, vectors)
    with pytest.raises(InputError, match="of the size the network was trained on"):
        check_images(graph_on((1, 5, 5)), vectors)


@pytest.mark.parametrize("last", (False, True))
@pytest.mark.parametrize("from_file", (False, True))
def test_signals_of_one_axis_get_the_height_1(last, from_file, tmp_path):
    signals = np.arange(5 * 2 * 9, dtype=np.float32).reshape(5, 2, 9)
    given = np.moveaxis(signals, 1, 2) if last else signals
    if from_file:
        np.save(tmp_path / "x.npy", given)
        given = load_images(tmp_path / "x.npy")
    fitted, done = as_vectors(graph_on((2, 1, 9)), given)
    pixels = fitted.pixels if from_file else fitted
    assert np.array_equal(pixels, signals[:, :, None]) and ("last" in done) == last
