"""Will it fit? Asked before hours of drawing, not answered by the disk after them."""

import math
import os
from collections.abc import Callable
from pathlib import Path

from training.dataset.errors import DatasetError
from training.dataset.formats import FORMATS
from training.dataset.order import Order

# Each is 1,024 of the one before.
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def check_room(order: Order, pictures: int, folder: Path) -> None:
    """Refuse a set whose remaining ``pictures`` do not fit on the disk of ``folder``.

    Raises:
        DatasetError: says how much is needed, and how much there is.
    """
    disk = os.statvfs(folder)
    each, files = FORMATS[order.format].room(order, disk.f_frsize)
    needed, free = each * pictures, disk.f_bavail * disk.f_frsize
    if needed > free:
        raise DatasetError(
            f"{folder}: {pictures} pictures as {order.format} take about "
            f"{_size(needed, math.ceil)}, found {_size(free, math.floor)} free; ask for fewer, "
            "another --format or another disk"
        )
    # File systems that make room for files as they come say that they hold none.
    if disk.f_files and files * pictures > disk.f_favail:
        raise DatasetError(
            f"{folder}: {pictures} pictures as {order.format} take as many files, and the disk has "
            f"room for {disk.f_favail}; take --format idx or npz"
        )


def _size(count: int, whole: Callable[[float], int]) -> str:
    """Return a number of bytes to a tenth of the largest unit that it fills.

    What is needed is rounded up and what is free down, so that the one is always told as more.
    """
    unit = min(max(count.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    tenths = whole(count * 10 / 1024**unit)
    return f"{tenths / 10:,.1f}".removesuffix(".0") + f" {_UNITS[unit]}"
