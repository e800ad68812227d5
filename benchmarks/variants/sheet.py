"""Contact sheets: real, augmented and generated pictures of the same hands, one band each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.variants.sources import AUGMENT, SEED_VAE, SHIPPED, enrol_others, enrol_shipped
from serving.images.mnist_form import SIDE
from training import data, samples
from training.pictures import read

Images = NDArray[np.uint8]

_SHOWN = (AUGMENT, SEED_VAE, SHIPPED)
_EACH = 14
_SCALE, _GAP, _MARGIN = 2, 4, 96
_TILE = SIDE * _SCALE


@dataclass(frozen=True)
class Hand:
    """One hand of a sheet.

    Attributes:
        form: the enrolment picture, uint8 (28, 28).
        real: further real pictures by the same hand, (n, 28, 28).
    """

    form: Images
    real: Images


def sample() -> list[Hand]:
    """Return the hand of the project's own two sample pictures, the first of them enrolled."""
    folder = Path(samples.__file__).parent
    paths = [folder / name for name in ("two.jpg", "two-again.jpg")]
    form, again = (read(path).form for path in paths)
    return [Hand(form, again[None])]


def draw(hands: Sequence[Hand], digit: int, seed: int) -> Image.Image:
    """Return the sheet: for each hand a row of real pictures, then one of each source."""
    background = data.load_bundled()
    rows: list[tuple[str, Images]] = []
    for hand in hands:
        others = enrol_others(hand.form[None], seed)
        made = others.made | enrol_shipped(hand.form[None], digit, background, seed).made
        seed += 1  # equal noise would make hands alike
        rows.append(("enrolled, real", np.concatenate([hand.form[None], hand.real])))
        rows += [(name, made[name].images) for name in _SHOWN]
    height = len(rows) * (_TILE + _GAP) + len(hands) * 2 * _GAP
    page = Image.new("L", (_MARGIN + _EACH * (_TILE + _GAP), height), 255)
    pen = ImageDraw.Draw(page)
    top = _GAP
    for number, (name, images) in enumerate(rows):
        pen.text((_GAP, top + _TILE // 2), name, fill=0)
        for place, image in enumerate(images[:_EACH]):
            tile = Image.fromarray(image).resize((_TILE, _TILE), Image.Resampling.NEAREST)
            page.paste(tile, (_MARGIN + place * (_TILE + _GAP), top))
        last = (number + 1) % (1 + len(_SHOWN)) == 0
        top += _TILE + _GAP * (3 if last else 1)
    return page
