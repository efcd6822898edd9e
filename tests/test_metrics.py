"""Known answers and laws of the numbers."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.metrics import clip
from easel.metrics.frechet import (
    Moments,
    frechet,
    frechet_distance,
    frechet_interval,
    frechet_of_moments,
    gaussian_bias,
    moments,
)
from easel.metrics.inception_score import inception_score, missing, parts_of
from easel.metrics.intervals import (
    T95,
    difference_interval,
    grouped_rate_difference_interval,
    grouped_rate_interval,
    mean_interval,
    rate_difference_interval,
    rate_interval,
    wilson,
)
from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import nearest, precision_recall
from easel.metrics.path_length import PathOptions, along_sphere, path_lengths, perceptual_path_length
from easel.metrics.retrieval import retrieval

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


def covered(draw: Callable[[], Any], truth: float, times: int) -> float:
    """In what share of so many draws the interval holds the truth."""
    found = [draw() for _ in range(times)]
    return float(np.mean([one.low - 1e-12 <= truth <= one.high + 1e-12 for one in found]))


def test_students_t_is_the_published_table() -> None:
    # Fisher & Yates, table III: 1, 2, 5, 10 and 29 degrees of freedom.
    assert [T95[n - 1] for n in (1, 2, 5, 10, 29)] == pytest.approx([12.706, 4.303, 2.571, 2.228, 2.045], abs=5e-4)
    half = 2.776445 * np.std([1, 2, 3, 4, 5], ddof=1) / 5**0.5
    assert mean_interval([1, 2, 3, 4, 5])[:3] == pytest.approx((3, 3 - half, 3 + half))


@pytest.mark.parametrize("n", [2, 3, 5, 12, 30, 100])
def test_intervals_of_means_hold_the_truth(n: int) -> None:
    random = np.random.default_rng(n)
    assert 0.9 <= covered(lambda: mean_interval(random.normal(size=n), resamples=300), 0.0, 1000) <= 0.98
    assert 0.9 <= covered(lambda: mean_interval(random.random(n), resamples=300, within=(0, 1)), 0.5, 1000) <= 0.98

    def difference() -> Any:
        before = random.normal(size=n)
        return difference_interval(before + 0.3 + random.normal(size=n), before, resamples=300)

    assert 0.9 <= covered(difference, 0.3, 1000) <= 0.98


@pytest.mark.parametrize("n", [3, 5, 12, 30])
@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
def test_intervals_of_grouped_rates_hold_the_truth(n: int, alike: float) -> None:
    """Three pictures of each of n photos; how alike they are is the correlation within a photo (beta-binomial)."""
    random = np.random.default_rng(n)

    def answers(rate: float) -> list[Any]:
        if alike in {0.0, 1.0}:
            yes = random.random((n, 3 if alike == 0 else 1)) < rate
        else:
            size = 1 / alike - 1
            yes = random.random((n, 3)) < random.beta(rate * size, (1 - rate) * size, (n, 1))
        return list(np.broadcast_to(yes, (n, 3)).astype(float))

    assert covered(lambda: grouped_rate_interval(answers(2 / 3)), 2 / 3, 500) >= 0.9
    difference = covered(lambda: grouped_rate_difference_interval(answers(0.8), answers(0.3)), 0.5, 500)
    assert difference >= 0.9


def test_rates_that_all_agree_have_a_width() -> None:
    # 2 of 3 in each of five photos: as wide as five answers.
    found = grouped_rate_interval([[1, 1, 0]] * 5)
    assert found.value == pytest.approx(2 / 3)
    assert found.n == 5
    assert found.low is not None
    assert found.high is not None
    assert found.low < wilson(2, 3)[0] + 0.1
    assert found.high - found.low > 0.5
    gain = grouped_rate_difference_interval([[1, 1, 0]] * 5, [[0, 0, 0]] * 5)
    assert gain.low is not None
    assert gain.high is not None
    assert gain.high - gain.low > 0.5
    # One answer each is Wilson's and Newcombe's.
    ones = [[1], [0], [1], [1]]
    assert grouped_rate_interval(ones) == rate_interval([1, 0, 1, 1])
    assert grouped_rate_difference_interval(ones, [[0]] * 4) == rate_difference_interval([1, 0, 1, 1], [0] * 4)


def test_several_pictures_of_one_photo_say_nothing_of_others() -> None:
    assert grouped_rate_interval([[1, 1, 0, 1]]) == (0.75, None, None, 1)
    assert grouped_rate_difference_interval([[1, 1]], [[0, 1]]) == (0.5, None, None, 1)
    assert grouped_rate_interval([[1]])[1:] == (*wilson(1, 1), 1)


def test_retrieval_by_hand() -> None:
    # Own column best, second and last of three: among 2 drawn ones the second is found in half of the draws.
    likeness = [[0.9, 0.1, 0.2], [0.5, 0.4, 0.1], [0.3, 0.2, 0.1]]
    assert retrieval(likeness, [0, 1, 2], among=3).value == pytest.approx(1 / 3)
    assert retrieval(likeness, [0, 1, 2], among=2).value == pytest.approx((1 + 0.5 + 0) / 3)
    assert retrieval(np.ones((4, 5)), [0, 1, 2, 3]).value == 0.0  # all alike: nothing is found
    both = retrieval([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0, 0, 1])
    assert (both.value, both.n) == (0.75, 2)


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
    assert estimate.low <= estimate.value <= estimate.high
    assert moved.low == pytest.approx(estimate.low + shift, rel=1e-6, abs=1e-5)
    inside = mean_interval(values, resamples=200, within=(min(values), max(values)))
    assert inside.low is not None
    assert inside.high is not None
    assert min(values) - 1e-6 <= inside.low <= inside.high <= max(values) + 1e-6


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


# Sets of pictures


def gaussian(n: int, d: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) * scale


def with_moments(n: int, mean: np.ndarray, covariance: np.ndarray, seed: int = 0) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly these."""
    rows = gaussian(n, len(mean), seed)
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(rows.T @ rows / (n - 1))).T
    return rows @ np.linalg.cholesky(covariance).T + mean


def denman_beavers(matrix: np.ndarray) -> np.ndarray:
    """The principal square root by iteration (Denman & Beavers 1976): no eigenvalue is taken."""
    root, inverse = matrix, np.eye(len(matrix))
    for _ in range(60):
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
    return root


class AsItIs(torch.nn.Module):
    """Stands in for torchmetrics' network: features go in, the same come out."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def test_frechet_of_hand_made_gaussians() -> None:
    x = gaussian(50, 4, 0)
    assert frechet_distance(x, x + 3) == pytest.approx(4 * 3**2)
    # Diagonal covariances: the sum of (s1 - s2)^2.
    one = with_moments(60, np.zeros(3), np.diag([1.0, 4.0, 9.0]))
    other = with_moments(40, np.array([1.0, 0, 0]), np.diag([4.0, 4.0, 1.0]), seed=1)
    assert frechet_distance(one, other) == pytest.approx(1 + 1 + 0 + 4)
    assert frechet_interval(one, other).value == pytest.approx(6)
    # A picture far to the side moves one standard deviation: 3x the spread is (3 - 1)^2 s^2 in every direction.
    assert frechet_distance(x - x.mean(axis=0), 3 * (x - x.mean(axis=0))) == pytest.approx(4 * x.var(0, ddof=1).sum())


def test_frechet_eigenvalues_are_the_matrix_square_root() -> None:
    one, other = gaussian(90, 6, 0) @ gaussian(6, 6, 1), gaussian(70, 6, 2) @ gaussian(6, 6, 3) + 1
    a, b = moments(one), moments(other)
    root = denman_beavers(a.covariance @ b.covariance)
    assert np.allclose(root @ root, a.covariance @ b.covariance)
    spread = np.trace(a.covariance) + np.trace(b.covariance) - 2 * np.trace(root)
    assert frechet_of_moments(a, b) == pytest.approx(((a.mean - b.mean) ** 2).sum() + spread, rel=1e-9)
    assert frechet_distance(one, other) == pytest.approx(frechet_of_moments(a, b), rel=1e-12)
    assert frechet_interval(one, other).value == pytest.approx(frechet_of_moments(a, b), rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (40, 30, 64), (200, 20, 64), (2, 2, 5)])
def test_frechet_agrees_with_torchmetrics(n: int, m: int, d: int) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    one, other = gaussian(n, d, 0) @ gaussian(d, d, 1), gaussian(m, d, 2) @ gaussian(d, d, 3) + 0.5
    oracle = FrechetInceptionDistance(feature=AsItIs(d))
    oracle.update(torch.from_numpy(one), real=True)
    oracle.update(torch.from_numpy(other), real=False)
    assert frechet_distance(one, other) == pytest.approx(float(oracle.compute()), rel=1e-4)
    assert frechet_interval(one, other).value == pytest.approx(frechet_distance(one, other))
    assert frechet_of_moments(moments(one), moments(other)) == pytest.approx(frechet_distance(one, other), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(300, 8), (5, 40), (41, 40)])
def test_frechet_of_a_set_with_itself_is_nothing(n: int, d: int) -> None:
    x = gaussian(n, d, 0) * np.geomspace(1e-3, 10, d) + 5
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-7)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-7)


def test_frechet_with_dead_features_is_finite() -> None:
    x, y = gaussian(100, 5, 0), gaussian(80, 5, 1)
    still = np.hstack([x, np.ones((100, 2))]), np.hstack([y, np.ones((80, 2))])
    assert frechet_distance(*still) == pytest.approx(frechet_distance(x, y))
    estimate = frechet_interval(*still)
    assert tuple(estimate) == pytest.approx(tuple(frechet_interval(x, y)), rel=1e-6)


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 12), st.integers(0, 9))
def test_frechet_is_a_distance(n: int, m: int, d: int, seed: int) -> None:
    one, other = gaussian(n, d, seed), gaussian(m, d, seed + 1, 2.0)
    there = frechet_distance(one, other)
    assert there >= 0
    assert there == pytest.approx(frechet_distance(other, one), abs=1e-6)
    assert frechet_distance(one + 7, other + 7) == pytest.approx(there, abs=1e-5)
    turn, _ = np.linalg.qr(gaussian(d, d, 5))
    assert frechet_distance(one @ turn, other @ turn) == pytest.approx(there, abs=1e-5)


def spreads(measure: Any, draw: Any, times: int) -> tuple[float, float, float]:
    """Mean and standard deviation of a measure over fresh sets, and the standard deviation that its intervals claim."""
    estimates = [measure(*draw(np.random.default_rng(seed))) for seed in range(times)]
    values = [estimate.value for estimate in estimates]
    claimed = [(estimate.high - estimate.low) / 2 / 1.96 for estimate in estimates]
    return float(np.mean(values)), float(np.std(values, ddof=1)), float(np.mean(claimed))


def test_frechet_intervals_are_as_wide_as_chance() -> None:
    left, right = gaussian(5, 5, 1), gaussian(5, 5, 2)

    def draw(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return generator.normal(size=(300, 5)) @ left, generator.normal(size=(200, 5)) @ right + 0.5

    _, seen, claimed = spreads(frechet_interval, draw, 300)
    assert claimed == pytest.approx(seen, rel=0.15)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (400, 100)])
def test_the_bias_of_frechet_is_as_derived(n: int, m: int) -> None:
    """Fresh sets of known moments: what they exceed the true distance by, within 5 % (4 % is chance's)."""
    spectrum = np.arange(1, 33) ** -1.0
    turn, _ = np.linalg.qr(gaussian(32, 32, 0))
    other = (turn * spectrum**0.5) @ turn.T
    true = Moments(np.zeros(32), np.diag(spectrum), n), Moments(np.zeros(32), other, m)
    random, root = np.random.default_rng(1), np.linalg.cholesky(other).T
    values = [
        frechet_distance(random.normal(size=(n, 32)) * spectrum**0.5, random.normal(size=(m, 32)) @ root)
        for _ in range(120)
    ]
    excess = np.mean(values) - frechet_of_moments(*true)
    assert gaussian_bias(*true) == pytest.approx(excess, rel=0.05)


def test_the_bias_of_equal_sets_by_hand() -> None:
    # d = 1: (sqrt(s) - sqrt(s'))^2 is s / (2 (n - 1)) on average, each mean's error s / n.
    one = Moments(np.zeros(1), np.full((1, 1), 4.0), 101)
    assert gaussian_bias(one, one) == pytest.approx(2 * 4 / 101 + 4 / 100 / 2 * 2)


def test_the_corrected_distance_is_that_of_sets_without_end() -> None:
    random = np.random.default_rng(0)
    spectrum = np.arange(1, 33) ** -0.5

    def drawn(shift: float) -> Any:
        return random.exponential(size=(200, 32)) * spectrum + shift

    found = [frechet(drawn(0.0), drawn(0.1)) for _ in range(60)]
    truth = 32 * 0.01
    excess = float(np.mean([one.distance.value for one in found])) - truth
    assert excess > 0.3 * truth
    assert np.mean([one.bias for one in found]) == pytest.approx(excess, rel=0.1)
    assert np.mean([one.corrected.value for one in found if one.corrected]) == pytest.approx(truth, abs=0.1 * excess)
    few = frechet(gaussian(40, 32, 0), gaussian(40, 32, 1))
    assert few.corrected is None
    assert 0 < few.bias < few.distance.value


def test_what_the_page_says_of_the_bias() -> None:
    """Two sets of one kind, 512 numbers with a spectrum of 1 / i: the numbers of docs/score.md."""
    said = []
    for n in (2048, 8192, 50_000):
        one = Moments(np.zeros(512), np.diag(np.arange(1, 513) ** -1.0), n)
        said.append(f"{gaussian_bias(one, one):.3f} at {n:,}")
    trace = float((np.arange(1, 513) ** -1.0).sum())
    page = (Path(__file__).parent.parent / "docs" / "score.md").read_text(encoding="utf-8")
    assert ", ".join(said) in " ".join(page.split())
    times = 2048 * float(said[0].split()[0]) / trace
    assert f"{times:.0f} times (trace of the covariance) / n" in " ".join(page.split())


def test_frechet_has_no_interval_with_fewer_pictures_than_numbers() -> None:
    estimate = frechet_interval(gaussian(10, 12, 0), gaussian(30, 12, 1))
    assert (estimate.low, estimate.high, estimate.n) == (None, None, 10)


def test_kernel_distance_by_hand() -> None:
    # d = 1, rows 0 and 1 against 2 and 3: k(0, 1) = 1, k(2, 3) = 343; k(0, .) = 1, k(1, 2) = 27, k(1, 3) = 64.
    assert kernel_distance([[0.0], [1.0]], [[2.0], [3.0]]).value == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def test_kernel_distance_agrees_with_torchmetrics() -> None:
    from torchmetrics.image.kid import KernelInceptionDistance

    one, other = gaussian(60, 20, 0), gaussian(60, 20, 2, 1.3) + 0.1
    with pytest.warns(UserWarning, match="will save all extracted features"):
        oracle = KernelInceptionDistance(feature=AsItIs(20), subsets=1, subset_size=60)
    oracle.update(torch.from_numpy(one), real=True)
    oracle.update(torch.from_numpy(other), real=False)
    mean, _ = oracle.compute()
    assert kernel_distance(one, other).value == pytest.approx(float(mean), rel=1e-4)


def test_kernel_distance_is_unbiased_however_small() -> None:
    def draw(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return generator.normal(size=(4, 3)), generator.normal(size=(6, 3))

    mean, seen, _ = spreads(kernel_distance, draw, 2000)
    assert abs(mean) < 3 * seen / 2000**0.5
    assert seen > 0.1


def test_kernel_intervals_are_as_wide_as_chance() -> None:
    def draw(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return generator.normal(size=(120, 4)), generator.normal(size=(90, 4)) * 1.5 + 0.4

    _, seen, claimed = spreads(kernel_distance, draw, 300)
    assert claimed == pytest.approx(seen, rel=0.15)
    _, in_parts, claimed_in_parts = spreads(lambda x, y: kernel_distance(x, y, subset_size=30), draw, 300)
    assert claimed_in_parts == pytest.approx(in_parts, rel=0.15)


def test_kernel_subsets_take_every_picture_once_and_repeat() -> None:
    one, other = gaussian(105, 3, 0), gaussian(71, 3, 1) + 1
    first = kernel_distance(one, other, subset_size=20, seed=3)
    assert first == kernel_distance(one, other, subset_size=20, seed=3)
    assert first.value != kernel_distance(one, other, subset_size=20, seed=4).value
    assert first.n == 71
    assert first.value == pytest.approx(kernel_distance(one, other).value, rel=0.5)


def test_kernel_distance_in_blocks_is_the_whole_matrix_s() -> None:
    real, made = gaussian(1500, 5, 0), gaussian(2600, 5, 1) + 0.3
    inner, outer = (real @ real.T / 5 + 1) ** 3, (made @ made.T / 5 + 1) ** 3
    value = (inner.sum() - np.trace(inner)) / 1500 / 1499 + (outer.sum() - np.trace(outer)) / 2600 / 2599
    value -= 2 * ((real @ made.T / 5 + 1) ** 3).mean()
    assert kernel_distance(real, made, subset_size=3000).value == pytest.approx(value, rel=1e-9)


def test_kernel_distance_of_a_large_set_and_a_small_one_stays_small_in_memory() -> None:
    real, made = gaussian(20_000, 64, 0), gaussian(2000, 64, 1)
    tracemalloc.start()
    try:
        kernel_distance(real, made)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80e6  # the features are 11 MB; the whole kernel of the old parts was 800


def both(real: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    found = precision_recall(real, made)
    return found.precision.value, found.recall.value


def test_precision_and_recall_of_equal_and_of_disjoint_sets() -> None:
    x = gaussian(40, 6, 0)
    assert both(x, x) == (1.0, 1.0)
    assert both(x, x + 1000) == (0.0, 0.0)
    twins = np.repeat(x[:4], 10, axis=0)  # the nearest neighbours of all are copies: balls without a width
    assert both(twins, twins + 0.0) == (1.0, 1.0)


def test_precision_and_recall_by_hand() -> None:
    # On a line, k = 1. Real 0, 1, 10, 11: all balls 1 wide. Made 0.5 and 0.6 lie inside, 5 does not; its own balls are
    # 0.1, 0.1 and 4.4 wide: 0.5 and 0.6 reach nobody, and 5 reaches 1 alone (from 0.6 to 9.4).
    found = precision_recall([[0.0], [1.0], [10.0], [11.0]], [[0.5], [0.6], [5.0]], neighbours=1)
    assert tuple(found.precision) == pytest.approx((2 / 3, *wilson(2, 3), 3))
    assert (found.recall.value, found.recall.n) == (1 / 4, 4)
    # Made without one picture (of 0.5, 0.6 and 5): 4.5, 4.5 and 0.1 wide; then 1, 1 and none are reached.
    assert found.recall.low is not None
    assert found.recall.high is not None
    assert found.recall.low < wilson(1, 4)[0]
    assert found.recall.high > wilson(1, 4)[1]


def test_one_mode_is_precise_and_reaches_little() -> None:
    real = np.vstack([gaussian(100, 4, 0), gaussian(100, 4, 1) + 50])
    found = precision_recall(real, gaussian(200, 4, 2))
    assert found.precision.value > 0.8
    assert found.recall.value == pytest.approx(0.5, abs=0.05)


def test_precision_and_recall_in_pieces_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = gaussian(50, 3, 0), gaussian(37, 3, 1)
    whole, nearby = precision_recall(one, other), nearest(one, other)
    monkeypatch.setattr("easel.metrics.manifold.BLOCK", 7)
    assert precision_recall(one, other) == whole
    assert all(np.array_equal(a, b) for a, b in zip(nearest(one, other), nearby, strict=True))


def test_nearest() -> None:
    places, far = nearest([[0.0, 0.0], [9.0, 9.0]], [[9.0, 10.0], [3.0, 4.0]])
    assert places.tolist() == [1, 0]
    assert far.tolist() == pytest.approx([5.0, 1.0])


def test_precision_and_recall_hold_what_fresh_sets_give() -> None:
    random = np.random.default_rng(0)
    found = [precision_recall(random.normal(size=(100, 4)), random.normal(size=(100, 4)) + 0.5) for _ in range(100)]
    for name in ("precision", "recall"):
        mine = [getattr(one, name) for one in found]
        truth = np.mean([one.value for one in mine])
        assert np.mean([one.low <= truth <= one.high for one in mine]) >= 0.9


def test_the_balls_without_a_group_are_those_of_a_smaller_set() -> None:
    from easel.metrics.manifold import _Rows

    rows = gaussian(45, 3, 0)
    found = _Rows.of(rows, 3)
    for radii in found.without:
        kept = radii >= 0
        assert radii[kept] == pytest.approx(_Rows.of(rows[kept], 3).radii, rel=1e-5)
    assert (found.without < 0).sum(axis=0).tolist() == [1] * 45  # each picture is left out once


def test_clusters_that_are_very_narrow_do_not_collapse() -> None:
    # Pictures 1e-4 apart, ten times the length away from the centre: each is its own nearest, and no ball holds others.
    far, small = np.full((1, 4), 10.0), gaussian(30, 4, 0) * 1e-4
    real = np.vstack([far + small, -far + gaussian(30, 4, 1)])
    places, distances = nearest(far + small + 1e-7, real)
    assert places.tolist() == list(range(30))
    assert distances == pytest.approx([2e-7] * 30, rel=1e-3)
    assert nearest(real + 1e6, real + 1e6)[0].tolist() == list(range(60))  # nothing hangs on where the centre is
    beside = precision_recall(real, far + 5e-3 + gaussian(30, 4, 2) * 1e-4)
    assert beside.precision.value == 0.0


def test_parts_of_the_inception_score() -> None:
    assert [parts_of(n) for n in (2, 999, 1000, 9999, 10_000, 50_000, 10**6)] == [1, 1, 1, 1, 2, 10, 10]
    weights = np.exp(3 * gaussian(1000, 50, 0))
    rows = weights / weights.sum(axis=1, keepdims=True)
    assert inception_score(rows[:999]).value == pytest.approx(inception_score(rows).value, rel=0.01)
    assert inception_score(rows).value > 1.05 * inception_score(rows, 10).value


def test_what_a_small_set_lacks_of_its_inception_score() -> None:
    random = np.random.default_rng(0)

    def rows(n: int) -> np.ndarray:
        weights = np.exp(3 * random.normal(size=(n, 30)))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    truth = inception_score(rows(20_000), 1).value
    small = [rows(60) for _ in range(100)]
    lacks = truth - np.mean([inception_score(one).value for one in small])
    assert lacks > 0.05 * truth
    assert np.mean([missing(one) for one in small]) == pytest.approx(lacks, rel=0.2)
    # By leaving out each picture, one after the other.
    score = [float(inception_score(np.delete(small[0], place, 0)).value) for place in range(60)]
    assert missing(small[0]) == pytest.approx(59 * (inception_score(small[0]).value - math.fsum(score) / 60))


def test_inception_score_by_hand() -> None:
    sure = np.eye(5)[np.arange(50) % 5]
    assert inception_score(sure, splits=1).value == pytest.approx(5)
    assert inception_score(sure, splits=10).value == pytest.approx(5)
    assert inception_score(np.full((20, 5), 0.2), splits=2).value == pytest.approx(1)
    assert inception_score(np.tile(np.eye(5)[:1], (20, 1)), splits=1).value == pytest.approx(1)
    # Two kinds, (0.9, 0.1) and (0.1, 0.9): ln 2 less the entropy of 0.9.
    mixed = np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert inception_score(mixed, splits=1).value == pytest.approx(2 * np.exp(-entropy))


def test_inception_score_intervals_are_as_wide_as_chance() -> None:
    def draw(generator: np.random.Generator) -> tuple[np.ndarray]:
        weights = np.exp(1.5 * generator.normal(size=(400, 6)))
        return (weights / weights.sum(axis=1, keepdims=True),)

    _, seen, claimed = spreads(lambda rows: inception_score(rows, 1), draw, 300)
    assert claimed == pytest.approx(seen, rel=0.15)


def squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(((one - other) ** 2).sum(axis=1))


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_path_length_of_a_linear_generator(sampling: Any) -> None:
    starts, ends, matrix = gaussian(40, 5, 0), gaussian(40, 5, 1), gaussian(5, 9, 2)
    options = PathOptions("w", sampling, discarded=0.0)
    by_hand = (((ends - starts) @ matrix) ** 2).sum(axis=1)
    assert path_lengths(starts, ends, lambda z: z @ matrix, squared, options) == pytest.approx(by_hand, rel=1e-6)
    estimate = perceptual_path_length(starts, ends, lambda z: z @ matrix, squared, options)
    assert estimate.value == pytest.approx(by_hand.mean(), rel=1e-6)
    assert estimate.n == 40


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_path_length_along_the_sphere(sampling: Any) -> None:
    starts, ends = gaussian(30, 6, 0), gaussian(30, 6, 1)
    starts, ends = (rows / np.linalg.norm(rows, axis=1, keepdims=True) * 3 for rows in (starts, ends))
    angles = np.arccos((starts * ends).sum(axis=1) / 9)
    chords = (2 * 3 * np.sin(angles * 1e-4 / 2) / 1e-4) ** 2
    options = PathOptions("z", sampling, batch_size=7)
    assert path_lengths(starts, ends, lambda z: z, squared, options) == pytest.approx(chords, rel=1e-5)


def test_points_along_the_sphere() -> None:
    one, other = np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]])
    assert along_sphere(one, other, np.array([0.5]))[0] == pytest.approx([3 * 0.5**0.5] * 2)
    assert along_sphere(one, other, np.array([0.0]))[0] == pytest.approx([2, 0])
    assert along_sphere(one, other, np.array([1.0]))[0] == pytest.approx([0, 4])
    assert along_sphere(one, one, np.array([0.3]))[0] == pytest.approx([2, 0])
    with pytest.raises(ValueError, match="a latent of zeros"):
        along_sphere(one * 0, other, np.array([0.5]))


def test_path_length_leaves_out_the_ends_of_the_order() -> None:
    # Of 300 lengths in order, places 2 to 297 stay: the ends' own percentiles are kept, as in StyleGAN's program.
    ends = np.arange(1.0, 301.0)[::-1, None]
    estimate = perceptual_path_length(ends * 0, ends, lambda z: z, squared)
    assert estimate.value == pytest.approx((np.arange(3.0, 299.0) ** 2).mean())
    assert estimate.n == 296


def test_path_length_sees_how_many_pairs_go_together() -> None:
    seen: list[int] = []

    def generate(latents: np.ndarray) -> np.ndarray:
        seen.append(len(latents))
        return latents

    path_lengths(gaussian(10, 2, 0), gaussian(10, 2, 1), generate, squared, PathOptions(batch_size=4))
    assert seen == [4, 4, 4, 4, 2, 2]


SETS = [frechet_distance, frechet_interval, kernel_distance, precision_recall]


@pytest.mark.parametrize("measure", SETS)
def test_sets_that_say_nothing_are_refused(measure: Any) -> None:
    good, bad = gaussian(8, 3, 0), gaussian(8, 3, 1)
    bad[5, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 8 features of the made set are not finite"):
        measure(good, bad)
    with pytest.raises(ValueError, match="the real set has 1 pictures: at least"):
        measure(good[:1], good)
    with pytest.raises(ValueError, match="features of 3 and of 2 numbers"):
        measure(good, good[:, :2])
    with pytest.raises(ValueError, match="got shape"):
        measure(good[0], good)


def test_other_arguments_that_make_no_sense() -> None:
    x = gaussian(8, 3, 0)
    with pytest.raises(ValueError, match="subset_size is 1"):
        kernel_distance(x, x, subset_size=1)
    with pytest.raises(ValueError, match="neighbours is 0"):
        precision_recall(x, x, neighbours=0)
    with pytest.raises(ValueError, match="at least 4 are needed"):
        precision_recall(x[:3], x)
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(x, splits=1)
    with pytest.raises(ValueError, match="at least 20 are needed"):
        inception_score(np.full((8, 2), 0.5), splits=10)
    with pytest.raises(ValueError, match="splits is 0"):
        inception_score(np.full((8, 2), 0.5), splits=0)
    with pytest.raises(ValueError, match="wanted likeness"):
        retrieval(x, [0])
    with pytest.raises(ValueError, match="8 starts and 7 ends"):
        path_lengths(x, x[:7], lambda z: z, squared)
    with pytest.raises(ValueError, match="wanted one number a pair"):
        path_lengths(x, x + 1, lambda z: z, lambda a, b: a - b)
    with pytest.raises(ValueError, match="a path needs"):
        PathOptions(epsilon=0)
    with pytest.raises(ValueError, match="moments of 3 and of 2"):
        frechet_of_moments(moments(x), moments(x[:, :2]))
