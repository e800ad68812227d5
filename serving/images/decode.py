"""Bytes to grey pixels, for bytes that may be hostile.

What is cheap to know comes first: the length of the file, then the size that its header claims,
and only then is a pixel decoded. Formats are an allow-list, so that a rarely used decoder of the
imaging library cannot be reached from outside.
"""

import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from serving.errors import BadImage
from serving.images.pieces import bare_png, check_exif, check_jpeg
from serving.images.quiet import silence_libtiff
from serving.images.size import PNG_SIGNATURE
from serving.images.tiff import check_tiff

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_READABLE = "PNG, JPEG, WebP, BMP or TIFF"

# JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the cost. A character
# needs some 20 pixels of height, so a side of 2,000 leaves it room to be small on a large page.
_JPEG_SIDE = 2000

# Compressions of BMP that the library unpacks in Python, run by run.
_RUNS = (1, 2)

# How files begin; nothing else that begins so is among the formats.
_JPEG = b"\xff\xd8"
_TIFF = (b"II", b"MM")

# What makes pictures upright that were held in these ways (Exif 2.32, tag 0x0112).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A WebP without loss may take 250 MiB beside its pixels: it can have 65,536 tables of codes. Files
# do not tell cheaply how many, so they are unpacked one at a time.
_BY_ONE = threading.Lock()
_LOSSY, _LOSSY_AT = b"VP8 ", 12

# Rows that are worked on at a time where pixels take more than a byte each.
_SLICE = 64


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted as a picture.

    Attributes:
        max_encoded_bytes: length of the file.
        max_pixels: width times height.
        min_side: pixels of the shorter side.
    """

    max_encoded_bytes: int = 16 * 1024 * 1024
    max_pixels: int = 20 * 1024 * 1024
    min_side: int = 28


def decode(data: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """Return the grey pixels, shape (h, w), of a picture file, upright by its EXIF rotation.

    Large JPEGs come back at a half, a quarter or an eighth of their size. Transparent pictures
    are laid on the paper, white or black, from which their ink stands out.

    Raises:
        BadImage: the file is empty, too long, of another format, damaged, animated, would cost far
            more than its pixels, or its sides are outside the limits.
    """
    if not data:
        raise BadImage("expected a picture file, found 0 bytes")
    if len(data) > limits.max_encoded_bytes:
        raise BadImage(
            f"expected at most {limits.max_encoded_bytes} bytes, found {len(data)}; "
            "send a smaller picture"
        )
    picture = _open(_looked_through(data, limits))
    check_size(picture.height, picture.width, limits)
    check_exif(len(picture.info.get("exif", b"")))
    if picture.format == "BMP" and picture.info.get("compression") in _RUNS:
        raise BadImage("expected an unpacked BMP, found one packed by runs; save it as PNG")
    # Not the number of frames: to know it, the library walks through all of a TIFF, for minutes.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise BadImage("expected a picture of one frame, found an animation or several pages")
    alone = picture.format == "WEBP" and not data.startswith(_LOSSY, _LOSSY_AT)
    return _load(picture, alone=alone)


def check_size(height: int, width: int, limits: ImageLimits) -> None:
    """Raise BadImage unless the sides are within the limits."""
    if min(height, width) < limits.min_side:
        raise BadImage(
            f"expected sides of at least {limits.min_side} pixels, found {width} x {height}"
        )
    if height * width > limits.max_pixels:
        raise BadImage(
            f"expected at most {limits.max_pixels} pixels, found {width} x {height} = "
            f"{width * height}; send a smaller picture"
        )


def _looked_through(data: bytes, limits: ImageLimits) -> bytes:
    """Return what of a file is for the library to read.

    Raises:
        BadImage: it would cost far more than its pixels do.
    """
    if data.startswith(PNG_SIGNATURE):
        return bare_png(data)
    if data.startswith(_JPEG):
        check_jpeg(data)
    elif data.startswith(_TIFF):
        silence_libtiff()
        check_tiff(data, limits.max_pixels)
    return data


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage("the header claims more pixels than are accepted") from error
    except UnidentifiedImageError as error:
        raise BadImage(
            f"expected a {_READABLE} file, found one that starts with {data[:8]!r}"
        ) from error
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise BadImage(f"the header of the {_READABLE} file is damaged") from error


def _load(picture: Image.Image, *, alone: bool) -> NDArray[np.uint8]:
    kind = picture.format
    try:
        picture.draft("L", (_JPEG_SIDE, _JPEG_SIDE))  # JPEG only; other formats ignore it
        with _BY_ONE if alone else nullcontext():
            picture.load()
        return _to_grey(_upright(picture))
    except Exception as error:  # a decoder may raise anything on hostile bytes
        raise BadImage(f"the {kind} file is damaged or cut short") from error


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture as its EXIF says that it was held.

    The library's own function writes the EXIF anew as well, at a hundred bytes for each of it.
    """
    turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    return picture if turn is None else picture.transpose(turn)


def _to_grey(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I") or picture.mode == "F":
        return _stretch(np.asarray(picture))
    if picture.has_transparency_data:
        return _lay_on_paper(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
    grey = picture if picture.mode == "L" else picture.convert("L")  # which would copy it
    return np.asarray(grey, dtype=np.uint8)


def _stretch(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Map values of more than 8 bits linearly so that the range used fills 0 to 255.

    Slice by slice: a picture within the limits would take hundreds of MiB as doubles.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise ValueError("pixels are not finite")
    grey = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _SLICE):
        part = values[start : start + _SLICE].astype(np.float64)
        grey[start : start + _SLICE] = np.rint((part - low) / max(high - low, 1e-12) * 255)
    return grey


def _lay_on_paper(picture: Image.Image) -> NDArray[np.uint8]:
    grey, alpha = picture.convert("L"), picture.getchannel("A")
    shades, weights = np.asarray(grey), np.asarray(alpha)
    total = max(int(weights.sum(dtype=np.int64)), 1)
    ink = float(np.einsum("ij,ij->", shades, weights, dtype=np.float64)) / total
    paper = Image.new("L", picture.size, 255 if ink < 128 else 0)
    return np.asarray(Image.composite(grey, paper, alpha), dtype=np.uint8)
