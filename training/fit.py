"""The one training loop: draw an order, take batches, minimise, note the epoch's means."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.config import FitConfig
from training.errors import Diverged

Network = TypeVar("Network", bound=nn.Module)
History = dict[str, tuple[float, ...]]
Order = Callable[[torch.Generator], Tensor]


def fit(
    network: Network,
    objective: Callable[[Network, Sequence[Tensor]], Mapping[str, Tensor]],
    tensors: Sequence[Tensor],
    config: FitConfig,
    chance: torch.Generator,
    *,
    order: Order | None = None,
    title: str = "fit",
) -> History:
    """Train ``network`` in place with Adam and return its history.

    Args:
        network: trained in place, left in evaluation mode.
        objective: (network, batch) -> means over the batch; ``loss`` is minimised, the rest noted.
        tensors: the training set, equal first axis.
        config: epochs, batch size, learning rate.
        chance: source of the order.
        order: draws the indices of one epoch; by default every image once.
        title: of the progress bar.

    Returns:
        One figure an epoch for each name that the objective returned.

    Raises:
        Diverged: the loss is not finite.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon)
    draw = order or (lambda source: torch.randperm(len(tensors[0]), generator=source))
    history: dict[str, list[float]] = {}
    network.train()
    for epoch in (progress := tqdm(range(config.epochs), desc=title, unit="epoch")):
        sums: dict[str, float] = {}
        indices = draw(chance)
        for batch in _batches(tensors, indices, config.batch_size):
            figures = objective(network, batch)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(figures["loss"])
            optimiser.step()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(batch[0])
        for name, total in sums.items():
            history.setdefault(name, []).append(total / len(indices))
        loss = history["loss"][-1]
        if not math.isfinite(loss):
            raise Diverged(
                f"{title}: the loss became {loss} in epoch {epoch + 1}; lower the learning rate"
            )
        progress.set_postfix(loss=f"{loss:.3f}")
    network.eval()
    return {name: tuple(values) for name, values in history.items()}


def _batches(tensors: Sequence[Tensor], indices: Tensor, size: int) -> Iterator[list[Tensor]]:
    for chosen in torch.split(indices, size):
        yield [tensor[chosen] for tensor in tensors]


def initialise(network: nn.Module, chance: torch.Generator, *, glorot: bool) -> None:
    """Draw all weights anew.

    Args:
        network: its linear and convolutional layers are drawn anew.
        chance: of all draws.
        glorot: Keras' default (Glorot and Bengio 2010, biases zero) instead of torch's.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        if glorot:
            nn.init.xavier_uniform_(layer.weight, generator=chance)
        else:
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=chance)
        if layer.bias is not None:
            bound = 0.0 if glorot else layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.bias, -bound, bound, generator=chance)
