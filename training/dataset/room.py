"""Will it fit? Asked before hours of drawing, not answered by the disk after them."""

import os
from pathlib import Path

from training.dataset.errors import DatasetError
from training.dataset.formats import FORMATS
from training.dataset.order import Order

_GIB = 2**30


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
            f"{folder}: {pictures} pictures as {order.format} take about {needed / _GIB:.1f} GiB, "
            f"found {free / _GIB:.1f} GiB free; ask for fewer, another --format or another disk"
        )
    # File systems that make room for files as they come say that they hold none.
    if disk.f_files and files * pictures > disk.f_favail:
        raise DatasetError(
            f"{folder}: {pictures} pictures as {order.format} take as many files, and the disk has "
            f"room for {disk.f_favail}; take --format idx or npz"
        )
