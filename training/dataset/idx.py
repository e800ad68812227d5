"""MNIST's own files: any loader of MNIST reads them.

The format is that of LeCun, Cortes and Burges (yann.lecun.com/exdb/mnist): two zero bytes, the type
(8 = unsigned byte), the number of axes, the length of each as a big-endian 32-bit number, then the
values. Pictures for validation take the names of MNIST's test files, which is where loaders look
for them. Latents and attributes have no place here.
"""

import struct
from pathlib import Path

from training.dataset import split
from training.dataset.order import Order
from training.dataset.parts import Part, Pieces

_PREFIXES = {split.TRAIN: "train", split.VALIDATION: "t10k"}


class Idx:
    """Two files a split, which grow."""

    def opening(self, order: Order) -> dict[str, bytes]:
        """Return the headers, by file."""
        found = {}
        for name, size in split.sizes(order.count, order.validation).items():
            images, labels = _names(name, order)
            found[images] = _header(size, 28, 28)
            found[labels] = _header(size)
        return found

    def write(self, part: Part, order: Order, folder: Path) -> Pieces:  # noqa: ARG002
        """Return the pixels and labels; nothing is written at once."""
        images, labels = _names(part.split, order)
        return Pieces(
            appended={
                images: part.images.tobytes(),
                labels: bytes([order.hand.digit]) * len(part.rows),
            }
        )

    def files(self, order: Order) -> dict[str, str]:
        """Return what each file holds."""
        found = {}
        for name in split.sizes(order.count, order.validation):
            images, labels = _names(name, order)
            found[images] = f"{name}: pictures, uint8 (n, 28, 28), white ink on black"
            found[labels] = f"{name}: labels, uint8 (n,)"
        return found

    def room(self, order: Order, cluster: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the bytes and the files that a picture takes on disk, compressed or not."""
        return 28 * 28 + 1, 0


def _names(name: str, order: Order) -> tuple[str, str]:
    prefix, suffix = _PREFIXES[name], ".gz" if order.gzip else ""
    return f"{prefix}-images-idx3-ubyte{suffix}", f"{prefix}-labels-idx1-ubyte{suffix}"


def _header(*shape: int) -> bytes:
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
