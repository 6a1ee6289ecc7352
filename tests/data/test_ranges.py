"""The range of raw pixels of a study, and the spikes of an image alone and with others."""

import h5py
import numpy as np
import pytest
from support.networks import Builder

import eventsnn
from eventsnn import InputError, Preprocessing, convert, load_images, simulate
from eventsnn.data.ranges import range_of
from eventsnn.runs.pipeline import run
from eventsnn.settings import Settings
from eventsnn.studies.setting import exact


def graph_of(preprocessing=None):
    b = Builder(np.random.default_rng(7), (2, 5, 5))
    graph = b.graph(b.gemm(b.add("Flatten", [b.activation(b.conv("input"))])))
    if preprocessing is not None:
        graph = eventsnn.Graph(graph.nodes, "input", graph.output, (2, 5, 5), preprocessing)
    return graph


GRAPH = graph_of()
PIXELS = np.random.default_rng(3).uniform(-2.1, 2.6, (4, 2, 5, 5)).astype(np.float32)
PIXELS[0] /= 3
WORDS = (
    r"give pixel_range=\(-2.1, 2.6\), in which these are; it must hold for all images of a study"
)


def save(path, pixels, ends=None):
    """Images without labels, and the range that their file says."""
    if path.suffix == ".npz":
        np.savez(path, x_test=pixels, **({} if ends is None else {"pixel_range": ends}))
        return path
    with h5py.File(path, "w") as file:
        file["images"] = pixels
        if ends is not None:
            file.attrs["pixel_range"] = ends
    return path


def test_what_is_declared_counts_more_than_the_file_and_that_more_than_the_type(tmp_path):
    path = save(tmp_path / "a.npz", np.zeros((1, 2, 5, 5), np.uint8), np.array([0, 100]))
    images = load_images(path)
    assert images.pixel_range == (0, 100) and images.take([0]).pixel_range == (0, 100)
    assert str(range_of(GRAPH, images)) == "0 to 100, as the images' file says"
    assert range_of(GRAPH, images, (-1, 2)).ends == (-1, 2)
    assert str(range_of(GRAPH, images.pixels)) == "0 to 255, those of uint8"
    assert range_of(GRAPH, images.pixels.astype(np.int8)).ends == (-128, 127)
    floats = images.pixels.astype(np.float32)
    expected = "0 to 1, as the network's preprocessing expects"
    assert str(range_of(GRAPH, floats)) == expected
    assert range_of(graph_of(Preprocessing(1 / 255)), floats).ends == (0, 255)
    assert range_of(GRAPH, images.pixels.astype(np.int64)).ends == (0, 255)


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_a_file_says_its_range(name, tmp_path):
    path = save(tmp_path / name, PIXELS, [-2.5, 2.75])
    assert load_images(path).pixel_range == (-2.5, 2.75)
    assert load_images(save(path, PIXELS)).pixel_range is None
    for wrong in ([1, 1], [0, np.inf], [0, 1, 2], 3.0, np.zeros((2, 2)), np.array([b"0", b"1"])):
        expected = "a.*: pixel_range: expected two finite numbers, the lowest and the highest raw"
        with pytest.raises(InputError, match=expected):
            load_images(save(path, PIXELS, wrong))


def test_pixels_outside_are_refused_with_numbers_that_hold():
    expected = "pixels of 0 to 1, as the network's preprocessing expects"
    least, most = PIXELS.min(), PIXELS.max()
    found = f"images: expected {expected}, found {least:g} to {most:g}; {WORDS}$"
    network = convert(GRAPH)
    with pytest.raises(InputError, match=found) as caught:
        simulate(network, PIXELS, steps=2)
    assert "--pixel-range=-2.1,2.6, in which" in caught.value.flags
    with pytest.raises(InputError, match=found):
        exact(network, PIXELS, "errors", steps=2)
    simulate(network, PIXELS, steps=2, pixel_range=(-2.1, 2.6))
    wide = "pixels of -1 to 2, as pixel_range says, found"
    with pytest.raises(InputError, match=f"{wide}.*pixel_range=\\(-2.1, 2.6\\)"):
        simulate(network, PIXELS, steps=2, pixel_range=(-1, 2))
    bright = np.full((1, 2, 5, 5), 254.5)
    with pytest.raises(InputError, match=r"found 254.5 to 254.5; give pixel_range=\(0, 260\)"):
        simulate(network, bright, steps=2)
    for wrong in ((1,), (2, 1), "0,1", (0, np.nan)):
        expected = "^pixel_range: expected two finite numbers, the lowest and the highest raw pixel"
        with pytest.raises(InputError, match=expected):
            simulate(network, PIXELS, steps=2, pixel_range=wrong)
    with pytest.raises(InputError, match="pixel_range: expected an encoding of pixels, found enc"):
        simulate(network, [np.zeros((0, 3))], steps=2, encoding="events", pixel_range=(0, 1))


@pytest.mark.parametrize("options", [{}, {"encoding": "rate"}, {"engine": "event"}])
def test_an_image_alone_is_what_it_is_with_others(options):
    network = convert(GRAPH)
    for pixels, declared in ((PIXELS, (-3, 3)), (np.abs(PIXELS) / 3, None)):
        options = {"steps": 6, "neurons": True, "pixel_range": declared, **options}
        alone = simulate(network, pixels[:1], **options)
        others = simulate(network, pixels, **options)
        assert alone.simulation.arithmetic == others.simulation.arithmetic
        for name in alone.batch.ARRAYS:
            one, all_of_them = getattr(alone.batch, name), getattr(others.batch, name)
            assert (one is None) == (all_of_them is None)
            assert one is None or (one[0] == all_of_them[0]).all(), name
        assert alone.spikes.sum() > 0


def test_a_run_takes_the_option_or_the_file_and_says_so(tmp_path, capsys):
    eventsnn.save(GRAPH, tmp_path / "net.h5")
    options = dict(net=str(tmp_path / "net.h5"), steps=2, thresholds="auto")
    options |= dict(data=str(save(tmp_path / "a.npz", PIXELS)))
    with pytest.raises(InputError) as caught:
        run(Settings(out=str(tmp_path / "no"), **options))
    assert "give --pixel-range=-2.1,2.6, in which these are" in caught.value.flags
    ends = (-3.0, 3.0)
    one = run(Settings(out=str(tmp_path / "one"), pixel_range=ends, limit=1, **options))
    assert "pixels: -3 to 3, as --pixel-range says" in capsys.readouterr().out
    assert one["data"]["pixel_range"] == [-3, 3] and one["settings"]["pixel_range"] == [-3, 3]
    assert one["data"]["pixel_range_source"] == "as --pixel-range says"
    save(tmp_path / "a.npz", PIXELS, ends)
    two = run(Settings(out=str(tmp_path / "two"), **options))
    assert two["data"]["pixel_range_source"] == "as the images' file says"
    assert two["fraction_bits"] == one["fraction_bits"] and two["id"] != one["id"]
    for name in ("spikes_per_image", "readout"):
        found = []
        for out in ("one", "two"):
            with h5py.File(tmp_path / out / "run.h5") as file:
                found.append(file[name][0])
        assert (found[0] == found[1]).all()


def test_the_option_is_checked():
    for wrong in ((1.0,), (2.0, 1.0)):
        with pytest.raises(InputError, match="--pixel-range: expected two finite numbers"):
            Settings(pixel_range=wrong)
    assert Settings(pixel_range=(0.0, 1.0)).id() != Settings().id()
