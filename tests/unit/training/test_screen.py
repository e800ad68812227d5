"""The screen guesses well enough to spare the classifier most of its work, and says how well."""

import pytest
import torch
from torch import Tensor

from training.config import FitConfig, ScreenConfig
from training.screen import Screened, train_screen
from training.vae import Autoencoder

CONFIG = ScreenConfig(points=2000, missed=0.002, fit=FitConfig(20, 100, 3e-3))


class Bright(Autoencoder):
    """Draws pictures as bright as the first coordinate is large."""

    latent = 3

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Not asked for."""
        raise AssertionError

    def decode(self, latent: Tensor) -> Tensor:
        """Return pixels all alike."""
        return torch.sigmoid(latent[:, 0])[:, None, None].expand(-1, 28, 28)


def classify(images: Tensor) -> Tensor:
    """Refuse what is brighter than two deviations of the first coordinate."""
    refused = (images[:, 0, 0] > 255 * torch.sigmoid(torch.tensor(2.0))).float()
    return torch.stack([1 - refused, torch.zeros_like(refused), refused], dim=1)


@pytest.fixture(scope="module")
def screened() -> Screened:
    """Return a screen for a classifier that refuses one picture in fifty."""
    return train_screen(Bright(), classify, CONFIG, torch.Generator().manual_seed(0))


def test_most_points_are_beyond_doubt(screened: Screened) -> None:
    """A few more are in doubt than are refused, and the shares are told."""
    assert 0.01 < screened.refused < 0.04
    assert screened.refused - CONFIG.missed <= screened.doubted < 0.1
    assert screened.checked == CONFIG.points


def test_hardly_any_refused_picture_slips_through(screened: Screened) -> None:
    """On fresh points too."""
    points = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        doubted = screened.screen(points) > screened.gate.doubt
    slipped = (points[:, 0] > 2) & ~doubted
    assert slipped.float().mean() < 3 * CONFIG.missed


def test_what_lies_beyond_all_it_learned_from_is_doubted(screened: Screened) -> None:
    """However sure it would be."""
    far = torch.tensor([[-100.0, 0.0, 0.0]])
    with torch.inference_mode():
        assert screened.screen(far).item() == 1
        assert screened.screen(-far * 0).item() < screened.gate.doubt
