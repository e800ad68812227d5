"""Where the pictures of a request lie in the latent space, and what is asked of them there."""

import numpy as np
import pytest

from serving.generate import Along, Around, Between, InStyle, Plan, Prior
from serving.model import Posterior
from serving.noise import standard_normal
from serving.steering import Target


def posterior(mean: list[list[float]], deviation: list[list[float]]) -> Posterior:
    """Return a posterior whose own form is 10 further on in the first dimension."""
    rows = np.array(mean, np.float32)
    return Posterior(rows, np.array(deviation, np.float32), rows + np.float32([10, 0]))


CENTRE = posterior([[1, 2]], [[0.5, 4]])
ENDS = posterior([[0, 2], [4, 0]], [[1, 1], [1, 1]])


def test_noise_is_standard_normal() -> None:
    """Many rows have mean 0, variance 1 and no correlation between neighbours."""
    noise = standard_normal(1, range(20_000), 4).astype(np.float64)

    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1] == pytest.approx(0, abs=0.03)
    assert np.corrcoef(noise[:, 0], noise[:, 1])[0, 1] == pytest.approx(0, abs=0.03)


def test_noise_is_pinned() -> None:
    """The noise of a seed is what it always was: seeds in callers' hands keep their meaning."""
    row = standard_normal(7, range(3, 4), 3)

    np.testing.assert_allclose(row, [PINNED], rtol=1e-6)


def test_attempts_have_noise_of_their_own() -> None:
    """No attempt's noise comes back, shifted or not, in that of another attempt or row."""
    noise = np.stack([standard_normal(7, range(5), 1000, attempt) for attempt in range(17)])
    pairs = np.lib.stride_tricks.sliding_window_view(noise, 2, axis=2).reshape(-1, 2)

    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert np.array_equal(noise[0], standard_normal(7, range(5), 1000))


PINNED = (-0.2658097445964813, 0.3495222330093384, -0.16579008102416992)


def test_prior_scales_with_temperature() -> None:
    """Half the temperature is half the way from the middle."""
    whole = Prior(3, 1.0, seed=5).latents(range(4))

    np.testing.assert_allclose(Prior(3, 0.5, seed=5).latents(range(4)), whole / 2)


def test_around_is_mean_plus_scaled_noise() -> None:
    """Points lie at mean + strength * deviation * noise."""
    noise = standard_normal(5, range(4), 2)

    points = Around(CENTRE, 2.0, seed=5).latents(range(4))

    np.testing.assert_allclose(points, [1, 2] + 2 * np.array([0.5, 4]) * noise, rtol=1e-6)


def test_between_is_evenly_spaced() -> None:
    """The first and the last point are the given ones, the others lie between in equal steps."""
    line = Between.straight(ENDS, 5)

    np.testing.assert_allclose(line.latents(range(5)), [[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]])
    np.testing.assert_allclose(line.latents(range(3, 5)), [[3, 0.5], [4, 0]])


def test_between_of_one_is_the_middle() -> None:
    """A single picture lies halfway."""
    np.testing.assert_allclose(Between.straight(ENDS, 1).latents(range(1)), [[2, 1]])


def test_between_follows_its_way() -> None:
    """Points lie at equal shares of the way, wherever it leads; the ends are met to the bit."""
    corner = np.array([[0.1, 2], [0.1, 0], [4.3, 0]], np.float32)
    bent = Between(corner, np.array([0, 0.75, 1]), 9)

    points = bent.latents(range(12))

    np.testing.assert_allclose(points[[3, 6, 7]], [[0.1, 1], [0.1, 0], [2.2, 0]], rtol=1e-6)
    assert np.array_equal(points[[0, 8, 11]], corner[[0, 2, 2]])


def test_style_goes_from_the_picture_to_the_hand() -> None:
    """Strength 0 is the picture's mean, 1 its form in the enrolled hand; temperature adds noise."""
    noise = standard_normal(5, range(4), 2)

    for strength, expected in ((0.0, [1, 2]), (0.5, [6, 2]), (1.0, [11, 2])):
        still = InStyle(CENTRE, strength, 0.0, seed=5)
        alive = InStyle(CENTRE, strength, 2.0, seed=5)
        np.testing.assert_allclose(still.latents(range(4)), [expected] * 4)
        np.testing.assert_allclose(alive.latents(range(4)), expected + 2 * noise, rtol=1e-6)


@pytest.mark.parametrize(
    ("plan", "has_chance"),
    [
        (Prior(2, 1.0, 5), True),
        (Prior(2, 0.0, 5), False),
        (Around(CENTRE, 1.0, 5), True),
        (Around(CENTRE, 0.0, 5), False),
        (Between.straight(ENDS, 4), False),
        (InStyle(CENTRE, 1.0, 0.5, 5), True),
        (InStyle(CENTRE, 1.0, 0.0, 5), False),
        (Along(Prior(2, 1.0, 5), {}, 4), True),
        (Along(Around(CENTRE, 0.0, 5), {}, 4), False),
    ],
)
def test_another_attempt_differs_where_there_is_chance(plan: Plan, has_chance: bool) -> None:
    """A plan that has chance has another point for each attempt; one without has not."""
    first, second = (plan.latents(range(4), attempt) for attempt in (0, 1))

    assert plan.has_chance == has_chance
    assert (first != second).all() == has_chance
    assert np.array_equal(first, second) != has_chance


def test_targets_spread_over_the_count() -> None:
    """The first picture is at the start, the last one and the padding after it at the end."""
    targets = {"slant": Target(0, 10, False)}

    assert Along(Prior(2, 1.0, 5), targets, 5).shares(range(3, 7)).tolist() == [0.75, 1, 1, 1]
    assert Along(Prior(2, 1.0, 5), targets, 1).shares(range(2)).tolist() == [0, 0]
