"""The writer benchmark: who is enrolled with what, and who tries to pass for whom.

Split by writer: validation writers are those whose number is divisible by five. Nothing is ever
fitted, tuned or calibrated on them; their images are taken out of every background. Choices are
made on dev writers, whose number leaves a remainder of one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Digits

Indices = NDArray[np.int64]

FOLDS = 5
VALIDATION, DEV = 0, 1
FOLD_NAMES = {"development": DEV, "validation": VALIDATION}
MIN_IMAGES = 5
IMPOSTORS = 300
OTHERS = 500


@dataclass(frozen=True)
class WriterDigits:
    """MNIST's training set with the writer of each image, int32 (n,)."""

    digits: Digits
    writers: NDArray[np.int32]

    def validation(self) -> NDArray[np.bool_]:
        """Return which images (n,) are by validation writers."""
        return self.by_folds(VALIDATION)

    def by_folds(self, *folds: int) -> NDArray[np.bool_]:
        """Return which images (n,) are by writers whose number leaves one of these remainders."""
        return np.isin(self.writers % FOLDS, folds)

    def where(self, mask: NDArray[np.bool_]) -> "WriterDigits":
        """Return the images for which ``mask`` (n,) is True."""
        return WriterDigits(self.digits.where(mask), self.writers[mask])


@dataclass(frozen=True)
class Trial:
    """One enrolment and everything that is then shown to it; indices into MNIST's training set.

    Attributes:
        writer: the enrolled one.
        turn: which of the writer's enrolments this is, from 0.
        enrolled: (k,) the enrolment pictures.
        genuine: the writer's other images of the digit.
        impostors: the digit by other writers of the fold.
        others: other digits by writers of the fold.
        strangers: the digit by one other writer of the fold, as if that one were the enrolled.
    """

    writer: int
    turn: int
    enrolled: Indices
    genuine: Indices
    impostors: Indices
    others: Indices
    strangers: Indices


def draw_trials(
    data: WriterDigits,
    digit: int,
    pictures: int,
    turns: int,
    writers: int,
    seed: int,
    *,
    fold: int = VALIDATION,
) -> list[Trial]:
    """Return the trials of the benchmark.

    Args:
        data: all images.
        digit: the enrolled one.
        pictures: of each enrolment.
        turns: enrolments of each writer, at most.
        writers: the first so many writers of the fold; 0 = all.
        seed: equal seeds give equal trials, whatever the number of writers or turns.
        fold: whose writers; anything but a final figure takes ``DEV``.
    """
    theirs = data.by_folds(fold)
    mine = theirs & (data.digits.labels == digit)
    pool = np.flatnonzero(mine)
    others = np.flatnonzero(theirs & (data.digits.labels != digit))
    names, counts = np.unique(data.writers[mine], return_counts=True)
    eligible = names[counts >= max(MIN_IMAGES, pictures + 1)]
    if len(eligible) < 2:  # a writer is held against another one
        return []
    chosen = eligible[: writers or None]
    return [
        trial
        for writer in chosen
        for trial in _trials_of(int(writer), data, pool, others, eligible, pictures, turns, seed)
    ]


def _trials_of(
    writer: int,
    data: WriterDigits,
    pool: Indices,
    others: Indices,
    eligible: NDArray[np.int32],
    pictures: int,
    turns: int,
    seed: int,
) -> list[Trial]:
    random = np.random.default_rng([seed, writer])
    own = random.permutation(pool[data.writers[pool] == writer])
    foreign = pool[data.writers[pool] != writer]
    trials = []
    for turn in range(min(turns, len(own))):
        enrolled = np.roll(own, -turn)[:pictures]
        stranger = random.choice(eligible[eligible != writer])
        trials.append(
            Trial(
                writer=writer,
                turn=turn,
                enrolled=enrolled,
                genuine=np.setdiff1d(own, enrolled),
                impostors=_some(foreign, IMPOSTORS, random),
                others=_some(others, OTHERS, random),
                strangers=pool[data.writers[pool] == stranger],
            )
        )
    return trials


def _some(indices: Indices, count: int, random: np.random.Generator) -> Indices:
    return random.permutation(indices)[:count]


def without_validation(background: Digits, data: WriterDigits) -> Digits:
    """Return the background without images by validation writers, found by their pixels."""
    validation = set(_fingerprints(data.digits.images[data.validation()]))
    keep = [print_ not in validation for print_ in _fingerprints(background.images)]
    return background.where(np.array(keep))


def _fingerprints(images: NDArray[np.uint8]) -> Sequence[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
