"""Pixels to PNG, and what the header of one says."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8sI4sII")


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit grey PNG of an image of shape (h, w); equal images give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image, mode="L").save(buffer, format="PNG")
    return buffer.getvalue()


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that the header of a PNG claims; ``None`` = it is no PNG."""
    if len(data) < _HEADER.size:
        return None
    signature, _, chunk, width, height = _HEADER.unpack_from(data)
    return (width, height) if signature == _SIGNATURE and chunk == b"IHDR" else None
