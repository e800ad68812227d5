"""What an enrolment shows of itself: the pictures that the report is made of."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import Digits
from training.latent.findings import Latent
from training.learned import Learned
from training.record import Record, Tests, thumbnail
from training.synthesize import reconstruct

Images = NDArray[np.uint8]

_RECONSTRUCTIONS = 24
_TESTS = 8
_FEATURE_MAPS = 6


def hold_out(background: Digits, digit: int, seed: int) -> tuple[Digits, Digits]:
    """Return a few images to test on, half of them of the digit, and the rest of the background."""
    random = np.random.default_rng(seed)
    same = random.permutation(np.flatnonzero(background.labels == digit))[:_TESTS]
    others = random.permutation(np.flatnonzero(background.labels != digit))[:_TESTS]
    unseen = np.zeros(len(background), dtype=np.bool_)
    unseen[np.concatenate([same, others])] = True
    return background.where(unseen), background.where(~unseen)


def collect(
    learned: Learned,
    latent: Latent,
    seconds: Mapping[str, float],
    greys: Sequence[Images],
    unseen: Digits,
    digit: int,
) -> Record:
    """Return the record of an enrolment.

    Args:
        learned: what the stages produced.
        latent: map of the latent space.
        seconds: how long each stage took, in order.
        greys: the enrolment pictures, each (h, w).
        unseen: other people's digits that took no part in this enrolment.
        digit: the enrolled one.
    """
    originals = learned.variations.images[:_RECONSTRUCTIONS]
    with torch.inference_mode():
        first = torch.from_numpy(learned.forms[:1]).float() / 255
        maps = learned.classifier.network.feature_maps(first)
    return Record(
        pictures=tuple(thumbnail(grey) for grey in greys),
        forms=learned.forms,
        augmented=learned.variations.images,
        augmentations=tuple(drawn.as_dict() for drawn in learned.variations.drawn),
        reconstructed_from=originals,
        reconstructions=reconstruct(learned.vae, originals),
        samples=learned.samples,
        vae_history=learned.vae_history,
        cnn_history=learned.classifier.history,
        latent=latent,
        feature_maps=tuple(value[0, :_FEATURE_MAPS].numpy() for value in maps),
        tests=_tests(learned, unseen, digit),
        seconds=dict(seconds),
        config=learned.recipe.as_dict(),
    )


def _tests(learned: Learned, unseen: Digits, digit: int) -> Tests:
    """Return verdicts on the enrolled pictures and on digits that took no part in the enrolment."""
    same_digit, others = unseen.split(digit)
    parts = {"own": learned.forms, "other_writer": same_digit, "other": others}
    images = np.concatenate(list(parts.values()))
    with torch.inference_mode():
        probabilities, llr = learned.classifier.graph()(torch.from_numpy(images))
    return Tests(
        images=images,
        truth=tuple(label for label, part in parts.items() for _ in part),
        probabilities=probabilities.numpy(),
        llr=llr.numpy(),
    )
