"""The population's autoencoder: what digits by many hands have in common, and how they differ.

A variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114) that is told the digit, so
that its latent space need only say how the digit is drawn. Beside it lies what its space knows of
hands: for each digit where writers lie, how far writers are apart, and how far one writer's own
pictures are apart.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serving.images import PIXELS
from training.data import DIGITS
from training.morphometry import ATTRIBUTES
from training.perceptron import perceptron

# exp of it is a variance; wider values are of no use and overflow.
LOG_VARIANCE = (-12.0, 4.0)


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes.

    Attributes:
        hidden: widths of the encoder's layers; the decoder has them in reverse.
        latent: dimensions of the latent space.
    """

    hidden: tuple[int, ...] = (512, 512)
    latent: int = 32


class Generator(nn.Module):
    """Encoder, decoder, and the hands of the population.

    Attributes:
        encoder: (n, 784 + 10), pixels and the digit -> (n, 2 z), means and log-variances.
        decoder: (n, z + 10), latent point and the digit -> (n, 784), logits of the pixels.
        mean: (10, z), the middle of all writers, by digit.
        between: (10, z, z), covariance of the writers' own middles.
        within: (10, z, z), covariance of a writer's pictures about the writer's middle.
        directions: (10, 4, z), by how much thickness, slant, width and height change with each
            latent number; see ``Traits``.
        scales: (10, 4), how far a hand is drawn along these; see ``Traits``.
    """

    mean: Tensor
    between: Tensor
    within: Tensor
    directions: Tensor
    scales: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        z = config.latent
        self.encoder = perceptron(PIXELS + DIGITS, *config.hidden, 2 * z)
        self.decoder = perceptron(z + DIGITS, *reversed(config.hidden), PIXELS)
        self.register_buffer("mean", torch.zeros(DIGITS, z))
        self.register_buffer("between", torch.eye(z).repeat(DIGITS, 1, 1))
        self.register_buffer("within", torch.eye(z).repeat(DIGITS, 1, 1))
        self.register_buffer("directions", torch.zeros(DIGITS, len(ATTRIBUTES), z))
        self.register_buffer("scales", torch.ones(DIGITS, len(ATTRIBUTES)))

    def encode(self, pixels: Tensor, digits: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (n, z), for pixels (n, 28, 28) and digits (n,)."""
        told = F.one_hot(digits, DIGITS).to(pixels.dtype)
        mean, log_variance = self.encoder(torch.cat([pixels.flatten(1), told], 1)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def decode_logits(self, latent: Tensor, digits: Tensor) -> Tensor:
        """Return logits (n, 28, 28) of the pixels for latent points (n, z) and digits (n,)."""
        told = F.one_hot(digits, DIGITS).to(latent.dtype)
        logits: Tensor = self.decoder(torch.cat([latent, told], 1))
        return logits.view(-1, 28, 28)


def build(values: dict[str, Any]) -> Generator:
    """Return an untrained network for the values of a ``GeneratorConfig``.

    Raises:
        TypeError: a value is missing or unknown.
        ValueError: a size is not usable.
    """
    config = GeneratorConfig(tuple(values.pop("hidden")), values.pop("latent"), **values)
    sizes = (*config.hidden, config.latent)
    if not all(type(size) is int and 0 < size < 4096 for size in sizes):
        raise ValueError(f"expected sizes from 1 to 4095, found {sizes}")
    return Generator(config)
