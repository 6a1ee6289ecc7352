"""AutoAugment's operations are PIL's, pixel by pixel."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", exc_type=ImportError)
image = pytest.importorskip("PIL.Image")
from PIL import ImageEnhance, ImageOps  # noqa: E402

from eventsnn.train.policies import OPERATIONS, POLICIES  # noqa: E402 (it needs torch)

pytestmark = pytest.mark.frameworks
RNG = np.random.default_rng(5)
PIXELS = np.stack(
    [
        RNG.integers(0, 256, (16, 16, 3)),
        RNG.integers(60, 160, (16, 16, 3)),
        np.add.outer(np.arange(16) * 9, np.arange(16) * 7)[..., None] + np.array([0, 5, 10]),
        np.full((16, 16, 3), 77),
    ]
).clip(0, 255).astype(np.uint8)  # fmt: skip


def ours(name, share, sign=1.0):
    x = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float()
    out = OPERATIONS[name](x, share, torch.full((len(x),), sign))
    return out.round().clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(int)


def pils(function):
    return np.stack([np.asarray(function(image.fromarray(x))) for x in PIXELS]).astype(int)


@pytest.mark.parametrize("share, sign", [(0.3, 1), (1, 1), (0.5, -1)])
@pytest.mark.parametrize("name", ["Color", "Contrast", "Brightness", "Sharpness"])
def test_enhancements(name, share, sign):
    factor = 1 + 0.9 * share * sign
    theirs = pils(lambda x: getattr(ImageEnhance, name)(x).enhance(factor))
    # PIL rounds grey values and means to whole ones before it blends
    assert np.abs(ours(name, share, sign) - theirs).max() <= 2


def test_inversion_posterising_and_solarising():
    assert np.array_equal(ours("Invert", 1), pils(ImageOps.invert))
    assert np.array_equal(ours("Posterize", 1), pils(lambda x: ImageOps.posterize(x, 4)))
    assert np.array_equal(ours("Solarize", 0.5), pils(lambda x: ImageOps.solarize(x, 128)))


def test_equalising_and_contrast():
    assert np.array_equal(ours("Equalize", 1), pils(ImageOps.equalize))
    assert np.abs(ours("AutoContrast", 1) - pils(ImageOps.autocontrast)).max() <= 1


@pytest.mark.parametrize("name, matrix", [("TranslateX", (1, 0, 7, 0, 1, 0)),
                                          ("TranslateY", (1, 0, 0, 0, 1, 7))])  # fmt: skip
def test_translations(name, matrix):
    share = 7 / 16 / (150 / 331)
    theirs = pils(lambda x: x.transform(x.size, image.AFFINE, matrix, fillcolor=(128, 128, 128)))
    assert np.array_equal(ours(name, share), theirs)


def test_rotations_and_shears_are_pils_but_at_edges():
    theirs = pils(lambda x: x.rotate(30 * 0.5, fillcolor=(128, 128, 128)))
    assert (ours("Rotate", 0.5) != theirs).any(axis=-1).mean() < 0.1
    for name in ("ShearX", "ShearY"):
        still = ours(name, 0.0)
        assert np.array_equal(still, PIXELS) and not np.array_equal(ours(name, 1.0), PIXELS)


def test_every_policy_names_operations():
    assert len(POLICIES) == 25
    assert {name for policy in POLICIES for name, _, _ in policy} <= {*OPERATIONS}
