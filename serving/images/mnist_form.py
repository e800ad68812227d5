"""Any picture of one handwritten character, brought to the form of the MNIST images.

The steps follow what NIST and LeCun did to the forms that MNIST was cut from (Yadav and Bottou,
"Cold Case: The Lost MNIST Digits", NeurIPS 2019): ink found at full resolution, its box fitted
into 20 x 20 with its aspect ratio kept, and pasted by whole pixels so that the centre of mass
comes to the middle of 28 x 28. Before that, what a camera adds is taken away: which of ink and
paper is the darker, and light that falls unevenly.

The character itself is never straightened: slant is a trait of the writer.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from serving.errors import BadImage
from serving.images.morphology import dilate, erode
from serving.images.strokes import (
    CROP,
    bounding_box,
    is_sheet,
    longer_side,
    pen_width,
    select_character,
)

Floats = NDArray[np.float32]
Box = tuple[slice, slice]

SIDE = 28
PIXELS = SIDE * SIDE
BOX = 20

# The pixels that are light, as bytes; and the bits that say so, of eight pixels at once.
_LIGHT = bytes(range(0x80, 0x100))
# Mean of the edge, below which it is taken for the black ground of a form: ink may reach it.
_BLACK = 32
_LIGHT_BITS = np.uint64(0x8080808080808080)

# Larger pictures are first reduced by area, which also averages away the noise of the sensor.
_WORKING_SIDE = 768
# Pictures larger than this have pixels to spare: a blur of one pixel in so many quietens the noise
# and is less than a tenth of a pixel of MNIST form for a character that fills the page.
_QUIET_SIDE = 300
# What is smaller than this in all directions, in pixels of the picture, is no character.
_LEAST_SIDE = 8
# A part of the page whose longer side is less than this share of the page's is looked at closer.
_SMALL = 0.5
# The paper's brightness is followed at this size: coarse enough that no stroke survives.
_PAPER_SIDE = 96
# Percentile that stands for the strongest ink: beyond dust, within the shortest stroke.
_EXTREME = 99.98
# Grey levels by which light marks must stand out more than dark ones to be taken for the ink.
_GRAIN = 5.0
# Ink must be darker than the paper by this share of the paper's brightness ...
_MIN_CONTRAST = 0.1
# ... and by this many standard deviations of the paper's noise.
_MIN_CONTRAST_SIGMA = 5.0
# Marks that are less dark than this share of the ink are none of it: rules, or what shows through
# from the other side. Otsu's threshold alone falls between them and the paper if the ink is thin.
_LEAST_INK = 0.4
# Width of the finest pen, in pixels of MNIST form, that ink is left with as it is: three in four of
# MNIST's 2s are by a broader one (docs/experiments.md).
_LEAST_PEN = 2.2
# Of a character that is smaller, in pixels, a whole pixel more would be too much.
_FIRM_SIDE = 7 * BOX
# Pixels to either side of which a bicubic interpolation takes notice.
_SMOOTH = 2
# No digit's strokes are longer than so many times its longer side.
_LONGEST = 6.0
# A row or column is part of the ink's box if one of its pixels has this share of full ink. Lower
# keeps the faint rim of images that were in MNIST form before, higher follows the middle of a
# blurred edge; 0.3 is where both come back with the least change.
_RIM = 0.3


def to_mnist_form(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the character in ``grey`` as a 28 x 28 image of white ink on black.

    What is in this form already comes back as it is.

    Args:
        grey: shape (h, w), each side at least 28; dark ink on light paper or the reverse.

    Raises:
        BadImage: there is no ink, more than one character, or more than the paper.
    """
    if grey.shape == (SIDE, SIDE) and _is_form(grey.tobytes()):
        return grey
    darkness, is_light = _written_part(grey)
    ink, paper = _separate(darkness)
    character = select_character(ink)
    if is_light and is_sheet(character):
        raise BadImage(CROP)
    strokes = _firm(_level(darkness, character, paper), character)
    return _centre(_fit(strokes))


def are_mnist_form(pixels: bytes) -> bool:
    """Say whether pictures of 28 x 28 pixels are all taken to be in MNIST form already.

    That is: there is some ink, and most of a picture is dark and thus white ink on black.

    Args:
        pixels: 784 bytes for each picture, 1 or more.
    """
    if len(pixels) == PIXELS:  # many times faster than with arrays
        light = PIXELS - len(pixels.translate(None, _LIGHT))
        return 0 < light < PIXELS // 2
    return bool(_are_dark(np.frombuffer(pixels, dtype=np.uint8).reshape(-1, PIXELS)).all())


def _are_dark(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which images (n, 784) have some ink on mostly black, shape (n,)."""
    lights = np.bitwise_count(images.view(np.uint64) & _LIGHT_BITS).sum(axis=1)
    are_dark: NDArray[np.bool_] = (lights > 0) & (lights < PIXELS // 2)
    return are_dark


def forms_among(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which pictures of unknown origin are in MNIST form already, shape (n,).

    Their edge must be black as well: a small photograph of dim paper is mostly dark, too.

    Args:
        images: shape (n, 28, 28).
    """
    edge = images[:, (0, -1)].sum(axis=(1, 2), dtype=np.int64)
    edge += images[:, :, (0, -1)].sum(axis=(1, 2), dtype=np.int64)
    is_black: NDArray[np.bool_] = edge < 4 * SIDE * _BLACK
    return is_black & _are_dark(images.reshape(len(images), PIXELS))


def _is_form(pixels: bytes) -> bool:
    """Say the same of one picture, many times faster than with arrays."""
    top, bottom, left, right = (
        pixels[:SIDE],
        pixels[-SIDE:],
        pixels[::SIDE],
        pixels[SIDE - 1 :: SIDE],
    )
    edge = sum(top) + sum(bottom) + sum(left) + sum(right)
    return edge < 4 * SIDE * _BLACK and are_mnist_form(pixels)


def centre_in_form(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring an already clean image of white ink on black to the same box and centre.

    For images made by the package itself (augmented, sampled), which have no paper to flatten.

    Args:
        image: shape (h, w).

    Raises:
        BadImage: there is no ink.
    """
    if not image.any():
        raise BadImage("expected ink, found a blank image")
    return _centre(_fit((image / 255).astype(np.float32)))


class _Page(NamedTuple):
    """The part of a page that is written on.

    Attributes:
        darkness: how dark each pixel is, 0 = paper, 1 = black.
        is_light: whether its ink is lighter than what is around it; ``darkness`` is then of the
            negative.
    """

    darkness: Floats
    is_light: bool


def _written_part(grey: NDArray[np.uint8]) -> _Page:
    """Return the part around everything that is at least half as dark as the darkest.

    A small character on a large page is so few of its pixels that a threshold found over all of
    them would split the paper instead. And it loses its detail where the page is reduced and
    quietened, so the part is looked at anew, as a page of its own, until it fills a good part of
    what is looked at.
    """
    image = _reduce(grey)
    is_light = _is_light_ink(image)
    darkness = _flatten_paper(255 - image if is_light else image)
    scale = max(grey.shape) / max(darkness.shape)
    mark = darkness > np.percentile(darkness, _EXTREME) / 2
    if not mark.any():
        return _Page(darkness, is_light)
    box = bounding_box(mark)
    if (side := longer_side(box) * scale) < _LEAST_SIDE:
        raise BadImage(
            f"expected a character, found a dot of {side:.0f} pixels; is the page blank?"
        )
    if max(grey.shape) > _QUIET_SIDE:
        closer = box if _is_small(box, mark) else bounding_box(_likely_character(mark))
        if _is_small(closer, mark):
            rows, columns = (
                slice(int(span.start * scale), int(np.ceil(span.stop * scale)))
                for span in _around(closer)
            )
            return _written_part(grey[rows, columns])
    return _Page(darkness[_around(box)], is_light)


def _likely_character(mark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what of the marks on a page is the character, as far as a first look tells."""
    try:
        return select_character(mark)
    except BadImage:  # there may be more than one, which a closer look shall decide
        return mark


def _is_small(box: Box, page: NDArray[np.bool_]) -> bool:
    """Say whether a box, with the paper around it, is a small part of a page (h, w)."""
    return bool(longer_side(box) - 1 + 2 * _margin(box) <= _SMALL * max(page.shape))


def _around(box: Box) -> Box:
    """Return rows and columns of a box, with some paper around it."""
    margin = _margin(box)
    rows, columns = (slice(max(span.start - margin, 0), span.stop + margin) for span in box)
    return rows, columns


def _margin(box: Box) -> int:
    return (longer_side(box) - 1) // 2 + SIDE


def _reduce(grey: NDArray[np.uint8]) -> Floats:
    factor = -(-max(grey.shape) // _WORKING_SIDE)
    picture = Image.fromarray(grey).reduce(factor) if factor > 1 else Image.fromarray(grey)
    if max(picture.size) > _QUIET_SIDE:
        picture = picture.filter(ImageFilter.GaussianBlur(max(picture.size) / _QUIET_SIDE))
    return np.asarray(picture, dtype=np.float32)


def _is_light_ink(image: Floats) -> bool:
    """Say whether the ink is lighter than the paper.

    The edge of a picture is nearly all paper. A plane fitted to it stands for the light, and ink
    is on the side to which the extremes lie further away.
    """
    rows, columns = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    edge = np.ones(image.shape, dtype=np.bool_)
    margin = max(1, min(image.shape) // 20)
    edge[margin:-margin, margin:-margin] = False
    basis = np.stack([np.ones_like(rows), rows, columns], axis=-1)
    design, values = basis[edge], image[edge].astype(np.float64)
    # 3 x 3, so cheap at any size; least squares, for a strip of one row has no slope across it
    plane, *_ = np.linalg.lstsq(design.T @ design, design.T @ values, rcond=None)
    residual = image - basis @ plane
    dark, light = np.percentile(residual, [100 - _EXTREME, _EXTREME])
    return bool(light > _GRAIN - dark)


def _flatten_paper(image: Floats) -> Floats:
    """Return how much darker than the paper around it each pixel is: 0 = paper, 1 = black.

    The paper under the ink is found by a grey closing, wider than any stroke: light falls on ink
    and paper alike, so the ratio of the two does not depend on it.
    """
    height, width = image.shape
    scale = min(1.0, _PAPER_SIDE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(image).resize(small, Image.Resampling.BOX).convert("L")
    radius = max(3, min(small) // 3) // 2
    closed = Image.fromarray(erode(dilate(np.asarray(picture), radius), radius))
    blurred = closed.filter(ImageFilter.BoxBlur(radius // 2))
    paper = blurred.convert("F").resize((width, height), Image.Resampling.BILINEAR)
    darkness = np.clip(1 - image / np.maximum(np.asarray(paper), 1), 0, 1)
    return np.asarray(darkness, dtype=np.float32)


@dataclass(frozen=True)
class _Paper:
    """How dark the bare paper is, and the standard deviation of its noise; both 0 to 1."""

    level: float
    noise: float


def _separate(darkness: Floats) -> tuple[NDArray[np.bool_], _Paper]:
    """Split ink from paper by Otsu's threshold (IEEE Trans. SMC 9, 1979), or a higher one."""
    counts, edges = np.histogram(darkness, bins=256, range=(0, 1))
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = darkness.size - below
    mean_below = np.cumsum(counts * middles) / np.maximum(below, 1)
    mean_above = ((counts * middles).sum() - np.cumsum(counts * middles)) / np.maximum(above, 1)
    spread = below * above * (mean_above - mean_below) ** 2
    best = int(np.argmax(spread))
    threshold = float(edges[best + 1])
    bare = darkness[darkness <= threshold]
    if not bare.size:
        raise BadImage("expected ink on paper, found a picture of one shade; is the page blank?")
    level = np.median(bare)
    paper = _Paper(float(level), 1.4826 * float(np.median(np.abs(bare - level))))
    contrast = max(float(mean_above[best] - mean_below[best]), 0.0)
    if contrast < _MIN_CONTRAST:
        raise BadImage(
            f"expected ink on paper, found a contrast of {contrast:.1%}, which is none; "
            "is the page blank?"
        )
    if contrast < _MIN_CONTRAST_SIGMA * paper.noise:
        raise BadImage(
            f"expected ink on paper, found grain: what is dark stands out by {contrast:.1%}, and "
            f"the rest varies by {paper.noise:.1%}; is the page blank?"
        )
    ink = darkness > threshold
    full = float(np.percentile(darkness[ink], 90))
    return darkness > max(threshold, paper.level + _LEAST_INK * (full - paper.level)), paper


def _level(darkness: Floats, character: NDArray[np.bool_], paper: _Paper) -> Floats:
    """Return the character's ink from 0 to 1: noise of the paper to 0, the pen's full ink to 1.

    The grey of the edges is kept, for it says where within a pixel the edge lies; everything
    further from the character than one and a half pixels of MNIST form is paper.
    """
    low = paper.level + 3 * paper.noise
    high = float(np.percentile(darkness[character], 90))
    ink = np.clip((darkness - low) / max(high - low, 1e-6), 0, 1)
    side = longer_side(bounding_box(character))
    reach = dilate(character, _reach(side))
    written = np.where(reach, ink, 0).astype(np.float32)
    if not written.any():
        raise BadImage(
            "expected ink on paper, found marks no darker than the paper's grain; is the page "
            "blank?"
        )
    return written


def _reach(side: int) -> int:
    """Return how far from a character of this longer side its grey edges may lie, in pixels."""
    return int(np.ceil(1.5 * side / BOX))


def _firm(ink: Floats, character: NDArray[np.bool_]) -> Floats:
    """Return the ink of a pen that is no thinner than ``_LEAST_PEN``.

    Reduced to MNIST form a ballpoint's strokes are grey hairs, which no writer of MNIST left: what
    was learned from those would see a stranger in every hand.
    """
    box = bounding_box(character)
    side = longer_side(box)
    pen = pen_width(character)
    if np.count_nonzero(character) > _LONGEST * side * pen:
        return ink  # these are no strokes, but the dots of a raster
    finer = -(-_FIRM_SIDE // side)
    radius = round(finer * (_LEAST_PEN * side / BOX - pen) / 2)
    if radius < 1:
        return ink
    # The character alone, or a small one on a large page would fill gigabytes.
    margin = _reach(side) + -(-radius // finer) + _SMOOTH
    rows, columns = (slice(max(span.start - margin, 0), span.stop + margin) for span in box)
    ink = np.ascontiguousarray(ink[rows, columns])
    height, width = ink.shape
    enlarged = Image.fromarray(ink).resize((finer * width, finer * height))
    return dilate(np.asarray(enlarged, dtype=np.float32), radius)


def _fit(ink: Floats) -> Floats:
    """Return the ink's box scaled by area so that its longer side is 20 pixels; shape (h, w).

    The box starts at the first row and column with ink; at the other end it is rounded up to
    whole pixels of the result, so that the aspect ratio stays exactly what it was.
    """
    rows, columns = box = bounding_box(ink > _RIM * ink.max())
    pitch = longer_side(box) / BOX
    width, height = columns.stop - columns.start, rows.stop - rows.start
    size = (_whole(width / pitch), _whole(height / pitch))
    rest = int(np.ceil(pitch))
    room = np.pad(ink[rows.start :, columns.start :], ((0, rest), (0, rest)))
    filter_ = Image.Resampling.BOX if pitch >= 1 else Image.Resampling.BICUBIC
    whole = (0.0, 0.0, size[0] * pitch, size[1] * pitch)
    fitted = np.asarray(Image.fromarray(room).resize(size, filter_, box=whole), dtype=np.float32)
    return np.clip(fitted, 0, 1)


def _whole(length: float) -> int:
    return max(1, min(BOX, int(np.ceil(length - 1e-6))))


def _centre(ink: Floats) -> NDArray[np.uint8]:
    image = np.rint(ink * 255).astype(np.uint8)
    form = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top = _offset(image.sum(axis=1, dtype=np.int64))
    left = _offset(image.sum(axis=0, dtype=np.int64))
    form[top : top + image.shape[0], left : left + image.shape[1]] = image
    return form


def _offset(profile: NDArray[np.int64]) -> int:
    """Return where to paste so that the centre of mass of ``profile`` is nearest the middle."""
    middle = float((profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum())
    return int(np.clip(int(SIDE / 2 + 1 - middle), 0, SIDE - len(profile)))
