"""The running mean of a network's weights."""

import pytest
import torch

from training.average import follow


def test_a_mean_forgets_its_beginning_and_leaves_counters_alone() -> None:
    """After step s the share s / (s + 20) is kept, up to the most; whole numbers do not move."""
    slow = [torch.zeros(2), torch.tensor(7)]
    fast = [torch.ones(2), torch.tensor(9)]

    follow(slow, fast, 5, 0.9)
    assert slow[0].tolist() == pytest.approx([0.8, 0.8])

    follow(slow, fast, 10_000, 0.9)
    assert slow[0].tolist() == pytest.approx([0.82, 0.82])
    assert slow[1] == 7
