"""Details kept: known edits of a photo, carried to its full size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from easel.images import open_picture
from easel.metrics.details import Settings, carry
from easel.metrics.edits import edge_match, edges


@pytest.fixture(scope="module")
def photo():
    return np.array(open_picture(Path(__file__).parent.parent / "examples" / "photo.jpg").convert("RGB"))


def small(picture, side=256):
    tall, wide = picture.shape[:2]
    return cv2.resize(
        picture, (side * wide // max(tall, wide), side * tall // max(tall, wide)), interpolation=cv2.INTER_AREA
    )


def lit(picture):
    """A light that falls off from the left, warm, with a gamma."""
    gain = np.linspace(1.0, 0.35, picture.shape[1])[None, :, None] * np.array((1.0, 0.85, 0.6))
    return np.clip(255 * (picture / 255) ** 1.3 * gain + 0.5, 0, 255).astype(np.uint8)


def worst(one, other, share=100.0):
    return float(np.percentile(np.abs(one.astype(int) - other), share))


def test_no_edit_is_no_change(photo):
    made = carry(photo, small(photo))
    assert worst(made.picture, photo) <= 1
    assert (made.explained, made.elsewhere, made.mask.max()) == (1, 1, 0)


def test_one_transform_for_all_is_carried_exactly(photo):
    matrix = np.array(((0.5, 0.1, 0.05), (0.0, 0.45, 0.1), (0.1, 0.1, 0.5)))
    edit = lambda p: (p @ matrix.T + np.array((10, 20, 40)) + 0.5).astype(np.uint8)  # noqa: E731
    made = carry(photo, edit(small(photo)))
    assert worst(made.picture, edit(photo)) <= 1
    assert made.explained > 0.99
    assert made.mask.max() == 0


def test_light_over_the_picture_is_carried_and_every_edge_stays(photo):
    truth = lit(photo)
    made = carry(photo, lit(small(photo)))
    assert np.abs(made.picture.astype(int) - truth).mean() < 1
    assert worst(made.picture, truth, 99) <= 3
    # Within 2 pixels: a level of rounding moves what lies at the threshold, and the plain enlargement has 0.72.
    assert edge_match(edges(truth, 40, 80), edges(made.picture, 40, 80), 0.004).f1 > 0.98
    assert made.fits
    assert made.picture.shape == photo.shape
    assert made.mask.shape == made.residual.shape == small(photo).shape[:2]


def test_a_soft_noisy_edit_is_carried_sharp(photo):
    truth = lit(photo)
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(lit(small(photo)), (0, 0), 1.2) + rng.normal(0, 3, small(photo).shape)
    edited = np.clip(soft + 0.5, 0, 255).astype(np.uint8)
    plain = cv2.resize(edited, photo.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    made = carry(photo, edited)
    errors = [float(np.square(p.astype(float) - truth).mean()) for p in (made.picture, plain)]
    assert errors[0] < 0.15 * errors[1]


def pasted(picture):
    """A bright thing of stripes, and where it is."""
    tall, wide = picture.shape[:2]
    y, x = np.mgrid[0:tall, 0:wide]
    there = (x / wide - 0.6) ** 2 + (y / tall - 0.5) ** 2 < 0.15**2
    stripes = np.where((x // max(wide // 40, 1) % 2)[..., None] == 0, (250, 40, 200), (30, 240, 60))
    return np.where(there[..., None], stripes, picture).astype(np.uint8), there


def test_a_new_thing_is_found_blended_and_does_not_bleed(photo):
    truth, there = pasted(lit(photo))
    made = carry(photo, small(truth))
    found = cv2.resize(made.mask, photo.shape[1::-1]) > 0.5
    assert (found & there).sum() / (found | there).sum() > 0.7
    away = ~cv2.dilate(there.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool)
    assert np.percentile(np.abs(made.picture.astype(int) - truth)[away], 99) <= 4
    core = cv2.erode(there.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool)
    assert np.abs(made.picture.astype(int) - truth)[core].mean() < 30
    without = carry(photo, small(truth), settings=Settings(blend=False))
    assert np.abs(without.picture.astype(int) - truth)[core].mean() > 45
    assert made.explained < made.elsewhere


def test_bands_do_not_show(photo):
    truth, _ = pasted(lit(photo))
    one = carry(photo, small(truth), settings=Settings(band=10_000)).picture
    other = carry(photo, small(truth), settings=Settings(band=17)).picture
    assert worst(one, other) <= 1


def test_what_the_codec_loses_is_no_change(photo):
    codec = cv2.GaussianBlur(small(photo), (0, 0), 2.0)
    made = carry(photo, codec, codec)
    assert worst(made.picture, photo) <= 1
    assert made.change == 0


def test_bad_pictures_are_refused(photo):
    with pytest.raises(ValueError, match="RGB uint8"):
        carry(photo, small(photo).astype(np.float32))
    with pytest.raises(ValueError, match="one size"):
        carry(photo, small(photo), small(photo, 128))


def test_a_style_is_no_light(photo):
    from easel.pocket.world import styles

    for name in ("van-gogh", "pencil"):
        assert not carry(photo, styles.apply(name, small(photo), 1)).fits
