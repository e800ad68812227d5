"""What passes from drawing to writing, and from writing to the books."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.dataset.order import Order


class Drawing(Protocol):
    """Pictures and what is known of them, as ``serving.drawing`` returns them."""

    @property
    def images(self) -> NDArray[np.uint8]:
        """Shape (n, 28, 28), white ink on black."""

    @property
    def latents(self) -> NDArray[np.float32]:
        """Shape (n, z)."""

    @property
    def attributes(self) -> NDArray[np.float32]:
        """Shape (n, 5), in the order and units of ``serving.steering.NAMES``."""

    @property
    def redrawn(self) -> int:
        """How many pictures were drawn more than once, until they showed the digit."""


class Drawer(Protocol):
    """A hand that draws."""

    def __call__(self, rows: range) -> Drawing:
        """Return the pictures of these rows; each depends on its own number alone."""


class Artist(Protocol):
    """What a process needs to draw; can be sent to another one."""

    def open(self, order: Order) -> Drawer:
        """Load the models."""


@dataclass(frozen=True, eq=False)
class Part:
    """The pictures of one block that belong to one split.

    Attributes:
        split: ``train`` or ``validation``.
        block: number of the block.
        rows: int64 (n,), ascending.
        images: uint8 (n, 28, 28).
        latents: float32 (n, z).
        attributes: float32 (n, 5).
    """

    split: str
    block: int
    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]


@dataclass(frozen=True)
class Pieces:
    """What a part became.

    Attributes:
        files: SHA-256 of each file that is written and whole, by path in the set.
        appended: what belongs at the end of each growing file, by path in the set.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    appended: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A block that is drawn and written.

    Attributes:
        pieces: of each of its parts.
        redrawn: how many of its pictures were drawn more than once.
    """

    pieces: tuple[Pieces, ...]
    redrawn: int
