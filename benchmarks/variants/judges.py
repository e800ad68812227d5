"""The judges: networks that the generators never saw, and that nothing served is made of.

*Digit judge*: which digit a picture shows. Three networks that give one answer, for each alone is
wrong a third more often; trained on everybody but validation writers, and measured on these. *Hand
judge*: an embedding in which pictures by one hand lie together. Trained on folds 2 to 4, with
another architecture and another seed than the base that is served, so that neither development nor
validation writers are known to it. *Veiled judge*: a hand judge that is never shown what can be
steered (``veil``).

All are kept as plain arrays in a folder of runs, beside figures that say how far to trust them.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.variants.jostle import jostle
from benchmarks.variants.veil import Veil, middle
from serving.files import replace_file
from training import archives, resume
from training.average import follow
from training.base.contrast import BatchConfig, Batches, contrastive
from training.data import Digits
from training.errors import Diverged, WeightsError
from training.fit import initialise
from training.metrics import auc, eer
from training.muon import Muon
from training.trials import DEV, VALIDATION, WriterDigits, draw_trials

Images = NDArray[np.uint8]
Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Network = TypeVar("Network", bound=nn.Module)
Hand = TypeVar("Hand", bound="HandJudge")

_HOW = "python -m benchmarks.variants judge --mnist DIR --qmnist DIR"
FIGURES = "figures.json"
FILES = ("digit.npz", "hand.npz", "veiled.npz")
_SEED = 20_417
_LEARNERS = (1, 2, 3, 4)
_HAND_LEARNERS = (2, 3, 4)
_AVERAGE, _WARM_UP, _LARGEST_GRADIENT = 0.995, 100, 5.0
_ROWS = 500
_DIGIT = 2  # judges of hands are measured on
_MEMBERS = 3  # of the digit judge


@dataclass(frozen=True)
class JudgeConfig:
    """How long the judges are trained.

    Attributes:
        digit_steps: updates of each network of the digit judge, on ``digit_batch`` pictures each.
        digit_batch: pictures.
        hand_steps: updates of the hand judge.
        veiled_steps: updates of the veiled one.
        batch: pictures of each of these.
    """

    digit_steps: int = 2000
    digit_batch: int = 128
    hand_steps: int = 2000
    veiled_steps: int = 1500
    batch: BatchConfig = field(default_factory=lambda: BatchConfig(2, 24, 4))


class _Residual(nn.Module):
    """Two convolutions beside a short cut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *_convolution(inputs, outputs, 3), nn.ReLU(), *_convolution(outputs, outputs, 3)
        )
        self.short = nn.Sequential(*_convolution(inputs, outputs, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.short(maps) + self.inner(maps))


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)


class HandJudge(nn.Module):
    """Unit vectors (n, 160) for pixels (n, 28, 28): near each other where one hand wrote both."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(1, 24, 3, stride=2),
            nn.ReLU(),
            _Residual(24, 48),  # (n, 48, 14, 14)
            nn.AvgPool2d(2),
            _Residual(48, 80),  # (n, 80, 7, 7)
            nn.Flatten(),
        )
        self.head = nn.Linear(80 * 7 * 7, 160)
        self.centre = nn.BatchNorm1d(160, affine=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return unit vectors (n, 160) for pixels (n, 28, 28) in [0, 1]."""
        return self.place(self.trunk(pixels.unsqueeze(1)))

    def place(self, maps: Tensor) -> Tensor:
        """Return unit vectors (n, 160) for what the trunk sees, (n, 3920)."""
        return F.normalize(self.centre(self.head(maps)))


class VeiledJudge(HandJudge):
    """A hand judge that sees each picture with the same attributes.

    Attributes:
        middle: those attributes by digit, (10, 4), kept beside the weights; see ``Veil``.
    """

    middle: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(10, 4))

    def look(self, images: Images, digits: NDArray[np.integer]) -> Features:
        """Return unit vectors (n, 160) for images (n, 28, 28) of ``digits`` (n,)."""
        return _each(self, Veil(self.middle.numpy())(images, digits))


class DigitJudge(nn.Module):
    """Probabilities (n, 10) for pixels (n, 28, 28): the mean of those of several networks."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(DigitNetwork() for _ in range(_MEMBERS))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return probabilities (n, 10) for pixels (n, 28, 28) in [0, 1]."""
        each = [F.softmax(member(pixels), dim=1) for member in self.members]
        return torch.stack(each).mean(dim=0)


class DigitNetwork(nn.Module):
    """Logits (n, 10) for pixels (n, 28, 28)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(1, 32, 5, stride=2),
            nn.ReLU(),
            *_convolution(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (n, 64, 7, 7)
            *_convolution(64, 96, 3),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(96 * 7 * 7, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (n, 10) for pixels (n, 28, 28) in [0, 1]."""
        logits: Tensor = self.head(self.trunk(pixels.unsqueeze(1)))
        return logits


@dataclass(frozen=True)
class Judges:
    """All of them, ready to be asked.

    Attributes:
        digit_judge: names digits.
        hand_judge: places pictures by their hand.
        threshold: cosine at which as many foreign pictures pass for own ones as own ones fail,
            among development writers.
        veiled_judge: places pictures by what of their hand cannot be steered.
        veiled_threshold: the same for it.
    """

    digit_judge: DigitJudge
    hand_judge: HandJudge
    threshold: float
    veiled_judge: VeiledJudge
    veiled_threshold: float

    def digits(self, images: Images) -> NDArray[np.int64]:
        """Return the digit that each of the images (n, 28, 28) shows, shape (n,)."""
        named: NDArray[np.int64] = _each(self.digit_judge, images).argmax(axis=1)
        return named

    def features(self, images: Images) -> Features:
        """Return a unit vector for each of the images (n, 28, 28), shape (n, 160)."""
        return _each(self.hand_judge, images)

    def passes_veiled(self, images: Images, form: Images, digit: int) -> float:
        """Return the share of images (n, 28, 28) that the veiled judge takes for form's hand.

        Args:
            images: to be judged.
            form: the enrolment picture, (28, 28).
            digit: what all of them show.
        """
        shown = np.concatenate([form[None], images])
        placed = self.veiled_judge.look(shown, np.full(len(shown), digit))
        return float((placed[1:] @ placed[0] >= self.veiled_threshold).mean())


def _each(network: nn.Module, images: Images) -> Features:
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(images), _ROWS)
        answers = [network(part.float() / 255) for part in parts]
    result: Features = torch.cat(answers).numpy()
    return result


def train_judges(data: WriterDigits, config: JudgeConfig, out: Path) -> dict[str, float]:
    """Train them, measure them on writers they do not know, write all to ``out``.

    Args:
        data: MNIST's training set with its writers.
        config: how long.
        out: folder; a judge whose weights lie there already is not trained again.

    Returns:
        What they are worth, by name.

    Raises:
        TrainingError: ``out`` holds judges that were trained with other settings.
        Diverged: a loss is no longer a finite number.
    """
    out.mkdir(parents=True, exist_ok=True)
    resume.claim(out, config, _SEED)
    trainers = (_train_digit_judge, _train_hand_judge, _train_veiled_judge)
    for file, train in zip(FILES, trainers, strict=True):
        if not (out / file).exists():
            _write(train(data, config), out / file)
    figures = _measure(*_load(out), data)
    text = json.dumps({"seed": _SEED, **asdict(config), "figures": figures}, indent=1) + "\n"
    replace_file(out / FIGURES, text.encode())
    return figures


def load_judges(folder: Path) -> Judges:
    """Return the judges in a folder.

    Raises:
        WeightsError: a file is missing or damaged; says how to make it.
    """
    digit, hand, veiled = _load(folder)
    path = folder / FIGURES
    if not path.exists():
        raise WeightsError(f"{path}: the judges are not measured yet; {_HOW} measures them")
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return Judges(
        digit, hand, figures["hand_threshold_dev"], veiled, figures["veiled_threshold_dev"]
    )


def _load(folder: Path) -> tuple[DigitJudge, HandJudge, VeiledJudge]:
    digit, hand, veiled = DigitJudge(), HandJudge(), VeiledJudge()
    for network, file in zip((digit, hand, veiled), FILES, strict=True):
        _read(network, folder / file)
    return digit.eval(), hand.eval(), veiled.eval()


def _train_digit_judge(data: WriterDigits, config: JudgeConfig) -> DigitJudge:
    seen = data.where(data.by_folds(*_LEARNERS))
    images = torch.from_numpy(seen.digits.images)
    labels = torch.from_numpy(seen.digits.labels.astype(np.int64))
    judge = DigitJudge()
    for place, member in enumerate(judge.members):
        title = f"digit judge, {place + 1} of {_MEMBERS}"
        _train_digits(member, images, labels, config, _SEED + 10 * place, title)
    return judge


def _train_digits(
    network: nn.Module, images: Tensor, labels: Tensor, config: JudgeConfig, seed: int, title: str
) -> None:
    chance = torch.Generator().manual_seed(seed)

    def loss() -> Tensor:
        rows = torch.randint(len(labels), (config.digit_batch,), generator=chance)
        pixels = jostle(images[rows].float() / 255, chance)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(pixels)
        return F.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)

    _train(network, loss, config.digit_steps, chance, title)


def _train_hand_judge(data: WriterDigits, config: JudgeConfig) -> HandJudge:
    seen = data.where(data.by_folds(*_HAND_LEARNERS))
    network = HandJudge()
    return _train_by_hand(network, seen, config, config.hand_steps, _SEED + 1, "hand judge")


def _train_veiled_judge(data: WriterDigits, config: JudgeConfig) -> VeiledJudge:
    seen = data.where(data.by_folds(*_HAND_LEARNERS))
    random, digits = np.random.default_rng(_SEED + 3), seen.digits.labels
    network, attributes = VeiledJudge(), middle(seen, random)
    network.middle.copy_(torch.from_numpy(attributes))
    veiled = Veil(attributes)(seen.digits.images, digits, random)
    shown = WriterDigits(Digits(veiled, digits), seen.writers)
    return _train_by_hand(network, shown, config, config.veiled_steps, _SEED + 2, "veiled judge")


def _train_by_hand(
    network: Hand, seen: WriterDigits, config: JudgeConfig, steps: int, seed: int, title: str
) -> Hand:
    images = torch.from_numpy(seen.digits.images)
    writers, labels = torch.from_numpy(seen.writers), torch.from_numpy(seen.digits.labels)
    chance = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    batches = Batches(seen, np.arange(len(seen.writers)), config.batch, random)

    def loss() -> Tensor:
        rows = batches.draw()
        pixels = jostle(images[rows].float() / 255, chance)
        with torch.autocast("cpu", torch.bfloat16):
            maps = network.trunk(pixels.unsqueeze(1))
        kept = torch.rand(maps.shape, generator=chance) >= 0.35
        return contrastive(network.place(maps.float() * kept / 0.65), labels[rows], writers[rows])

    return _train(network, loss, steps, chance, title)


def _train(
    network: Network,
    loss: Callable[[], Tensor],
    steps: int,
    chance: torch.Generator,
    title: str,
) -> Network:
    """Minimise, and return the running mean of the weights."""
    initialise(network, chance, glorot=False)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrices = [value for value in network.parameters() if value.ndim > 1]
    vectors = [value for value in network.parameters() if value.ndim <= 1]
    optimisers = (Muon(matrices, 5e-3, 0.02), torch.optim.AdamW(vectors, 2e-3, weight_decay=0.0))
    slow = {name: value.clone() for name, value in network.state_dict().items()}
    for step in (progress := tqdm(range(steps), desc=title, unit="step")):
        rate = min(1, step / _WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        for optimiser, peak in zip(optimisers, (5e-3, 2e-3), strict=True):
            optimiser.param_groups[0]["lr"] = peak * rate
        value = loss()
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        for optimiser in optimisers:
            optimiser.step()
        follow(slow.values(), network.state_dict().values(), step, _AVERAGE)
        if step % 100 == 0:
            if not math.isfinite(value.item()):
                raise Diverged(f"{title}: the loss became {value.item()} at step {step}")
            progress.set_postfix(loss=f"{value.item():.3f}")
    network.load_state_dict(slow)
    return network.eval()


def _measure(
    digit: DigitJudge, hand: HandJudge, veiled: VeiledJudge, data: WriterDigits
) -> dict[str, float]:
    held_out = data.where(data.validation())
    named = _each(digit, held_out.digits.images).argmax(axis=1)
    figures = {"digit_accuracy_validation": float((named == held_out.digits.labels).mean())}
    looks: dict[str, Callable[[Images], Features]] = {
        "hand": partial(_each, hand),
        "veiled": lambda images: veiled.look(images, np.full(len(images), _DIGIT)),
    }
    for name, look in looks.items():
        dev, validation = (_scores(look, data, fold) for fold in (DEV, VALIDATION))
        figures |= {
            f"{name}_auc_dev": auc(*dev),
            f"{name}_auc_validation": auc(*validation),
            f"{name}_eer_validation": eer(*validation),
            f"{name}_threshold_dev": _threshold(*dev),
        }
    return figures


def _scores(
    look: Callable[[Images], Features], data: WriterDigits, fold: int
) -> tuple[Scores, Scores]:
    """Return cosines of genuine and impostor trials: one digit, one enrolment picture, one turn."""
    rows = np.flatnonzero(data.by_folds(fold) & (data.digits.labels == _DIGIT))
    placed = np.zeros((len(data.writers), 160), np.float32)
    placed[rows] = look(data.digits.images[rows])
    trials = draw_trials(data, _DIGIT, 1, 1, 0, 0, fold=fold)
    genuine, impostors = (
        [placed[getattr(trial, group)] @ placed[trial.enrolled[0]] for trial in trials]
        for group in ("genuine", "impostors")
    )
    return np.concatenate(genuine).astype(float), np.concatenate(impostors).astype(float)


def _threshold(genuine: Scores, impostor: Scores) -> float:
    """Return the score above which as large a share of impostors lies as of genuine ones below."""
    every = np.sort(np.concatenate([genuine, impostor]))
    passed = (impostor[:, None] >= every[::50]).mean(axis=0)
    failed = (genuine[:, None] < every[::50]).mean(axis=0)
    return float(every[::50][np.abs(passed - failed).argmin()])


def _write(network: nn.Module, path: Path) -> None:
    arrays = {name: value.contiguous().numpy() for name, value in network.state_dict().items()}
    archives.write_arrays(path, arrays)


def _read(network: nn.Module, path: Path) -> None:
    try:
        arrays = archives.read_arrays(path.read_bytes())
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except archives.DAMAGE as error:
        reason = archives.describe(error)
        raise WeightsError(
            f"{path}: no judge can be read there: {reason}; {_HOW} makes it"
        ) from error
