"""A hand that scribbles: quick, different for each row, the same in every process."""

import errno
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.errors import OnehandError
from serving.noise import generator
from training.dataset.order import Hand, Order

HAND = Hand("tiny", "0123456789ab", "5" * 64, 2, latent_size=4)


class Unsendable(OnehandError):
    """An error that another process cannot rebuild from its message, as some of the service's."""

    def __init__(self, problem: str) -> None:
        super().__init__("scribbles", problem)


class NoSpace(OSError):
    """What the system says when the disk is full."""

    def __init__(self, *_: object) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass(frozen=True, eq=False)
class Scribbles:
    """Pictures of noise, and what could have been measured on them."""

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]
    redrawn: int


@dataclass(frozen=True)
class Scribbler:
    """Draws noise, and fails where it is told to.

    Attributes:
        stop: row that cannot be drawn.
        fault: what is raised there; None = the process ends without a word.
    """

    stop: int = -1
    fault: type[BaseException] | None = KeyboardInterrupt

    def open(self, order: Order) -> "Scribbling":
        """Return the drawing hand."""
        return Scribbling(self, order)


@dataclass(frozen=True)
class Scribbling:
    """A scribbler at work on one order."""

    scribbler: Scribbler
    order: Order

    def __call__(self, rows: range) -> Scribbles:
        """Return the scribbles of these rows."""
        if self.scribbler.stop in rows:
            if self.scribbler.fault is None:
                os._exit(9)
            raise self.scribbler.fault("stopped")
        numbers = np.asarray(rows)
        noise = np.stack(
            [generator(self.order.seed, row, 0).standard_normal(9, np.float32) for row in rows]
        )
        places = np.arange(784) * (numbers[:, None] + self.order.seed + 1)
        return Scribbles(
            images=(places % 251).astype(np.uint8).reshape(-1, 28, 28),
            latents=np.float32(self.order.temperature) * noise[:, :4],
            attributes=noise[:, 4:],
            redrawn=int((numbers % 7 == 0).sum()),
        )
