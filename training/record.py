"""What an enrolment remembers for people: the pictures and numbers that the report shows.

Nothing is drawn here; that is what ``training.report`` is for. ``training.record_file`` keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from serving.bundle import LABELS
from training.latent.findings import Floats, Images, Latent
from training.shapes import expect

THUMBNAIL_SIDE = 480

History = Mapping[str, tuple[float, ...]]


def no_images() -> Images:
    """Return the images of a stage that a recipe skips; shape (0, 28, 28)."""
    return np.zeros((0, 28, 28), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Tests:
    """Pictures shown to the finished model, and what it said of them.

    None but the enrolment's own forms may have taken part in it; the report recognises those by
    their pixels and says so.

    Attributes:
        images: (t, 28, 28).
        truth: the true label of each, one of ``serving.bundle.LABELS``.
        probabilities: (t, 3), in the order of ``LABELS``.
        llr: (t,), natural-log likelihood ratio own : other writer.
    """

    __test__ = False  # not a class of tests, whatever its name makes a test runner believe

    images: Images = field(default_factory=no_images)
    truth: tuple[str, ...] = ()
    probabilities: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    llr: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        t = len(self.truth)
        expect("tests.images", self.images, np.uint8, (t, 28, 28))
        expect("tests.probabilities", self.probabilities, np.float32, (t, len(LABELS)))
        expect("tests.llr", self.llr, np.float32, (t,))
        for label in self.truth:
            if label not in LABELS:
                raise ValueError(f"tests.truth: expected labels of {LABELS}, found {label!r}")


@dataclass(frozen=True, eq=False)
class Record:
    """One enrolment in pictures. What a recipe skips stays empty.

    Attributes:
        pictures: the enrolment pictures as grey thumbnails, each (h, w); see ``thumbnail``.
        forms: (k, 28, 28), their MNIST forms.
        augmented: (n, 28, 28), variations of the forms.
        augmentations: the parameters drawn for each of them, by name.
        reconstructed_from: (m, 28, 28), images that went into the VAE ...
        reconstructions: (m, 28, 28), ... and what came out of it.
        samples: (s, 28, 28), drawn from the VAE's prior.
        vae_history: ``loss``, ``reconstruction`` and ``divergence`` of each epoch, nats an image.
        cnn_history: ``loss`` (nats an image) and ``accuracy`` of each epoch.
        latent: what the latent space makes of them, or None without a VAE.
        feature_maps: one (6, h, w) for each convolution, of the first form.
        tests: test pictures and verdicts.
        seconds: duration of each stage, in order.
        config: what the recipe was set to, by stage; for display only.
    """

    pictures: tuple[Images, ...]
    forms: Images
    augmented: Images = field(default_factory=no_images)
    augmentations: tuple[Mapping[str, float], ...] = ()
    reconstructed_from: Images = field(default_factory=no_images)
    reconstructions: Images = field(default_factory=no_images)
    samples: Images = field(default_factory=no_images)
    vae_history: History = field(default_factory=dict)
    cnn_history: History = field(default_factory=dict)
    latent: Latent | None = None
    feature_maps: tuple[Floats, ...] = ()
    tests: Tests = field(default_factory=Tests)
    seconds: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        k, n, m = len(self.pictures), len(self.augmentations), len(self.reconstructed_from)
        for index, picture in enumerate(self.pictures):
            expect(f"pictures[{index}]", picture, np.uint8, (None, None))
        expect("forms", self.forms, np.uint8, (k, 28, 28))
        expect("augmented", self.augmented, np.uint8, (n, 28, 28))
        expect("reconstructed_from", self.reconstructed_from, np.uint8, (m, 28, 28))
        expect("reconstructions", self.reconstructions, np.uint8, (m, 28, 28))
        expect("samples", self.samples, np.uint8, (None, 28, 28))
        if self.latent is not None:
            held = (len(self.forms), n, len(self.samples))
            if any(asked > there for asked, there in zip(self.latent.counts, held, strict=True)):
                raise ValueError(
                    f"latent.counts: expected at most {held}, found {self.latent.counts}"
                )
        for index, maps in enumerate(self.feature_maps):
            expect(f"feature_maps[{index}]", maps, np.float32, (None, None, None))


def thumbnail(picture: Images, side: int = THUMBNAIL_SIDE) -> Images:
    """Return the picture, shape (h, w), reduced until no side is longer than ``side``."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)
