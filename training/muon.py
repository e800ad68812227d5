"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): momentum, orthogonalised.

The update of a matrix is replaced by one with the same row and column space and singular values
near one, so that rare directions are learned as fast as frequent ones. For matrices only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Newton-Schulz coefficients of the author: steep at zero, and good enough near one.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
# An orthogonal update has entries of root mean square 1 / sqrt(larger side); this makes it 0.2,
# which is about Adam's.
_SCALE = 0.2


class Muon(torch.optim.Optimizer):
    """Optimiser of kernels and matrices, with decoupled weight decay."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; kernels are seen as (outputs, rest)."""
        if closure is not None:
            raise ValueError("closure: Muon computes no losses, found one")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    _update(parameter, parameter.grad, self.state[parameter], group)


def _update(
    parameter: nn.Parameter, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]
) -> None:
    average = state.setdefault("average", torch.zeros_like(gradient))
    average.lerp_(gradient, 1 - group["momentum"])
    ahead = gradient.lerp(average, group["momentum"])  # Nesterov
    update = orthogonalise(ahead.reshape(len(parameter), -1))
    update = update * _SCALE * max(update.shape) ** 0.5
    parameter.mul_(1 - group["lr"] * group["decay"])
    parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"])


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return a matrix (m, n) of the same row and column space, singular values about one.

    Every round multiplies by a polynomial of the Gram matrix. All of them commute, so that they
    are worked out among the small Gram matrices, and the large matrix is multiplied once.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    wide: Tensor = matrix.T if tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    gram: Tensor = wide @ wide.T
    identity = torch.eye(len(gram), dtype=gram.dtype)
    product = identity
    for _ in range(_ROUNDS):
        factor = a * identity + b * gram + c * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    wide = product @ wide
    return wide.T if tall else wide
