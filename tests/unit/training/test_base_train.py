"""The training of the base, small: it runs, and stopping it changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.enrolments import twenty_writers
from training import base
from training.base import train
from training.base.calibrate import CalibrationConfig
from training.base.contrast import BatchConfig
from training.base.network import Base, NetworkConfig
from training.base.nondigits import mixture
from training.base.train import CANDIDATE, TrainConfig, shorten
from training.data import Digits
from training.errors import TrainingError
from training.trials import WriterDigits

CHARACTERS = np.zeros((3, 105, 105), dtype=np.bool_)
CHARACTERS[:, 20:80, 50:53] = True

SHORT = shorten(TrainConfig(), 4)
TINY = replace(
    SHORT,
    stages=tuple(replace(stage, runs=min(stage.runs, 2)) for stage in SHORT.stages),
    network=NetworkConfig(stem=4, middle=4, wide=4, embedding=8, hidden=4, crowd=2),
    batch=BatchConfig(digits=2, writers=2, pictures=2),
    digits=8,
    made=20,
    head_digits=8,
    head_non_digits=4,
    checkpoint=2,
    calibration=CalibrationConfig(pictures=(1, 2), non_digits=20),
)


@pytest.fixture(scope="module")
def corpus() -> WriterDigits:
    """Twenty writers, of whom the validation writers' pictures are all white."""
    written = twenty_writers()
    images = written.digits.images.copy()
    images[written.validation()] = 255
    return WriterDigits(Digits(images, written.digits.labels), written.writers)


@pytest.fixture(scope="module")
def whole(corpus: WriterDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not stopped."""
    return train.train_base(corpus, CHARACTERS, TINY, tmp_path_factory.mktemp("base"), 0)


def test_the_result_is_a_base(whole: Path) -> None:
    """Weights and calibration can be loaded as the committed ones are, and figures lie beside."""
    loaded = base.load(whole)

    assert loaded.network.temperature.item() != 1
    np.testing.assert_allclose(np.linalg.norm(loaded.network.crowd, axis=1), 1, atol=1e-3)
    assert loaded.calibration.pictures == (1, 2)
    figures = json.loads((whole / train.FIGURES).read_text())
    assert len(figures["hand"]) == 20
    assert figures["digit"]["n"] == 4 * 60


@pytest.mark.parametrize("stop_at", [1, 3, 7, 12])
def test_a_stopped_run_goes_on(
    corpus: WriterDigits,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: int,
) -> None:
    """Stopped in any training, before or after a checkpoint, the run ends with the same bytes."""
    advance, calls = train.Trainer.advance, iter(range(100))

    def stop(trainer: train.Trainer) -> float:
        if next(calls) == stop_at - 1:
            raise KeyboardInterrupt
        return advance(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            train.train_base(corpus, CHARACTERS, TINY, tmp_path, 0)
    assert not (tmp_path / base.WEIGHTS).exists()
    torch.manual_seed(stop_at)  # the global generator must not matter
    train.train_base(corpus, CHARACTERS, TINY, tmp_path, 0)

    for name in ("start.npz", "candidate.npz", base.WEIGHTS, base.CALIBRATION, train.FIGURES):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_validation_writers_are_never_read(
    corpus: WriterDigits, whole: Path, tmp_path: Path
) -> None:
    """Without the validation writers' pictures the result is the same."""
    train.train_base(corpus.where(~corpus.validation()), CHARACTERS, TINY, tmp_path, 0)

    assert (tmp_path / base.WEIGHTS).read_bytes() == (whole / base.WEIGHTS).read_bytes()


def test_a_run_with_other_settings_is_not_gone_on_with(corpus: WriterDigits, whole: Path) -> None:
    """Another seed in the same folder is refused."""
    with pytest.raises(TrainingError, match=r"settings\.json: a run with other settings"):
        train.train_base(corpus, CHARACTERS, TINY, whole, 1)


def test_warps_fade_while_cooling(corpus: WriterDigits, monkeypatch: pytest.MonkeyPatch) -> None:
    """What scripts and hands share is whole until the cooling begins, and then shrinks with it."""
    strengths = []

    def note(images: torch.Tensor, *drawn: object) -> torch.Tensor:
        if len(drawn) > 1:  # not the pictures for the digit head
            strengths.append(drawn[-1])
        return images

    monkeypatch.setattr(train, "jitter", note)
    stage = replace(CANDIDATE, steps=4, cooling=2, after=None)
    nothing = mixture(corpus.digits.images, np.random.default_rng(0), 4)
    trainer = train.Trainer(train.Material(corpus, nothing), stage, TINY, None, 0)

    for _ in range(4):
        trainer.advance()

    assert strengths == [1, 1, 1, 0.5]


def test_turned_digits_tell_hands_and_no_digit(
    corpus: WriterDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the cooling has begun digits are turned; only the contrastive loss sees those."""
    compared, named = [], []

    def compare(embedding: torch.Tensor, *_: object) -> torch.Tensor:
        compared.append(len(embedding))
        return embedding.sum()

    def name(logits: torch.Tensor, _: object) -> torch.Tensor:
        named.append(len(logits))
        return logits.sum()

    monkeypatch.setattr(train, "contrastive", compare)
    monkeypatch.setattr(train, "balanced_entropy", name)
    stage = replace(CANDIDATE, steps=3, cooling=2, non_digits=3, after=None)
    nothing = mixture(corpus.digits.images, np.random.default_rng(0), 4)
    config = replace(TINY, turned=1.0)
    trainer = train.Trainer(train.Material(corpus, nothing), stage, config, None, 0)

    for _ in range(3):
        trainer.advance()

    assert compared == [8, 8, 8]
    assert named == [8 + 8 + 3, 8 + 8 + 3, 8 + 3]


def test_the_mean_of_networks() -> None:
    """Weights and the statistics of normalisation are averaged; the networks stay as they were."""
    sizes, networks = TINY.network, []
    for value in (1.0, 2.0, 6.0):
        network = Base(sizes)
        for weights in (*network.parameters(), *network.buffers()):
            weights.data.fill_(value)
        networks.append(network)

    state = train.mean(networks).state_dict()

    assert all((value == 3).all() for value in state.values() if value.is_floating_point())
    assert (networks[0].crowd == 1).all()
