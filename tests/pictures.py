"""Pictures to send, good and bad."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.pb import handwriting_pb2 as pb


def form(seed: int = 0) -> NDArray[np.uint8]:
    """Return a 28 x 28 image of white ink on black: a stroke that depends on the seed."""
    draw = np.random.default_rng(seed)
    image = np.zeros((28, 28), dtype=np.uint8)
    top, left = draw.integers(4, 10, 2)
    image[top : top + 14, left : left + 4] = draw.integers(128, 256, (14, 4))
    return image


def message(image: NDArray[np.uint8]) -> pb.Image:
    """Return pixels as a message."""
    height, width = image.shape
    return pb.Image(pixels=pb.Pixels(data=image.tobytes(), height=height, width=width))


def encoded(data: bytes) -> pb.Image:
    """Return a picture file as a message."""
    return pb.Image(encoded=data)


def page(side: int = 96) -> NDArray[np.uint8]:
    """Return a page with one stroke of dark ink."""
    image = np.full((side, side), 235, dtype=np.uint8)
    image[side // 4 : side * 3 // 4, side // 2 - side // 16 : side // 2 + side // 16] = 30
    return image


def file(image: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """Return the image as a picture file."""
    return saved(Image.fromarray(image), kind)


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def bomb(side: int = 50_000) -> bytes:
    """Return a PNG of a few bytes whose header claims side x side pixels."""
    return plain(zlib.compress(b"\0" * 64), side)


def liar(claimed: int, side: int) -> bytes:
    """Return a PNG with two headers: a first of claimed x claimed pixels, and the true one."""
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in page(side)))
    return _png(_header(claimed), _header(side), chunk(b"IDAT", rows))


def plain(stream: bytes, side: int = 28) -> bytes:
    """Return a grey PNG of side x side with this stream of compressed rows and nothing besides."""
    return _png(_header(side), chunk(b"IDAT", stream))


def _png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def _header(side: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def animation() -> bytes:
    """Return a GIF of two frames."""
    frames = [Image.fromarray(page()), Image.fromarray(255 - page())]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()
