"""New images from the autoencoder, and the training set of the classifier.

A classifier told apart by how its images were *made* learns nothing of hands: with the own class
drawn by an autoencoder and the others scanned, it learns to see the autoencoder. The seed recipe
does just that, and is kept as the baseline. With ``same_pipeline`` every image of every class has
been through the same augmentation and the same autoencoder at the same rate (the remedy of
"Aligned Datasets", arXiv:2410.11835).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from serving.images import BadImage
from serving.images.mnist_form import centre_in_form
from training.augment import Variations, vary
from training.config import AugmentConfig, TrainingSetConfig
from training.data import Digits
from training.vae import Autoencoder, reparameterise

Images = NDArray[np.uint8]

OWN, OTHER_WRITER, OTHER = 0, 1, 2


@dataclass(frozen=True)
class TrainingSet:
    """Images and classes.

    Attributes:
        images: uint8 (n, 28, 28).
        labels: int64 (n,), index into ``bundle.LABELS``.
        per_class: images of each class in an epoch, or None: every image once.
    """

    images: Images
    labels: NDArray[np.int64]
    per_class: int | None

    def order(self, chance: torch.Generator) -> torch.Tensor:
        """Return the indices of one epoch, in random order."""
        if self.per_class is None:
            return torch.randperm(len(self.labels), generator=chance)
        chosen = []
        for label in (OWN, OTHER_WRITER, OTHER):
            members = torch.from_numpy(np.flatnonzero(self.labels == label))
            picks = torch.randint(len(members), (self.per_class,), generator=chance)
            chosen.append(members[picks])
        indices = torch.cat(chosen)
        return indices[torch.randperm(len(indices), generator=chance)]

    def priors(self) -> tuple[float, float, float]:
        """Return the share of each class in an epoch."""
        if self.per_class is not None:
            return (1 / 3, 1 / 3, 1 / 3)
        own, other_writer, other = np.bincount(self.labels, minlength=3) / len(self.labels)
        return float(own), float(other_writer), float(other)


def sample_prior(vae: Autoencoder, count: int, chance: torch.Generator) -> Images:
    """Return ``count`` images, uint8 (n, 28, 28), for z ~ N(0, I)."""
    noise = torch.randn((count, vae.latent), generator=chance)
    with torch.inference_mode():
        return to_bytes(vae.decode(noise))


def reconstruct(vae: Autoencoder, images: Images, chance: torch.Generator | None = None) -> Images:
    """Return images (n, 28, 28) after encoding and decoding; from the mean without chance."""
    with torch.inference_mode():
        mean, log_variance = vae.encode(torch.from_numpy(images).float() / 255)
        if chance is not None:
            noise = torch.randn(mean.shape, generator=chance)
            mean = reparameterise(mean, log_variance, noise)
        return to_bytes(vae.decode(mean))


def to_bytes(pixels: torch.Tensor) -> Images:
    """Return pixels in [0, 1] as uint8, rounded as the server does."""
    result: Images = np.rint(pixels.numpy() * 255).astype(np.uint8)
    return result


def as_forms(images: Images) -> Images:
    """Bring images (n, 28, 28) to the box and centre of MNIST; drop those without ink."""
    forms = []
    for image in images:
        try:
            forms.append(centre_in_form(np.where(image < 16, 0, image).astype(np.uint8)))
        except BadImage:  # an autoencoder may draw nothing at all
            continue
    return np.stack(forms)


def compose_training_set(
    variations: Variations,
    samples: Images,
    background: Digits,
    digit: int,
    vae: Autoencoder,
    augmenting: AugmentConfig,
    config: TrainingSetConfig,
    random: np.random.Generator,
    chance: torch.Generator,
) -> TrainingSet:
    """Return the labelled set on which the classifier is trained.

    Args:
        variations: of the enrolled picture.
        samples: uint8 (n, 28, 28) from the autoencoder's prior.
        background: other people's digits, without the enrolled writer's.
        digit: the enrolled one.
        vae: trained on the variations.
        augmenting: ranges of the augmentation.
        config: what goes in, and how.
        random: of the augmentation's draws.
        chance: of the autoencoder's.
    """
    sources = {"augmented": variations.images, "sampled": samples}
    own = np.concatenate([sources[name] for name in config.own])
    same_digit, others = background.split(digit)
    if config.same_pipeline:
        own = as_forms(own)
        rate = len(samples) / len(own) if "sampled" in config.own else 0.0
        same_digit, others = (
            _through_pipeline(images, rate, vae, augmenting, random, chance)
            for images in (same_digit, others)
        )
    parts = (own, same_digit, others)
    labels = np.repeat(np.arange(3, dtype=np.int64), [len(part) for part in parts])
    return TrainingSet(np.concatenate(parts), labels, config.per_class if config.balanced else None)


def _through_pipeline(
    images: Images,
    rate: float,
    vae: Autoencoder,
    augmenting: AugmentConfig,
    random: np.random.Generator,
    chance: torch.Generator,
) -> Images:
    """Augment every image, pass a share of them through the autoencoder, keep the originals too."""
    varied = np.stack([vary(image, augmenting, random)[0] for image in images])
    through = random.random(len(varied)) < rate
    varied[through] = reconstruct(vae, varied[through], chance)
    return np.concatenate([images, as_forms(varied)])
