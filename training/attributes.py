"""Stroke width, slant, width and height of a picture, measured inside a graph.

The definitions are those of Morpho-MNIST (Castro et al. 2019, arXiv:1809.10780) as
``training.morphometry`` implements them. There a skeleton gives the width of the stroke, which no
graph can trace; here a small network gives it, that learned from that measure. A picture takes some
ten microseconds, so every generated one comes measured.
"""

import torch
from torch import Tensor, nn

from training import stroke
from training.stroke.network import StrokeWidth

SIDE = 28

_QUANTILES = (0.01, 0.99)
_TINY = 1e-6
# Pictures with less ink than this, in full pixels, are as good as blank, and measure about 0.
_LEAST_INK = 0.5
# Of the shear; 63 degrees are more than any hand leans, and a bound keeps every output finite.
_MOST_SHEAR = 2.0
# The sheared columns around the ink's centre in which its width is sought.
_REACH = 18
# The reference enlarges softly, by which ink spills over the edges of its row; so much of it.
_SPILL = 0.11


class Attributes(nn.Module):
    """Pixels (n, 28, 28) in [0, 1] -> ``morphometry.ATTRIBUTES`` (n, 4), in pixels and degrees."""

    place: Tensor
    edges: Tensor

    def __init__(self, thickness: StrokeWidth | None = None) -> None:
        """Make it.

        Args:
            thickness: what measures that; ``None`` = the committed network.
        """
        super().__init__()
        self.thickness = thickness or stroke.load()
        place = torch.arange(SIDE, dtype=torch.float32)
        self.register_buffer("place", place)
        self.register_buffer("edges", torch.arange(-_REACH, _REACH + 1, dtype=torch.float32))

    def forward(self, pixels: Tensor) -> Tensor:
        """Measure; a picture without ink gets small finite numbers."""
        x, y, shear, mass = self.pose(pixels)
        width = _spread(self._across(pixels, x, y, shear), mass)
        height = _spread(_spilled(pixels.sum(dim=2)), mass)
        thickness = self.thickness(pixels, mass, outline(pixels))
        slant = torch.rad2deg(torch.atan(-shear))
        return torch.stack([thickness, slant, width, height], dim=1)

    def pose(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the ink's centre x and y, its horizontal shear dx/dy and its mass, each (n,)."""
        columns, rows = pixels.sum(dim=1), pixels.sum(dim=2)  # (n, 28)
        mass = rows.sum(dim=1).clamp(min=_LEAST_INK)
        x = columns @ self.place / mass
        y = rows @ self.place / mass
        away_x = self.place - x[:, None]  # (n, 28)
        away_y = self.place - y[:, None]
        mixed = (torch.bmm(pixels, away_x[:, :, None])[:, :, 0] * away_y).sum(dim=1)
        vertical = (rows * away_y**2).sum(dim=1).clamp(min=_LEAST_INK)
        shear = (mixed / vertical).clamp(-_MOST_SHEAR, _MOST_SHEAR)
        return x, y, shear, mass

    def _across(self, pixels: Tensor, x: Tensor, y: Tensor, shear: Tensor) -> Tensor:
        """Return the ink in each column after undoing the shear, (n, 2 * reach).

        The ink left of a slanted edge is, row by row, a value of the running sum along the row.
        """
        running = nn.functional.pad(pixels.cumsum(dim=2), (1, 0))  # (n, 28, 29)
        lean = shear[:, None] * (self.place - y[:, None])  # (n, 28)
        edge = x[:, None, None] + lean[:, :, None] + self.edges + 0.5  # (n, 28, edges)
        edge = edge.clamp(0.0, SIDE - 1e-4)
        whole = edge.floor()
        index = whole.to(torch.int64)
        before = running.gather(2, index)
        after = running.gather(2, index + 1)
        left = (before + (after - before) * (edge - whole)).sum(dim=1)  # (n, edges)
        return left[:, 1:] - left[:, :-1]


def outline(pixels: Tensor) -> Tensor:
    """Return the length of the ink's outline in pixels, (n,): the total variation of the grey.

    By the coarea formula that is the mean length of the level lines, so soft edges do not matter.
    """
    padded = nn.functional.pad(pixels, (1, 1, 1, 1))
    right = padded[:, :-1, 1:] - padded[:, :-1, :-1]
    down = padded[:, 1:, :-1] - padded[:, :-1, :-1]
    return torch.sqrt(right**2 + down**2 + _TINY**2).sum(dim=(1, 2))


def _spread(ink: Tensor, mass: Tensor) -> Tensor:
    """Return the distance between the outer quantiles of ink (n, bins), in bins."""
    before = ink.cumsum(dim=1) - ink
    low, high = (
        ((share * mass[:, None] - before) / ink.clamp(min=_TINY)).clamp(0.0, 1.0).sum(dim=1)
        for share in _QUANTILES
    )
    return high - low


def _spilled(rows: Tensor) -> Tensor:
    """Return the ink of each row (n, 28) after some of it went to the rows beside."""
    beside = nn.functional.pad(rows, (1, 0))[:, :-1] + nn.functional.pad(rows, (0, 1))[:, 1:]
    return (1 - 2 * _SPILL) * rows + _SPILL * beside
