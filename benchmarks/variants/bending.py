"""The server's steering over torch: given pictures changed to measure, without a bundle."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from serving.model import Model, Steered
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
    def steer(self, pixels: Floats, matrix: Floats, pen: Floats) -> Steered:
        """Return pictures (n, 28, 28), bent and redrawn; see ``Model.steer``."""
        steered, attributes = self._graph(*map(torch.from_numpy, (pixels, matrix, pen)))
        return Steered(steered.numpy(), attributes.numpy())

    def bend(
        self, images: Images, targets: Mapping[str, Target], shares: NDArray[np.float64]
    ) -> Images:
        """Return pictures (n, 28, 28) with these attributes, by the server's steering.

        Args:
            images: shape (n, 28, 28).
            targets: by name of the attribute.
            shares: shape (n,), how far each is from a target's first value (0) to its last (1).
        """
        measured = self.attributes((images / 255).astype(np.float32))
        return self.to(images, goals(targets, shares, measured))

    def to(self, images: Images, wanted: Goals) -> Images:
        """Return pictures (n, 28, 28) with the attributes that are wanted, as nearly as may be."""
        pixels = (images / 255).astype(np.float32)
        result = steer(cast(Model, self), pixels, self.attributes(pixels), wanted)
        return np.rint(np.clip(result.pixels, 0, 1) * 255).astype(np.uint8)
