"""The generator: what hundreds of other writers teach about drawing digits, as committed weights.

It is learned once, by ``python -m training pretrain``, and knows nobody who is enrolled later. An
enrolment asks it for the enrolled hand (``training.generator.hand_vae``) and changes nothing of
it. ``card.md`` says what it was trained on, how well it does and what it cannot do.

::

    network   an autoencoder of everybody's digits
    hands     how hands differ in its space, and where an enrolled one lies
    traits    how far a hand is drawn along what can be measured of it
    hand_vae  the generator in one hand
    train     how it came to be
"""

from pathlib import Path

from training import weights
from training.generator.network import Generator, build

HERE = Path(__file__).parent
WEIGHTS = "weights.npz"


def load(folder: Path = HERE) -> Generator:
    """Return the generator in a folder, by default the committed one, ready for inference.

    Raises:
        training.errors.WeightsError: the file is missing, damaged or of another network.
    """
    return weights.read(folder / WEIGHTS, build)
