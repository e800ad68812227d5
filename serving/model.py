"""The three graphs of one profile as functions from arrays to arrays.

Nothing here knows of requests, seeds or messages. Batches are run in chunks of a fixed size, so
memory does not grow with the request, and a chunk is also the unit in which work is spread over
threads and dropped when nobody waits for it any more.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.bundle import CLASSIFIER, DECODER, ENCODER, Bundle
from serving.golden import replay
from serving.graph import Graph

__all__ = ["CLASSIFY_ROWS", "DECODE_ROWS", "Model", "Posterior", "Verdicts"]

CLASSIFY_ROWS = 64
DECODE_ROWS = 16


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
    """What the encoder says of n pictures: a Gaussian for each, in a latent space of size z.

    Attributes:
        mean: shape (n, z).
        deviation: shape (n, z), standard deviations.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]


class Model:
    """A loaded, proven and warm model. Every method may be called from many threads at once.

    Attributes:
        latent_size: dimensions of the latent space.
        golden_difference: largest absolute difference to the training framework's outputs.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load the graphs, prove them against the golden vectors and warm them.

        Raises:
            BundleError: a graph cannot be loaded, breaks its contract, or computes something
                else than the training framework did.
            ModelFault: a graph answers with the wrong shape or with numbers that are not finite.
        """
        graphs = {name: Graph(bundle, name) for name in (CLASSIFIER, ENCODER, DECODER)}
        self.golden_difference = replay(bundle, graphs)
        self.latent_size = bundle.manifest.latent_size
        self._classifier = graphs[CLASSIFIER]
        self._encoder = graphs[ENCODER]
        self._decoder = graphs[DECODER]
        self._warm()

    def classify(self, images: NDArray[np.uint8]) -> Verdicts:
        """Return a verdict for each image of shape (n, 28, 28), n >= 1, in MNIST form."""
        chunks = [
            self._classifier.run(images[start : start + CLASSIFY_ROWS])
            for start in range(0, len(images), CLASSIFY_ROWS)
        ]
        if len(chunks) == 1:
            return Verdicts(*chunks[0])
        probabilities, llr = zip(*chunks, strict=True)
        return Verdicts(np.concatenate(probabilities), np.concatenate(llr))

    def encode(self, images: NDArray[np.uint8]) -> Posterior:
        """Return the posterior of each image of shape (n, 28, 28), n >= 1, in MNIST form.

        One at a time: the result for an image is the same to the bit whatever is beside it.
        """
        still = np.zeros((1, self.latent_size), dtype=np.float32)
        outputs = [self._encoder.run(image[None], still) for image in images]
        mean = np.concatenate([mean for _, mean, _ in outputs])
        log_variance = np.concatenate([log_variance for _, _, log_variance in outputs])
        return Posterior(mean, np.exp(log_variance / 2))

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture at each latent point; (n, z) to (n, 28, 28), n >= 1.

        Always in full chunks, the last one padded: matrix kernels round differently for
        different numbers of rows, and a picture must not depend on how many were asked for.
        """
        rows = len(latents)
        padded = np.zeros((-(-rows // DECODE_ROWS) * DECODE_ROWS, self.latent_size), np.float32)
        padded[:rows] = latents
        chunks = [
            self._decoder.run(padded[start : start + DECODE_ROWS])[0]
            for start in range(0, len(padded), DECODE_ROWS)
        ]
        pixels = np.concatenate(chunks)[:rows]
        return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)

    def _warm(self) -> None:
        """Run every batch size that will be met once."""
        for rows in (1, 2, CLASSIFY_ROWS):
            self.classify(np.zeros((rows, 28, 28), dtype=np.uint8))
        self.encode(np.zeros((1, 28, 28), dtype=np.uint8))
        self.decode(np.zeros((1, self.latent_size), dtype=np.float32))
