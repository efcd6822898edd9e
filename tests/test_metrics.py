"""Known answers and laws of the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.metrics import clip
from easel.metrics.intervals import (
    difference_interval,
    mean_interval,
    rate_difference_interval,
    rate_interval,
    wilson,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)
MARKS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def test_wilson_is_the_published_example() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_all_hits_do_not_claim_certainty() -> None:
    assert tuple(rate_interval([1] * 10)) == pytest.approx((1.0, 0.7225, 1.0, 10), abs=1e-4)
    gain = rate_difference_interval([1] * 10, [0] * 10)
    assert gain.value == 1.0
    assert gain.high == 1.0
    # With an empty margin phi is 0 and the two Wilson errors of 0.2775 add as squares.
    assert gain.low == pytest.approx(1 - 0.2775 * 2**0.5, abs=2e-4)


def test_a_paired_difference_by_hand() -> None:
    # 4 both, 3 only after, 1 only before, 2 neither: phi = max(4 * 2 - 3 * 1 - 5, 0) = 0, so squares add.
    after = [1] * 4 + [1] * 3 + [0] + [0] * 2
    before = [1] * 4 + [0] * 3 + [1] + [0] * 2
    (low1, high1), (low2, high2) = wilson(7, 10), wilson(5, 10)
    estimate = rate_difference_interval(after, before)
    assert estimate.value == pytest.approx(0.2)
    assert estimate.low == pytest.approx(0.2 - np.hypot(0.7 - low1, high2 - 0.5))
    assert estimate.high == pytest.approx(0.2 + np.hypot(high1 - 0.7, 0.5 - low2))


def test_paired_differences_are_the_published_examples() -> None:
    # Altman, Machin, Bryant & Gardner 2000, table 6.2 (14, 5, 0, 22): 0.122, 0.011 to 0.226.
    after, before = [1] * 14 + [1] * 5 + [0] * 22, [1] * 14 + [0] * 27
    assert rate_difference_interval(after, before)[:3] == pytest.approx((0.122, 0.011, 0.226), abs=6e-4)


def test_pairing_narrows_the_interval() -> None:
    after, before = [1] * 20 + [0] * 20, [1] * 18 + [0] * 22
    paired, crossed = rate_difference_interval(after, before), rate_difference_interval(after, before[::-1])
    assert paired.low is not None
    assert paired.high is not None
    assert crossed.low is not None
    assert crossed.high is not None
    assert paired.value == crossed.value
    assert paired.high - paired.low < crossed.high - crossed.low


def test_the_bootstrap_agrees_with_theory() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    estimate = mean_interval(values)
    half = 1.96 * values.std() / 20
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.02)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.02)
    assert mean_interval(values) == estimate
    assert mean_interval(values, seed=1) != estimate


def test_one_value_has_no_interval() -> None:
    assert mean_interval([0.3]) == (0.3, None, None, 1)


def test_long_lists_are_drawn_in_pieces() -> None:
    estimate = mean_interval(np.arange(30_000) % 2, resamples=100)
    assert estimate.value == 0.5
    assert estimate.low is not None
    assert 0.48 < estimate.low < 0.5


@pytest.mark.parametrize("bad", [[], [float("nan")], [[1.0]]])
def test_no_mean_of_nonsense(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"numbers|finite"):
        mean_interval(bad)


def test_no_rate_of_nonsense() -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        rate_interval([0.5])
    with pytest.raises(ValueError, match="5 successes out of 4"):
        wilson(5, 4)
    with pytest.raises(ValueError, match="pairs"):
        difference_interval([1, 2], [1])


@settings(max_examples=40, deadline=None)
@given(NUMBERS, st.floats(-1e3, 1e3))
def test_a_mean_lies_in_its_interval_and_shifts(values: list[float], shift: float) -> None:
    estimate, moved = mean_interval(values, resamples=200), mean_interval(np.add(values, shift), resamples=200)
    assert estimate.low is not None
    assert estimate.high is not None
    assert moved.low is not None
    assert min(values) - 1e-6 <= estimate.low <= estimate.value <= estimate.high <= max(values) + 1e-6
    assert moved.low == pytest.approx(estimate.low + shift, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(NUMBERS)
def test_no_difference_to_itself(values: list[float]) -> None:
    assert difference_interval(values, values, resamples=50)[:3] == (0.0, 0.0, 0.0)


@settings(max_examples=80, deadline=None)
@given(MARKS)
def test_a_rate_difference_turns_round(marks: list[tuple[bool, bool]]) -> None:
    after, before = [int(a) for a, _ in marks], [int(b) for _, b in marks]
    there, back = rate_difference_interval(after, before), rate_difference_interval(before, after)
    assert there.low is not None
    assert there.high is not None
    assert back.low is not None
    assert -1 <= there.low <= there.value + 1e-12
    assert there.value - 1e-12 <= there.high <= 1
    assert there.value == pytest.approx(-back.value)
    assert there.high == pytest.approx(-back.low)


def test_cosines_known() -> None:
    assert clip.cosines([[3, 0], [0, 2]], [[1, 0], [1, 1]]) == pytest.approx([1.0, 0.5**0.5])
    assert clip.cosines([[1, 0], [0, 1]], [[1, 0]]) == pytest.approx([1.0, 0.0])
    with pytest.raises(ValueError, match="paired"):
        clip.cosines([[1, 0]], [[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="broken"):
        clip.cosines([[0, 0]], [[1, 0]])


def test_probabilities_known() -> None:
    rows = clip.probabilities([[1, 0]], [[1, 0], [0, 1]], scale=float(np.log(3)))
    assert rows == pytest.approx(np.array([[0.75, 0.25]]))
    assert clip.probabilities([[1, 0]], [[1, 0], [-1, 0]], scale=1000.0) == pytest.approx(np.array([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="compared"):
        clip.probabilities([[1, 0]], [[1, 0, 0]], 1.0)
