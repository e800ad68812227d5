"""Straight lines through the latent space, as strips of what the decoder draws along them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.latent.findings import Floats, Images, Strip
from training.morphometry import ATTRIBUTES, measure
from training.synthesize import to_bytes
from training.vae import Autoencoder

Doubles = NDArray[np.float64]

# Standard deviations of the prior, from end to end.
_PLACES = np.linspace(-3, 3, 7, dtype=np.float32)
_FRAMES = 11
# Pictures from which the directions are learned, and groups of them for cross-validation.
_PROBES, _FOLDS = 256, 5
# How hard slopes are held near 0; the more dimensions for each picture, the harder they have to be.
_RIDGES = (1.0, 30.0, 300.0)


def traverse(network: Autoencoder, variances: Floats, units: Sequence[int]) -> tuple[Strip, ...]:
    """Return a strip along each of these units, all others at the middle of the prior."""
    axes = np.eye(network.latent, dtype=np.float32)[list(units)]
    return tuple(
        Strip(f"unit {unit + 1}", _along(network, axis), _PLACES, float(variances[unit]))
        for unit, axis in zip(units, axes, strict=True)
    )


def find_directions(network: Autoencoder, random: np.random.Generator) -> tuple[Strip, ...]:
    """Return a strip for each attribute, along the direction in which it grows fastest.

    Pictures are drawn from the prior and measured; a line is fitted from latent point to measure,
    with the ridge that predicts best. The score is its R2 on pictures that it was not fitted to,
    a little kind since the ridge was chosen by it; the values are what the pictures of the strip
    measure.
    """
    points = random.standard_normal((_PROBES, network.latent))
    measured = measure(_draw(network, points.astype(np.float32))).attributes()
    fold = random.permutation(_PROBES) % _FOLDS
    strips = []
    for column, name in enumerate(ATTRIBUTES):
        r2, ridge = max((_r2(points, measured[:, column], fold, each), each) for each in _RIDGES)
        slopes, _ = _fit(points, measured[:, column], ridge)
        axis = slopes / max(float(np.linalg.norm(slopes)), 1e-12)
        frames = _along(network, axis.astype(np.float32))
        values = measure(frames).attributes()[:, column].astype(np.float32)
        strips.append(Strip(name, frames, values, r2))
    return tuple(strips)


def interpolate(network: Autoencoder, name: str, start: Floats, end: Floats) -> Strip:
    """Return evenly spaced pictures between two latent points (z,), both included.

    The score is the largest step between neighbouring pictures over the mean step, a step being
    the Euclidean distance of their pixels.
    """
    shares = np.linspace(0, 1, _FRAMES, dtype=np.float32)
    frames = _draw(network, start + shares[:, None] * (end - start))
    steps = np.linalg.norm(np.diff(frames.reshape(_FRAMES, -1).astype(float), axis=0), axis=1)
    jump = steps.max() / steps.mean() if steps.any() else 1.0
    return Strip(name, frames, shares, float(jump))


def _along(network: Autoencoder, axis: Floats) -> Images:
    return _draw(network, _PLACES[:, None] * axis)


def _draw(network: Autoencoder, points: Floats) -> Images:
    with torch.inference_mode():
        return to_bytes(network.decode(torch.from_numpy(points)))


def _fit(points: Doubles, values: Doubles, ridge: float) -> tuple[Doubles, float]:
    """Return slopes (z,) and intercept of the line through values (n,) at points (n, z)."""
    middle = points.mean(axis=0)
    away = points - middle
    slopes = np.linalg.solve(
        away.T @ away + ridge * np.eye(points.shape[1]), away.T @ (values - values.mean())
    )
    return slopes, float(values.mean() - middle @ slopes)


def _r2(points: Doubles, values: Doubles, fold: NDArray[np.int64], ridge: float) -> float:
    """Return the share of the variance that lines fitted to the other folds predict."""
    missed = np.empty_like(values)
    for out in range(_FOLDS):
        held = fold == out
        slopes, intercept = _fit(points[~held], values[~held], ridge)
        missed[held] = values[held] - (points[held] @ slopes + intercept)
    spread = np.square(values - values.mean()).sum()
    return float(1 - np.square(missed).sum() / spread) if spread > 1e-9 else 0.0
