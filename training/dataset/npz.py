"""numpy archives, one a block and split, with everything that is known of each picture."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.steering import NAMES
from training.archives import pack
from training.dataset import split
from training.dataset.order import BLOCK, Order
from training.dataset.parts import Part, Pieces


class Npz:
    """Shards of at most ``BLOCK`` pictures; nothing in them is pickled."""

    def opening(self, order: Order) -> dict[str, bytes]:  # noqa: ARG002
        """Return no growing files."""
        return {}

    def write(self, part: Part, order: Order, folder: Path) -> Pieces:
        """Write one shard."""
        arrays: dict[str, NDArray[Any]] = {
            "x": part.images,
            "y": np.full(len(part.rows), order.hand.digit, dtype=np.uint8),
            "latents": part.latents,
            "attributes": part.attributes,
            "rows": part.rows,
        }
        data = pack(arrays, compressed=False)
        name = f"{part.split}/{part.block:06}.npz"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        return Pieces(files={name: hashlib.sha256(data).hexdigest()})

    def files(self, order: Order) -> dict[str, str]:
        """Return what each file holds."""
        latent = order.hand.latent_size
        meaning = (
            f"at most {BLOCK} pictures; x: uint8 (n, 28, 28), white ink on black; y: labels, uint8 "
            f"(n,); latents: float32 (n, {latent}); attributes: float32 (n, 5), "
            f"{', '.join(NAMES)}; rows: int64 (n,), numbers of the pictures"
        )
        names = split.sizes(order.count, order.validation)
        return {f"{name}/*.npz": f"{name}: {meaning}" for name in names}

    def room(self, order: Order, cluster: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the bytes and the files that a picture takes on disk."""
        return 28 * 28 + 1 + 4 * (order.hand.latent_size + len(NAMES)) + 8, 0
