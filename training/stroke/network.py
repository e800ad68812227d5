"""A line, and what is missing to the truth.

Area over half the outline is a stroke's width but where strokes end, cross or touch. How much that
takes away depends on the form, and a few small convolutions see it.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.perceptron import perceptron

# Stroke width as a line over 2 area / outline, fitted to ``training.morphometry`` on drawn pictures
# of 2s after steering with six pens (training writers enrolled).
_LINE = (-0.190, 1.131)
# The outline of less ink than this is as good as none, in pixels.
_LEAST_OUTLINE = 0.5
# The most that is added to the line or taken off it, in pixels: what is like nothing that was
# learned from is still measured about right.
_MOST = 1.0
_HUNDRED = 100.0  # square pixels of ink, and pixels of outline, are about as many


@dataclass(frozen=True)
class StrokeConfig:
    """Sizes.

    Attributes:
        maps: channels of the two convolutions.
        hidden: width of the layer after them.
    """

    maps: tuple[int, int] = (4, 16)
    hidden: int = 16


class StrokeWidth(nn.Module):
    """Pixels (n, 28, 28) in [0, 1], their ink (n,) and its outline (n,) -> stroke width px (n,)."""

    def __init__(self, config: StrokeConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.maps
        self.maps = nn.Sequential(
            nn.Conv2d(1, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = perceptron(second + 3, config.hidden, 1)

    def forward(self, pixels: Tensor, mass: Tensor, outline: Tensor) -> Tensor:
        """Measure."""
        rough = line(mass, outline)
        seen = self.maps(pixels[:, None]).mean(dim=(2, 3))
        known = torch.stack([rough, mass / _HUNDRED, outline / _HUNDRED], dim=1)
        return rough + _MOST * torch.tanh(self.head(torch.cat([seen, known], dim=1))[:, 0])


def line(mass: Tensor, outline: Tensor) -> Tensor:
    """Return the stroke width (n,) that ink (n,) and its outline (n,) alone tell, in pixels."""
    offset, slope = _LINE
    return offset + slope * 2 * mass / outline.clamp(min=_LEAST_OUTLINE)


def build(values: dict[str, Any]) -> StrokeWidth:
    """Return an untrained network for the values of a ``StrokeConfig``.

    Raises:
        KeyError: the maps are missing.
        TypeError: a value is unknown.
        ValueError: a size is not usable.
    """
    first, second = values.pop("maps")
    config = StrokeConfig((first, second), **values)
    if not all(type(size) is int and 0 < size < 256 for size in (first, second, config.hidden)):
        raise ValueError(f"expected sizes from 1 to 255, found {config}")
    return StrokeWidth(config)
