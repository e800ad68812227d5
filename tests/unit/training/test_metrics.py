"""Figures against cases worked by hand."""

from dataclasses import astuple

import numpy as np
import pytest

from training.metrics import (
    auc,
    bootstrap,
    eer,
    expected_calibration_error,
    reliability,
)


def test_auc_by_hand() -> None:
    """Of 6 pairs 4 are in order and 1 is a tie: 4.5 / 6."""
    assert auc(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])) == pytest.approx(4.5 / 6)


def test_eer_by_hand() -> None:
    """One of four impostors passes where one of four genuine ones fails."""
    genuine, impostor = np.array([1.0, 3, 4, 5]), np.array([-2.0, -1, 0, 2])

    assert eer(genuine, impostor) == pytest.approx(0.25)
    assert eer(genuine + 10, impostor) == 0
    assert eer(impostor, genuine) == pytest.approx(0.75)


def test_eer_between_thresholds() -> None:
    """Where no threshold balances the two errors the curve is taken as straight."""
    genuine, impostor = np.array([0.0, 2.0]), np.array([1.0, -1.0, -2.0])

    assert 0 < eer(genuine, impostor) < 0.5


def test_calibration_error_by_hand() -> None:
    """Four answers at 0.9, three of them right: a gap of 0.15."""
    found = expected_calibration_error(
        reliability(np.full(4, 0.9), np.array([True, True, True, False]))
    )

    assert found == pytest.approx(0.15)


def test_interval_respects_writers() -> None:
    """Repeating one writer's trials does not make the interval narrower."""
    values = np.array([0.0, 1.0, 0.0, 1.0])
    writers = [1, 2, 3, 4]

    once = bootstrap(lambda chosen: float(values[chosen].mean()), writers, np.random.default_rng(0))
    often = bootstrap(
        lambda chosen: float(np.repeat(values, 9)[chosen].mean()),
        list(np.repeat(writers, 9)),
        np.random.default_rng(0),
    )

    assert once.value == often.value == 0.5
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_calibration_error_counts_by_weight() -> None:
    """One answer that counts three times is three answers."""
    confidence, correct = np.array([0.9, 0.6]), np.array([False, True])

    weighted = reliability(confidence, correct, np.array([3.0, 1.0]))
    repeated = reliability(confidence[[0, 0, 0, 1]], correct[[0, 0, 0, 1]])

    assert [astuple(one) for one in weighted] == [
        pytest.approx(astuple(other)) for other in repeated
    ]


def test_reliability_by_hand() -> None:
    """Answers of like confidence stand together, empty bins are left out, the surest last."""
    found = reliability(
        np.array([0.41, 0.43, 1.0, 1.0]), np.array([True, False, True, True]), bins=5
    )

    assert [astuple(one) for one in found] == [
        pytest.approx((0.42, 0.5, 0.5)),
        pytest.approx((1.0, 1.0, 0.5)),
    ]
