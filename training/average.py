"""The running mean of a network's weights, which is what a training with few steps results in."""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def follow(slow: Iterable[Tensor], fast: Iterable[Tensor], step: int, most: float) -> None:
    """Move running means on towards the values after another update; whole numbers are left.

    Args:
        slow: the means, changed in place.
        fast: the values, in the same order.
        step: updates so far: the first count for little once there are more.
        most: of a mean that is kept in one step, 0 to 1.
    """
    keep = min(most, step / (step + 20))
    for mean, value in zip(slow, fast, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - keep)
