"""What can be chosen, as values: one frozen dataclass for each stage, one recipe for each whole.

``SEED`` is the recipe that this project started from, to the letter of its figures; it is the
baseline and must not be improved. ``FULL`` is what an enrolment uses unless told otherwise, and
the recipes beside it leave stages out, to measure what each contributes. ``RECIPES`` lists all by
name.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Range:
    """A uniform distribution from ``low`` to ``high``."""

    low: float
    high: float


@dataclass(frozen=True)
class AugmentConfig:
    """How variations of the enrolled picture are drawn.

    Attributes:
        count: variations.
        canvas: rows and columns on which the picture is varied; lengths below are in its pixels.
        edge_touched: probability that an edge pixel of the ink is changed at all.
        edge_cleared: probability that a touched pixel left (above) of the middle is cleared.
        edge_filled: probability that a touched pixel right of (below) the middle is filled;
            1 or more = always.
        kernels: sides of the square with which the ink is eroded or dilated; empty = neither.
        rotation: degrees, counter-clockwise.
        translation: pixels, in both axes.
        brightness: factor.
        contrast: factor about the image's mean.
        blur_probability: share of variations that are blurred.
        blur: radius in pixels (standard deviation of the Gaussian).
        mnist_form: bring every variation to the box and centre of MNIST.
    """

    count: int = 100
    canvas: tuple[int, int] = (405, 257)
    edge_touched: float = 0.8
    edge_cleared: Range = Range(0.1, 0.3)
    edge_filled: Range = Range(1.5, 3.0)
    kernels: tuple[int, ...] = (5, 7, 9, 11)
    rotation: Range = Range(-5, 5)
    translation: Range = Range(-10, 10)
    brightness: Range = Range(0.5, 1.5)
    contrast: Range = Range(0.5, 1.5)
    blur_probability: float = 0.7
    blur: Range = Range(1.5, 3.0)
    mnist_form: bool = False


@dataclass(frozen=True)
class FitConfig:
    """How a network is trained: Adam (Kingma and Ba 2015, arXiv:1412.6980) for so many epochs."""

    epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    epsilon: float = 1e-8


@dataclass(frozen=True)
class VaeConfig:
    """The variational autoencoder.

    Attributes:
        hidden: widths of the encoder's layers; the decoder has them in reverse.
        latent: dimensions of the latent space.
        noise: factor on the deviation while training, 1 = the textbook's.
        divergence_weight: factor on the Kullback-Leibler term, 1 = the evidence lower bound.
        fit: how it is trained.
    """

    hidden: tuple[int, ...] = (512, 256)
    latent: int = 128
    noise: float = 2.0
    divergence_weight: float = 0.5
    fit: FitConfig = FitConfig(epochs=100, batch_size=8)


@dataclass(frozen=True)
class HandConfig:
    """The population's autoencoder in one hand, instead of one that is trained on that hand.

    Attributes:
        spread: factor on the standard deviation with which the hand's next picture is drawn, but
            for its attributes, which vary as other writers' do (``training.generator.traits``). The
            model's Gaussian has tails where no digit lies; at this factor the pictures are as far
            apart as the dev writers' own (docs/experiments.md).
        sharpness: factor on the pixels' log-odds: an autoencoder draws the mean of all edges that
            it holds possible, and a scan shows one.
        pull: share of the way that the hand's middle moves from where the model expects it to the
            enrolled pictures themselves. The model is too modest about them: at this share a hand's
            pictures are as near to the enrolled one as the dev writers' own are, and as many are
            taken for the hand when both are steered alike (docs/experiments.md).
    """

    spread: float = 0.5
    sharpness: float = 1.5
    pull: float = 0.15


@dataclass(frozen=True)
class CnnConfig:
    """The three-class convolutional network.

    Attributes:
        channels: of the three convolutions.
        dense: width of the layer before the classes.
        fit: how it is trained; Keras' Adam has epsilon 1e-7.
    """

    channels: tuple[int, int, int] = (32, 64, 64)
    dense: int = 64
    fit: FitConfig = FitConfig(epochs=5, batch_size=64, epsilon=1e-7)


@dataclass(frozen=True)
class PrototypeConfig:
    """A classifier on top of the base: what the enrolled hand's prototype is the mean of.

    Each group is averaged first, then weighted; the weights need not add up to one.

    Attributes:
        forms: weight of the enrolled pictures.
        variations: weight of what the augmentation made of them.
        samples: weight of what the autoencoder draws.
    """

    forms: float = 1.0
    variations: float = 0.0
    samples: float = 0.0


@dataclass(frozen=True)
class TrainingSetConfig:
    """What the classifier is trained on.

    Attributes:
        own: where the own class comes from: any of ``augmented``, ``sampled``.
        samples: images drawn from the autoencoder's prior.
        same_pipeline: pass the other classes through the augmentation and the autoencoder too,
            at the own class's rate, so that no class can be told by how its images were made.
        balanced: draw each class equally often; otherwise each image.
        per_class: images of each class in a balanced epoch.
    """

    own: tuple[str, ...] = ("sampled",)
    samples: int = 100
    same_pipeline: bool = False
    balanced: bool = False
    per_class: int = 2000


@dataclass(frozen=True)
class ScreenConfig:
    """The cheap guess at which latent points' pictures the classifier would refuse.

    Attributes:
        points: drawn and classified to learn from, and as many to set the threshold with.
        warmest: temperatures up to this are learned from.
        other: a picture is refused that the classifier holds for something else than the digit with
            more than this probability. What is drawn can be drawn anew, so this is stricter than
            the decision on what somebody wrote.
        hidden: width of the perceptron's one layer.
        missed: share of the prior's pictures that may be out of doubt though they would be refused.
        fit: how it is trained.
    """

    points: int = 6000
    warmest: float = 2.6
    other: float = 0.1
    hidden: int = 64
    missed: float = 0.002
    fit: FitConfig = FitConfig(epochs=30, batch_size=100, learning_rate=3e-3)


@dataclass(frozen=True)
class LatentConfig:
    """What the latent space is looked at with; the figures themselves decide between them.

    Attributes:
        perplexity: effective number of neighbours in t-SNE; a half and a sixth of it are tried too.
        clusters: of K-means, at most.
        neighbours: over which maps, and the reach of samples, are judged.
        seed: of K-means and of the pictures from which directions are learned.
    """

    perplexity: float = 30.0
    clusters: int = 10
    neighbours: int = 5
    seed: int = 42


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what an enrolment does, but for the pictures and the seed.

    Attributes:
        name: by which it is asked for.
        summary: one line for people.
        augment: first stage.
        vae: second stage.
        training_set: what the second stage gives to the third.
        cnn: third stage, where the network is trained at enrolment.
        screen: which latent points are in doubt.
        latent: the map of the latent space.
        hand: second stage, where the autoencoder is the generator's; None = ``vae`` is trained.
        metric: third stage, where the network is the base; None = ``cnn`` is trained.
    """

    name: str
    summary: str
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    training_set: TrainingSetConfig = field(default_factory=TrainingSetConfig)
    cnn: CnnConfig = field(default_factory=CnnConfig)
    screen: ScreenConfig = field(default_factory=ScreenConfig)
    latent: LatentConfig = field(default_factory=LatentConfig)
    hand: HandConfig | None = None
    # Under the name that its hash holds: with another, all that is kept by recipe would be anew.
    metric: PrototypeConfig | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain nested values, without the networks that it does not use."""
        values = dataclasses.asdict(self)
        del values["metric" if self.metric is None else "cnn"]
        del values["hand" if self.hand is None else "vae"]
        return values

    def sha256(self) -> str:
        """Return a hash that changes with any choice."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


SEED = Recipe(
    name="seed",
    summary="the notebook that this project started from, to the letter; the baseline",
)

# Half the canvas of the seed in each direction is still six times MNIST's resolution. The ranges
# are what one writer's digits differ by, rather than what a whole population does.
_GENTLE = AugmentConfig(
    canvas=(168, 168),
    edge_touched=0.3,
    edge_cleared=Range(0.1, 0.3),
    edge_filled=Range(0.1, 0.3),
    kernels=(3,),
    rotation=Range(-5, 5),
    translation=Range(-3, 3),
    brightness=Range(0.9, 1.1),
    contrast=Range(0.9, 1.1),
    blur_probability=0.5,
    blur=Range(1.0, 3.0),
    mnist_form=True,
)

REMEDIED = Recipe(
    name="remedied",
    summary="the seed's stages with one image form, one pipeline and equal shares for all classes",
    augment=_GENTLE,
    vae=VaeConfig(latent=32, noise=1.0, divergence_weight=1.0, fit=FitConfig(100, 8)),
    training_set=TrainingSetConfig(own=("augmented", "sampled"), same_pipeline=True, balanced=True),
)


def _on_base(name: str, summary: str, prototype: PrototypeConfig | None) -> Recipe:
    return Recipe(name, summary, augment=_GENTLE, hand=HandConfig(), metric=prototype)


# The weights are flat around their optimum on dev writers; see docs/experiments.md.
BASE_ONLY = _on_base("base-only", "the base and the pictures alone", PrototypeConfig())
AUGMENT_ONLY = _on_base(
    "augment-only", "the base, pictures and their variations", PrototypeConfig(variations=0.5)
)
VAE_ONLY = _on_base(
    "vae-only", "the base, pictures and what the autoencoder draws", PrototypeConfig(samples=0.5)
)
# What the autoencoder draws is a hand's next picture, but softer than a scan, and blurs the
# prototype; see docs/experiments.md.
FULL = _on_base(
    "default",
    "the one to use; classifies as augment-only, and all on the base draw alike",
    AUGMENT_ONLY.metric,
)

RECIPES = {
    recipe.name: recipe for recipe in (SEED, REMEDIED, BASE_ONLY, AUGMENT_ONLY, VAE_ONLY, FULL)
}
DEFAULT = "default"
