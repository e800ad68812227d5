"""What the base's scores are worth: fitted, and measured, on writers that it never saw.

A network that was trained on a writer is too sure of that writer. So the tables of
``Calibration``, the caution against calling a digit none, and the temperature of the digit head
are fitted with a network of the same recipe to which the dev writers were unknown.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor, nn

from training.base.calibration import Calibration
from training.base.crowd import crowding, score
from training.base.network import NOT_A_DIGIT, Base, embed
from training.base.nondigits import Images, mixture
from training.data import DIGITS
from training.metrics import auc, eer
from training.trials import DEV, WriterDigits, draw_trials

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]

FITTED_ON = "dev writers (number % 5 == 1), by a network of the same recipe that never saw them"
_TURNS = 3
_LEAST_SLOPE = 1e-3  # a higher score must never be weaker evidence


@dataclass(frozen=True)
class CalibrationConfig:
    """What is fitted.

    Attributes:
        pictures: numbers of enrolled pictures, ascending from 1.
        refused: share of the dev digits that may be called "not a digit".
        non_digits: pictures of something else, for the temperature.
    """

    pictures: tuple[int, ...] = (1, 2, 3, 5)
    refused: float = 0.005
    non_digits: int = 1200


@dataclass(frozen=True)
class Readings:
    """What a network says of all pictures of the dev writers.

    Attributes:
        data: the pictures.
        embeddings: float64 (n, e).
        logits: (n, 11).
        crowds: float64 (10, k, e), where other hands lie.
    """

    data: WriterDigits
    embeddings: Tensor
    logits: Floats
    crowds: Tensor

    def scores(self, digit: int, pictures: int) -> tuple[Floats, Floats]:
        """Return all genuine and all impostor scores of the dev trials."""
        genuine: list[Tensor] = []
        impostors: list[Tensor] = []
        for trial in draw_trials(self.data, digit, pictures, _TURNS, 0, 0, fold=DEV):
            hand = F.normalize(self.embeddings[trial.enrolled].sum(dim=0), dim=0)
            crowd = self.crowds[digit]
            crowded = crowding(hand, crowd)
            for rows, scores in ((trial.genuine, genuine), (trial.impostors, impostors)):
                scores.append(score(self.embeddings[rows], hand, crowd, crowded))
        return torch.cat(genuine).numpy(), torch.cat(impostors).numpy()


def read(network: Base, data: WriterDigits) -> Readings:
    """Return what the network says of the dev writers' pictures in ``data``."""
    dev = data.where(data.by_folds(DEV))
    embeddings, logits = embed(network, dev.digits.images)
    crowds = torch.stack([network.crowd_of(digit) for digit in range(DIGITS)])
    return Readings(
        dev, torch.from_numpy(embeddings).double(), logits.astype(np.float64), crowds.double()
    )


def calibrate(readings: Readings, config: CalibrationConfig) -> Calibration:
    """Return the lines from score to likelihood ratio, by digit and number of pictures."""
    lines = [
        [fit_line(*readings.scores(digit, pictures)) for pictures in config.pictures]
        for digit in range(DIGITS)
    ]
    slope, offset = (
        tuple(tuple(round(line[part], 5) for line in row) for row in lines) for part in (0, 1)
    )
    return Calibration(config.pictures, slope, offset, FITTED_ON)


def fit_line(genuine: Floats, impostors: Floats) -> tuple[float, float]:
    """Return slope and offset of the log-likelihood ratio; both kinds weigh the same."""

    def loss(line: Floats) -> float:
        own, other = (line[0] * scores + line[1] for scores in (genuine, impostors))
        return float(np.logaddexp(0, -own).mean() + np.logaddexp(0, other).mean())

    found = optimize.minimize(
        loss, (10.0, -5.0), method="L-BFGS-B", bounds=((_LEAST_SLOPE, None), (None, None))
    )
    return float(found.x[0]), float(found.x[1])


def fit_caution(readings: Readings, refused: float) -> float:
    """Return what to take off the "not a digit" logit so that so few dev digits are called that."""
    ahead = readings.logits[:, NOT_A_DIGIT] - readings.logits[:, :NOT_A_DIGIT].max(axis=1)
    return float(np.quantile(ahead, 1 - refused))


def be_cautious(network: Base, by: float) -> None:
    """Take ``by`` off the "not a digit" logit, inside the weights."""
    last = network.digit[-1]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"digit head: expected a linear layer at its end, found {type(last)}")
    with torch.no_grad():
        last.bias[NOT_A_DIGIT] -= by


def fit_temperature(
    network: Base, readings: Readings, config: CalibrationConfig, random: np.random.Generator
) -> float:
    """Return the temperature of the digit head, from dev digits and fresh pictures of no digit."""
    nothing = some_non_digits(readings.data, config.non_digits, random)
    logits = torch.from_numpy(np.concatenate([readings.logits, embed(network, nothing)[1]]))
    truth = np.concatenate([readings.data.digits.labels, np.full(len(nothing), NOT_A_DIGIT)])
    labels = torch.from_numpy(truth.astype(np.int64))

    def loss(exponent: float) -> float:
        return F.cross_entropy(logits / float(np.exp(exponent)), labels).item()

    found = optimize.minimize_scalar(loss, bounds=(-2, 2), method="bounded")
    return float(np.exp(found.x))


def some_non_digits(data: WriterDigits, count: int, random: np.random.Generator) -> Images:
    """Return pictures of no digit; ones are left out, since a piece of a one is a one."""
    return mixture(data.digits.images[data.digits.labels != 1], random, count)


def measure(readings: Readings, config: CalibrationConfig, nothing: Logits) -> dict[str, Any]:
    """Return the figures on dev writers, by digit and number of pictures.

    Args:
        readings: of the calibrated network.
        config: which numbers of pictures.
        nothing: digit logits (n, 11) of pictures that show no digit.
    """
    named = readings.logits.argmax(axis=1)
    return {
        "hand": [
            {"digit": digit, "pictures": pictures, **_separation(*readings.scores(digit, pictures))}
            for digit in range(DIGITS)
            for pictures in config.pictures
        ],
        "digit": {
            "n": len(named),
            "named right": float((named == readings.data.digits.labels).mean()),
            "called not a digit": float((named == NOT_A_DIGIT).mean()),
        },
        "not a digit": {
            "n": len(nothing),
            "called not a digit": float((nothing.argmax(axis=1) == NOT_A_DIGIT).mean()),
        },
    }


def _separation(genuine: Floats, impostors: Floats) -> dict[str, float]:
    return {
        "genuine": len(genuine),
        "impostors": len(impostors),
        "auc": auc(genuine, impostors),
        "eer": eer(genuine, impostors),
    }
