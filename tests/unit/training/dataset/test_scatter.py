"""Attributes that each picture draws for itself, as the service's own code takes them."""

import numpy as np
import pytest

from serving.noise import generator
from serving.steering import NAMES, Goals, goals
from tests.artists import HAND
from training.dataset.order import Order, Span
from training.dataset.scatter import scattered, uniform

SPANS = (Span("thickness", 2, 4), Span("slant", -20, 20), Span("rotation", -10, 10))


def wanted(rows: range, spans: tuple[Span, ...] = SPANS, seed: int = 7, count: int = 4000) -> Goals:
    """Return what is asked of pictures that have 9 of everything by themselves."""
    plan = scattered(Order(HAND, count, seed=seed, spans=spans))
    own = np.full((len(rows), 4), 9, dtype=np.float32)
    return goals(plan.asked(rows), own)


def test_evenly_likely_in_their_spans() -> None:
    """Values fill their spans evenly, and know nothing of one another nor of the row."""
    found = wanted(range(4000))
    values = {
        "thickness": (found.upright[:, 0], 2, 4),
        "slant": (found.upright[:, 1], -20, 20),
        "rotation": (found.rotation, -10, 10),
    }

    for drawn, least, most in values.values():
        counts, _ = np.histogram(drawn, bins=10, range=(least, most))
        assert counts.sum() == 4000
        assert 320 < counts.min() < counts.max() < 480  # 400 +- 4 deviations
    table = np.corrcoef([*(drawn for drawn, _, _ in values.values()), np.arange(4000)])
    assert np.abs(table - np.eye(4)).max() < 0.07


def test_a_row_alone_decides() -> None:
    """Neither the company, the number of pictures nor other attributes change what a row gets."""
    whole = wanted(range(64))
    part = wanted(range(17, 40), spans=(Span("slant", -20, 20),), count=33)

    assert np.array_equal(part.upright[:, 1], whole.upright[17:40, 1])
    assert not np.array_equal(wanted(range(64), seed=8).upright, whole.upright)


def test_what_is_not_asked_for_stays() -> None:
    """The hand keeps its own width and height."""
    assert np.array_equal(wanted(range(20)).upright[:, 2:], np.full((20, 2), 9))


@pytest.mark.parametrize("attempt", [0, 1, 16])
def test_streams_of_their_own(attempt: int) -> None:
    """No attribute is made of the bits of which a latent code is made."""
    shape = (2000, len(NAMES))
    latents = generator(7, 0, attempt).standard_normal(shape, np.float32)
    drawn = uniform(7, list(range(2000)), len(NAMES))

    table = np.corrcoef(latents.T, drawn.T)[: len(NAMES), len(NAMES) :]
    assert np.abs(table).max() < 0.1
