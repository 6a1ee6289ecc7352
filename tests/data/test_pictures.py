"""Folders of PNG and JPEG files: classes, order, resizing and cropping, and what is refused."""

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from support.networks import small_graph

from eventsnn.data.accepting import accept
from eventsnn.data.images import load_images
from eventsnn.exceptions import InputError

Image = pytest.importorskip("PIL.Image")


def pixels_of(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def put(path, pixels, **options):
    """Writes an image, [H, W] or [H, W, C], and returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def refuse(path, *words, **options):
    with pytest.raises(InputError) as caught:
        load_images(path, **options)
    assert str(caught.value).isprintable() and caught.value.do
    for word in words:
        assert word in str(caught.value), str(caught.value)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows=b"", depth=8, colour=2):
    """A PNG file put together by hand; rows: packed."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_folders_are_classes_by_name_and_come_in_turn(tmp_path):
    shown = {}
    for seed, (name, count) in enumerate((("b", 1), ("a", 3), ("c", 2), ("empty", 0))):
        (tmp_path / name).mkdir()
        for i in range(count):
            path = tmp_path / name / f"{i}.PNG"
            shown[name, i] = put(path, pixels_of(4, 6, 3, seed=10 * seed + i))
    images = load_images(tmp_path)
    assert images.classes == ("a", "b", "c", "empty") and images.by_folder
    order = [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("c", 1), ("a", 2)]
    np.testing.assert_array_equal(images.labels, [0, 1, 2, 0, 2, 0])
    for got, place in zip(images.pixels, order):
        np.testing.assert_array_equal(got, shown[place].transpose(2, 0, 1))
    some = load_images(tmp_path, offset=2, limit=2)
    np.testing.assert_array_equal(some.pixels, images.pixels[2:4])
    np.testing.assert_array_equal(some.indices, [2, 3])
    assert "2 images of 2 of 4 classes" in some.note


def test_a_flat_folder_and_a_file_have_no_labels(tmp_path):
    for name in "b.png", "a.png":
        put(tmp_path / name, pixels_of(3, 3, seed=ord(name[0])))
    images = load_images(tmp_path)
    assert images.labels is None and images.classes == ()
    np.testing.assert_array_equal(images.pixels[0, 0], pixels_of(3, 3, seed=ord("a")))
    np.testing.assert_array_equal(load_images(tmp_path / "b.png").pixels[0], images.pixels[1])


def test_splits_are_folders_and_validation_stands_for_a_test_without_classes(tmp_path):
    for name in "train/x/1", "train/y/1", "val/y/1", "test/1", "train/x/deep/2":
        put(tmp_path / f"{name}.png", pixels_of(2, 2, 3, seed=len(name)))
    train, test = (load_images(tmp_path, split=split) for split in ("train", "test"))
    assert len(train) == 3 and train.split == "train"
    # y is class 1 in training, and so in the split that lacks x
    assert test.labels.tolist() == [1] and test.classes == ("x", "y")
    put(tmp_path / "val" / "z" / "1.png", pixels_of(2, 2, 3))
    refuse(tmp_path, "classes that train has", "z")


def test_files_of_other_kinds_are_named(tmp_path):
    put(tmp_path / "a" / "1.png", pixels_of(2, 2, 3))
    put(tmp_path / "b" / "1.jpg", pixels_of(2, 2, 3))
    for name in "labels.csv", "a/notes.txt", "a/.DS_Store":
        (tmp_path / name).write_text("x")
    note = load_images(tmp_path).note
    assert "labels.csv" in note and "notes.txt" in note and "DS_Store" not in note
    put(tmp_path / "b" / "2.bmp", pixels_of(2, 2, 3))
    refuse(tmp_path, "2.bmp", "another kind")
    (tmp_path / "b" / "2.bmp").unlink()
    put(tmp_path / "loose.png", pixels_of(2, 2, 3))
    refuse(tmp_path, "loose.png", "beside the folder")


def test_one_class_alone_is_refused(tmp_path):
    put(tmp_path / "images" / "1.png", pixels_of(2, 2, 3))
    refuse(tmp_path, "images", "give that folder itself")
    assert load_images(tmp_path / "images").labels is None


@pytest.mark.parametrize("size", [(300, 400), (401, 300), (256, 256), (100, 131)])
def test_resize_and_crop_are_those_of_a_recipe(tmp_path, size):
    given = put(tmp_path / "1.png", pixels_of(*size, 3))
    short, long = min(size), max(size)
    longer = int(256 * long / short)
    rows, columns = (256, longer) if size[0] <= size[1] else (longer, 256)
    resized = np.asarray(Image.fromarray(given).resize((columns, rows), Image.BILINEAR))
    top, left = int(round((rows - 224) / 2.0)), int(round((columns - 224) / 2.0))
    expected = resized[top : top + 224, left : left + 224]
    images = load_images(tmp_path, resize=256, crop=(224,))
    np.testing.assert_array_equal(images.pixels[0], expected.transpose(2, 0, 1))
    exact = load_images(tmp_path, resize=(40, 30))
    assert exact.pixels.shape == (1, 3, 40, 30)


def test_what_has_not_one_size_or_is_too_small_is_refused(tmp_path):
    put(tmp_path / "1.png", pixels_of(4, 4, 3))
    put(tmp_path / "2.png", pixels_of(4, 5, 3))
    refuse(tmp_path, "2.png", "4x4 pixels", "4x5", "network's size: where it is 224x224 resize=256")
    refuse(tmp_path, "1.png", "6x6 pixels or more", crop=6)
    for wrong in 0, 2.5, "256", (1, 2, 3), True, 2**20:
        refuse(tmp_path, "resize", resize=wrong)
    refuse(tmp_path, "channels", channels=2)
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4), np.uint8))
    refuse(tmp_path / "a.npz", "crop", "arrays", crop=2)


def test_grey_images_among_others_become_rgb_and_alone_one_channel(tmp_path):
    grey = put(tmp_path / "1.png", pixels_of(3, 3))
    assert load_images(tmp_path).pixels.shape == (1, 1, 3, 3)
    three = load_images(tmp_path, channels=3)
    np.testing.assert_array_equal(three.pixels[0], np.stack([grey] * 3))
    put(tmp_path / "2.png", pixels_of(3, 3, 3))
    assert "1 image in grey became RGB" in load_images(tmp_path).note
    refuse(tmp_path, "2.png", "one channel", channels=1)
    put(tmp_path / "2.png", np.stack([grey] * 3, axis=2))
    one = load_images(tmp_path, channels=1)
    np.testing.assert_array_equal(one.pixels[1, 0], grey)
    assert "three equal channels" in one.note


def test_inks_palettes_and_turned_images_are_said(tmp_path):
    Image.fromarray(pixels_of(8, 8, 4), "CMYK").save(tmp_path / "1.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    put(tmp_path / "2.jpg", pixels_of(8, 8, 3), exif=exif)
    Image.fromarray(pixels_of(8, 8, 3)).quantize(16).save(tmp_path / "3.png")
    images = load_images(tmp_path)
    for word in "1 image of CMYK", "1 image to be turned", "1 image with a palette":
        assert word in images.note
    expected = np.asarray(Image.open(tmp_path / "2.jpg").convert("RGB"))
    np.testing.assert_array_equal(images.pixels[1], expected.transpose(2, 0, 1))


def test_transparency_counts_only_where_it_is(tmp_path):
    opaque = np.dstack([pixels_of(3, 3, 3), np.full((3, 3), 255, np.uint8)])
    put(tmp_path / "1.png", opaque)
    assert load_images(tmp_path).pixels.shape == (1, 3, 3, 3)
    opaque[1, 1, 3] = 254
    put(tmp_path / "1.png", opaque)
    refuse(tmp_path, "1.png", "transparent")


def test_sixteen_bits_are_refused_not_cut(tmp_path):
    for colour, channels in (0, 1), (2, 3):
        row = b"\0" + bytes(2 * 2 * channels)
        (tmp_path / "1.png").write_bytes(png(2, 2, row * 2, 16, colour))
        refuse(tmp_path, "1.png", "16 bits")


def test_damaged_and_enormous_files_are_refused_by_name(tmp_path):
    path = tmp_path / "1.png"
    path.write_bytes(png(2**16, 2**16))
    refuse(tmp_path, "1.png", "pixels")
    path.write_bytes(png(10_001, 10_000))
    refuse(tmp_path, "1.png", "100,000,000 pixels")
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(64, 64, 3)).save(buffer, "PNG")
    whole = buffer.getvalue()
    for data in (b"", b"\x89PNG", whole[:-5000], whole[:20], b"GIF89a" + bytes(50), b"hello"):
        path.write_bytes(data)
        refuse(tmp_path, "1.png")
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(64, 64, 3)).save(buffer, "JPEG")
    (tmp_path / "1.png").write_bytes(buffer.getvalue()[:-900])
    refuse(tmp_path, "1.png")
    frames = [Image.fromarray(pixels_of(4, 4, 3, seed=i)) for i in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    refuse(tmp_path, "an animation")


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    put(outside / "1.png", pixels_of(2, 2, 3))
    folder = tmp_path / "folder"
    put(folder / "a" / "1.png", pixels_of(2, 2, 3))
    put(folder / "b" / "1.png", pixels_of(2, 2, 3))
    (folder / "b" / "2.png").symlink_to(folder / "a" / "1.png")
    assert len(load_images(folder)) == 3
    link = folder / "b" / "3.png"
    link.symlink_to(outside / "1.png")
    refuse(folder, "3.png", "a link out of it")
    link.unlink()
    (folder / "c").symlink_to(folder / "a")
    refuse(folder, "a link to a folder")
    (folder / "c").unlink()
    os.mkfifo(folder / "b" / "9.png")
    refuse(folder, "9.png", "something else")
    splits = tmp_path / "splits"
    splits.mkdir()
    (splits / "test").symlink_to(outside)
    refuse(splits)


def test_memory_follows_the_limit(tmp_path):
    put(tmp_path / "a" / "0.png", pixels_of(64, 64, 3))
    data = (tmp_path / "a" / "0.png").read_bytes()
    for i in range(2000):
        (tmp_path / "a" / f"{i}.png").write_bytes(data)
    (tmp_path / "b").mkdir()
    load_images(tmp_path, limit=1)  # Pillow is imported
    tracemalloc.start()
    assert len(load_images(tmp_path, limit=20)) == 20
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4e6 < 2000 * 64 * 64 * 3


def test_folders_are_the_networks_classes(tmp_path):
    graph = small_graph(channels=3)
    count = graph.shapes[graph.output][0]
    size = graph.input_shape
    names = [f"class{i}" for i in range(count)]
    for i, name in enumerate(names):
        put(tmp_path / name / "1.png", pixels_of(size[1], size[2], 3, seed=i)[..., : size[0]])
    images = load_images(tmp_path, channels=size[0])
    found = accept(graph, images)
    np.testing.assert_array_equal(found.labels, np.arange(count))
    assert "'class0' is 0" in found.note
    graph.meta["classes"] = names[::-1]
    np.testing.assert_array_equal(accept(graph, images).labels, np.arange(count)[::-1])
    del graph.meta["classes"]
    put(tmp_path / "zebra" / "1.png", pixels_of(size[1], size[2], 3)[..., : size[0]])
    with pytest.raises(InputError, match="a folder for each of the"):
        accept(graph, load_images(tmp_path, channels=size[0]))


def test_pillow_is_asked_for_by_name(tmp_path, monkeypatch):
    put(tmp_path / "1.png", pixels_of(2, 2, 3))
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    refuse(Path(tmp_path), "pip install pillow")


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
def test_recipes_and_folders_are_those_of_torchvision(tmp_path):
    try:
        from torchvision import datasets as folders
        from torchvision import transforms as recipes
    except (ImportError, RuntimeError) as error:  # that of another torch
        pytest.skip(str(error))
    rng = np.random.default_rng(0)
    for name in "b", "a", "c":
        for i in range(3):
            shape = (*rng.integers(60, 150, 2), 3)
            put(tmp_path / name / f"{i}.jpg", pixels_of(*shape, seed=i))
    Image.fromarray(pixels_of(70, 90)).save(tmp_path / "a" / "9.png")
    Image.fromarray(pixels_of(70, 90, 4), "CMYK").save(tmp_path / "c" / "8.jpg")
    recipe = recipes.Compose([recipes.Resize(64), recipes.CenterCrop((56, 48))])
    theirs = folders.ImageFolder(str(tmp_path), transform=recipe)
    ours = load_images(tmp_path, resize=64, crop=(56, 48))
    assert list(ours.classes) == theirs.classes and len(ours) == len(theirs) == 11
    places = np.argsort(ours.labels, kind="stable")  # theirs come class by class
    for place, (image, label) in zip(places, theirs):
        np.testing.assert_array_equal(ours.pixels[place], np.asarray(image).transpose(2, 0, 1))
        assert ours.labels[place] == label
