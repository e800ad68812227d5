"""What the stages before export produce, as values that the stages after it read."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.augment import Variations
from training.cnn import Cnn
from training.config import Recipe
from training.export import ClassifierGraph
from training.fit import History
from training.prototype import PrototypeClassifier
from training.synthesize import TrainingSet
from training.vae import Autoencoder

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Classifier:
    """The third stage's outcome.

    Attributes:
        network: logits (n, 3) and feature maps for pixels (n, 28, 28).
        priors: class shares that its probabilities stand for.
        training_set: what it was trained on; None on the base.
        history: of its training; empty on the base.
    """

    network: Cnn | PrototypeClassifier
    priors: tuple[float, float, float]
    training_set: TrainingSet | None = None
    history: History = field(default_factory=dict)

    def graph(self) -> ClassifierGraph:
        """Return the classifier as it is served."""
        return ClassifierGraph(self.network, self.priors).eval()


@dataclass(frozen=True)
class Learned:
    """All that the stages before export produce."""

    recipe: Recipe
    forms: Images
    variations: Variations
    vae: Autoencoder
    vae_history: History
    samples: Images
    classifier: Classifier
