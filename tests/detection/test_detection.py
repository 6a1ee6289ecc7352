"""Boxes out of maps, non-maximum suppression, mAP and scenes."""

import numpy as np
import pytest

import eventsnn
from eventsnn.detection import Boxes, Head, average_precision, make_scenes, mean_average_precision
from eventsnn.detection.boxes import overlaps
from eventsnn.detection.head import same_boxes
from eventsnn.detection.precision import OVERLAPS
from eventsnn.exceptions import InputError

HEAD = Head((64, 48), (8, 16), (20.0, 40.0), 3)


def boxes(*corners, kinds=None, scores=None):
    count = len(corners)
    kinds = np.zeros(count, int) if kinds is None else np.array(kinds)
    scores = None if scores is None else np.array(scores, float)
    return Boxes(np.array(corners, float).reshape(-1, 4), kinds, scores)


def random_boxes(rng, count, scored=True):
    low = rng.uniform(0, 50, (count, 2))
    corners = np.hstack([low, low + rng.uniform(1, 30, (count, 2))])
    return Boxes(corners, rng.integers(0, 3, count), rng.random(count) if scored else None)


def test_overlaps_are_intersection_over_union():
    first = np.array([[0, 0, 4, 4], [0, 0, 0, 0]], float)
    second = np.array([[2, 2, 6, 6], [0, 0, 4, 4], [8, 8, 9, 9]], float)
    assert overlaps(first, second).tolist() == [[4 / 28, 1, 0], [0, 0, 0]]


def test_suppression_leaves_the_best_of_each_class_and_place():
    given = boxes(
        (0, 0, 10, 10), (1, 1, 10, 10), (20, 20, 30, 30), (0, 0, 10, 10),
        kinds=[0, 0, 0, 1], scores=[0.6, 0.9, 0.3, 0.2],
    )  # fmt: skip
    left = given.suppressed(0.5)
    assert left.scores.tolist() == [0.9, 0.3, 0.2] and left.classes.tolist() == [0, 0, 1]
    assert len(given.suppressed(0.99)) == 4


def test_suppression_is_the_plain_loop():
    rng = np.random.default_rng(0)
    for _ in range(30):
        given = random_boxes(rng, 25)
        waiting = sorted(range(25), key=lambda i: -given.scores[i])
        kept = []
        while waiting:
            best = waiting.pop(0)
            kept.append(best)
            waiting = [
                i
                for i in waiting
                if given.classes[i] != given.classes[best]
                or overlaps(given.corners[[i]], given.corners[[best]])[0, 0] <= 0.3
            ]
        assert same_boxes([given.suppressed(0.3)], [given.take(kept)])


def encoded(truth, strength=20.0):
    """The output of a detector that sees the truth and nothing else."""
    maps = [np.zeros(shape) for shape in HEAD.maps]
    for each in maps:
        each[4] = -strength
    for scale, row, column, place, kind in HEAD.cells(truth):
        share = np.clip(place[:2], 1e-9, 1 - 1e-9)
        cell = maps[scale][:, row, column]
        cell[:2], cell[2:4] = np.log(share / (1 - share)), place[2:]
        cell[4], cell[5 + kind] = strength, strength
    return np.concatenate([each.ravel() for each in maps])


def test_what_cells_say_decodes_to_the_boxes():
    truth = [
        boxes((3, 4, 25, 20), (10, 30, 48, 64), kinds=[2, 1]),
        boxes((0, 0, 48, 64), kinds=[0]),
        boxes(kinds=[]),
    ]
    found = HEAD.boxes(np.stack([encoded(each) for each in truth]), least=0.5)
    assert [len(each) for each in found] == [2, 1, 0]
    for each, expected in zip(found, truth):
        order = np.argsort(each.classes)[::-1]
        assert each.classes[order].tolist() == sorted(expected.classes, reverse=True)
        assert np.allclose(
            np.sort(each.corners, axis=0), np.sort(expected.corners, axis=0), atol=1e-6
        )
    assert mean_average_precision(found, truth, classes=3, least=OVERLAPS) == pytest.approx(1)


def test_wild_outputs_stay_in_the_image():
    wild = np.random.default_rng(0).normal(size=(4, HEAD.outputs)) * 1e4
    for each in HEAD.boxes(wild, least=0):
        assert (each.corners >= 0).all() and (each.corners <= [48, 64, 48, 64]).all()
        assert np.isfinite(each.scores).all()


def test_average_precision_by_hand():
    """Right, wrong, right of three true boxes: 1 to recall 1/3, then 2/3 to 2/3, then 0."""
    truth = [boxes((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10))]
    found = [boxes((0, 0, 10, 10), (60, 0, 70, 10), (20, 0, 30, 10), scores=[0.9, 0.8, 0.7])]
    expected = (34 * 1 + 33 * 2 / 3) / 101
    assert average_precision(found, truth, kind=0, least=0.5) == pytest.approx(expected)


def test_a_true_box_is_taken_once():
    truth = [boxes((0, 0, 10, 10))]
    found = [boxes((0, 0, 10, 10), (0, 0, 10, 10), scores=[0.9, 0.8])]
    assert average_precision(found, truth, kind=0, least=0.5) == pytest.approx(1)
    worse = [boxes((5, 0, 15, 10), (0, 0, 10, 10), scores=[0.9, 0.8])]
    assert average_precision(worse, truth, kind=0, least=0.5) == pytest.approx(1 / 2)
    assert average_precision(found, truth, kind=1, least=0.5) is None


@pytest.mark.frameworks
def test_map_is_that_of_pycocotools():
    """With boxes that overlap, equal scores, empty images and classes that are missing."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(3)
    for trial in range(6):
        truth = [random_boxes(rng, int(rng.integers(0, 6)), False) for _ in range(12)]
        found = []
        for there in truth:
            near = np.repeat(there.corners, 3, axis=0)
            near = near + rng.normal(size=near.shape) * 3
            near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
            kinds = np.where(rng.random(len(near)) < 0.8, np.repeat(there.classes, 3), 0)
            scores = rng.random(len(near)).round(1 if trial % 2 else 8)
            found.append(Boxes(near, kinds, scores))
        data = {"images": [{"id": i} for i in range(12)],
                "categories": [{"id": k} for k in range(3)], "annotations": []}  # fmt: skip
        answers = []
        for image, (there, its) in enumerate(zip(truth, found)):
            for c, k in zip(there.corners, there.classes):
                box = [c[0], c[1], c[2] - c[0], c[3] - c[1]]
                data["annotations"].append(
                    {"id": len(data["annotations"]) + 1, "image_id": image, "iscrowd": 0,
                     "category_id": int(k), "bbox": box, "area": box[2] * box[3]}
                )  # fmt: skip
            for c, k, s in zip(its.corners, its.classes, its.scores):
                box = [c[0], c[1], c[2] - c[0], c[3] - c[1]]
                answers.append({"image_id": image, "category_id": int(k), "bbox": box, "score": s})
        api = coco.COCO()
        api.dataset = data
        api.createIndex()
        judge = COCOeval(api, api.loadRes(answers), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        ours = mean_average_precision(found, truth, classes=3, least=OVERLAPS)
        assert ours == pytest.approx(judge.stats[0], abs=1e-9)
        ours = mean_average_precision(found, truth, classes=3)
        assert ours == pytest.approx(judge.stats[1], abs=1e-9)


def test_scenes_hold_their_objects_and_are_the_same_for_a_seed():
    images = eventsnn.load_images("sample", limit=50)
    scenes = make_scenes(images.pixels, images.labels, 40, seed=1)
    again = make_scenes(images.pixels, images.labels, 40, seed=1)
    assert np.array_equal(scenes.pixels, again.pixels) and same_boxes(scenes.truth, again.truth)
    assert not np.array_equal(
        scenes.pixels, make_scenes(images.pixels, images.labels, 40, seed=2).pixels
    )
    assert {len(truth) for truth in scenes.truth} == {1, 2, 3, 4}
    for pixels, truth in zip(scenes.pixels[:, 0], scenes.truth):
        outside = pixels.copy()
        for left, top, right, bottom in truth.corners.astype(int):
            its = pixels[top:bottom, left:right]
            assert (its[0] > 25).any() and (its[-1] > 25).any() and (its[:, 0] > 25).any()
            outside[top:bottom, left:right] = 0
        assert not outside.any()
        assert (truth.corners >= 0).all() and (truth.corners <= 64).all()


def scenes_of(channels, height):
    pixels = np.zeros((2, channels, height, 8), np.uint8)
    return make_scenes(pixels, np.zeros(2, int), 1, seed=0)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: Boxes(np.zeros((2, 3)), np.zeros(2, int)), r"\[N, 4\]"),
        (lambda: boxes((5, 0, 1, 1)), "left before right"),
        (lambda: boxes((0, 0, 1, 1), kinds=[1, 2]), "1 numbers"),
        (lambda: boxes((0, 0, 1, 1)).suppressed(), "boxes with scores"),
        (lambda: Head((60, 60), (8,), (9.0,), 3), "strides that divide"),
        (lambda: Head((64, 64), (8,), (9.0, 8.0), 3), "as many of each"),
        (lambda: Head((64, 64), (8,), (0.0,), 3), "above 0"),
        (lambda: HEAD.boxes(np.zeros((2, 7))), "numbers an image"),
        (lambda: mean_average_precision([], [boxes()], classes=1), "boxes of 1 images"),
        (lambda: mean_average_precision([], [], classes=1), "one box or more"),
        (lambda: scenes_of(3, 8), "uint8"),
        (lambda: scenes_of(1, 80), "larger"),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert str(caught.value).isprintable()
