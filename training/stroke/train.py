"""How the stroke width comes to be: pictures are measured with the stick, and learned from.

Validation writers take part in nothing; the figures are those of dev writers, who are not learned
from either. A run can be stopped at any time: measured pictures are kept, and the rest takes a
minute.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from serving.files import replace_file
from training import resume, weights
from training.attributes import outline
from training.config import FitConfig
from training.fit import fit, initialise
from training.stroke import WEIGHTS
from training.stroke.network import StrokeConfig, StrokeWidth, build, line
from training.stroke.pictures import KINDS, Measured, PicturesConfig, gather
from training.trials import DEV, FOLDS, WriterDigits

FIGURES = "figures.json"


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the network, but for the data and the seed.

    Attributes:
        network: sizes.
        pictures: what is learned from.
        fits: one after another, each slower.
        knee: pixels; errors beyond it count as such, not squared.
    """

    network: StrokeConfig = field(default_factory=StrokeConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    fits: tuple[FitConfig, ...] = (
        FitConfig(15, 256, 4e-3),
        FitConfig(10, 256, 1e-3),
        FitConfig(10, 256, 2e-4),
    )
    knee: float = 0.1


def shorten(config: TrainConfig, steps: int | None) -> TrainConfig:
    """Return the configuration with about so many steps at most; None = as it is."""
    if steps is None:
        return config
    batch = config.fits[0].batch_size
    each = min(config.pictures.each, steps * batch)
    pictures = replace(config.pictures, parts=1, each=each)
    return replace(config, pictures=pictures, fits=(FitConfig(1, batch),))


def train_stroke(data: WriterDigits, config: TrainConfig, out: Path, seed: int) -> Path:
    """Measure pictures, learn from them, write weights and figures, and return ``out``.

    Args:
        data: MNIST's training set; validation writers' images are not used.
        config: how.
        out: folder of results and measured pictures; what is there is not measured again.
        seed: of all chance.

    Raises:
        TrainingError: ``out`` holds a run with other settings, or the training diverged.
    """
    out.mkdir(parents=True, exist_ok=True)
    resume.claim(out, config, seed)
    pictures = gather(data.where(~data.validation()), config.pictures, out, seed)
    dev = pictures.writers % FOLDS == DEV
    network = _learned(pictures.where(~dev), config, seed)
    weights.write(network, config.network, out / WEIGHTS)
    figures = judge(weights.read(out / WEIGHTS, build), pictures.where(dev))
    replace_file(out / FIGURES, json.dumps(figures, indent=1).encode() + b"\n")
    return out


def judge(network: StrokeWidth, pictures: Measured) -> dict[str, dict[str, float]]:
    """Return R2 and mean error in pixels by kind of picture, of the network and of its line."""
    pixels, mass, length = _seen(pictures.images)
    with torch.inference_mode():
        found = {
            "network": network(pixels, mass, length).numpy(),
            "line": line(mass, length).numpy(),
        }
    figures = {}
    for place, kind in enumerate(KINDS):
        these = pictures.kinds == place
        if not these.any():
            continue
        figures[kind] = {"pictures": float(these.sum())}
        for name, widths in found.items():
            figures[kind] |= _errors(name, widths[these], pictures.widths[these])
    return figures


def _learned(pictures: Measured, config: TrainConfig, seed: int) -> StrokeWidth:
    chance = torch.Generator().manual_seed(seed)
    network = StrokeWidth(config.network)
    initialise(network, chance, glorot=False)
    tensors = [*_seen(pictures.images), torch.from_numpy(pictures.widths)]

    def objective(network: StrokeWidth, batch: Sequence[Tensor]) -> Mapping[str, Tensor]:
        pixels, mass, length, widths = batch
        return {"loss": F.huber_loss(network(pixels, mass, length), widths, delta=config.knee)}

    for each in config.fits:
        fit(network, objective, tensors, each, chance, title="stroke width")
    return network


def _seen(images: NDArray[np.uint8]) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the network is given: pixels (n, 28, 28), their ink and its outline, (n,)."""
    pixels = torch.from_numpy((images / 255).astype(np.float32))
    return pixels, pixels.sum(dim=(1, 2)), outline(pixels)


def _errors(name: str, found: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, float]:
    missed = found.astype(np.float64) - true
    return {
        f"{name} R2": float(1 - np.square(missed).mean() / true.astype(np.float64).var()),
        f"{name} mean error": float(np.abs(missed).mean()),
    }
