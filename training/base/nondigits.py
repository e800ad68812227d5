"""Pictures of anything but one digit, in MNIST form: what the base must call "not a digit".

Letters of other alphabets, scribbles, textures, parts of digits, two digits at once, inverted
ones. None is ever shown as a real digit, and the shapes of textures fill the field on purpose:
nothing forces a caller to send centred ink.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Images = NDArray[np.uint8]
Ink = NDArray[np.floating]
Mask = NDArray[np.bool_]
Random = np.random.Generator

_SIDE, _BOX = 28, 20
_CANVAS = 112
_FIELD = (_SIDE, _SIDE)
_ROWS, _COLUMNS = np.mgrid[:_SIDE, :_SIDE]


def to_form(ink: Ink) -> Images:
    """Return ink (h, w) in [0, 1] as uint8 (28, 28): box fitted into 20 x 20, mass in the middle.

    Unlike the server's it refuses nothing: an empty field comes back empty.
    """
    mask = ink > 0.15 * max(ink.max(), 1e-6)
    if not mask.any():
        return np.zeros((_SIDE, _SIDE), np.uint8)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    factor = _BOX / max(box.shape)
    height, width = (max(1, round(side * factor)) for side in box.shape)
    method = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    small = np.asarray(Image.fromarray(box).resize((width, height), method))
    small = np.clip(small * min(1.6, 1 / max(small.max(), 1e-6)), 0, 1)
    top = _place(small.sum(axis=1), height)
    left = _place(small.sum(axis=0), width)
    form = np.zeros((_SIDE, _SIDE))
    form[top : top + height, left : left + width] = small
    return np.rint(form * 255).astype(np.uint8)


def _place(profile: Ink, length: int) -> int:
    """Return where a box of this length starts so that its mass lies in the middle."""
    middle = profile @ np.arange(length) / profile.sum()
    return int(np.clip(round(13.5 - middle), 0, _SIDE - length))


def in_all_positions(masks: Mask) -> Mask:
    """Return letters (8 n, h, h) for those (n, h, h): turned by quarters, and so mirrored."""
    mirrored = masks[:, :, ::-1]
    turned = [np.rot90(side, k, axes=(1, 2)) for side in (masks, mirrored) for k in range(4)]
    return np.concatenate(turned)


def letters(masks: Mask, random: Random, copies: int) -> Images:
    """Return so many copies of each letter (n, h, w), True where ink is, with random pens."""
    return np.stack(
        [to_form(_thicken(mask, random.uniform(0, 5))) for mask in masks for _ in range(copies)]
    )


def mixture(digits: Images, random: Random, count: int) -> Images:
    """Return so many pictures, uint8 (count, 28, 28), made of nothing or of digits (n, 28, 28)."""
    pictures = []
    for _ in range(count):
        kind = random.random()
        one, two = digits[random.integers(len(digits), size=2)]
        if kind < 0.4:
            pictures.append(scribble(random))
        elif kind < 0.65:
            pictures.append(texture(random))
        elif kind < 0.85:
            pictures.append(_double(one, two, random))
        elif kind < 0.97:
            pictures.append(_piece(one, random))
        else:
            pictures.append(255 - one)
    return np.stack(pictures)


def scribble(random: Random) -> Images:
    """Return one to four smooth or jagged strokes, uint8 (28, 28)."""
    canvas = np.zeros((_CANVAS, _CANVAS), np.bool_)
    for _ in range(random.integers(1, 5)):
        path = _stroke(random)
        halfway = (path[:-1] + path[1:]) / 2
        for points in (path, halfway):
            places = np.clip(points.round().astype(int), 0, _CANVAS - 1)
            canvas[places[:, 0], places[:, 1]] = True
    return to_form(_thicken(canvas, random.uniform(1, 7)))


def _stroke(random: Random) -> NDArray[np.float64]:
    """Return 400 points (400, 2) of a path through 3 to 9 random ones."""
    corners = int(random.integers(3, 10))
    if random.random() < 0.6:
        points = random.uniform(8, _CANVAS - 8, (corners, 2))
    else:
        walk = np.cumsum(random.normal(0, 22, (corners, 2)), axis=0)
        points = np.clip(walk + _CANVAS / 2, 4, _CANVAS - 5)
    at = np.linspace(0, corners - 1, 400)
    path = np.stack([np.interp(at, np.arange(corners), axis) for axis in points.T], axis=1)
    if random.random() < 0.7:
        path = ndimage.gaussian_filter1d(path, 400 / corners / random.uniform(1.5, 5), axis=0)
    return path


def texture(random: Random) -> Images:
    """Return one of ``_TEXTURES``, more or less bright; uint8 (28, 28)."""
    field = _TEXTURES[int(random.integers(0, len(_TEXTURES)))](random)
    ink: Ink = np.clip(field * random.uniform(0.4, 1), 0, 1)
    form: Images = np.rint(ink * 255).astype(np.uint8)
    return form


def _grating(random: Random) -> Ink:
    angle, frequency = random.uniform(0, np.pi), random.uniform(0.2, 2.5)
    along = np.cos(angle) * _COLUMNS + np.sin(angle) * _ROWS
    waves: Ink = 0.5 + 0.5 * np.sin(frequency * along + random.uniform(0, 6))
    return np.rint(waves) if random.random() < 0.5 else waves


def _checks(random: Random) -> NDArray[np.int64]:
    side = random.integers(2, 8)
    squares: NDArray[np.int64] = (_COLUMNS // side + _ROWS // side) % 2
    return squares


def _blobs(random: Random) -> Mask:
    smooth = ndimage.gaussian_filter(random.normal(size=_FIELD), random.uniform(0.7, 4))
    blobs: Mask = smooth > np.quantile(smooth, random.uniform(0.3, 0.95))
    return blobs


def _noise(random: Random) -> Ink:
    noise: Ink = random.random(_FIELD) ** random.uniform(0.5, 6)
    return noise


def _dots(random: Random) -> Mask:
    return random.random(_FIELD) < random.uniform(0.005, 0.6)


def _rectangle(random: Random) -> Ink:
    field = np.zeros(_FIELD)
    height, width = random.integers(1, 21, 2)
    top, left = random.integers(0, _SIDE - height), random.integers(0, _SIDE - width)
    field[top : top + height, left : left + width] = random.uniform(0.2, 1)
    return field


def _disc(random: Random) -> Ink:
    distance = np.hypot(_ROWS - random.uniform(8, 20), _COLUMNS - random.uniform(8, 20))
    disc: Ink = np.clip(random.uniform(1, 10) + 1 - distance, 0, 1)
    return disc


def _dirt(random: Random) -> Ink:
    return np.abs(random.normal(0, random.uniform(0, 0.08), _FIELD))


# Each equally likely; a seed's pictures depend on their order.
_TEXTURES = (_grating, _checks, _blobs, _noise, _dots, _rectangle, _disc, _dirt)


def _piece(digit: Images, random: Random) -> Images:
    """Return 30 to 55 % of a digit's ink, cut off by a straight line."""
    angle = random.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * _COLUMNS + np.sin(angle) * _ROWS
    order = np.argsort(distance.ravel())
    ink = np.cumsum(digit.ravel()[order] / 255)
    last = np.searchsorted(ink, ink[-1] * random.uniform(0.3, 0.55))
    kept = np.where(distance <= distance.ravel()[order][last], digit, 0) / 255
    return to_form(np.kron(kept, np.ones((2, 2))))


def _double(one: Images, two: Images, random: Random) -> Images:
    """Return two digits over one another, or side by side."""
    if random.random() < 0.5:
        by = random.uniform(-5, 5, (2, 2))
        moved = [
            ndimage.shift(each, shift, order=0) for each, shift in zip((one, two), by, strict=True)
        ]
        return np.maximum(*moved).astype(np.uint8)
    left, top = random.integers(14, 24), random.integers(0, 6)
    wide = np.zeros((34, 60))
    wide[3:31, :28] = one
    part = wide[top : top + 28, left : left + 28]
    np.maximum(part, two, out=part)
    return to_form(wide / 255)


def _thicken(mask: Mask, radius: float) -> NDArray[np.float64]:
    """Return strokes (h, w) grown by so many pixels, with a soft edge of one."""
    grown: NDArray[np.float64] = radius + 1 - ndimage.distance_transform_edt(~mask)
    return np.clip(grown, 0, 1)
