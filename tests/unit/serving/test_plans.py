"""Where the pictures of a request lie in the latent space, and what is asked of them there."""

import numpy as np
import pytest

from serving.model import Posterior
from serving.plans import Along, Around, Between, InStyle, Plan, Prior
from serving.steering import Target


def posterior(mean: list[list[float]], deviation: list[list[float]]) -> Posterior:
    """Return a posterior whose own form is 10 further on in the first dimension."""
    rows = np.array(mean, np.float32)
    return Posterior(rows, np.array(deviation, np.float32), rows + np.float32([10, 0]))


CENTRE = posterior([[1, 2]], [[0.5, 4]])
ENDS = posterior([[0, 2], [4, 0]], [[1, 1], [1, 1]])
NOISE = np.random.default_rng(5).standard_normal((4, 2), np.float32)
NOTHING = np.zeros((2, 28, 28), np.float32)
STILL = np.zeros((12, 2), np.float32)


def test_prior_scales_with_temperature() -> None:
    """Half the temperature is half the way from the middle."""
    np.testing.assert_allclose(Prior(0.5, seed=5).latents(range(4), NOISE), NOISE / 2)


def test_around_is_mean_plus_scaled_noise() -> None:
    """Points lie at mean + strength * deviation * noise."""
    points = Around(CENTRE, 2.0, seed=5).latents(range(4), NOISE)

    np.testing.assert_allclose(points, [1, 2] + 2 * np.array([0.5, 4]) * NOISE, rtol=1e-6)


def test_between_is_evenly_spaced() -> None:
    """The first and the last point are the given ones, the others lie between in equal steps."""
    line = Between.straight(ENDS, 5)

    expected = [[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]]
    np.testing.assert_allclose(line.latents(range(5), STILL[:5]), expected)
    np.testing.assert_allclose(line.latents(range(3, 5), STILL[:2]), expected[3:])


def test_between_of_one_is_the_middle() -> None:
    """A single picture lies halfway."""
    np.testing.assert_allclose(Between.straight(ENDS, 1).latents(range(1), STILL[:1]), [[2, 1]])


def test_between_follows_its_way() -> None:
    """Points lie at equal shares of the way, wherever it leads; the ends are met to the bit."""
    corner = np.array([[0.1, 2], [0.1, 0], [4.3, 0]], np.float32)
    bent = Between(corner, np.array([0, 0.75, 1]), NOTHING, 9)

    points = bent.latents(range(12), STILL)

    np.testing.assert_allclose(points[[3, 6, 7]], [[0.1, 1], [0.1, 0], [2.2, 0]], rtol=1e-6)
    assert np.array_equal(points[[0, 8, 11]], corner[[0, 2, 2]])


def test_what_is_not_drawn_of_the_ends_fades() -> None:
    """Both ends are whole; halfway a quarter is left of either, wherever the points lie."""
    undrawn = np.zeros((2, 28, 28), np.float32)
    undrawn[0, 3, 4], undrawn[1, 5, 6], undrawn[1, 7, 8] = 0.5, -0.25, 1
    way = np.array([[0, 0], [1, 0], [2, 0]], np.float32)
    drawn = np.full((3, 28, 28), 0.5, np.float32)

    pictures = Between(way, np.array([0, 0.8, 1]), undrawn, 6).complete(drawn, [0, 4, 5])

    expected = drawn.copy()
    expected[0, 3, 4], expected[1, 3, 4] = 1, 0.625
    expected[1:, 5, 6] = 0.4375, 0.25
    expected[1:, 7, 8] = 0.75, 1  # no brighter than white
    np.testing.assert_allclose(pictures, expected, atol=1e-6)


def test_style_goes_from_the_picture_to_the_hand() -> None:
    """Strength 0 is the picture's mean, 1 its form in the enrolled hand; temperature adds noise."""
    for strength, expected in ((0.0, [1, 2]), (0.5, [6, 2]), (1.0, [11, 2])):
        still = InStyle(CENTRE, strength, 0.0, seed=5)
        alive = InStyle(CENTRE, strength, 2.0, seed=5)
        np.testing.assert_allclose(still.latents(range(4), NOISE), [expected] * 4)
        np.testing.assert_allclose(alive.latents(range(4), NOISE), expected + 2 * NOISE, rtol=1e-6)


@pytest.mark.parametrize(
    ("plan", "has_chance"),
    [
        (Prior(1.0, 5), True),
        (Prior(0.0, 5), False),
        (Around(CENTRE, 1.0, 5), True),
        (Around(CENTRE, 0.0, 5), False),
        (Between.straight(ENDS, 4), False),
        (InStyle(CENTRE, 1.0, 0.5, 5), True),
        (InStyle(CENTRE, 1.0, 0.0, 5), False),
        (Along(Prior(1.0, 5), {}, 4), True),
        (Along(Around(CENTRE, 0.0, 5), {}, 4), False),
    ],
)
def test_other_noise_differs_where_there_is_chance(plan: Plan, has_chance: bool) -> None:
    """A plan that has chance has another point for other noise, one without has not."""
    first, second = (plan.latents(range(4), noise) for noise in (NOISE, -NOISE))

    assert plan.has_chance == has_chance
    assert (first != second).all() == has_chance
    assert np.array_equal(first, second) != has_chance


def test_targets_spread_over_the_count() -> None:
    """The first picture is at the start, the last one and the padding after it at the end."""
    targets = {"slant": Target(0, 10, True)}

    [(name, asked)] = Along(Prior(1.0, 5), targets, 5).asked(range(3, 7)).items()
    alone = Along(Prior(1.0, 5), targets, 1).asked(range(2))["slant"]

    assert (name, asked.values.tolist(), asked.is_change) == ("slant", [7.5, 10, 10, 10], True)
    assert alone.values.tolist() == [0, 0]
