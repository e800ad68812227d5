"""The variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114), whole.

Fully connected, on 28 x 28 pixels. It learns what variations of the enrolled picture have in
common, and draws new ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from serving.images import PIXELS
from training.config import VaeConfig
from training.fit import History, fit, initialise
from training.perceptron import perceptron


class Autoencoder(nn.Module, ABC):
    """Between pictures of one digit and points of a latent space whose prior is N(0, I).

    Attributes:
        latent: dimensions z of the space.
    """

    latent: int

    @abstractmethod
    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (n, z), for pixels (n, 28, 28) in [0, 1]."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Return pixels (n, 28, 28) in (0, 1) for latent points (n, z)."""

    def own(self, mean: Tensor) -> Tensor:
        """Return where pictures at ``mean`` (n, z) lie when they are drawn in the enrolled hand.

        Where one hand is all that the space knows, whatever lies in it is in that hand.
        """
        return mean.clone()  # a graph's outputs must be different tensors


class Vae(Autoencoder):
    """Encoder and decoder.

    Attributes:
        encoder: (n, 784) in [0, 1] -> (n, 2 z), means and log-variances side by side.
        decoder: (n, z) -> (n, 784), logits of the pixels.
    """

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.latent = config.latent
        self.encoder = perceptron(PIXELS, *config.hidden, 2 * config.latent)
        self.decoder = perceptron(config.latent, *reversed(config.hidden), PIXELS)

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (n, z), for pixels (n, 28, 28) in [0, 1]."""
        mean, log_variance = self.encoder(pixels.flatten(1)).chunk(2, dim=1)
        return mean, log_variance

    def decode_logits(self, latent: Tensor) -> Tensor:
        """Return logits (n, 28, 28) of the pixels for latent points (n, z)."""
        logits: Tensor = self.decoder(latent)
        return logits.view(-1, 28, 28)

    def decode(self, latent: Tensor) -> Tensor:
        """Return pixels (n, 28, 28) in (0, 1) for latent points (n, z)."""
        return torch.sigmoid(self.decode_logits(latent))


def reparameterise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return ``mean + exp(log_variance / 2) * noise``; all shapes (n, z)."""
    return mean + torch.exp(log_variance / 2) * noise


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, I)) of each image in nats, shape (n,).

    The closed form of arXiv:1312.6114, appendix B:
    ``-1/2 * sum(1 + log_variance - mean^2 - variance)``.
    """
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1)


def reconstruction(logits: Tensor, pixels: Tensor) -> Tensor:
    """Return the cross-entropy of each image in nats, summed over pixels, shape (n,).

    ``-sum(x log y + (1 - x) log(1 - y))``: the negative log-likelihood of Bernoulli pixels where
    x is 0 or 1, a bound's surrogate for the greys in between.
    """
    return F.binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(dim=(1, 2))


def train_vae(
    images: NDArray[np.uint8], config: VaeConfig, chance: torch.Generator
) -> tuple[Vae, History]:
    """Train on images uint8 (n, 28, 28) and return the network and its history.

    The loss is ``reconstruction + divergence_weight * divergence`` in nats an image: the negative
    evidence lower bound where the weight is 1 and the noise factor is 1.
    """
    network = Vae(config)
    initialise(network, chance, glorot=False)

    def objective(vae: Vae, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        (pixels,) = batch
        mean, log_variance = vae.encode(pixels)
        noise = config.noise * torch.randn(mean.shape, generator=chance)
        logits = vae.decode_logits(reparameterise(mean, log_variance, noise))
        missed = reconstruction(logits, pixels).mean()
        distance = divergence(mean, log_variance).mean()
        loss = missed + config.divergence_weight * distance
        return {"loss": loss, "reconstruction": missed, "divergence": distance}

    pixels = torch.from_numpy(images).float() / 255
    history = fit(network, objective, [pixels], config.fit, chance, title="VAE")
    return network, history
