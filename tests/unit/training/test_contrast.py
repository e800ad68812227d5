"""What the base learns hands from: the batches, and the losses by hand."""

import numpy as np
import pytest
import torch

from tests.enrolments import twenty_writers
from training.base.contrast import BatchConfig, Batches, balanced_entropy, contrastive


def test_batches_hold_writers_together() -> None:
    """A batch is digits x writers x pictures, and all ten digits take turns."""
    corpus, random = twenty_writers(), np.random.default_rng(0)
    batches = Batches(corpus, np.arange(len(corpus.writers)), BatchConfig(2, 3, 4), random)

    drawn = [batches.draw() for _ in range(5)]

    groups = np.concatenate(drawn).reshape(-1, 4)
    for group in groups:
        assert len(set(corpus.writers[group])) == len(set(corpus.digits.labels[group])) == 1
        assert len(set(group)) == 4
    assert sorted(corpus.digits.labels[groups[::3, 0]]) == list(range(10))


def test_contrastive_loss_by_hand() -> None:
    """Two writers at right angles: each picture's positive leads its two negatives by 1 / 0.1."""
    embedding = torch.eye(2).repeat_interleave(2, dim=0)
    digits, writers = torch.zeros(4), torch.tensor([0, 0, 1, 1])

    loss = contrastive(embedding, digits, writers)

    assert loss.item() == pytest.approx(np.log1p(2 * np.exp(-10)), rel=1e-2)


def test_rare_classes_weigh_as_much() -> None:
    """One picture of a class that is missed costs as much as three of another."""
    logits = torch.tensor([[2.0, 0.0]] * 4)
    labels = torch.tensor([0, 0, 0, 1])

    expected = (np.log1p(np.exp(-2)) + np.log1p(np.exp(2))) / 2

    assert balanced_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5)
