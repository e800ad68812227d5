"""Layers in a row, each but the last followed by a rectifier."""

from itertools import pairwise

from torch import nn

__all__ = ["perceptron"]


def perceptron(*widths: int) -> nn.Sequential:
    """Return linear layers (n, widths[0]) -> (n, widths[-1]), with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
