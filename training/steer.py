"""A picture redrawn to order: leaning, turned, stretched, with another pen.

The resampling and the pen are one graph that training and serving share. It makes one step; how
far to go is found by measuring the result and correcting (``serving.steering``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.attributes import SIDE, Attributes

_FINER = 2  # the pen works on half pixels
_STEPS = 4  # of one pixel of stroke width each
_CONTRAST = 1.8  # gives the edges back what resampling takes from them


class Steer(nn.Module):
    """Pixels (n, 28, 28), matrix (n, 2, 2), pen (n,) -> pixels (n, 28, 28), attributes (n, 4).

    Seen from the ink's centre of mass, x to the right and y down, the output shows at point p what
    the input has at ``matrix @ p``. Strokes then become ``pen`` pixels wider, or thinner where it
    is negative; up to 4 pixels.
    """

    fine: Tensor

    def __init__(self, attributes: Attributes | None = None) -> None:
        """Make it.

        Args:
            attributes: what measures; ``None`` = as serving measures.
        """
        super().__init__()
        self.attributes = attributes or Attributes()
        fine = (torch.arange(SIDE * _FINER, dtype=torch.float32) + 0.5) / _FINER - 0.5
        self.register_buffer("fine", fine)  # where the fine samples lie, in pixels

    def forward(self, pixels: Tensor, matrix: Tensor, pen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new pictures and what they measure."""
        x, y, _, _ = self.attributes.pose(pixels)
        across = (self.fine - x[:, None])[:, None, :]  # (n, 1, fine)
        down = (self.fine - y[:, None])[:, :, None]  # (n, fine, 1)
        source = [
            centre[:, None, None]
            + matrix[:, row, 0, None, None] * across
            + matrix[:, row, 1, None, None] * down
            for row, centre in enumerate((x, y))
        ]
        grid = (torch.stack(source, dim=3) + 0.5) * (2 / SIDE) - 1
        fine = F.grid_sample(pixels[:, None], grid, mode="bicubic", align_corners=False)
        redrawn = _redraw(fine.clamp(0.0, 1.0), pen)
        sharp = (0.5 + _CONTRAST * (redrawn - 0.5)).clamp(0.0, 1.0)
        steered = F.avg_pool2d(sharp, _FINER)[:, 0]
        return steered, self.attributes(steered)


def _redraw(fine: Tensor, pen: Tensor) -> Tensor:
    """Return fine pictures (n, 1, h, w) with strokes ``pen`` (n,) pixels wider."""
    sign = torch.where(pen < 0, -1.0, 1.0)[:, None, None, None]
    amount = pen.abs()[:, None, None, None]
    value = fine * sign  # thinning the ink is thickening the paper
    for step in range(_STEPS):
        value = torch.lerp(
            value, _grow(value, square=step % 2 == 1), (amount - step).clamp(0.0, 1.0)
        )
    return value * sign


def _grow(value: Tensor, *, square: bool) -> Tensor:
    """Return the largest value within one sample; crosses and squares in turn grow round."""
    if square:
        return F.max_pool2d(value, 3, 1, 1)
    across = F.max_pool2d(value, (1, 3), 1, (0, 1))
    return torch.maximum(across, F.max_pool2d(value, (3, 1), 1, (1, 0)))
