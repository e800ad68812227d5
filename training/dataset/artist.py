"""The hand of a bundle, drawing exactly what the service would draw.

The picture of row i is the one that ``GenerateVariants`` gives at place i for the same profile,
version, seed and temperature.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serving import bundle
from serving.drawing import Drawn, draw
from serving.errors import BundleError, CannotDraw
from serving.model import Model
from serving.plans import Plan, Prior
from training.dataset.errors import DatasetError
from training.dataset.order import Hand, Order
from training.dataset.parts import Drawer
from training.dataset.scatter import scattered


@dataclass(frozen=True)
class Bundled:
    """A bundle on disk, as an artist.

    Attributes:
        folder: of the bundle.
    """

    folder: Path

    def hand(self) -> Hand:
        """Return whose hand it is.

        Raises:
            BundleError: the bundle breaks its contract.
        """
        loaded = bundle.load(self.folder)
        manifest = loaded.manifest
        return Hand(
            manifest.profile, manifest.version, loaded.digest, manifest.digit, manifest.latent_size
        )

    def open(self, order: Order) -> Drawer:
        """Load, prove and warm the models.

        Raises:
            BundleError: the bundle breaks its contract.
            DatasetError: it is not the one that the order was made for.
            ModelFault: one of its graphs breaks its contract.
        """
        loaded = bundle.load(self.folder)
        if loaded.digest != order.hand.digest:
            raise DatasetError(
                f"{self.folder}: expected the digest {order.hand.digest}, found {loaded.digest}; "
                "the bundle was replaced meanwhile"
            )
        return partial(_draw, Model(loaded), order)


def find(profile: str, models: Path) -> Bundled:
    """Return the bundle of a profile: of ``models``, or in the folder of that name.

    Args:
        profile: its name, or the folder of a bundle, or that of a profile.
        models: folder of all profiles.

    Raises:
        BundleError: there is neither, or the profile has no usable version.
    """
    folder = bundle.named(Path(profile))
    if (folder / bundle.MANIFEST).is_file():
        return Bundled(folder)
    names = [home.name for home in bundle.homes(models)]
    if profile not in names:
        raise BundleError(
            f"profile: expected one of {models} ({', '.join(names) or 'which holds none'}) or the "
            f"folder of a bundle or of a profile, found {profile!r}"
        )
    return Bundled(bundle.current(models / profile))


def _draw(model: Model, order: Order, rows: range) -> Drawn:
    try:
        return draw(model, _plan(order), rows)
    except CannotDraw as error:  # in words of a request, which nobody made here
        options = " and ".join(f"--{span.name}" for span in order.spans)
        narrower = f"a narrower {options}, or " if options else ""
        raise DatasetError(
            f"row {error.row}: expected the digit, found a picture that its classifier doubts, "
            f"whatever was tried; ask for {narrower}another --temperature, with a small --count "
            "first"
        ) from error


def _plan(order: Order) -> Plan:
    if order.spans:
        return scattered(order)
    return Prior(order.temperature, order.seed)
