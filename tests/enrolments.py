"""Small enrolments, made in seconds: the real stages, fewer images and epochs."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from training.config import FULL, REMEDIED, FitConfig, Recipe
from training.data import Digits, load_bundled
from training.trials import WriterDigits

SAMPLES = Path(__file__).parent.parent / "training" / "samples"

TINY: Recipe = replace(
    REMEDIED,
    name="tiny",
    augment=replace(REMEDIED.augment, count=24),
    vae=replace(REMEDIED.vae, hidden=(64,), latent=8, fit=FitConfig(epochs=3, batch_size=8)),
    training_set=replace(REMEDIED.training_set, samples=16, per_class=96),
    screen=replace(REMEDIED.screen, points=300, fit=FitConfig(epochs=2, batch_size=50)),
    cnn=replace(REMEDIED.cnn, channels=(8, 8, 8), fit=FitConfig(epochs=2, batch_size=32)),
)

TINY_DEFAULT: Recipe = replace(
    FULL,
    name="tiny-default",
    augment=TINY.augment,
    training_set=TINY.training_set,
    screen=TINY.screen,
)


@cache
def background(each: int = 20) -> Digits:
    """Return so many real images of every digit."""
    digits = load_bundled()
    order = np.argsort(digits.labels, kind="stable").reshape(10, -1)[:, :each].ravel()
    return Digits(digits.images[order], digits.labels[order])


def twenty_writers() -> WriterDigits:
    """Return real images as if by twenty writers, six of every digit each."""
    writers = np.tile(np.repeat(np.arange(20, dtype=np.int32), 6), 10)
    return WriterDigits(background(each=120), writers)
