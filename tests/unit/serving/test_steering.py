"""Pictures changed to measure, with the tiny model's graph."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import bundle
from serving.model import Measured, Model
from serving.steering import RANGES, Goals, Target, goals, steer
from tests import bundles

COLUMNS = {"thickness": 0, "slant": 1, "width": 2, "height": 3}
CLOSE = (0.1, 0.6, 0.25, 0.25)


@pytest.fixture(scope="module")
def model(hands: Path) -> Model:
    """The model of the tiny profile."""
    return Model(bundle.load(bundle.discover(hands)["tiny"]))


@pytest.fixture(scope="module")
def drawn(model: Model) -> Measured:
    """Twelve pictures."""
    return model.decode(np.random.default_rng(3).normal(size=(12, 4)).astype(np.float32))


def to(value: float) -> Target:
    """Return an absolute target."""
    return Target(value, value, is_change=False)


def by(delta: float) -> Target:
    """Return a relative target."""
    return Target(delta, delta, is_change=True)


def asked_of(
    targets: Mapping[str, Target],
    measured: NDArray[np.float32],
    shares: NDArray[np.float64] | float = 0.0,
) -> Goals:
    """Return what the targets ask of pictures that measure so much."""
    places = np.broadcast_to(shares, len(measured))
    return goals({name: target.at(places) for name, target in targets.items()}, measured)


@pytest.mark.parametrize(
    "targets",
    [
        {"thickness": to(2.5)},
        {"thickness": by(-1)},
        {"slant": to(25)},
        {"slant": by(-30)},
        {"width": to(12)},
        {"height": by(-5)},
        {"width": by(3), "height": to(10), "slant": to(-15), "thickness": to(3)},
    ],
    ids=str,
)
def test_asked_is_measured_and_the_rest_stays(
    model: Model, drawn: Measured, targets: Mapping[str, Target]
) -> None:
    """What is asked for is met, and what is not asked for is what it was."""
    result = steer(model, drawn.pixels, drawn.attributes, asked_of(targets, drawn.attributes))

    expected = drawn.attributes.copy()
    for name, target in targets.items():
        column = COLUMNS[name]
        expected[:, column] = target.first + target.is_change * expected[:, column]
    found = bundles.measured_by_numpy(result.pixels)
    np.testing.assert_allclose(found, result.attributes, atol=1e-2)
    assert (np.abs(found - expected).max(axis=0) <= CLOSE).all()


def test_the_given_pictures_are_resampled_once(
    model: Model, drawn: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round, and the turn after them, begins at the pictures as they were drawn."""
    given: list[NDArray[np.float32]] = []
    one = model.steer

    def watched(pixels: NDArray[np.float32], *how: NDArray[np.float32]) -> Measured:
        given.append(pixels)
        return one(pixels, *how)

    monkeypatch.setattr(model, "steer", watched)
    targets = {"slant": to(20), "thickness": to(2), "rotation": by(40)}
    steer(model, drawn.pixels, drawn.attributes, asked_of(targets, drawn.attributes))

    assert 2 <= len(given) <= 5
    assert all(pixels is drawn.pixels for pixels in given)


def test_nothing_asked_changes_nothing(model: Model, drawn: Measured) -> None:
    """Without targets, and with changes of 0, the pictures are what they were to the bit."""
    for targets in ({}, {"slant": by(0), "rotation": to(0)}):
        wanted = asked_of(targets, drawn.attributes)
        result = steer(model, drawn.pixels, drawn.attributes, wanted)
        assert np.array_equal(result.pixels, drawn.pixels)
        assert np.array_equal(result.attributes, drawn.attributes)


def test_rotation_is_counter_clockwise(model: Model, drawn: Measured) -> None:
    """A quarter turn is what numpy calls one; what is measured is told of the upright picture."""
    wanted = asked_of({"rotation": to(90)}, drawn.attributes)

    result = steer(model, drawn.pixels, drawn.attributes, wanted)

    turned = bundles.steered_by_numpy(
        drawn.pixels, np.tile([[0, -1], [1, 0]], (12, 1, 1)), np.zeros(12)
    )
    np.testing.assert_allclose(result.pixels, turned, atol=1e-3)
    np.testing.assert_array_equal(result.upright, drawn.pixels)
    np.testing.assert_array_equal(result.attributes, drawn.attributes)


def test_a_stroke_to_the_right_turns_up(model: Model) -> None:
    """Counter-clockwise is as seen: what points to the right then points up."""
    pixels = np.zeros((1, 28, 28), np.float32)
    pixels[0, 12:16, 8:20] = 0.6
    pixels[0, 12:16, 18:20] = 1
    measured = bundles.measured_by_numpy(pixels)

    result = steer(model, pixels, measured, asked_of({"rotation": to(90)}, measured))

    inked = np.flatnonzero(result.pixels[0].max(axis=1) > 0.9)
    assert 11 < len(np.flatnonzero(result.pixels[0].max(axis=1) > 0.1)) < 15
    assert len(inked) > 0
    assert inked.max() < 10


def test_targets_go_from_first_to_last(drawn: Measured) -> None:
    """Goals are spread by the shares, as values or as changes."""
    shares = np.linspace(0, 1, 12)
    targets = {
        "thickness": Target(2, 3, is_change=False),
        "slant": Target(-5, 5, is_change=True),
        "rotation": Target(0, 110, is_change=False),
    }

    wanted = asked_of(targets, drawn.attributes, shares)

    np.testing.assert_allclose(wanted.upright[:, 0], np.linspace(2, 3, 12))
    np.testing.assert_allclose(
        wanted.upright[:, 1], drawn.attributes[:, 1] + np.linspace(-5, 5, 12), rtol=1e-6
    )
    np.testing.assert_allclose(wanted.upright[:, 2:], drawn.attributes[:, 2:])
    np.testing.assert_allclose(wanted.rotation, np.linspace(0, 110, 12))


def test_changes_end_at_the_edge_of_the_range(drawn: Measured) -> None:
    """A change that leads beyond what may be asked for leads to its edge."""
    targets = {"thickness": by(-5), "height": by(20), "rotation": by(300)}
    wanted = asked_of(targets, drawn.attributes)

    assert (wanted.rotation == RANGES["rotation"].most).all()
    assert (wanted.upright[:, 0] == RANGES["thickness"].least).all()
    assert (wanted.upright[:, 3] == RANGES["height"].most).all()


@pytest.mark.parametrize("ink", [0.0, 1.0])
def test_empty_and_full_pictures_do_no_harm(model: Model, ink: float) -> None:
    """There is nothing to reach, and still an answer."""
    pixels = np.full((2, 28, 28), ink, np.float32)
    measured = bundles.measured_by_numpy(pixels)
    targets = {"thickness": to(6), "width": to(4), "height": to(26), "slant": to(60)}

    result = steer(model, pixels, measured, asked_of(targets, measured))

    assert np.isfinite(result.pixels).all()
    assert np.isfinite(result.attributes).all()
