"""The formats by name, and what each can be asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from training.dataset.idx import Idx
from training.dataset.npz import Npz
from training.dataset.order import Order
from training.dataset.parts import Part, Pieces
from training.dataset.png import Png


class Format(Protocol):
    """How pictures lie on disk."""

    def opening(self, order: Order) -> dict[str, bytes]:
        """Return the files that grow, by path in the set, and how each begins."""

    def write(self, part: Part, order: Order, folder: Path) -> Pieces:
        """Write under ``folder`` what stands alone; return it, and what is to be appended."""

    def files(self, order: Order) -> dict[str, str]:
        """Return what the files hold, by path or pattern in the set."""

    def room(self, order: Order, cluster: int) -> tuple[int, int]:
        """Return the bytes and the files that a picture takes on a disk of such clusters."""


FORMATS: Mapping[str, Format] = {"idx": Idx(), "npz": Npz(), "png": Png()}
