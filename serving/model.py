"""The five graphs of one profile as functions from arrays to arrays.

Nothing here knows of requests, seeds or messages. Matrix kernels round differently for different
numbers of rows, and each function says what that means for its answers.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.bundle import CLASSIFIER, DECODER, ENCODER, GRAPHS, SCREEN, STEER, Bundle
from serving.golden import replay
from serving.graph import Graph

__all__ = ["CLASSIFY_ROWS", "OTHER", "Measured", "Model", "Posterior", "Verdicts"]

CLASSIFY_ROWS = 64
OTHER = 2
"""The class of what is not the profile's digit, as a column of ``Verdicts.probabilities``."""

_WARM_ROWS = (1, 2, CLASSIFY_ROWS)


class Verdicts(NamedTuple):
    """What the classifier says of n pictures.

    Attributes:
        probabilities: shape (n, 3), of own, other writer and other; rows sum to 1.
        llr: shape (n,), natural log of p(image | own) / p(image | other writer).
    """

    probabilities: NDArray[np.float32]
    llr: NDArray[np.float32]


@dataclass(frozen=True)
class Posterior:
    """Where n pictures lie in a latent space of size z: a Gaussian for each.

    Attributes:
        mean: shape (n, z).
        deviation: shape (n, z), standard deviations.
        own: shape (n, z), the mean of the same form in the enrolled hand.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    own: NDArray[np.float32]


class Measured(NamedTuple):
    """N pictures as a graph has drawn them, and what they measure.

    Attributes:
        pixels: shape (n, 28, 28), 0 = black to 1 = white.
        attributes: shape (n, 4), measured: thickness in pixels, slant in degrees, width and
            height in pixels.
    """

    pixels: NDArray[np.float32]
    attributes: NDArray[np.float32]


class Model:
    """A loaded, proven and warm model. Every method may be called from many threads at once.

    Attributes:
        latent_size: dimensions of the latent space.
        gate: which latent points' pictures are for the classifier to look at, and which pass.
        golden_difference: largest difference to the training framework's outputs, measured as
            ``golden`` does.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load the graphs, prove them against the golden vectors and warm them.

        Raises:
            BundleError: a graph cannot be loaded, breaks its contract, or computes something
                else than the training framework did.
            ModelFault: a graph answers with the wrong shape or with numbers that are not finite.
        """
        graphs = {name: Graph(bundle, name) for name in GRAPHS}
        self.golden_difference = replay(bundle, graphs)
        self.latent_size = bundle.manifest.latent_size
        self.gate = bundle.manifest.gate
        self._classifier = graphs[CLASSIFIER]
        self._encoder = graphs[ENCODER]
        self._screen = graphs[SCREEN]
        self._decoder = graphs[DECODER]
        self._steer = graphs[STEER]
        self._warm()

    def classify(self, images: NDArray[np.uint8]) -> Verdicts:
        """Return a verdict for each image of shape (n, 28, 28), n >= 1, in MNIST form.

        Equal images in equal company have equal verdicts to the bit; in other company, to about
        1e-6.
        """
        if len(images) <= CLASSIFY_ROWS:
            return Verdicts(*self._classifier.run(images))
        chunks = [
            self._classifier.run(images[start : start + CLASSIFY_ROWS])
            for start in range(0, len(images), CLASSIFY_ROWS)
        ]
        probabilities, llr = zip(*chunks, strict=True)
        return Verdicts(np.concatenate(probabilities), np.concatenate(llr))

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        """Return the posterior of each image of shape (n, 28, 28), n >= 1, in MNIST form.

        One at a time: the result for an image is the same to the bit whatever is beside it.
        """
        still = np.zeros((1, self.latent_size), dtype=np.float32)
        outputs = [self._encoder.run(image[None], still) for image in images]
        _, mean, log_variance, own = map(np.concatenate, zip(*outputs, strict=True))
        return Posterior(mean, np.exp(log_variance / 2), own)

    def doubt(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how likely the classifier would hold it for no such digit, by latent point.

        Args:
            latents: shape (n, z), n >= 1; all in one run.

        Returns:
            Shape (n,), 0 to 1.
        """
        [doubt] = self._screen.run(latents)
        return doubt

    def decode(self, latents: NDArray[np.float32]) -> Measured:
        """Return what is at each latent point; shape (n, z), n >= 1, all in one run."""
        return Measured(*self._decoder.run(latents))

    def steer(
        self,
        pixels: NDArray[np.float32],
        matrix: NDArray[np.float32],
        pen: NDArray[np.float32],
    ) -> Measured:
        """Return pictures bent to order and written with another pen, all in one run.

        Args:
            pixels: shape (n, 28, 28), n >= 1, 0 = black to 1 = white.
            matrix: shape (n, 2, 2); the new picture has at point p what ``pixels`` has at
                matrix @ p. Points are in pixels from the ink's centre of mass, x to the right, y
                down.
            pen: shape (n,), pixels by which strokes become wider afterwards.
        """
        return Measured(*self._steer.run(pixels, matrix, pen))

    def measure(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return about the attributes (n, 4) of pictures, as those of ``Measured``, all in one run.

        They are measured once steering has redrawn the pictures, asked for no change, which alone
        changes slant by .4 degrees and width by .6 pixels (root mean square; docs/experiments.md).

        Args:
            pixels: shape (n, 28, 28), n >= 1, 0 = black to 1 = white.
        """
        unbent = np.tile(np.eye(2, dtype=np.float32), (len(pixels), 1, 1))
        return self.steer(pixels, unbent, np.zeros(len(pixels), np.float32)).attributes

    def _warm(self) -> None:
        """Run batches of the sizes that will be met once."""
        for rows in _WARM_ROWS:
            images = np.zeros((rows, 28, 28), dtype=np.uint8)
            self.classify(images)
            latents = np.zeros((rows, self.latent_size), dtype=np.float32)
            self.doubt(latents)
            self.measure(self.decode(latents).pixels)
        self.encode(images[:1])
