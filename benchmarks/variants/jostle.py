"""The small changes that the judges are trained to overlook.

The judges' own, and apart from what the base and the generator learn with, so that a change there
leaves the judges as they are.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_ROTATION = math.radians(3)
_SHEAR, _SCALE, _ASPECT = 0.03, 0.04, 0.02
_SHIFT = 0.05  # of half the picture's side: 0.7 pixels
_PEN = 0.3  # of the way to a pen one pixel thicker or thinner on each side
_BLURRED = 1 / 8  # share of the pictures, by up to half of a 3 x 3 mean


def jostle(images: Tensor, chance: torch.Generator) -> Tensor:
    """Return images (n, 28, 28) in [0, 1], each turned, sheared, scaled, shifted and redrawn."""
    count = len(images)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=chance) * 2 - 1) * limit

    angle, shear = uniform(_ROTATION), uniform(_SHEAR)
    scale, aspect = 1 + uniform(_SCALE), 1 + uniform(_ASPECT)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() / scale * aspect, shear - angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin(), angle.cos() / scale / aspect
    matrix[:, 0, 2], matrix[:, 1, 2] = uniform(_SHIFT), uniform(_SHIFT)
    grid = F.affine_grid(matrix, [count, 1, 28, 28], align_corners=False)
    moved = F.grid_sample(images.unsqueeze(1), grid, align_corners=False)  # (n, 1, 28, 28)
    pen = uniform(_PEN).view(count, 1, 1, 1)
    thick, thin = F.max_pool2d(moved, 3, 1, 1), -F.max_pool2d(-moved, 3, 1, 1)
    target = torch.where(pen > 0, thick, thin)
    redrawn = torch.lerp(moved, target, pen.abs())
    spread = 0.25 / _BLURRED  # the share in which uniform(spread) exceeds spread - 0.5
    blur = (uniform(spread) + 0.5 - spread).clamp(min=0).view(count, 1, 1, 1)
    soft = torch.lerp(redrawn, F.avg_pool2d(redrawn, 3, 1, 1), blur)
    return soft.clamp(0, 1).squeeze(1)
