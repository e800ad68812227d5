"""The classifier and the loop that trains it."""

import numpy as np
import pytest
import torch
from torch import nn

from training.cnn import Cnn
from training.config import SEED, FitConfig
from training.errors import Diverged
from training.fit import fit, initialise


def test_the_seed_s_network() -> None:
    """The seed recipe has the notebook's 92,867 parameters and three convolutions."""
    network = Cnn(SEED.cnn)

    assert sum(parameter.numel() for parameter in network.parameters()) == 92_867
    maps = network.feature_maps(torch.zeros(2, 28, 28))
    assert [tuple(one.shape) for one in maps] == [
        (2, 32, 26, 26),
        (2, 64, 11, 11),
        (2, 64, 3, 3),
    ]
    assert network(torch.zeros(2, 28, 28)).shape == (2, 3)


def test_what_the_poolings_leave_out_counts_for_nothing() -> None:
    """The logits are those of the whole picture, though its last rows are not computed on."""
    network = Cnn(SEED.cnn)
    pixels = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(1))

    features = network.feature_maps(pixels)[-1].flatten(1)

    assert torch.equal(network(pixels), network.classes(network.dense(features).relu()))


def test_a_hand_worked_convolution() -> None:
    """The first convolution multiplies and adds as one does by hand."""
    network = Cnn(SEED.cnn)
    pixels = torch.arange(784.0).reshape(1, 28, 28) / 784
    kernel, bias = network.convolutions[0].weight[0, 0], network.convolutions[0].bias[0]

    expected = sum(
        pixels[0, 5 + row, 7 + column] * kernel[row, column]
        for row in range(3)
        for column in range(3)
    )

    found = network.feature_maps(pixels)[0][0, 0, 5, 7]
    assert found.item() == pytest.approx(max(0.0, (expected + bias).item()), abs=1e-6)


def test_initialise_draws_from_the_generator_alone() -> None:
    """Equal generators give equal weights; Glorot's biases are zero."""
    networks = [Cnn(SEED.cnn) for _ in range(2)]
    for network in networks:
        initialise(network, torch.Generator().manual_seed(5), glorot=True)

    assert torch.equal(networks[0].dense.weight, networks[1].dense.weight)
    assert not networks[0].dense.bias.any()
    assert networks[0].dense.weight.std().item() == pytest.approx((2 / (576 + 64)) ** 0.5, rel=0.05)


def test_fit_visits_every_image_once_an_epoch() -> None:
    """Without an order of one's own an epoch is a permutation of the training set."""
    seen: list[float] = []

    def objective(network: nn.Linear, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.extend(batch[0].ravel().tolist())
        return {"loss": network(batch[0]).square().mean()}

    numbers = torch.arange(10.0).reshape(10, 1)
    fit(nn.Linear(1, 1), objective, [numbers], FitConfig(2, 4), torch.Generator().manual_seed(0))

    assert sorted(seen[:10]) == sorted(seen[10:]) == list(np.arange(10.0))
    assert seen[:10] != seen[10:]


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    """Training says in which epoch the loss was lost, instead of going on with nonsense."""

    def objective(network: nn.Linear, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"loss": network(batch[0]).mean() * float("nan")}

    with pytest.raises(Diverged, match="epoch 1"):
        fit(nn.Linear(1, 1), objective, [torch.ones(4, 1)], FitConfig(2, 4), torch.Generator())
