"""Known answers of the numbers of an edit, each made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from easel.metrics import edits


def grey(level: int, side: int = 40) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def square() -> np.ndarray:
    picture = grey(60)
    picture[10:30, 10:30] = 200
    return picture


def test_edges_are_the_outline_of_a_square_by_given_and_by_own_thresholds():
    for marks in (edits.edges(square(), 50, 100), edits.edges(square())):
        rows, columns = np.nonzero(marks)
        assert 70 <= marks.sum() <= 84  # 4 sides of 20
        assert {rows.min(), columns.min()} <= {9, 10}
        assert {rows.max(), columns.max()} <= {29, 30}
    assert not edits.edges(grey(0)).any()
    with pytest.raises(ValueError, match="two thresholds"):
        edits.edges(square(), 50)
    with pytest.raises(ValueError, match="exchange"):
        edits.edges(square(), 100, 50)


def test_edge_match_counts_by_distance():
    true, found = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    true[20, :], found[22, :] = True, True
    assert edits.edge_match(true, found, 2 / math.hypot(100, 100))[:3] == (1, 1, 1)
    assert edits.edge_match(true, found, 1.9 / math.hypot(100, 100))[:3] == (0, 0, 0)
    found[80, :] = True  # a second, wrong line: half of what is found
    match = edits.edge_match(true, found, 0.02)
    assert match == pytest.approx((0.5, 1, 2 / 3, 0.02 * math.hypot(100, 100)))
    empty = np.zeros_like(true)
    assert edits.edge_match(empty, empty)[:3] == (1, 1, 1)
    assert edits.edge_match(true, empty)[:3] == (1, 0, 0)
    assert edits.edge_match(empty, true)[:3] == (0, 1, 0)
    with pytest.raises(ValueError, match="one size"):
        edits.edge_match(true, empty[:50])


def test_depth_correlation_is_blind_to_scale_and_offset():
    depth = np.arange(1, 13, dtype=float).reshape(3, 4)
    assert edits.depth_correlation(depth, 3 * depth + 7) == pytest.approx(1)
    assert edits.depth_correlation(depth, 3 * depth + 7, ranks=False) == pytest.approx(1)
    assert edits.depth_correlation(depth, 1 / depth) == pytest.approx(-1)
    assert edits.depth_correlation(depth, np.log(depth)) == pytest.approx(1)
    assert edits.depth_correlation(depth, np.log(depth), ranks=False) < 0.97
    assert math.isnan(edits.depth_correlation(depth, np.ones((3, 4))))
    # Spearman by hand: ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3 give 4.5 / sqrt(4.5 * 5)
    assert edits.depth_correlation([[1.0, 2.0, 2.0, 5.0]], [[1, 2, 3, 4]]) == pytest.approx(4.5 / math.sqrt(22.5))
    with pytest.raises(ValueError, match="finite"):
        edits.depth_correlation(depth, depth * np.nan)


def test_structure_stays_in_the_dark_turns_with_a_negative_and_goes_with_a_turn():
    rng = np.random.default_rng(0)
    photo = np.repeat(rng.integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    assert edits.structure_correlation(photo, photo) == pytest.approx(1)
    assert edits.structure_correlation(photo, (photo * 0.3).astype(np.uint8)) > 0.99
    assert edits.structure_correlation(photo, 255 - photo) == pytest.approx(-1)
    other = np.repeat(rng.integers(0, 256, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    assert abs(edits.structure_correlation(photo, other)) < 0.1
    assert math.isnan(edits.structure_correlation(grey(9), photo[:40, :40]))
    assert edits.structure_correlation(photo[:40, :40], grey(9)) == 0


def test_light_and_its_ratio():
    assert edits.luminance(grey(200), grey(50)) == pytest.approx((200, 50, 0.25))
    assert math.isnan(edits.luminance(grey(0), grey(50)).ratio)


def test_colour_turns_from_red_to_green():
    red, green = grey(0), grey(0)
    red[..., 0], green[..., 1] = 255, 255
    found = edits.colour(red, green)
    assert found.before == pytest.approx((80.1, 67.2), abs=0.6)  # the published Lab of sRGB's primaries
    assert found.after == pytest.approx((-86.2, 83.2), abs=0.6)
    assert found.hue == pytest.approx(136.0 - 40.0, abs=0.5)
    assert found.shift == pytest.approx(math.hypot(166.3, 16.0), abs=0.8)
    assert math.isnan(edits.colour(red, grey(128)).hue)


def test_clipped_pixels_are_counted():
    picture = grey(100, 10)
    picture[0], picture[1, :5], picture[2], picture[3] = 7, 248, 8, 247
    assert edits.clipped(picture) == pytest.approx((0.10, 0.05))


def test_change_in_and_out_of_a_mask():
    before, after, mask = grey(100, 10), grey(100, 10), np.zeros((10, 10), bool)
    mask[:, :5] = True
    after[:, :5] = 140
    after[0, 9] = 90
    assert edits.change(before, after, mask) == pytest.approx((40, 40, 10 / 50, 10))
    assert math.isnan(edits.change(before, after, np.ones((10, 10), bool)).outside_max)
    with pytest.raises(ValueError, match="mask"):
        edits.change(before, after, mask[:4])


def test_direction_similarity_by_hand():
    one, other, third = np.eye(3)
    same = edits.direction_similarity([one], [other], [one], [other])
    away = edits.direction_similarity([one], [other], [other], [one])
    # (other - one) . (third - one) = 1 over sqrt(2) twice
    half = edits.direction_similarity([one], [other], [one], [third])
    assert (same[0], away[0], half[0]) == pytest.approx((1, -1, 0.5))
    rows = edits.direction_similarity([one, one], [one, other], [one], [other])
    assert math.isnan(rows[0])
    assert rows[1] == pytest.approx(1)
    assert edits.direction_similarity([2 * one], [5 * other], [one], [other])[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="paired"):
        edits.direction_similarity([one], [other], [one, one], [other, other])
