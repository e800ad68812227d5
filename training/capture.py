"""What a pen, paper, a camera and a file do to a written character, simulated.

Each capture makes a picture file of a character in MNIST form: its ink on a page, seven times
as large, changed in one way. ``read`` takes it through the front door, as the server does. So what
is measured with it has in it what decoding and normalising lose, and what they refuse.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage.morphology import skeletonize

from serving.images import BadImage, ImageLimits, decode, encode_png, to_mnist_form
from training.morphometry import measure

__all__ = ["CAPTURES", "Capture", "read"]

Form = NDArray[np.uint8]
Floats = NDArray[np.float64]
Random = np.random.Generator

# Paper around the form, in its pixels: room to tilt the page, and for the light to be seen.
_MARGIN = 6
_FIELD = 28 + 2 * _MARGIN
# Pixels of a page on which the character is small, and width of a fine pen in pixels of the form.
_LARGE = (1800, 2400)
_FINE = 0.7
# Pixels of the page for one of the form, where the size of the page is not what is asked about.
_SCALE = 7
_PAPER, _DARKNESS = 0.93, 0.8

_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Capture:
    """One way in which a character becomes a picture file.

    Attributes:
        name: of one or two words.
        says: what is done, for a table.
        make: the bytes of a picture file of a character, uint8 (28, 28), white ink on black.
    """

    name: str
    says: str
    make: Callable[[Form, Random], bytes]


def read(file: bytes) -> Form | None:
    """Return the character of a picture file in MNIST form; ``None`` = the server refuses it."""
    try:
        return to_mnist_form(decode(file, _LIMITS))
    except BadImage:
        return None


def _as_it_is(form: Form, _random: Random) -> bytes:
    return encode_png(_on_paper(_ink(form)))


def _shaded(form: Form, random: Random) -> bytes:
    ink = _ink(form)
    return encode_png(_with_noise(_on_paper(ink, _light(len(ink), random)), 2, random))


def _compressed(form: Form, random: Random) -> bytes:
    return _jpeg(_on_paper(_ink(form, side=160)), int(random.integers(25, 60)))


def _blurred(form: Form, random: Random) -> bytes:
    return encode_png(_blur(_on_paper(_ink(form)), random.uniform(0.5, 0.9) * _SCALE))


def _tilted(form: Form, random: Random) -> bytes:
    return encode_png(_on_paper(_tilt(_ink(form), 0.08, random)))


def _ruled(form: Form, random: Random) -> bytes:
    """Lines nearer to each other than the character is tall, so that some run through it."""
    ink = _ink(form)
    apart, thick = random.uniform(10, 16) * _SCALE, 0.35 * _SCALE
    rows = (np.arange(len(ink)) + random.uniform(0, apart)) % apart < thick
    light = 1 - random.uniform(0.15, 0.3) * rows[:, None].astype(np.float64)
    return encode_png(_on_paper(ink, light))


def _pen(factor: float) -> Callable[[Form, Random], bytes]:
    """Return a capture by a pen so many times as thick."""

    def make(form: Form, _random: Random) -> bytes:
        stroke = _ink(form) >= 0.5
        width = float(measure(form[None]).thickness[0]) * _SCALE
        depth = ndimage.distance_transform_edt(stroke) - ndimage.distance_transform_edt(~stroke)
        ink = np.clip(0.5 + (depth + (factor - 1) / 2 * width) / _SCALE, 0, 1)
        return encode_png(_on_paper(ink))

    return make


def _fine(form: Form, _random: Random) -> bytes:
    """Along the middle of the strokes, all by one pen."""
    middle: NDArray[np.bool_] = skeletonize(_ink(form) >= 0.5)  # type: ignore[no-untyped-call]
    away = ndimage.distance_transform_edt(~middle)
    return encode_png(_on_paper(np.clip(0.5 + _FINE / 2 * _SCALE - away, 0, 1)))


def _far(form: Form, random: Random) -> bytes:
    ink = np.zeros(_LARGE)
    small = _ink(form, side=240)
    top, left = (int(random.integers(0, side - len(small))) for side in _LARGE)
    ink[top : top + len(small), left : left + len(small)] = small
    return encode_png(_on_paper(ink))


def _sized(side: int) -> Callable[[Form, Random], bytes]:
    return lambda form, _random: encode_png(_on_paper(_ink(form, side)))


def _photographed(form: Form, random: Random) -> bytes:
    """Everything that a telephone does, each of it mildly."""
    ink = _tilt(_ink(form, side=int(random.integers(200, 600))), 0.04, random)
    page = _on_paper(ink, _light(len(ink), random))
    blurred = _blur(page, random.uniform(0.2, 0.5) * len(ink) / _FIELD)
    return _jpeg(_with_noise(blurred, 3, random), int(random.integers(50, 85)))


CAPTURES = (
    Capture("as it is", "dark ink on white paper, PNG of 280 x 280", _as_it_is),
    Capture("shaded", "light that falls to between .4 and .7 across the page, noise", _shaded),
    Capture("JPEG", "160 x 160, quality 25 to 60", _compressed),
    Capture("blurred", "by .5 to .9 pixels of the form", _blurred),
    Capture("perspective", "corners moved by up to 8 % of the page", _tilted),
    Capture(
        "ruled",
        "lines that take 15 to 30 % of the light, 10 to 16 pixels apart",
        _ruled,
    ),
    Capture("thicker", "a pen 30 % thicker", _pen(1.3)),
    Capture("thinner", "a pen 30 % thinner", _pen(0.7)),
    Capture("fine pen", "a line of .7 pixels of the form along the middle of the strokes", _fine),
    Capture("40 pixels", "a page of 40 x 40", _sized(40)),
    Capture("2,000 pixels", "a page of 2,000 x 2,000", _sized(2000)),
    Capture("far away", "120 pixels tall on a page of 2,400 x 1,800, anywhere", _far),
    Capture("photographed", "shade, tilt, blur, noise and JPEG, 200 to 600 pixels", _photographed),
)
"""Every capture, by name; the first changes nothing but the form of the picture."""


def _ink(form: Form, side: int = _FIELD * _SCALE) -> Floats:
    """Return how much ink lies on each pixel of a page, 0 to 1, shape (side, side)."""
    field = Image.fromarray(np.pad(form, _MARGIN).astype(np.float32) / 255)
    enlarged = field.resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(enlarged, dtype=np.float64), 0, 1)


def _on_paper(ink: Floats, light: Floats | float = 1.0) -> Form:
    grey: Form = np.rint(255 * light * _PAPER * (1 - _DARKNESS * ink)).astype(np.uint8)
    return grey


def _light(side: int, random: Random) -> Floats:
    """Return light that falls off evenly to one side, 1 at the most."""
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    along = rows * np.sin(angle) + columns * np.cos(angle)
    share = (along - along.min()) / np.ptp(along)
    light: Floats = 1 - random.uniform(0.3, 0.6) * share
    return light


def _tilt(ink: Floats, most: float, random: Random) -> Floats:
    """Return the ink seen askew: each corner of the page moved by up to a share of its side."""
    side = len(ink)
    corners = np.array([(0, 0), (side, 0), (side, side), (0, side)], dtype=np.float64)
    seen = corners + random.uniform(-most, most, corners.shape) * side
    picture = Image.fromarray(ink.astype(np.float32))
    tilted = picture.transform(
        (side, side),
        Image.Transform.PERSPECTIVE,
        _perspective(seen, corners).tolist(),
        Image.Resampling.BICUBIC,
    )
    return np.clip(np.asarray(tilted, dtype=np.float64), 0, 1)


def _perspective(seen: Floats, corners: Floats) -> Floats:
    """Return the eight numbers by which Pillow finds the place of each pixel that is seen."""
    rows, values = [], []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    return np.linalg.solve(np.array(rows), np.array(values))


def _blur(page: Form, radius: float) -> Form:
    return np.asarray(Image.fromarray(page).filter(ImageFilter.GaussianBlur(radius)))


def _with_noise(page: Form, levels: float, random: Random) -> Form:
    noisy: Form = np.clip(np.rint(page + random.normal(0, levels, page.shape)), 0, 255).astype(
        np.uint8
    )
    return noisy


def _jpeg(page: Form, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
