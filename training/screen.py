"""A cheap guess at which latent points' pictures the classifier would refuse.

Nearly all pictures drawn from a good latent space show the digit, and asking the classifier about
each of them would take several times as long as drawing it. Where a point lies tells most of it: a
small perceptron learns from some thousand drawn and classified points how doubtful a point is.

Where chance decides, the server takes another point for one that is in doubt, so the guess chooses
among points: what is served is the hand's prior without its doubtful edge. The edge holds what the
classifier would refuse, all but the share ``missed``, and some more that it would not: the less the
guess knows, the more. Where nothing is left to chance, the classifier decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from serving.bundle import Gate
from training.config import ScreenConfig
from training.fit import fit, initialise
from training.perceptron import perceptron
from training.synthesize import OTHER, to_bytes
from training.vae import Autoencoder

_CHUNK = 500


class Screen(nn.Module):
    """Latent points (n, z) -> doubt (n,) in [0, 1].

    Beyond the farthest point that it learned from it knows nothing, and the doubt is 1.
    """

    radius: Tensor

    def __init__(self, latent: int, config: ScreenConfig) -> None:
        super().__init__()
        self.layers = perceptron(latent + 1, config.hidden, 1)
        self.register_buffer("radius", torch.tensor(float("inf")))

    def logits(self, latent: Tensor) -> Tensor:
        """Return the log-odds (n,) of a refusal."""
        distance = latent.norm(dim=1, keepdim=True)
        logits: Tensor = self.layers(torch.cat([latent, distance], dim=1))
        return logits[:, 0]

    def forward(self, latent: Tensor) -> Tensor:
        """Return the doubt."""
        known = torch.sigmoid(self.logits(latent))
        return torch.where(latent.norm(dim=1) > self.radius, 1.0, known)


@dataclass(frozen=True)
class Screened:
    """A screen and how well it does on pictures that it did not learn from.

    Attributes:
        screen: the network.
        gate: what passes.
        refused: share of the prior's pictures at temperature 1 that the classifier refuses.
        doubted: share of the prior's points that are in doubt.
        checked: pictures on which the threshold was set and these shares were taken.
    """

    screen: Screen
    gate: Gate
    refused: float
    doubted: float
    checked: int


def train_screen(
    vae: Autoencoder,
    classify: Callable[[Tensor], Tensor],
    config: ScreenConfig,
    chance: torch.Generator,
) -> Screened:
    """Draw points, ask the classifier about their pictures, learn, and set the threshold.

    Args:
        vae: whose pictures are screened.
        classify: images uint8 (n, 28, 28) -> probabilities (n, 3).
        config: how many points, and how they are learned from.
        chance: of all draws.
    """
    size = (config.points, vae.latent)
    temperature = torch.rand((config.points, 1), generator=chance) * config.warmest
    points = temperature * torch.randn(size, generator=chance)
    screen = _learn(points, _other(points, vae, classify), config, chance)
    screen.radius.fill_(points.norm(dim=1).max())
    plain = torch.randn(size, generator=chance)
    refused = _other(plain, vae, classify) > config.other
    with torch.inference_mode():
        doubt = screen(plain)
    threshold = _threshold(doubt, refused, config)
    return Screened(
        screen=screen,
        gate=Gate(threshold, config.other),
        refused=float(refused.float().mean()),
        doubted=float((doubt > threshold).float().mean()),
        checked=config.points,
    )


def _other(points: Tensor, vae: Autoencoder, classify: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the probability (n,) of "other" for the points' pictures."""
    with torch.inference_mode():
        answers = [
            classify(torch.from_numpy(to_bytes(vae.decode(part))))[:, OTHER]
            for part in torch.split(points, _CHUNK)
        ]
    return torch.cat(answers).clone()  # to be learned from, unlike an inference tensor


def _learn(
    points: Tensor, targets: Tensor, config: ScreenConfig, chance: torch.Generator
) -> Screen:
    screen = Screen(points.shape[1], config)
    initialise(screen, chance, glorot=False)

    def objective(network: Screen, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        return {"loss": F.binary_cross_entropy_with_logits(network.logits(batch[0]), batch[1])}

    fit(screen, objective, [points, targets], config.fit, chance, title="screen")
    return screen


def _threshold(doubt: Tensor, refused: Tensor, config: ScreenConfig) -> float:
    """Return the highest threshold at which a share of the pictures, at most, slips through.

    It is never above what refuses a picture: the doubt is a guess at the same probability.
    """
    allowed = int(config.missed * len(doubt))
    doubts = doubt[refused].sort().values
    if len(doubts) <= allowed:
        return config.other
    return min(config.other, float(doubts[allowed]) * (1 - 1e-3))
