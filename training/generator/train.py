"""How the generator comes to be: an autoencoder of everybody's digits, then the hands in its space.

Validation writers take part in nothing but the last look: how well they, whom the network never
saw, are redrawn. A run can be stopped at any time; the same command goes on from the last
checkpoint. Steps run in bfloat16 where that is exact enough.
"""

import copy
import json
import math
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from serving.files import replace_file
from training import resume, weights
from training.average import follow
from training.config import HandConfig
from training.data import DIGITS
from training.fit import initialise
from training.generator import WEIGHTS
from training.generator.hand_vae import hand_vae
from training.generator.hands import fit_hands
from training.generator.network import Generator, GeneratorConfig, build
from training.generator.traits import fit_directions, match_scales, within
from training.morphometry import measure as measure_attributes
from training.synthesize import to_bytes
from training.trials import WriterDigits
from training.vae import divergence, reconstruction, reparameterise

FIGURES = "figures.json"
_CHECKPOINT = "checkpoint.pt"
_WARM_UP, _AVERAGE, _LARGEST_GRADIENT = 200, 0.998, 20.0
_CHUNK = 1000
# Hands, and pictures of each, by which the spread of attributes is matched.
_HANDS, _PICTURES = 60, 16


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the generator, but for the data and the seed.

    Attributes:
        network: sizes.
        steps: updates.
        batch: pictures of a step.
        rate: highest learning rate.
        decay: of the weights.
        divergence_weight: factor on the Kullback-Leibler term; below 1 draws sharper.
        checkpoint: steps between checkpoints.
    """

    network: GeneratorConfig = field(default_factory=GeneratorConfig)
    steps: int = 21_000
    batch: int = 256
    rate: float = 2e-3
    decay: float = 1e-3
    divergence_weight: float = 0.4
    checkpoint: int = 1000


def shorten(config: TrainConfig, steps: int | None) -> TrainConfig:
    """Return the configuration with at most so many steps; None = as it is."""
    return config if steps is None else replace(config, steps=min(steps, config.steps))


def train_generator(data: WriterDigits, config: TrainConfig, out: Path, seed: int) -> Path:
    """Train; write weights and figures, and return ``out``.

    Args:
        data: MNIST's training set; validation writers' images are only measured on.
        config: how.
        out: folder of results and checkpoints; a run that was stopped there is gone on with.
        seed: of all chance.

    Raises:
        TrainingError: ``out`` holds a run with other settings, or the training diverged.
    """
    out.mkdir(parents=True, exist_ok=True)
    resume.claim(out, config, seed)
    seen = data.where(~data.validation())
    trainer = _Trainer(seen, config, seed)
    resume.run(
        trainer, config.steps, out / _CHECKPOINT, every=config.checkpoint, title=trainer.name
    )
    latents = _latents(trainer.average, seen)
    _note_hands(trainer.average, seen, latents)
    _note_traits(trainer.average, seen, latents, np.random.default_rng(seed))
    weights.write(trainer.average, config.network, out / WEIGHTS)
    figures = measure(weights.read(out / WEIGHTS, build), data.where(data.validation()))
    replace_file(out / FIGURES, json.dumps(figures, indent=1).encode() + b"\n")
    return out


def measure(network: Generator, data: WriterDigits) -> dict[str, float]:
    """Return how well writers that the network never saw are redrawn, in nats an image."""
    missed, distance, means = [], [], []
    for pixels, digits in _chunks(data):
        with torch.inference_mode():
            mean, log_variance = network.encode(pixels, digits)
            logits = network.decode_logits(mean, digits)
            missed.append(reconstruction(logits, pixels))
            distance.append(divergence(mean, log_variance))
        means.append(mean)
    return {
        "images": len(data.writers),
        "reconstruction": float(torch.cat(missed).mean()),
        "divergence": float(torch.cat(distance).mean()),
        "active_units": int((torch.cat(means).var(dim=0) > 0.01).sum()),
    }


class _Trainer:
    """See ``training.resume.Trainer``."""

    name = "generator"

    def __init__(self, data: WriterDigits, config: TrainConfig, seed: int) -> None:
        self._data, self._config = data, config
        self._images = torch.from_numpy(data.digits.images)
        self._digits = torch.from_numpy(data.digits.labels.astype(np.int64))
        self._chance = torch.Generator().manual_seed(seed)
        self.network = Generator(config.network)
        initialise(self.network, self._chance, glorot=False)
        self.average = copy.deepcopy(self.network)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), config.rate, betas=(0.9, 0.99), weight_decay=config.decay
        )
        self.step = 0

    def advance(self) -> float:
        """Make one update and return its loss, in nats an image."""
        self._set_rate()
        pixels, digits = self._draw()
        with torch.autocast("cpu", torch.bfloat16):
            mean, log_variance = self.network.encode(pixels, digits)
        mean, log_variance = mean.float(), log_variance.float()
        noise = torch.randn(mean.shape, generator=self._chance)
        latent = reparameterise(mean, log_variance, noise)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network.decode_logits(latent, digits)
        missed = reconstruction(logits.float(), pixels).mean()
        distance = divergence(mean, log_variance).mean()
        loss = missed + self._config.divergence_weight * distance
        self.network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self._optimiser.step()
        self.step += 1
        follow(self.average.parameters(), self.network.parameters(), self.step, _AVERAGE)
        return loss.item()

    def _draw(self) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(self._images), (self._config.batch,), generator=self._chance)
        return self._images[rows].float() / 255, self._digits[rows]

    def _set_rate(self) -> None:
        """Warm up linearly, then follow a cosine down to zero at the last step."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * self.step / self._config.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.rate * min(1, self.step / _WARM_UP) * cosine

    def save(self, path: Path) -> None:
        """Write a checkpoint, never half of one."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generator": self._chance.get_state(),
        }
        resume.save(state, path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._chance.set_state(state["generator"])


def _note_hands(network: Generator, data: WriterDigits, latents: NDArray[np.float64]) -> None:
    """Fit, digit by digit, where writers lie in the network's space."""
    for digit in range(DIGITS):
        mine = data.digits.labels == digit
        hands = fit_hands(latents[mine], data.writers[mine])
        network.mean[digit] = torch.from_numpy(hands.mean)
        network.between[digit] = torch.from_numpy(hands.between)
        network.within[digit] = torch.from_numpy(hands.within)


def _note_traits(
    network: Generator,
    data: WriterDigits,
    latents: NDArray[np.float64],
    random: np.random.Generator,
) -> None:
    """Fit, digit by digit, how far a hand is drawn along what can be measured of it."""
    for digit in tqdm(range(DIGITS), desc="attributes", unit="digit"):
        mine = data.digits.labels == digit
        images, writers = data.digits.images[mine], data.writers[mine]
        attributes = measure_attributes(images).attributes()
        directions = fit_directions(latents[mine], attributes)
        network.directions[digit] = torch.from_numpy(directions)
        _, firsts = np.unique(writers, return_index=True)
        forms = images[random.permutation(firsts)[:_HANDS]]
        drawn = partial(_drawn_variances, network, digit, forms, random)
        scales = match_scales(drawn, within(attributes, writers))
        network.scales[digit] = torch.from_numpy(scales)


def _drawn_variances(
    network: Generator,
    digit: int,
    forms: NDArray[np.uint8],
    random: np.random.Generator,
    scales: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return by how much attributes vary in what is drawn from each of the forms (n, 28, 28)."""
    network.scales[digit] = torch.from_numpy(scales)
    pictures = []
    for form in forms:
        vae = hand_vae(network, digit, form[None], HandConfig())
        points = random.standard_normal((_PICTURES, vae.latent), np.float32)
        with torch.inference_mode():
            pictures.append(to_bytes(vae.decode(torch.from_numpy(points))))
    attributes = measure_attributes(np.concatenate(pictures)).attributes()
    return within(attributes, np.repeat(np.arange(len(forms)), _PICTURES))


def _latents(network: Generator, data: WriterDigits) -> NDArray[np.float64]:
    """Return where all pictures lie, shape (n, z)."""
    with torch.inference_mode():
        means = torch.cat([network.encode(*part)[0] for part in _chunks(data)])
    latents: NDArray[np.float64] = means.numpy().astype(np.float64)
    return latents


def _chunks(data: WriterDigits) -> list[tuple[Tensor, Tensor]]:
    images = torch.from_numpy(data.digits.images)
    digits = torch.from_numpy(data.digits.labels.astype(np.int64))
    return [
        (part.float() / 255, labels)
        for part, labels in zip(
            torch.split(images, _CHUNK), torch.split(digits, _CHUNK), strict=True
        )
    ]
