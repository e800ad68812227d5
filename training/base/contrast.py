"""What the base learns hands from: batches of one digit by many writers, and the loss on them.

Pictures are compared within a digit only. Across digits a network would first learn to tell the
digits, which says nothing of hands.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import DIGITS
from training.trials import WriterDigits

Indices = NDArray[np.int64]

TEMPERATURE = 0.1


@dataclass(frozen=True)
class BatchConfig:
    """What is in a batch.

    Attributes:
        digits: different digits.
        writers: writers of each digit.
        pictures: of each writer.
    """

    digits: int = 2
    writers: int = 36
    pictures: int = 4


class Batches:
    """Draws batches; digits take turns in random order.

    Attributes:
        queue: digits still to come in this round.
    """

    def __init__(
        self, data: WriterDigits, rows: Indices, config: BatchConfig, random: np.random.Generator
    ) -> None:
        self.config = config
        self.random = random
        self.queue: list[int] = []
        self._groups = [_by_writer(data, rows, digit) for digit in range(DIGITS)]

    def draw(self) -> Indices:
        """Return row numbers (digits x writers x pictures,), a writer's pictures together."""
        if len(self.queue) < self.config.digits:
            self.queue += self.random.permutation(DIGITS).tolist()
        rows = []
        for _ in range(self.config.digits):
            groups = self._groups[self.queue.pop(0)]
            for index in self.random.choice(len(groups), self.config.writers, replace=False):
                mine, wanted = groups[index], self.config.pictures
                rows.append(self.random.choice(mine, wanted, replace=len(mine) < wanted))
        return np.concatenate(rows)


def _by_writer(data: WriterDigits, rows: Indices, digit: int) -> list[Indices]:
    """Return the rows of a digit, one array for each writer with at least two."""
    mine = rows[data.digits.labels[rows] == digit]
    groups = [mine[data.writers[mine] == writer] for writer in np.unique(data.writers[mine])]
    return [group for group in groups if len(group) > 1]


def contrastive(embedding: Tensor, digits: Tensor, writers: Tensor) -> Tensor:
    """Return the supervised contrastive loss (arXiv:2004.11362) within each digit, in nats.

    Positives of a picture are the same writer's other pictures of the digit; the rest of the
    digit are its negatives.

    Args:
        embedding: unit vectors (n, e).
        digits: (n,).
        writers: (n,).
    """
    similarity = embedding @ embedding.T / TEMPERATURE  # (n, n)
    itself = torch.eye(len(digits), dtype=torch.bool)
    same_digit = (digits[:, None] == digits) & ~itself
    positive = (same_digit & (writers[:, None] == writers)).float()
    total = similarity.masked_fill(~same_digit, -1e4).logsumexp(dim=1, keepdim=True)
    each = ((total - similarity) * positive).sum(dim=1) / positive.sum(dim=1)
    return each.mean()


def balanced_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy in which every class present weighs the same."""
    counts = torch.bincount(labels, minlength=logits.shape[1]).clamp(min=1)
    return torch.nn.functional.cross_entropy(logits, labels, 1 / counts.float())
