"""Where the pictures of a request lie in the latent space."""

import numpy as np
import pytest

from serving.generate import Around, Between, Prior
from serving.model import Posterior
from serving.noise import standard_normal

CENTRE = Posterior(np.array([[1.0, 2.0]], np.float32), np.array([[0.5, 4.0]], np.float32))
ENDS = Posterior(np.array([[0.0, 2.0], [4.0, 0.0]], np.float32), np.ones((2, 2), np.float32))


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
    line = Between(ENDS, 5)

    np.testing.assert_allclose(line.latents(range(5)), [[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]])
    np.testing.assert_allclose(line.latents(range(3, 5)), [[3, 0.5], [4, 0]])


def test_between_of_one_is_the_middle() -> None:
    """A single picture lies halfway."""
    np.testing.assert_allclose(Between(ENDS, 1).latents(range(1)), [[2, 1]])
