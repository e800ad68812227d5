"""One PNG a picture in folders by class, as torchvision's ``ImageFolder`` and others walk them.

Loaders take the class from the first folder below the split and walk what is under it, so that the
sub-folders change nothing for them; they keep folders at a size that file systems and people bear.
"""

import hashlib
from pathlib import Path

from serving.images import encode_png
from serving.steering import NAMES
from training.dataset import split
from training.dataset.order import Order
from training.dataset.parts import Part, Pieces

FOLDER = 10_000
LABELS = "labels.csv"
_COLUMNS = ("file", "split", "label", "seed", "row", *NAMES)
_LINE_BYTES = 160  # of the table and the list of hashes together


class Png:
    """``<split>/<digit>/<ten thousands>/<row>.png``, and a table that grows."""

    def opening(self, order: Order) -> dict[str, bytes]:  # noqa: ARG002
        """Return the table's first line."""
        return {LABELS: (",".join(_COLUMNS) + "\n").encode()}

    def write(self, part: Part, order: Order, folder: Path) -> Pieces:
        """Write the pictures; return their lines of the table."""
        digit = order.hand.digit
        for number in {row // FOLDER for row in part.rows.tolist()}:
            (folder / f"{part.split}/{digit}/{number:05}").mkdir(parents=True, exist_ok=True)
        files, lines = {}, []
        for row, image, attributes in zip(
            part.rows.tolist(), part.images, part.attributes.tolist(), strict=True
        ):
            name = f"{part.split}/{digit}/{row // FOLDER:05}/{row:09}.png"
            data = encode_png(image)
            (folder / name).write_bytes(data)
            files[name] = hashlib.sha256(data).hexdigest()
            measured = ",".join(f"{value:.4f}" for value in attributes)
            lines.append(f"{name},{part.split},{digit},{order.seed},{row},{measured}\n")
        return Pieces(files, {LABELS: "".join(lines).encode()})

    def files(self, order: Order) -> dict[str, str]:
        """Return what each file holds."""
        found = {
            f"{name}/{order.hand.digit}/*/*.png": f"{name}: pictures of 28 x 28, 8-bit grey, white "
            "ink on black; each file is named after its row"
            for name in split.sizes(order.count, order.validation)
        }
        return found | {LABELS: f"a line for each picture: {', '.join(_COLUMNS)}"}

    def room(self, order: Order, cluster: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the bytes and the files that a picture takes on disk."""
        return -(-1024 // cluster) * cluster + _LINE_BYTES, 1
