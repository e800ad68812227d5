"""Where pictures come from: the same enrolment, the same number of pictures, different makers.

What the shipped generator is held against does not change with it, and is made apart. To compare
another maker, add one line to ``enrol_others`` or ``enrol_shipped``, and its name to ``OTHERS`` or
``MADE``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.variants.served import Served, encode
from serving.model import Posterior
from serving.noise import generator
from training.augment import Variations, augment
from training.config import DEFAULT, RECIPES, SEED, AugmentConfig
from training.data import Digits
from training.pipeline import learn, learn_screen
from training.synthesize import to_bytes
from training.vae import Autoencoder, train_vae

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]

COUNT = 100
REAL = "real"
AUGMENT, SEED_AUGMENT, SEED_VAE = "augment", "seed-augment", "seed VAE"
UNGATED, SHIPPED = "default, ungated", "default"
OTHERS = (AUGMENT, SEED_AUGMENT, SEED_VAE)
MADE = (*OTHERS, UNGATED, SHIPPED)
VAES = (SEED_VAE, SHIPPED)


@dataclass(frozen=True)
class Made:
    """Pictures, and what was chosen for each.

    Attributes:
        images: uint8 (n, 28, 28).
        codes: float32 (n, c): latent points, or an augmentation's parameters.
        seconds: that the pictures took, without what is done once for a hand.
    """

    images: Images
    codes: Floats
    seconds: float


@dataclass(frozen=True)
class Space:
    """The latent space of a maker.

    Attributes:
        vae: whose it is.
        locate: images (n, 28, 28) to where they lie there, as who uses it finds them.
    """

    vae: Autoencoder
    locate: Callable[[Images], Posterior]


@dataclass(frozen=True)
class Enrolled:
    """One hand, enrolled with several makers.

    Attributes:
        made: by source.
        spaces: of the autoencoders among the makers, by source.
    """

    made: dict[str, Made]
    spaces: dict[str, Space]


@dataclass(frozen=True)
class Shipped(Enrolled):
    """One hand, enrolled with what is shipped.

    Attributes:
        served: the shipped generator as the server uses it.
        redrawn: pictures of ``SHIPPED`` that the classifier had drawn again.
        doubted: share of the prior's points that are in doubt, so that others are taken.
    """

    served: Served
    redrawn: int
    doubted: float


def enrol_others(forms: Images, seed: int, count: int = COUNT) -> Enrolled:
    """Enrol pictures ``forms`` (k, 28, 28) of one hand with everything that is not shipped."""
    seed_augmented = _augmented(forms, SEED.augment, seed, max(count, COUNT))
    chance = torch.Generator().manual_seed(seed)
    seed_vae, _ = train_vae(seed_augmented.images[:COUNT], SEED.vae, chance)
    made = {
        AUGMENT: _augmented(forms, RECIPES[DEFAULT].augment, seed, count),
        SEED_AUGMENT: seed_augmented,
        SEED_VAE: _drawn(seed_vae, seed, count),
    }
    return Enrolled(made, {SEED_VAE: Space(seed_vae, partial(encode, seed_vae))})


def enrol_shipped(
    forms: Images, digit: int, background: Digits, seed: int, count: int = COUNT
) -> Shipped:
    """Enrol pictures ``forms`` (k, 28, 28) of one hand with the recipe that is shipped."""
    learned = learn(forms, digit, RECIPES[DEFAULT], background, seed)
    screened = learn_screen(learned, seed)
    served = Served(learned, screened)
    start = time.perf_counter()
    drawn = served.prior(count, seed)
    gated = Made(drawn.images, drawn.latents, time.perf_counter() - start)
    made = {UNGATED: _drawn(learned.vae, seed, count), SHIPPED: gated}
    space = Space(learned.vae, served.locate)
    return Shipped(made, {SHIPPED: space}, served, drawn.redrawn, screened.doubted)


def pictures(vae: Autoencoder, latent: Floats) -> Images:
    """Return the pictures at latent points (n, z), as the server rounds them."""
    with torch.inference_mode():
        return to_bytes(vae.decode(torch.from_numpy(latent)))


def _augmented(forms: Images, config: AugmentConfig, seed: int, count: int) -> Made:
    start = time.perf_counter()
    random = np.random.default_rng([seed, 7])
    variations = augment(forms, replace(config, count=count), random)
    return Made(variations.images, _parameters(variations), time.perf_counter() - start)


def _parameters(variations: Variations) -> Floats:
    rows = [list(drawn.as_dict().values()) for drawn in variations.drawn]
    return np.array(rows, dtype=np.float32)


def _drawn(vae: Autoencoder, seed: int, count: int) -> Made:
    start = time.perf_counter()
    latent = generator(seed, 0, 0).standard_normal((count, vae.latent), np.float32)
    return Made(pictures(vae, latent), latent, time.perf_counter() - start)
