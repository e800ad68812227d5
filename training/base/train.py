"""How the base comes to be: four trainings and a calibration, from other people's digits.

``start`` learns to tell hands apart on three folds of the writers. From there two go on, with more
weight on the digit head: ``candidate`` on the same writers, so that the dev writers remain
unknown to it and can calibrate; ``more`` and then ``final`` with the dev writers added, which is
the base. Validation writers take part in nothing; they are dropped before anything is computed.

A run can be stopped at any time; the same command goes on from the last checkpoint and ends with
the same weights as a run that was never stopped. Steps run in bfloat16 where that is exact enough.
"""

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from serving.files import replace_file
from training import base, resume
from training.average import follow
from training.base.calibrate import (
    CalibrationConfig,
    be_cautious,
    calibrate,
    fit_caution,
    fit_temperature,
    measure,
    read,
    some_non_digits,
)
from training.base.contrast import BatchConfig, Batches, balanced_entropy, contrastive
from training.base.crowd import gather
from training.base.jitter import jitter, turn
from training.base.network import (
    NOT_A_DIGIT,
    Base,
    NetworkConfig,
    embed,
    read_weights,
    write_weights,
)
from training.base.nondigits import in_all_positions, letters
from training.data import DIGITS
from training.fit import initialise
from training.muon import Muon
from training.trials import DEV, WriterDigits

FIGURES = "figures.json"
_MUON_RATE, _ADAM_RATE, _DECAY, _WARM_UP = 5e-3, 2e-3, 0.02, 100
_LARGEST_GRADIENT = 5.0
_AVERAGE = 0.998
_APART = 10_000  # between the seeds of a stage's runs
_CHANNEL_DROPOUT, _DROPOUT, _HEAD_DROPOUT = 0.05, 0.25, 0.1


@dataclass(frozen=True)
class StageConfig:
    """One training.

    Attributes:
        name: of its files.
        folds: remainders of the writers' numbers, divided by five, that it sees.
        steps: updates of the whole network.
        cooling: so many of them, the last, in which the learning rates fall to zero.
        rate: factor on the learning rates.
        digit_weight: of the digit head's loss beside the contrastive one.
        non_digits: pictures of no digit in a step.
        head_steps: updates of the digit head alone, afterwards.
        after: the stage whose weights it starts from, or None.
        runs: how often it is trained, each time by other chance; it results in the mean weights.
    """

    name: str
    folds: tuple[int, ...]
    steps: int
    cooling: int
    rate: float
    digit_weight: float
    non_digits: int
    head_steps: int
    after: str | None
    runs: int


_KNOWN, _ALL = (2, 3, 4), (1, 2, 3, 4)
START = StageConfig("start", _KNOWN, 8400, 0, 1.0, 0.3, 24, 0, None, 1)
CANDIDATE = StageConfig("candidate", _KNOWN, 2600, 2600, 1.0, 0.5, 32, 2500, "start", 3)
MORE = StageConfig("more", _ALL, 4400, 0, 1.0, 0.5, 32, 0, "start", 1)
FINAL = StageConfig("final", _ALL, 3000, 3000, 1.0, 0.5, 32, 2500, "more", 3)


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the base, but for the data and the seed.

    Attributes:
        network: sizes.
        batch: of the contrastive loss.
        digits: further digits of a step, for the digit head.
        turned: share of the digits of the contrastive loss that are turned or mirrored while a
            stage cools down.
        copies: of each Omniglot character in each of its eight positions, with different pens.
        made: scribbles, textures and the like to draw them from.
        head_digits: digits of a step of the digit head alone.
        head_non_digits: pictures of no digit in it.
        head_rate: its learning rate.
        checkpoint: steps between checkpoints.
        stages: in order; "final" is the base, and "candidate" calibrates it.
        calibration: what is fitted in the end.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    digits: int = 32
    turned: float = 0.4
    copies: int = 2
    made: int = 16000
    head_digits: int = 192
    head_non_digits: int = 96
    head_rate: float = 2e-3
    checkpoint: int = 200
    stages: tuple[StageConfig, ...] = (START, CANDIDATE, MORE, FINAL)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


def shorten(config: TrainConfig, steps: int | None) -> TrainConfig:
    """Return the configuration with at most so many steps in each training; None = as it is."""
    if steps is None:
        return config
    stages = tuple(
        replace(
            stage,
            steps=min(steps, stage.steps),
            cooling=min(steps, stage.cooling),
            head_steps=min(steps, stage.head_steps),
        )
        for stage in config.stages
    )
    return replace(config, stages=stages)


@dataclass(frozen=True)
class Material:
    """What a training may look at.

    Attributes:
        data: digits by the writers of its folds, and nobody else's.
        non_digits: uint8 (n, 28, 28), pictures of anything else.
    """

    data: WriterDigits
    non_digits: NDArray[np.uint8]


def train_base(
    data: WriterDigits,
    characters: NDArray[np.bool_],
    config: TrainConfig,
    out: Path,
    seed: int,
) -> Path:
    """Train and calibrate the base; write weights, calibration and figures, and return ``out``.

    Args:
        data: MNIST's training set; validation writers are dropped here.
        characters: Omniglot's, bool (n, 105, 105).
        config: how.
        out: folder of results and checkpoints; a run that was stopped there is gone on with.
        seed: of all chance.

    Raises:
        TrainingError: ``out`` holds a run with other settings, or a training diverged.
    """
    data = data.where(~data.validation())
    out.mkdir(parents=True, exist_ok=True)
    resume.claim(out, config, seed)
    trained: dict[str, Base] = {}
    for stage in config.stages:
        before = trained[stage.after] if stage.after else None
        trained[stage.name] = _run_stage(stage, data, characters, before, config, out, seed)
    candidate, final = trained[CANDIDATE.name], trained[FINAL.name]
    _finish(candidate, final, data, config, out, np.random.default_rng([seed, 9]))
    return out


def _run_stage(
    stage: StageConfig,
    data: WriterDigits,
    characters: NDArray[np.bool_],
    before: Base | None,
    config: TrainConfig,
    out: Path,
    seed: int,
) -> Base:
    """Return the network of a finished stage; what was done before a stop is not done again."""
    weights = out / f"{stage.name}.npz"
    if not weights.exists():
        seen = data.where(data.by_folds(*stage.folds))
        random = np.random.default_rng([seed, 1])
        drawn = letters(in_all_positions(characters), random, config.copies)
        made = some_non_digits(seen, config.made, random)
        material = Material(seen, np.concatenate([drawn, made]))
        trained = []
        for run in range(stage.runs):
            trainer = Trainer(material, stage, config, before, (seed + run * _APART) % 2**64)
            checkpoint = out / f"{stage.name}-{run}.pt"
            resume.run(
                trainer, stage.steps, checkpoint, every=config.checkpoint, title=checkpoint.stem
            )
            trained.append(trainer.average.eval())
        network = mean(trained)
        _fit_head(network, material, stage, config, seed)
        note_crowd(network, seen, np.random.default_rng([seed, 5]))
        write_weights(network, weights)
    return read_weights(weights)


def mean(networks: Sequence[Base]) -> Base:
    """Return the network whose weights are the mean of theirs (arXiv:2203.05482).

    They must have gone out from the same weights, or the mean means nothing.
    """
    result = copy.deepcopy(networks[0])
    states = [network.state_dict() for network in networks]
    for name, value in result.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name] for state in states]).mean(dim=0))
    return result


class _Shown(NamedTuple):
    """The pictures of a step.

    Attributes:
        images: (n, 28, 28) in [0, 1].
        digits: (n,), what they show.
        upright: (n,), whether they show it as people write it.
        writers: (m,), of the first of them, which the contrastive loss compares.
    """

    images: Tensor
    digits: Tensor
    upright: Tensor
    writers: Tensor


class Trainer:
    """The training of one stage; see ``training.resume.Trainer``.

    Attributes:
        network: in training.
        average: the running mean of its weights, which is what the stage results in.
        name: of the stage.
        step: updates so far.
    """

    def __init__(
        self,
        material: Material,
        stage: StageConfig,
        config: TrainConfig,
        before: Base | None,
        seed: int,
    ) -> None:
        self._data, self._stage, self._config = material.data, stage, config
        self.name = stage.name
        self._non_digits = torch.from_numpy(material.non_digits)
        self._random = np.random.default_rng([seed, 2])
        self._chance = torch.Generator().manual_seed(seed)
        rows = np.arange(len(self._data.writers))
        self._batches = Batches(self._data, rows, config.batch, self._random)
        self.network = Base(config.network)
        if before is None:
            initialise(self.network, self._chance, glorot=False)
        else:
            self.network.load_state_dict(before.state_dict())
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network)
        self._optimisers = _optimisers(self.network)
        self.step = 0

    def advance(self) -> float:
        """Make one update and return its loss."""
        self._set_rates()
        images, digits, upright, writers = self._draw()
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            features = self.network.features(images)
        embedding, logits = self.network.heads(self._drop(features.float()))
        count = len(writers)
        loss = contrastive(embedding[:count], digits[:count], writers)
        named = balanced_entropy(logits[upright], digits[upright])
        loss = loss + self._stage.digit_weight * named
        self.network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        for optimiser in self._optimisers:
            optimiser.step()
        self.step += 1
        slow, fast = self.average.state_dict(), self.network.state_dict()
        follow(slow.values(), fast.values(), self.step, _AVERAGE)
        return loss.item()

    def _draw(self) -> _Shown:
        """Return what a step looks at.

        After the pictures for the contrastive loss come digits of all kinds and pictures of none,
        so that every step shows the digit head all of its classes.
        """
        batch, config, data = self._config.batch, self._config, self._data
        rows = self._batches.draw()
        images = torch.from_numpy(data.digits.images[rows]).float() / 255
        of_a_digit = batch.writers * batch.pictures
        images = jitter(images, self._chance, of_a_digit, batch.pictures, self._left())
        turned = config.turned if self._left() < 1 else 0.0
        images, upright = turn(images, self._chance, of_a_digit, turned)
        more = self._random.choice(len(data.writers), config.digits)
        others, labels = _mix(
            data, more, self._non_digits, self._stage.non_digits, self._random, self._chance
        )
        digits = torch.from_numpy(data.digits.labels[rows].astype(np.int64))
        writers = torch.from_numpy(data.writers[rows])
        upright = torch.cat([upright, torch.ones(len(labels), dtype=torch.bool)])
        return _Shown(torch.cat([images, others]), torch.cat([digits, labels]), upright, writers)

    def _drop(self, features: Tensor) -> Tensor:
        """Return features (n, c * 49) with whole channels, then single values, set to zero."""
        channels = features.view(len(features), -1, 49)
        channels = channels * _dropout_mask(
            (*channels.shape[:2], 1), _CHANNEL_DROPOUT, self._chance
        )
        return channels.flatten(1) * _dropout_mask(features.shape, _DROPOUT, self._chance)

    def _left(self) -> float:
        """Return what the cooling has left, of the rates and of the warps: 1 until it begins."""
        return min(1, (self._stage.steps - self.step) / max(self._stage.cooling, 1))

    def _set_rates(self) -> None:
        """Warm up linearly, stay, and cool down linearly to zero at the end."""
        factor = self._stage.rate * min(1, self.step / _WARM_UP) * self._left()
        for optimiser, rate in zip(self._optimisers, (_MUON_RATE, _ADAM_RATE), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def save(self, path: Path) -> None:
        """Write a checkpoint, never half of one."""
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "random": self._random.bit_generator.state,
            "generator": self._chance.get_state(),
            "queue": self._batches.queue,
        }
        resume.save(state, path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self._random.bit_generator.state = state["random"]
        self._chance.set_state(state["generator"])
        self._batches.queue = state["queue"]


def _optimisers(network: Base) -> list[torch.optim.Optimizer]:
    """Return Muon for the trunk's and the embedding's matrices, AdamW for all else."""
    head = list(network.digit.parameters())
    rest = [value for name, value in network.named_parameters() if not name.startswith("digit.")]
    matrices = [value for value in rest if value.ndim > 1]
    others = [value for value in rest if value.ndim <= 1] + head
    return [
        Muon(matrices, _MUON_RATE, _DECAY),
        torch.optim.AdamW(others, _ADAM_RATE, betas=(0.9, 0.99), weight_decay=0.0),
    ]


def _mix(
    data: WriterDigits,
    rows: NDArray[np.int64],
    non_digits: Tensor,
    count: int,
    random: np.random.Generator,
    chance: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return the rows' images and so many of no digit, jittered (n, 28, 28), and labels (n,)."""
    extra = non_digits[torch.from_numpy(random.integers(len(non_digits), size=count))]
    pixels = torch.cat([torch.from_numpy(data.digits.images[rows]), extra]).float() / 255
    labels = np.concatenate([data.digits.labels[rows], np.full(count, NOT_A_DIGIT)])
    return jitter(pixels, chance), torch.from_numpy(labels.astype(np.int64))


def _dropout_mask(shape: Sequence[int], dropped: float, chance: torch.Generator) -> Tensor:
    """Return a dropout mask; torch's own draws from the global generator, which no one saves."""
    return (torch.rand(tuple(shape), generator=chance) >= dropped) / (1 - dropped)


def _fit_head(
    network: Base, material: Material, stage: StageConfig, config: TrainConfig, seed: int
) -> None:
    """Finish the digit head on the frozen trunk, with more pictures of no digit than before."""
    random = np.random.default_rng([seed, 3])
    chance = torch.Generator().manual_seed((seed + 3) % 2**64)
    data, non_digits = material.data, torch.from_numpy(material.non_digits)
    optimiser = torch.optim.AdamW(network.digit.parameters(), config.head_rate, weight_decay=0.02)
    for step in tqdm(range(stage.head_steps), desc=f"{stage.name}, digit head", unit="step"):
        cosine = 0.5 + 0.5 * math.cos(math.pi * step / stage.head_steps)
        optimiser.param_groups[0]["lr"] = config.head_rate * cosine
        rows = random.choice(len(data.writers), config.head_digits)
        images, labels = _mix(data, rows, non_digits, config.head_non_digits, random, chance)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            features = network.features(images).float()
        kept = features * _dropout_mask(features.shape, _HEAD_DROPOUT, chance)
        loss = F.cross_entropy(network.digit(kept), labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()


def note_crowd(network: Base, data: WriterDigits, random: np.random.Generator) -> None:
    """Keep in the network where the writers of ``data`` lie that draw each digit."""
    embeddings, _ = embed(network, data.digits.images)
    crowds = [gather(data, embeddings, q, network.config.crowd, random) for q in range(DIGITS)]
    network.crowd.copy_(torch.from_numpy(np.concatenate(crowds)))


def _finish(
    candidate: Base,
    final: Base,
    data: WriterDigits,
    config: TrainConfig,
    out: Path,
    random: np.random.Generator,
) -> None:
    """Calibrate with the candidate, measure it, carry all over to the final network, and write."""
    settings = config.calibration
    readings = read(candidate, data)
    calibration = calibrate(readings, settings)
    caution = fit_caution(readings, settings.refused)
    for network in (candidate, final):
        be_cautious(network, caution)
    temperature = fit_temperature(candidate, read(candidate, data), settings, random)
    for network in (candidate, final):
        network.temperature.fill_(temperature)
    dev = data.where(data.by_folds(DEV))
    nothing = embed(candidate, some_non_digits(dev, settings.non_digits, random))[1]
    figures = {
        "of": "the candidate, on dev writers, whom it never saw",
        "caution": caution,
        "temperature": temperature,
        **measure(read(candidate, data), settings, nothing),
    }
    write_weights(final, out / base.WEIGHTS)
    replace_file(out / base.CALIBRATION, calibration.to_json().encode())
    replace_file(out / FIGURES, json.dumps(figures, indent=1).encode() + b"\n")
