"""Stroke width as the measuring stick has it, for graphs, which cannot trace a skeleton.

It is learned once, by ``python -m training pretrain --part stroke``, from measured pictures.
``card.md`` says which, and how near it comes.

::

    network   a line, and what is missing to the truth
    pictures  pictures of all kinds, each measured with the stick
    train     how it came to be
"""

from pathlib import Path

from training import weights
from training.stroke.network import StrokeWidth, build

HERE = Path(__file__).parent
WEIGHTS = "weights.npz"


def load(folder: Path = HERE) -> StrokeWidth:
    """Return the network in a folder, by default the committed one, ready for inference.

    Raises:
        training.errors.WeightsError: the file is missing, damaged or of another network.
    """
    return weights.read(folder / WEIGHTS, build)
