"""Changes that a hand or a capture makes, drawn for a whole batch at once.

The base's counterpart of ``augment``: cheap enough for millions of pictures. They come on three
levels. All pictures of one draw (the writers of a digit that are told apart in a step) share a
strong warp: a new script in which the same hands differ. Those of one hand share a mild one: a new
hand. Each picture has a little of its own, which is what the network learns to overlook.
"""

import math
from dataclasses import astuple, dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 28
_NODES = 5  # of the net that bends a picture, in each direction
_FINE = 2  # the pen is changed at this multiple of the resolution
_EDGE = 1.5  # contrast of the edges there, which interpolation has softened
_FITTED = 0.15  # a pen of twice the width adds so much to the box that is then fitted to 20 pixels
_REDRAWN = 0.5  # share of the pictures whose pen is not the hand's usual one
# Of a square, but for the one that changes nothing: rows, columns reversed, and then exchanged.
_SYMMETRIES = tuple(product((False, True), repeat=3))[1:]
_BLURRED, _SOFTEST = 0.25, 0.9  # share of the pictures, and the most of a 3 x 3 mean


@dataclass(frozen=True)
class Ranges:
    """Largest changes in either direction.

    Attributes:
        rotation: radians.
        shear: horizontal shift by height.
        scale: of both sides.
        aspect: of width against height.
        shift: of half the picture's side.
        bend: standard deviation of the displacement of a net of 5 x 5 points, in pixels.
        pen: of the stroke's width.
    """

    rotation: float
    shear: float
    scale: float
    aspect: float
    shift: float
    bend: float
    pen: float

    def times(self, factor: float) -> "Ranges":
        """Return ranges so many times as wide."""
        return Ranges(*(factor * value for value in astuple(self)))


SCRIPT = Ranges(math.radians(8), 0.15, 0.0, 0.10, 0.0, 0.5, 0.0)
HAND = Ranges(math.radians(3), 0.06, 0.0, 0.04, 0.0, 0.25, 0.15)
PICTURE = Ranges(math.radians(3), 0.03, 0.04, 0.02, 0.05, 0.0, 0.4)


def jitter(
    images: Tensor,
    chance: torch.Generator,
    script: int = 1,
    hand: int = 1,
    strength: float = 1.0,
) -> Tensor:
    """Return images (n, 28, 28) in [0, 1], each redrawn, warped, and some of them blurred.

    Args:
        images: those of a hand together, those of a script together.
        chance: of all chance.
        script: pictures of a script; divides n.
        hand: pictures of a hand; divides ``script``, or both are 1.
        strength: factor on what scripts and hands share.
    """
    count = len(images)
    pen, matrix, bend = torch.zeros(count), torch.eye(3), torch.zeros(1, 2, _SIDE, _SIDE)
    levels = ((SCRIPT.times(strength), script), (HAND.times(strength), hand), (PICTURE, 1))
    for ranges, size in levels:
        pen_of, matrix_of, bend_of = (
            drawn.repeat_interleave(size, dim=0) for drawn in _draw(ranges, count // size, chance)
        )
        pen, matrix, bend = pen + pen_of, matrix @ matrix_of, bend + bend_of
    changed = images.unsqueeze(1).clone()
    chosen = pen.nonzero().squeeze(1)
    changed[chosen] = redraw(changed[chosen], pen[chosen])
    matrix = matrix * (1 + _FITTED * pen).view(-1, 1, 1)
    grid = F.affine_grid(matrix[:, :2], [count, 1, _SIDE, _SIDE], align_corners=False)
    grid = grid + bend.permute(0, 2, 3, 1)
    moved = F.grid_sample(changed, grid, align_corners=False)  # (n, 1, 28, 28)
    return _soften(moved, chance).squeeze(1)


def turn(
    images: Tensor, chance: torch.Generator, script: int, share: float
) -> tuple[Tensor, Tensor]:
    """Turn some scripts by quarters, or mirror them, or both.

    What comes of it is a script that nobody writes, in which the same hands differ nevertheless:
    more classes from the same writers (Santoro et al. 2016, arXiv:1605.06065, did so to learn new
    characters from few examples).

    Args:
        images: (n, 28, 28), those of a script together.
        chance: of all chance.
        script: pictures of a script; divides n.
        share: chance of each script to be turned.

    Returns:
        Images (n, 28, 28), and which of them are upright (n,).
    """
    turned, upright = images.clone(), torch.ones(len(images), dtype=torch.bool)
    for start in range(0, len(images), script):
        if torch.rand((), generator=chance) < share:
            part = slice(start, start + script)
            rows, columns, both = _SYMMETRIES[
                int(torch.randint(len(_SYMMETRIES), (), generator=chance))
            ]
            changed = images[part].flip([axis for axis, flip in ((1, rows), (2, columns)) if flip])
            turned[part] = changed.transpose(1, 2) if both else changed
            upright[part] = False
    return turned, upright


def _draw(ranges: Ranges, count: int, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return so many pens (n,), matrices (n, 3, 3) and displacements (n, 2, 28, 28)."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=chance) * 2 - 1) * limit

    angle, shear = uniform(ranges.rotation), uniform(ranges.shear)
    scale, aspect = 1 + uniform(ranges.scale), 1 + uniform(ranges.aspect)
    matrix = torch.eye(3).repeat(count, 1, 1)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos() / scale * aspect, shear - angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin(), angle.cos() / scale / aspect
    matrix[:, 0, 2], matrix[:, 1, 2] = uniform(ranges.shift), uniform(ranges.shift)
    bend = torch.zeros(count, 2, _SIDE, _SIDE)
    if ranges.bend:
        net = torch.randn(count, 2, _NODES, _NODES, generator=chance)
        bend = F.interpolate(net, size=(_SIDE, _SIDE), mode="bicubic", align_corners=True)
        bend = bend * ranges.bend / (_SIDE / 2)
    redrawn = torch.rand(count, generator=chance) < _REDRAWN
    return uniform(ranges.pen) * redrawn, matrix, bend


def redraw(images: Tensor, pen: Tensor) -> Tensor:
    """Return images (n, 1, 28, 28) with strokes wider by the factor 1 + ``pen`` (n,)."""
    fine = F.interpolate(images, scale_factor=_FINE, mode="bilinear", align_corners=False)
    sign = pen.sign().view(-1, 1, 1, 1)
    drawn = (0.5 + _EDGE * (fine - 0.5)).clamp(0, 1) * sign  # a thinner pen is more paper
    step = _spread(drawn) - drawn
    # One fine pixel on each side is a share of the ink: 1 / radius of the stroke.
    radius = drawn.sum(dim=(1, 2, 3)).abs() / step.sum(dim=(1, 2, 3)).clamp(min=1)
    by = (pen.abs() * radius).clamp(max=1.5).view(-1, 1, 1, 1)  # fine pixels on each side
    return F.avg_pool2d((drawn.addcmul_(step, by) * sign).clamp(0, 1), _FINE)


def _spread(images: Tensor) -> Tensor:
    """Return the largest value of each pixel's 3 x 3 neighbours; faster than ``max_pool2d``."""
    for axis in (2, 3):
        wide = images.clone()
        length = images.shape[axis] - 1
        for to, of in ((0, 1), (1, 0)):
            part = wide.narrow(axis, to, length)
            torch.maximum(part, images.narrow(axis, of, length), out=part)
        images = wide
    return images


def _soften(images: Tensor, chance: torch.Generator) -> Tensor:
    """Return images (n, 1, 28, 28), some of them blurred, then as dark as they were."""
    count = len(images)
    share = torch.rand(count, generator=chance) * _SOFTEST
    share = share * (torch.rand(count, generator=chance) < _BLURRED)
    soft = torch.lerp(images, F.avg_pool2d(images, 3, 1, 1), share.view(count, 1, 1, 1))
    before, after = (value.amax(dim=(1, 2, 3), keepdim=True) for value in (images, soft))
    return (soft * (before / after.clamp(min=1e-3))).clamp(0, 1)
