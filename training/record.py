"""What an enrolment remembers for people: the pictures and numbers that the report shows.

It lies in ``<bundle>/report/``, beside the contract and outside it: the server never reads it,
and a bundle without it serves just as well. Two files, one for each kind of content::

    record.npz     every array, nothing pickled
    record.json    everything else

Equal records give equal bytes. Nothing is drawn here; that is what ``training.report`` is for.
"""

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.bundle import LABELS, REPORT, replace_file
from training.errors import TrainingError

ARRAYS = "record.npz"
VALUES = "record.json"
FORMAT = 1
THUMBNAIL_SIDE = 480

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
History = Mapping[str, tuple[float, ...]]


class RecordError(TrainingError):
    """A record that is missing, damaged or inconsistent; the message says what to do."""


def no_images() -> Images:
    """Return the images of a stage that a recipe skips; shape (0, 28, 28)."""
    return np.zeros((0, 28, 28), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Latent:
    """Where the VAE puts the augmented images.

    Attributes:
        means: (n, z), posterior mean of each augmented image.
        embedding: (n, 2), the means laid out in the plane by t-SNE.
        clusters: (n,), K-means cluster of each, from 0.
        cluster_count: number of clusters.
        trustworthiness: 0 to 1, how far to believe neighbours in the plane (Venna and Kaski 2001).
        neighbours: how many neighbours of each point that figure looked at.
    """

    means: Floats
    embedding: Floats
    clusters: NDArray[np.int64]
    cluster_count: int
    trustworthiness: float
    neighbours: int

    def __post_init__(self) -> None:
        n = len(self.means)
        _expect("latent.means", self.means, np.float32, (n, None))
        _expect("latent.embedding", self.embedding, np.float32, (n, 2))
        _expect("latent.clusters", self.clusters, np.int64, (n,))


@dataclass(frozen=True, eq=False)
class Tests:
    """Pictures shown to the finished model, and what it said of them.

    None but the enrolment's own forms may have taken part in it; the report recognises those by
    their pixels and says so.

    Attributes:
        images: (t, 28, 28).
        truth: the true label of each, one of ``serving.bundle.LABELS``.
        probabilities: (t, 3), in the order of ``LABELS``.
        llr: (t,), natural-log likelihood ratio own : other writer.
    """

    __test__ = False  # not a class of tests, whatever its name makes a test runner believe

    images: Images = field(default_factory=no_images)
    truth: tuple[str, ...] = ()
    probabilities: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    llr: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        t = len(self.truth)
        _expect("tests.images", self.images, np.uint8, (t, 28, 28))
        _expect("tests.probabilities", self.probabilities, np.float32, (t, len(LABELS)))
        _expect("tests.llr", self.llr, np.float32, (t,))
        for label in self.truth:
            if label not in LABELS:
                raise RecordError(f"tests.truth: expected labels of {LABELS}, found {label!r}")


@dataclass(frozen=True, eq=False)
class Record:
    """One enrolment in pictures. What a recipe skips stays empty.

    Attributes:
        pictures: the enrolment pictures as grey thumbnails, each (h, w); see ``thumbnail``.
        forms: (k, 28, 28), their MNIST forms.
        augmented: (n, 28, 28), variations of the forms.
        augmentations: the parameters drawn for each of them, by name.
        reconstructed_from: (m, 28, 28), images that went into the VAE ...
        reconstructions: (m, 28, 28), ... and what came out of it.
        samples: (s, 28, 28), drawn from the VAE's prior.
        vae_history: ``loss``, ``reconstruction`` and ``divergence`` of each epoch, nats an image.
        cnn_history: ``loss`` (nats an image) and ``accuracy`` of each epoch.
        latent: the VAE's latent space, or None without a VAE.
        feature_maps: one (6, h, w) for each convolution, of the first form.
        tests: test pictures and verdicts.
        seconds: duration of each stage, in order.
        config: what the recipe was set to, by stage; for display only.
    """

    pictures: tuple[Images, ...]
    forms: Images
    augmented: Images = field(default_factory=no_images)
    augmentations: tuple[Mapping[str, float], ...] = ()
    reconstructed_from: Images = field(default_factory=no_images)
    reconstructions: Images = field(default_factory=no_images)
    samples: Images = field(default_factory=no_images)
    vae_history: History = field(default_factory=dict)
    cnn_history: History = field(default_factory=dict)
    latent: Latent | None = None
    feature_maps: tuple[Floats, ...] = ()
    tests: Tests = field(default_factory=Tests)
    seconds: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        k, n, m = len(self.pictures), len(self.augmentations), len(self.reconstructed_from)
        for index, picture in enumerate(self.pictures):
            _expect(f"pictures[{index}]", picture, np.uint8, (None, None))
        _expect("forms", self.forms, np.uint8, (k, 28, 28))
        _expect("augmented", self.augmented, np.uint8, (n, 28, 28))
        _expect("reconstructed_from", self.reconstructed_from, np.uint8, (m, 28, 28))
        _expect("reconstructions", self.reconstructions, np.uint8, (m, 28, 28))
        _expect("samples", self.samples, np.uint8, (None, 28, 28))
        if self.latent is not None:
            _expect("latent.means", self.latent.means, np.float32, (n, None))
        for index, maps in enumerate(self.feature_maps):
            _expect(f"feature_maps[{index}]", maps, np.float32, (None, None, None))


def thumbnail(picture: Images, side: int = THUMBNAIL_SIDE) -> Images:
    """Return the picture, shape (h, w), reduced until no side is longer than ``side``."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def save(record: Record, folder: Path) -> None:
    """Write the record into the ``report`` folder of the bundle ``folder``; each file at once."""
    home = folder / REPORT
    home.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(_arrays(record)))
    values = json.dumps(_values(record), indent=1, ensure_ascii=False, allow_nan=False)
    replace_file(home / ARRAYS, buffer.getvalue())
    replace_file(home / VALUES, f"{values}\n".encode())


def load(folder: Path) -> Record:
    """Return the record of the bundle ``folder``.

    Raises:
        RecordError: names the file that is missing or damaged, and what to run.
    """
    raw, path = _read(folder / REPORT / VALUES), folder / REPORT / ARRAYS
    try:
        with np.load(io.BytesIO(_read(path)), allow_pickle=False) as arrays:
            return _record(json.loads(raw), arrays)
    except _DAMAGE as error:
        raise RecordError(
            f"{path.parent}: the record is damaged or of another release: {error}; {_REMEDY}"
        ) from error


# What numpy, zipfile and the lookups below raise on bytes that are no record.
_DAMAGE = (
    *(AttributeError, EOFError, KeyError, TypeError, ValueError),
    *(BadZipFile, zlib.error, RecordError),
)
_REMEDY = "make it anew with `python -m training enroll IMAGE --profile NAME`"

_STACKS = ("forms", "augmented", "reconstructed_from", "reconstructions", "samples")
_PLAIN = ("vae_history", "cnn_history", "seconds", "config")


def _arrays(record: Record) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in _STACKS:
        yield name, getattr(record, name)
    for index, picture in enumerate(record.pictures):
        yield f"pictures.{index}", picture
    for index, maps in enumerate(record.feature_maps):
        yield f"feature_maps.{index}", maps
    for name in ("images", "probabilities", "llr"):
        yield f"tests.{name}", getattr(record.tests, name)
    if record.latent is not None:
        for name in ("means", "embedding", "clusters"):
            yield f"latent.{name}", getattr(record.latent, name)


def _values(record: Record) -> dict[str, Any]:
    latent = record.latent
    return {
        "format": FORMAT,
        **{name: dict(getattr(record, name)) for name in _PLAIN},
        "pictures": len(record.pictures),
        "feature_maps": len(record.feature_maps),
        "augmentations": [dict(drawn) for drawn in record.augmentations],
        "truth": list(record.tests.truth),
        "latent": latent
        and {
            "cluster_count": latent.cluster_count,
            "trustworthiness": latent.trustworthiness,
            "neighbours": latent.neighbours,
        },
    }


def _record(values: Mapping[str, Any], arrays: Mapping[str, Any]) -> Record:
    if values["format"] != FORMAT:
        raise RecordError(f"format: expected {FORMAT}, found {values['format']!r}")
    tests = {name: arrays[f"tests.{name}"] for name in ("images", "probabilities", "llr")}
    return Record(
        **{name: arrays[name] for name in _STACKS},
        vae_history=_series(values["vae_history"]),
        cnn_history=_series(values["cnn_history"]),
        pictures=tuple(arrays[f"pictures.{i}"] for i in range(values["pictures"])),
        feature_maps=tuple(arrays[f"feature_maps.{i}"] for i in range(values["feature_maps"])),
        augmentations=tuple(values["augmentations"]),
        tests=Tests(truth=tuple(values["truth"]), **tests),
        latent=_latent(values["latent"], arrays),
        seconds=values["seconds"],
        config=values["config"],
    )


def _series(history: Mapping[str, list[float]]) -> History:
    return {name: tuple(values) for name, values in history.items()}


def _latent(values: Mapping[str, Any] | None, arrays: Mapping[str, Any]) -> Latent | None:
    if values is None:
        return None
    return Latent(
        **{name: arrays[f"latent.{name}"] for name in ("means", "embedding", "clusters")}, **values
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError(
            f"{path}: expected the record of an enrolment, found none; {_REMEDY}"
        ) from error


def _expect(
    name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int | None, ...]
) -> None:
    """Raise RecordError unless the array is of this type and shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise RecordError(
            f"{name}: expected {np.dtype(dtype)} ({wanted}), found {array.dtype} {array.shape}"
        )
