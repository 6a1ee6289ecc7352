"""Images and labels in the forms that people have: each is the same run as with plain arrays."""

import numpy as np
import pytest
from support.networks import Builder

from eventsnn import Images, convert, errors, simulate
from eventsnn.data.accepting import accept, labels_in
from eventsnn.data.images import load_images
from eventsnn.data.ranges import range_of
from eventsnn.exceptions import InputError

PIXELS = np.random.default_rng(1).random((6, 3, 4, 5)).astype(np.float32)
LABELS = np.array([0, 3, 1, 1, 2, 0])


def graph_on(shape=(3, 4, 5), out=4):
    b = Builder(np.random.default_rng(0), shape)
    return b.graph(b.gemm(b.activation(b.gemm(b.add("Flatten", ["input"])), "QCFS"), out))


GRAPH = graph_on()


class Tensor:
    """What eventsnn asks of a tensor of torch; one on a GPU gives numpy nothing before `cpu`."""

    def __init__(self, values, device="cuda"):
        self.values, self.device = np.asarray(values), device
        self.shape, self.dtype = self.values.shape, f"torch.{self.values.dtype}"

    def detach(self):
        return self

    def cpu(self):
        return Tensor(self.values, "cpu")

    def __array__(self, dtype=None, copy=None):
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.values

    def __index__(self):
        return int(self.values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, place):
        return Tensor(self.values[place], self.device)


def loader(x=PIXELS, y=LABELS, size=4):
    for start in range(0, len(x), size):
        some = slice(start, start + size)
        yield [Tensor(x[some]), Tensor(y[some])]


class Dataset:
    """As torch's: no __iter__."""

    def __len__(self):
        return len(PIXELS)

    def __getitem__(self, i):
        return Tensor(PIXELS[i], "cpu"), LABELS[i].item()


FORMS = {
    "array": lambda: (PIXELS, LABELS),
    "lists": lambda: (PIXELS.tolist(), LABELS.tolist()),
    "arrays in a list": lambda: (list(PIXELS), tuple(LABELS)),
    "tensors": lambda: (Tensor(PIXELS), Tensor(LABELS)),
    "tensors in a list": lambda: ([Tensor(x) for x in PIXELS], [Tensor(y) for y in LABELS]),
    "one-hot": lambda: (PIXELS, np.eye(4)[LABELS]),
    "one-hot tensor": lambda: (PIXELS, Tensor(np.eye(4, dtype=np.int64)[LABELS])),
    "one-hot lists": lambda: (PIXELS, np.eye(4, dtype=int)[LABELS].tolist()),
    "a column": lambda: (PIXELS, LABELS[:, None].astype(float)),
    "loader": lambda: (loader(), None),
    "loader of one-hot": lambda: (loader(y=np.eye(4)[LABELS]), None),
    "batches": lambda: (list(loader()), None),
    "batches of pixels": lambda: ([PIXELS[:4], PIXELS[4:]], LABELS),
    "data set": lambda: (Dataset(), None),
    "channels last": lambda: (np.moveaxis(PIXELS, 1, 3), LABELS),
    "Images": lambda: (Images("some", "test", np.arange(6), PIXELS, LABELS, ()), None),
    "unlabelled Images": lambda: (Images("some", "test", range(6), PIXELS, None, ()), LABELS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_images_and_labels(form):
    found = accept(GRAPH, *FORMS[form]())
    assert np.array_equal(found.pixels, PIXELS)
    assert found.labels.dtype == np.int64 and np.array_equal(found.labels, LABELS)
    assert np.array_equal(found.numbers, np.arange(6))
    assert found.note == ("images have their channels last" if form == "channels last" else "")


def test_a_run_and_a_study_take_a_loader():
    network = convert(GRAPH, thresholds="max", calibration=loader())
    options = {"steps": 4}
    plain = simulate(
        convert(GRAPH, thresholds="max", calibration=PIXELS), PIXELS, labels=LABELS, **options
    )
    found = simulate(network, loader(), **options)
    assert np.array_equal(found.readout(), plain.readout())
    assert found.accuracy() == plain.accuracy()
    table = errors.decompose(network, loader(), **options).table()
    assert table == errors.decompose(network, PIXELS, **options).table()


@pytest.mark.parametrize(
    ("shape", "given", "note"),
    [
        ((3, 4, 5), PIXELS[0], "one image"),
        ((3, 4, 5), np.moveaxis(PIXELS[0], 0, 2), "one image, its channels last"),
        ((1, 4, 5), PIXELS[:, 0], ""),
        ((60, 1, 1), PIXELS[0].reshape(-1), "one image"),
        (
            (20, 1, 1),
            PIXELS[:, 0],
            "images of 1x4x5 are flattened in the order H, W, C: the network takes 20 numbers",
        ),
    ],
)
def test_axes_that_are_left_out_are_those_that_the_network_tells(shape, given, note):
    found = accept(graph_on(shape), given)
    assert found.note == note and found.pixels.shape[1:] == shape
    assert np.array_equal(np.sort(found.pixels.ravel()), np.sort(given.ravel()))


def test_a_network_on_vectors_takes_images_with_channels_last_in_their_order():
    found = accept(graph_on((60, 1, 1)), np.moveaxis(PIXELS, 1, 3))
    assert np.array_equal(found.pixels, accept(graph_on((60, 1, 1)), PIXELS).pixels)


def test_what_fits_as_it_is_stays():
    """Three channels of 3x3 are read as the network reads them."""
    pixels = PIXELS[:, :, :3, :3]
    assert np.array_equal(accept(graph_on((3, 3, 3)), pixels).pixels, pixels)


def test_a_column_of_ones_is_said():
    found, note = labels_in(graph_on(out=1), np.ones((6, 1)), 6)
    assert found.tolist() == [1] * 6
    assert note == "labels [N, 1], all of them 1, are taken as class 1, not as one-hot"


def test_labels_beside_images_that_have_none_count():
    images = Images("some", "test", np.arange(6), PIXELS, None, ())
    assert simulate(
        convert(GRAPH), images, labels=LABELS.tolist(), steps=2
    ).labels.tolist() == list(LABELS)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            lambda: [(PIXELS[:2], LABELS[:2]), PIXELS[2:]],
            "images: batch 1: .* labels in all batches",
        ),
        (lambda: [(PIXELS[:2], ["cat", "dog"])], "images: batch 0: expected pixels"),
        (lambda: [{"x": PIXELS}], "images: batch 0: expected pixels"),
        (lambda: iter(()), "one or more images, found none; a generator gives its images once"),
        (lambda: loader(y=np.eye(3)[LABELS % 3]), "one-hot labels of 4 classes, found 3 columns"),
        (lambda: loader(y=LABELS + 1), "labels from 0 to 3"),
        (lambda: (PIXELS for _ in iter(int, 1)), "at most"),
    ],
)
def test_batches_that_cannot_be_used(given, words, monkeypatch):
    monkeypatch.setattr("eventsnn.data.formats.MAX_BYTES", 10**5)
    with pytest.raises(InputError, match=words):
        accept(GRAPH, given())


IMAGES = Images("some", "test", np.arange(10, 16), PIXELS, LABELS, ("a", "b", "c", "d"))


def test_images_can_be_indexed_sliced_and_gone_through():
    pixels, label = IMAGES[1]
    assert np.array_equal(pixels, PIXELS[1]) and label == 3 and type(label) is int
    assert IMAGES[-1][1] == 0 and IMAGES[np.int64(4)][1] == 2
    assert [label for _, label in IMAGES] == LABELS.tolist() and len(IMAGES) == 6
    unlabelled = Images("some", "test", np.arange(6), PIXELS, None, ())
    assert [label for _, label in unlabelled] == [None] * 6


@pytest.mark.parametrize(
    ("at", "places"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), [5, 3, 1]),
        ([0, -1], [0, 5]),
        (np.array([3, 3]), [3, 3]),
        (LABELS == 1, [2, 3]),
    ],
)
def test_several_images_are_images(at, places):
    some = IMAGES[at]
    assert isinstance(some, Images) and some.indices.tolist() == [10 + i for i in places]
    assert np.array_equal(some.pixels, PIXELS[places])
    assert np.array_equal(some.labels, LABELS[places]) and some.classes == IMAGES.classes


@pytest.mark.parametrize("made", [lambda x: x.tolist(), lambda x: x.astype(np.int64)])
def test_whole_numbers_of_64_bits_are_the_run_of_8_bits(made):
    """The limits of 64 bits would leave one fraction bit, and other spikes."""
    pixels = np.random.default_rng(2).integers(0, 200, (4, 3, 4, 5)).astype(np.uint8)
    network = convert(GRAPH)
    plain, wide = (simulate(network, given, steps=4) for given in (pixels, made(pixels)))
    assert wide.simulation.arithmetic == plain.simulation.arithmetic
    assert np.array_equal(wide.readout(), plain.readout())


def test_whole_numbers_are_pixels_of_one_byte():
    for kind in (np.uint8, np.int64, np.uint16):
        assert range_of(GRAPH, np.array([0, 7], kind)).ends == (0, 255)
    assert range_of(GRAPH, np.array([0, 7], np.int8)).ends == (-128, 127)
    for outside in ([-1, 7], [0, 256]):
        with pytest.raises(InputError, match="pixel_range="):
            range_of(GRAPH, np.array(outside))


@pytest.mark.parametrize("channels", [1, 3])
def test_sequences_are_images_of_height_1(channels, tmp_path):
    graph = graph_on((channels, 1, 7))
    plain = np.random.default_rng(3).random((5, channels, 1, 7)).astype(np.float32)
    ways = [plain[:, :, 0], plain[:, :, 0].swapaxes(1, 2), plain.tolist()]
    for given in ways if channels > 1 else [*ways, plain[:, 0, 0]]:
        assert np.array_equal(accept(graph, given, labelled=False).pixels, plain)
    assert np.array_equal(accept(graph, plain[2, :, 0], labelled=False).pixels, plain[2:3])
    np.save(tmp_path / "x.npy", plain[:, :, 0])
    loaded = load_images(tmp_path / "x.npy")
    assert np.array_equal(accept(graph, loaded, labelled=False).pixels, plain)
    with pytest.raises(InputError, match=r"found an array of shape \[5, 2, 7\]"):
        accept(graph, plain[:, :1, 0].repeat(2, 1), labelled=False)
