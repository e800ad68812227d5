"""The base network: what a picture shows, and an embedding of the hand that drew it.

One trunk of convolutions carries two heads. The embedding is trained so that pictures of a digit
by one writer lie together and those by others apart (supervised contrastive learning, Khosla et
al. 2020, arXiv:2004.11362); the digit head names the digit, or says that the picture is none. The
feature map is flattened and not averaged: in MNIST form, where a stroke lies tells writers apart.
"""

import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from training import weights
from training.data import DIGITS
from training.perceptron import perceptron

NOT_A_DIGIT = 10


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network.

    Attributes:
        stem: channels of the first convolution, at 14 x 14.
        middle: channels of the second, at 14 x 14.
        wide: channels of the third and fourth, at 7 x 7.
        embedding: dimensions in which hands are compared.
        hidden: width of the digit head's one hidden layer.
        crowd: places of other hands that are kept of each digit.
    """

    stem: int = 32
    middle: int = 32
    wide: int = 64
    embedding: int = 128
    hidden: int = 64
    crowd: int = 64

    @property
    def features(self) -> int:
        """Length of the flattened feature map."""
        return self.wide * 7 * 7


class Base(nn.Module):
    """A convolutional trunk with two heads: the hand's embedding and the digit.

    Attributes:
        trunk: (n, 1, 28, 28) in [0, 1] -> (n, features).
        writer: (n, features) -> (n, embedding), before ``centre``.
        centre: brings the embeddings' mean to the origin, so that cosines spread out.
        digit: (n, features) -> (n, 11), the ten digits and "not a digit".
        temperature: by which the digit head's logits are divided.
        crowd: unit vectors (10 * crowd, e), where other hands lie, digit by digit.
    """

    temperature: Tensor
    crowd: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = nn.Sequential(
            _convolution(1, config.stem, size=5, stride=2),  # (n, stem, 14, 14)
            _convolution(config.stem, config.middle),
            nn.MaxPool2d(2),  # (n, middle, 7, 7)
            _convolution(config.middle, config.wide),
            _convolution(config.wide, config.wide),
            nn.Flatten(),  # (n, features)
        )
        self.writer = nn.Linear(config.features, config.embedding)
        self.centre: nn.Module = nn.BatchNorm1d(config.embedding)
        self.digit = perceptron(config.features, config.hidden, DIGITS + 1)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("crowd", torch.zeros(DIGITS * config.crowd, config.embedding))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit embeddings (n, e) and digit logits (n, 11) for pixels (n, 28, 28)."""
        return self.heads(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """Return what both heads look at, (n, features), for pixels (n, 28, 28)."""
        features: Tensor = self.trunk(pixels.unsqueeze(1))
        return features

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit embeddings (n, e) and digit logits (n, 11) for features (n, features)."""
        embedding = F.normalize(self.centre(self.writer(features)))
        return embedding, self.digit(features) / self.temperature

    def crowd_of(self, digit: int) -> Tensor:
        """Return where other hands lie that draw this digit, unit vectors (crowd, e)."""
        return self.crowd.view(DIGITS, self.config.crowd, -1)[digit]

    def feature_maps(self, pixels: Tensor) -> list[Tensor]:
        """Return what each convolution sees, after ReLU: (n, c, 14, 14), ..., (n, c, 7, 7)."""
        maps: list[Tensor] = []
        value = pixels.unsqueeze(1)
        for part in list(self.trunk)[:-1]:
            value = part(value)
            if not isinstance(part, nn.MaxPool2d):
                maps.append(value)
        return maps

    def folded(self) -> "Base":
        """Return the same function with batch normalisation folded into the layers before it.

        The exporter would do it otherwise, and round differently from what was checked.
        """
        twin = copy.deepcopy(self).eval()
        for part in twin.trunk:
            if isinstance(part, nn.Sequential) and isinstance(part[1], nn.BatchNorm2d):
                part[0] = fuse_conv_bn_eval(part[0], part[1])  # type: ignore[type-var]
                part[1] = nn.Identity()
        if isinstance(twin.centre, nn.BatchNorm1d):
            twin.writer = fuse_linear_bn_eval(twin.writer, twin.centre)
            twin.centre = nn.Identity()
        return twin


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def embed(network: Base, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """Return unit embeddings (n, e) and digit logits (n, 11) of images uint8 (n, 28, 28)."""
    with torch.inference_mode():
        parts = [network(part.float() / 255) for part in torch.split(torch.from_numpy(images), 500)]
    return tuple(torch.cat(column).numpy() for column in zip(*parts, strict=True))


def write_weights(network: Base, path: Path) -> None:
    """Write the network and its configuration; see ``training.weights``."""
    weights.write(network, network.config, path)


def read_weights(path: Path) -> Base:
    """Return the network in a file of ``write_weights``, ready for inference.

    Raises:
        WeightsError: names the file and the array that is missing, unknown or not as expected.
    """
    return weights.read(path, _build)


def _build(values: Any) -> Base:
    names = [field.name for field in fields(NetworkConfig)]
    sizes = values.values() if isinstance(values, dict) else ()
    if sorted(values) != sorted(names) or not all(type(v) is int and 0 < v < 4096 for v in sizes):
        raise ValueError(f"expected sizes {names}, found {values}")
    return Base(NetworkConfig(**values))
