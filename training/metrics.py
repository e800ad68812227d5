"""Figures of verification, with intervals that respect who wrote what.

A writer's images resemble each other, so intervals come from drawing whole writers with
replacement (the bootstrap of Efron 1979, by cluster), never single images.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def auc(genuine: Floats, impostor: Floats) -> float:
    """Return the area under the ROC curve: P(genuine > impostor) + P(equal) / 2."""
    return float(roc_auc_score(*_labelled(genuine, impostor)))


def eer(genuine: Floats, impostor: Floats) -> float:
    """Return the equal error rate: where as many impostors pass as genuine ones fail, 0 to 1.

    Between two thresholds the ROC curve is taken as straight.
    """
    passed, caught, _ = roc_curve(*_labelled(genuine, impostor))
    failed = 1 - caught
    return float(np.interp(0, passed - failed, passed))


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence.

    Attributes:
        confidence: mean probability of the predicted class, 0 to 1.
        accuracy: share of right predictions, 0 to 1.
        share: of all predictions.
    """

    confidence: float
    accuracy: float
    share: float


def reliability(
    probabilities: Floats,
    correct: NDArray[np.bool_],
    weights: Floats | None = None,
    bins: int = 15,
) -> tuple[Bin, ...]:
    """Return the reliability diagram: bins of equal width that hold anything, in order.

    Args:
        probabilities: (n,) of the predicted class.
        correct: (n,) whether the prediction was right.
        weights: (n,) how much each prediction counts; equally without.
        bins: how many the range from 0 to 1 is cut into.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    counted = np.ones(len(probabilities)) if weights is None else weights
    sizes, confident, right = (
        np.bincount(index, counted * values, minlength=bins)
        for values in (np.ones(len(index)), probabilities, correct)
    )
    return tuple(
        Bin(float(confident[at] / sizes[at]), float(right[at] / sizes[at]), float(size))
        for at, size in enumerate(sizes / sizes.sum())
        if size > 0
    )


def expected_calibration_error(bins: Iterable[Bin]) -> float:
    """Return the mean gap between confidence and accuracy (Guo et al. 2017, arXiv:1706.04599)."""
    return sum(one.share * abs(one.confidence - one.accuracy) for one in bins)


def bootstrap(
    figure: Callable[[NDArray[np.int64]], float],
    writers: Sequence[int],
    random: np.random.Generator,
    rounds: int = 400,
) -> Estimate:
    """Return ``figure`` with its interval over writers.

    Args:
        figure: takes indices of trials, repeats included.
        writers: of each trial.
        random: source of chance.
        rounds: resamplings.
    """
    names, owner = np.unique(np.asarray(writers), return_inverse=True)
    members = [np.flatnonzero(owner == index) for index in range(len(names))]
    draws = []
    for _ in range(rounds):
        picked = random.integers(len(names), size=len(names))
        draws.append(figure(np.concatenate([members[index] for index in picked])))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(figure(np.arange(len(owner))), float(low), float(high))


def _labelled(genuine: Floats, impostor: Floats) -> tuple[NDArray[np.int64], Floats]:
    truth = np.repeat(np.array([1, 0]), [len(genuine), len(impostor)])
    return truth, np.concatenate([genuine, impostor])
