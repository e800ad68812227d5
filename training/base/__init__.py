"""The base: what hundreds of other writers teach about telling hands apart, as committed weights.

It is learned once, by ``python -m training pretrain``, and knows nobody who is enrolled later. An
enrolment loads it, adds where the new hand lies (``training.prototype``), and changes none of it.
``card.md`` says what it was trained on, how well it does and what it cannot do.

::

    network      from pictures to embeddings and digit logits
    crowd        where other hands lie, and what a cosine is worth among them
    calibration  what a score is worth

How it came to be::

    train        four trainings, from other people's digits
    contrast     batches of one digit by many writers, and the loss on them
    jitter       changes of a batch that a hand or a capture makes
    nondigits    pictures of no digit
    calibrate    what its scores are worth, fitted on writers that it never saw
"""

from dataclasses import dataclass
from pathlib import Path

from training.base.calibration import Calibration, read_calibration
from training.base.network import Base, read_weights

HERE = Path(__file__).parent
WEIGHTS = "weights.npz"
CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class Pretrained:
    """The network and how its scores are read."""

    network: Base
    calibration: Calibration


def load(folder: Path = HERE) -> Pretrained:
    """Return the base in a folder, by default the committed one, ready for inference.

    Raises:
        training.errors.WeightsError: a file is missing, damaged or of another network.
    """
    return Pretrained(read_weights(folder / WEIGHTS), read_calibration(folder / CALIBRATION))
