"""The server's own drawing over networks that were just trained, without a bundle between.

Exporting a bundle takes longer than all that is asked of it here; that its graphs give the same
numbers is checked when one is exported. Which picture is drawn, and which is drawn again, is for
the server's code to decide (``serving.drawing``).
"""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.variants.bending import Bending
from serving.drawing import Drawn, draw
from serving.errors import CannotDraw
from serving.locate import locate
from serving.model import Measured, Model, Posterior, Verdicts
from serving.paths import lay
from serving.plans import Along, Between, Plan, Prior
from serving.steering import Target
from training.learned import Learned
from training.screen import Screened
from training.vae import Autoencoder

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Served:
    """What ``serving.model.Model`` answers, answered by torch.

    Attributes:
        latent_size: dimensions of the latent space.
        gate: what is drawn may be given out.
    """

    def __init__(self, learned: Learned, screened: Screened) -> None:
        self._vae = learned.vae
        self._screen = screened.screen.eval()
        self._classifier = learned.classifier.graph()
        self._bending = Bending()
        self.latent_size = learned.vae.latent
        self.gate = screened.gate

    @torch.inference_mode()
    def classify(self, images: Images) -> Verdicts:
        """Return a verdict for each image (n, 28, 28)."""
        probabilities, llr = self._classifier(torch.from_numpy(images))
        return Verdicts(probabilities.numpy(), llr.numpy())

    def encode(self, images: Images) -> Posterior:
        """Return the encoder's posterior of each image (n, 28, 28)."""
        return encode(self._vae, images)

    def locate(self, images: Images) -> Posterior:
        """Return the posterior of each image (n, 28, 28), as the server finds it."""
        return locate(cast(Model, self), images)

    @torch.inference_mode()
    def doubt(self, latents: Floats) -> Floats:
        """Return how doubtful each latent point (n, z) is."""
        result: Floats = self._screen(torch.from_numpy(latents)).numpy()
        return result

    @torch.inference_mode()
    def decode(self, latents: Floats) -> Measured:
        """Return what is at each latent point (n, z)."""
        pixels = self._vae.decode(torch.from_numpy(latents)).numpy()
        return Measured(pixels, self._bending.attributes(pixels))

    def steer(self, pixels: Floats, matrix: Floats, pen: Floats) -> Measured:
        """Return pictures (n, 28, 28), bent and redrawn."""
        return self._bending.steer(pixels, matrix, pen)

    def measure(self, pixels: Floats) -> Floats:
        """Return about the thickness, slant, width and height (n, 4) of pixels (n, 28, 28)."""
        return Model.measure(cast(Model, self), pixels)

    def prior(self, count: int, seed: int) -> Drawn:
        """Return pictures of the prior at temperature 1, as the server draws them."""
        return self._draw(Prior(1.0, seed), count)

    def along(self, targets: dict[str, float], count: int, seed: int) -> Drawn:
        """Return pictures of the prior, each with these attributes, as the server draws them.

        Raises:
            CannotDraw: not all of them became the digit.
        """
        base = Prior(1.0, seed)
        return self._draw(Along(base, _absolute(targets), count), count)

    def between(self, images: Images, count: int) -> Images | None:
        """Return pictures on the way between two (2, 28, 28), as the server draws them.

        ``None`` where it refuses to, because not all of them would be the digit.
        """
        straight = Between.straight(self.locate(images), count)
        try:
            return self._draw(lay(cast(Model, self), images, straight), count).images
        except CannotDraw:
            return None

    def steered(self, images: Images, targets: dict[str, float]) -> Images:
        """Return given pictures (n, 28, 28) with these attributes, by the server's steering."""
        return self._bending.bend(images, _absolute(targets), np.zeros(len(images)))

    def _draw(self, plan: Plan, count: int) -> Drawn:
        return draw(cast(Model, self), plan, range(count))


@torch.inference_mode()
def encode(vae: Autoencoder, images: Images) -> Posterior:
    """Return the posterior of each image (n, 28, 28), by the encoder alone."""
    mean, log_variance = vae.encode(torch.from_numpy(images).float() / 255)
    deviation = torch.exp(log_variance / 2)
    return Posterior(mean.numpy(), deviation.numpy(), vae.own(mean).numpy())


def _absolute(targets: dict[str, float]) -> dict[str, Target]:
    return {name: Target(value, value, is_change=False) for name, value in targets.items()}
