"""The optimiser of the base's matrices."""

import pytest
import torch

from training.muon import orthogonalise


@pytest.mark.parametrize("shape", [(5, 30), (30, 5)])
def test_orthogonalise(shape: tuple[int, int]) -> None:
    """Singular values that differ by a factor of a hundred come out near one."""
    chance = torch.Generator().manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape, generator=chance), full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(-1, 0.5, 5)) @ right

    values = torch.linalg.svdvals(orthogonalise(matrix))

    assert 0.6 < values.min() <= values.max() < 1.3
