"""Pictures of all kinds, each measured with the stick: what the network learns from.

What is measured in service is drawn by the generator or bent by the steering, so most are.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training import archives, generator
from training.attributes import Attributes
from training.config import HandConfig
from training.morphometry import measure
from training.side_by_side import run_all
from training.steer import Steer
from training.stroke.network import StrokeConfig, StrokeWidth
from training.synthesize import to_bytes
from training.trials import WriterDigits
from training.vae import reparameterise

KINDS = ("real", "drawn", "steered")
"""A picture as it was scanned, as the generator draws it, and after steering."""

# Measures beyond these are no stroke's: a blot, or next to nothing.
_STROKES = (0.8, 7.5)


@dataclass(frozen=True)
class BendConfig:
    """What is done to a picture that is steered, each evenly from one end to the other.

    Attributes:
        slant: degrees.
        across: log of the factor on its width.
        down: log of that on its height.
        pen: pixels that strokes become wider.
        same_pen: share of pictures whose pen stays as it is.
        scanned: share that are bent as they were scanned, not as the generator draws them.
    """

    slant: tuple[float, float] = (-25.0, 25.0)
    across: tuple[float, float] = (-0.25, 0.25)
    down: tuple[float, float] = (-0.2, 0.2)
    pen: tuple[float, float] = (-2.0, 2.5)
    same_pen: float = 0.2
    scanned: float = 0.3


@dataclass(frozen=True)
class PicturesConfig:
    """Which pictures are measured.

    Attributes:
        parts: measured side by side, and kept.
        each: pictures of a part, at most.
        shares: of the ``KINDS``.
        bend: of those that are steered.
    """

    parts: int = 20
    each: int = 3000
    shares: tuple[float, float, float] = (0.15, 0.2, 0.65)
    bend: BendConfig = field(default_factory=BendConfig)


@dataclass(frozen=True, eq=False)
class Measured:
    """Measured pictures.

    Attributes:
        images: uint8 (n, 28, 28).
        widths: float32 (n,), stroke widths in pixels.
        kinds: int64 (n,), places in ``KINDS``.
        writers: int32 (n,).
    """

    images: NDArray[np.uint8]
    widths: NDArray[np.float32]
    kinds: NDArray[np.int64]
    writers: NDArray[np.int32]

    def where(self, mask: NDArray[np.bool_]) -> "Measured":
        """Return those for which ``mask`` (n,) is True."""
        return Measured(self.images[mask], self.widths[mask], self.kinds[mask], self.writers[mask])


def gather(data: WriterDigits, config: PicturesConfig, out: Path, seed: int) -> Measured:
    """Draw and measure pictures by as many processes as there are cores, and return them.

    Args:
        data: the pictures to begin with.
        config: which.
        out: where parts are kept; what is there is not measured again.
        seed: of all chance.
    """
    paths = [out / f"measured-{part:02}.npz" for part in range(config.parts)]
    jobs = []
    for part, path in enumerate(paths):
        if not path.exists():
            random = np.random.default_rng([seed, part])
            chosen = np.zeros(len(data.writers), np.bool_)
            chosen[random.permutation(len(chosen))[: config.each]] = True
            jobs.append((data.where(chosen), config, random, path))
    run_all(_make_and_keep, jobs, of=config.parts, title="measured", unit="part")
    parts = [_read(path) for path in paths]
    names = ("images", "widths", "kinds", "writers")
    return Measured(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def make(data: WriterDigits, config: PicturesConfig, random: np.random.Generator) -> Measured:
    """Return what becomes of these pictures, and what the stick says of it."""
    scanned = torch.from_numpy((data.digits.images / 255).astype(np.float32))
    count = len(scanned)
    drawn = _drawn(scanned, data.digits.labels, random)
    bare = torch.from_numpy(random.random(count) < config.bend.scanned)[:, None, None]
    steered = _bent(torch.where(bare, scanned, drawn), config.bend, random)
    kinds = random.choice(len(KINDS), count, p=config.shares)
    pixels = torch.stack([scanned, drawn, steered])[torch.from_numpy(kinds), torch.arange(count)]
    images = to_bytes(pixels)
    widths = measure(images).thickness.astype(np.float32)
    least, most = _STROKES
    strokes = (widths >= least) & (widths <= most)
    return Measured(images, widths, kinds, data.writers).where(strokes)


@torch.inference_mode()
def _drawn(pixels: Tensor, labels: NDArray[np.uint8], random: np.random.Generator) -> Tensor:
    """Return the pictures (n, 28, 28) as the generator draws them, somewhere near."""
    network = generator.load()
    digits = torch.from_numpy(labels.astype(np.int64))
    mean, log_variance = network.encode(pixels, digits)
    noise = torch.from_numpy(random.standard_normal(mean.shape, np.float32))
    logits = network.decode_logits(reparameterise(mean, log_variance, noise), digits)
    return torch.sigmoid(HandConfig().sharpness * logits)


@torch.inference_mode()
def _bent(pixels: Tensor, config: BendConfig, random: np.random.Generator) -> Tensor:
    """Return the pictures (n, 28, 28) steered somewhere."""
    count = len(pixels)

    def some(span: tuple[float, float]) -> NDArray[np.float64]:
        return random.uniform(*span, count)

    matrix = np.zeros((count, 2, 2), np.float32)
    matrix[:, 0, 0] = np.exp(-some(config.across))
    matrix[:, 0, 1] = matrix[:, 0, 0] * np.tan(np.radians(some(config.slant)))
    matrix[:, 1, 1] = np.exp(-some(config.down))
    pen = np.where(random.random(count) < config.same_pen, 0.0, some(config.pen))
    # What it would measure is not asked, so any network will do.
    steer = Steer(Attributes(StrokeWidth(StrokeConfig())))
    steered: Tensor = steer(pixels, torch.from_numpy(matrix), torch.from_numpy(pen).float())[0]
    return steered


def _make_and_keep(
    data: WriterDigits, config: PicturesConfig, random: np.random.Generator, path: Path
) -> None:
    torch.set_num_threads(1)  # as many of these as there are cores run side by side
    archives.write_arrays(path, vars(make(data, config, random)))


def _read(path: Path) -> Measured:
    return Measured(**archives.load_arrays(path))
