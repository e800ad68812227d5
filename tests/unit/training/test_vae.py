"""The variational autoencoder against independent oracles."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from tests.enrolments import TINY, background
from training.config import SEED
from training.vae import Vae, divergence, reconstruction, reparameterise, train_vae


def test_divergence_is_that_of_torch() -> None:
    """The closed form equals torch.distributions' divergence."""
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    posterior = Normal(mean, (log_variance / 2).exp())

    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=1)

    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_reconstruction_is_a_likelihood_of_binary_pixels() -> None:
    """For pixels of 0 and 1 it is the negative log-likelihood of Bernoulli pixels."""
    logits = torch.randn(3, 28, 28)
    pixels = (torch.rand(3, 28, 28) > 0.5).float()

    expected = -Bernoulli(logits=logits).log_prob(pixels).sum(dim=(1, 2))

    torch.testing.assert_close(reconstruction(logits, pixels), expected)


def test_reparameterisation_has_the_posterior_s_moments() -> None:
    """Many draws have the mean and the deviation that were asked for."""
    mean, log_variance = torch.tensor([[3.0]]), torch.tensor([[1.0]]).log() * 2
    noise = torch.randn(20000, 1, generator=torch.Generator().manual_seed(0))

    drawn = reparameterise(mean, log_variance, noise)

    assert drawn.mean().item() == pytest.approx(3, abs=0.05)
    assert drawn.std().item() == pytest.approx(1, abs=0.05)


def test_the_seed_s_network() -> None:
    """The seed recipe has the notebook's layers: 784-512-256-128-256-512-784."""
    shapes = [
        tuple(layer.weight.shape)
        for layer in Vae(SEED.vae).modules()
        if isinstance(layer, torch.nn.Linear)
    ]

    assert shapes == [(512, 784), (256, 512), (256, 256), (256, 128), (512, 256), (784, 512)]


def test_training_learns_and_is_reproducible() -> None:
    """The loss falls, its parts add up, and equal seeds give equal weights."""
    images = background().images[:32]
    runs = [train_vae(images, TINY.vae, torch.Generator().manual_seed(3)) for _ in range(2)]
    (first, history), (second, _) = runs

    assert history["loss"][-1] < history["loss"][0]
    assert np.allclose(
        np.add(history["reconstruction"], history["divergence"]), history["loss"], rtol=1e-4
    )
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
