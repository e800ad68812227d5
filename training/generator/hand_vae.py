"""The generator in one hand: an autoencoder whose prior draws that hand's next pictures.

Its latent space is the generator's, moved and stretched so that the hand's next picture is
distributed as N(0, I): ``z = middle + factor @ u``. Whoever draws from it need not know of hands.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import HandConfig
from training.data import DIGITS
from training.generator.hands import Hand, Hands, enrol
from training.generator.network import LOG_VARIANCE, Generator
from training.generator.traits import Traits, narrowed
from training.vae import Autoencoder


class HandVae(Autoencoder):
    """Encoder and decoder of one digit in one hand; latent points u (n, z).

    Attributes:
        encoder: (n, 784) in [0, 1] -> (n, 2 z), means and log-variances in the generator's space.
        decoder: (n, z) -> (n, 784), logits of the pixels.
    """

    middle: Tensor
    whiten: Tensor
    whiten_squared: Tensor
    styled: Tensor

    def __init__(
        self, generator: Generator, digit: int, hand: Hand, sharpness: float = 1.0
    ) -> None:
        super().__init__()
        self.latent = generator.config.latent
        factor = _principal(hand.spread)
        whiten = np.linalg.inv(factor)
        own = whiten @ (np.eye(len(factor)) - hand.shared) @ factor
        # As they are multiplied with, so that an exporter finds nothing to compute beforehand.
        self.register_buffer("middle", _tensor(hand.middle))
        self.register_buffer("whiten", _tensor(whiten.T))
        self.register_buffer("whiten_squared", _tensor(whiten.T**2))
        self.register_buffer("styled", _tensor(own.T))
        self.encoder = _for_digit(generator.encoder, digit)
        self.decoder = _for_digit(generator.decoder, digit)
        _precede(self.decoder, _tensor(factor), self.middle)
        _scale(self.decoder, sharpness)

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (n, z), for pixels (n, 28, 28) in [0, 1].

        The variances are the diagonal of the posterior's covariance, which is not diagonal here.
        """
        mean, log_variance = self.encoder(pixels.flatten(1)).chunk(2, dim=1)
        variance = log_variance.clamp(*LOG_VARIANCE).exp() @ self.whiten_squared
        return (mean - self.middle) @ self.whiten, variance.log()

    def decode(self, latent: Tensor) -> Tensor:
        """Return pixels (n, 28, 28) in (0, 1) for latent points (n, z)."""
        logits: Tensor = self.decoder(latent)
        return torch.sigmoid(logits).view(-1, 28, 28)

    def own(self, mean: Tensor) -> Tensor:
        """Return where pictures at ``mean`` (n, z) lie in the hand.

        What is the writer's in their deviation from the hand's middle is taken away, and what is
        the picture's own stays (``Hand.shared``).
        """
        return mean @ self.styled


def hand_vae(
    generator: Generator, digit: int, forms: NDArray[np.uint8], config: HandConfig
) -> HandVae:
    """Return the autoencoder of the hand that drew forms uint8 (k, 28, 28) of ``digit``.

    Args:
        generator: of the population.
        digit: 0 to 9.
        forms: in MNIST form.
        config: how it is drawn.
    """
    with torch.inference_mode():
        pixels = torch.from_numpy(forms).float() / 255
        mean, _ = generator.encode(pixels, torch.full((len(forms),), digit))
    hands = Hands(*_of_digit(digit, generator.mean, generator.between, generator.within))
    traits = Traits(*_of_digit(digit, generator.directions, generator.scales))
    latents = mean.numpy().astype(np.float64)
    hand = enrol(hands, latents)
    middle = hand.middle + config.pull * (latents.mean(axis=0) - hand.middle)
    drawn = Hand(middle, narrowed(hand.spread, config.spread, traits), hand.shared)
    return HandVae(generator, digit, drawn, config.sharpness).eval()


def _of_digit(digit: int, *values: Tensor) -> Iterator[NDArray[np.float64]]:
    for value in values:
        yield value[digit].numpy().astype(np.float64)


def _principal(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a factor (z, z) of a covariance: principal axes as columns, the longest first.

    Along these axes an encoder's own uncertainty is nearly independent, which it is told to be.
    An axis points where its largest component is positive, on every machine.
    """
    variances, axes = np.linalg.eigh(covariance)
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(len(axes))])
    factor: NDArray[np.float64] = (axes * np.sqrt(variances))[:, ::-1]
    return factor


def _for_digit(network: nn.Sequential, digit: int) -> nn.Sequential:
    """Return a copy that is not told the digit: that input becomes part of the bias."""
    own = copy.deepcopy(network)
    first = _first(own)
    inputs = first.in_features - DIGITS
    with torch.no_grad():
        first.bias.add_(first.weight[:, inputs + digit])
        first.weight = nn.Parameter(first.weight[:, :inputs].clone())
    first.in_features = inputs
    return own


def _precede(network: nn.Sequential, factor: Tensor, shift: Tensor) -> None:
    """Let a network take u where it took ``factor @ u + shift``."""
    first = _first(network)
    with torch.no_grad():
        first.bias.add_(first.weight @ shift)
        first.weight.copy_(first.weight @ factor)


def _scale(network: nn.Sequential, factor: float) -> None:
    """Multiply what a network answers."""
    with torch.no_grad():
        for parameter in network[-1].parameters():
            parameter.mul_(factor)


def _first(network: nn.Sequential) -> nn.Linear:
    layer = network[0]
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"expected a linear layer first, found {type(layer).__name__}")
    return layer


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
