"""Pictures of 28 x 28 in the plainest PNG there is, read many at a time.

Grey of 8 bits, not interlaced, one chunk of pixels and nothing besides: what Pillow, OpenCV and
imageio write of such an array. To find that out, an imaging library goes through plugins, streams
and chunks for each file, which takes several times as long as the pixels do. See the PNG
specification (W3C, Third Edition), chapters 5, 7 and 9.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.images.mnist_form import SIDE, forms_among
from serving.images.size import PNG_SIGNATURE

__all__ = ["read_forms"]

# Width, height, bits, grey; then the only compression and filters there are, and no interlace.
_HEADER = b"IHDR" + struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
_BEGIN = PNG_SIGNATURE + struct.pack(">I", 13) + _HEADER + struct.pack(">I", zlib.crc32(_HEADER))
_CHUNK = struct.Struct(">I4s")  # length and name of what comes next
_PIXELS = len(_BEGIN) + _CHUNK.size
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_AFTER_PIXELS = 4 + len(_END)  # a checksum, and the end

# A row is led by the number of its filter.
_ROW = 1 + SIDE
_ROWS = _ROW * SIDE
_FILTERS = 4
# A filter adds what stands in the row above; above a picture's first there is nothing.
_NOTHING_ABOVE = bytes(_ROW)


def read_forms(files: Sequence[bytes]) -> list[NDArray[np.uint8] | None]:
    """Return the pixels, shape (28, 28), of each file that is such a PNG and in MNIST form.

    ``None`` stands for every other file, damaged ones too: whoever reads all kinds of files is to
    say what it is. As there, the checksum of the pixels is not looked at.
    """
    found: list[NDArray[np.uint8] | None] = [None] * len(files)
    rows = {place: row for place, file in enumerate(files) if (row := _filtered_rows(file))}
    if rows:
        images = _unfiltered(list(rows.values()))
        for place, image, is_form in zip(rows, images, forms_among(images), strict=True):
            if is_form:
                found[place] = image
    return found


def _filtered_rows(file: bytes) -> bytes | None:
    """Return the rows of a picture as they lie in its file, each led by its filter."""
    if not (file.startswith(_BEGIN) and file.endswith(_END)):
        return None
    length, name = _CHUNK.unpack_from(file, len(_BEGIN))
    if name != b"IDAT" or len(file) != _PIXELS + length + _AFTER_PIXELS:
        return None
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(file[_PIXELS : _PIXELS + length], _ROWS + 1)
    except zlib.error:
        return None
    is_whole = inflate.eof and len(rows) == _ROWS and max(rows[::_ROW]) <= _FILTERS
    return rows if is_whole else None


def _unfiltered(pictures: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return pixels, shape (n, 28, 28), of the rows of n >= 1 pictures.

    They are handed to the imaging library as one tall picture: to hand over each takes as long as
    to do it.
    """
    tall = _NOTHING_ABOVE.join(pictures) + _NOTHING_ABOVE
    size = SIDE, len(tall) // _ROW
    image = Image.frombytes("L", size, zlib.compress(tall, level=0), "zip", "L", 0)
    return np.asarray(image).reshape(-1, SIDE + 1, SIDE)[:, :SIDE]
