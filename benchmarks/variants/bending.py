"""The server's steering over torch: given pictures changed to measure, without a bundle."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from serving.model import Measured, Model
from serving.steering import Goals, Target, goals, steer
from training.steer import Steer

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Bending:
    """What ``serving.model.Model`` answers of steering, answered by torch."""

    def __init__(self) -> None:
        self._graph = Steer().eval()

    @torch.inference_mode()
    def attributes(self, pixels: Floats) -> Floats:
        """Return thickness, slant, width and height (n, 4) of pixels (n, 28, 28) in [0, 1]."""
        measured: Floats = self._graph.attributes(torch.from_numpy(pixels)).numpy()
        return measured

    @torch.inference_mode()
    def steer(self, pixels: Floats, matrix: Floats, pen: Floats) -> Measured:
        """Return pictures (n, 28, 28), bent and redrawn; see ``Model.steer``."""
        steered, attributes = self._graph(*map(torch.from_numpy, (pixels, matrix, pen)))
        return Measured(steered.numpy(), attributes.numpy())

    def bend(
        self, images: Images, targets: Mapping[str, Target], shares: NDArray[np.float64]
    ) -> Images:
        """Return pictures (n, 28, 28) with these attributes, by the server's steering.

        Args:
            images: shape (n, 28, 28).
            targets: by name of the attribute.
            shares: shape (n,), how far each is from a target's first value (0) to its last (1).
        """
        pixels = _pixels(images)
        measured = self.attributes(pixels)
        asked = {name: target.at(shares) for name, target in targets.items()}
        return self._steered(pixels, measured, goals(asked, measured))

    def to(self, images: Images, wanted: Goals) -> Images:
        """Return pictures (n, 28, 28) with the attributes that are wanted, as nearly as may be."""
        pixels = _pixels(images)
        return self._steered(pixels, self.attributes(pixels), wanted)

    def _steered(self, pixels: Floats, measured: Floats, wanted: Goals) -> Images:
        result = steer(cast(Model, self), pixels, measured, wanted)
        return np.rint(np.clip(result.pixels, 0, 1) * 255).astype(np.uint8)


def _pixels(images: Images) -> Floats:
    return (images / 255).astype(np.float32)
