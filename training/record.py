"""What an enrolment remembers for people: the pictures and numbers that the report shows.

It lies in ``<bundle>/report/``, beside the contract and outside it: the server never reads it,
and a bundle without it serves just as well. Two files, one for each kind of content::

    record.npz     every array, nothing pickled
    record.json    everything else

Equal records give equal bytes. Nothing is drawn here; that is what ``training.report`` is for.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.bundle import LABELS, REPORT
from training import archives
from training.errors import TrainingError

ARRAYS = "record.npz"
VALUES = "record.json"
FORMAT = 2
THUMBNAIL_SIDE = 480
ACTIVE = 0.01

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
History = Mapping[str, tuple[float, ...]]


class RecordError(TrainingError):
    """A record that is missing, damaged or inconsistent; the message says what to do."""


def no_images() -> Images:
    """Return the images of a stage that a recipe skips; shape (0, 28, 28)."""
    return np.zeros((0, 28, 28), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Layout:
    """Latent points laid out in the plane, and how true that is; the figures are 0 to 1.

    Attributes:
        name: how it was made.
        places: (n, 2).
        trustworthiness: high where neighbours in the plane are true ones (Venna and Kaski 2001).
        continuity: high where true neighbours are neighbours in the plane.
        kept: share of the nearest neighbours that are the same on both sides.
    """

    name: str
    places: Floats
    trustworthiness: float
    continuity: float
    kept: float

    @property
    def faithful(self) -> float:
        """The mean of trustworthiness and continuity, by which layouts are compared."""
        return (self.trustworthiness + self.continuity) / 2


@dataclass(frozen=True, eq=False)
class Strip:
    """What the decoder draws along a straight line of the latent space.

    Attributes:
        name: of the line.
        frames: (f, 28, 28), from end to end.
        values: (f,), one figure for each of them.
        score: one figure for the line; ``Latent`` says which for each kind of strip.
    """

    name: str
    frames: Images
    values: Floats
    score: float

    def __post_init__(self) -> None:
        f = len(self.frames)
        _expect("strip.frames", self.frames, np.uint8, (f, 28, 28))
        _expect("strip.values", self.values, np.float32, (f,))


@dataclass(frozen=True, eq=False)
class Latent:
    """What the latent space makes of an enrolment.

    Attributes:
        counts: forms, variations and samples on the map: so many from the front of each.
        means: (n, z), posterior mean of each of them, in that order.
        layouts: of the means, principal components first.
        chosen: the layout of the largest mean of trustworthiness and continuity.
        neighbours: how many neighbours of each point these figures look at.
        clusters: (n,), K-means cluster of each, from 0.
        silhouettes: of 2, 3, ... clusters; the largest decided.
        variances: (z,), of the posterior means of the variations: how much each unit is used.
        traversals: strips along the most active units; values are standard deviations of the
            prior, the score is the unit's variance.
        directions: strips along which an attribute grows; values are what the frames measure, the
            score is the cross-validated R2 of a line from latent point to measure.
        interpolations: strips between two pictures; values are shares of the way, the score is
            the largest step between neighbouring frames over the mean step.
        coverage: share of the variations that samples reach (Naeem et al. 2020).
        coverage_neighbours: how many neighbours of a variation set its reach.
        spread: how far samples lie from their centre over how far variations lie from theirs,
            both as the root of the mean square.
    """

    counts: tuple[int, int, int]
    means: Floats
    layouts: tuple[Layout, ...]
    chosen: int
    neighbours: int
    clusters: NDArray[np.int64]
    silhouettes: tuple[float, ...]
    variances: Floats
    traversals: tuple[Strip, ...]
    directions: tuple[Strip, ...]
    interpolations: tuple[Strip, ...]
    coverage: float
    coverage_neighbours: int
    spread: float

    def __post_init__(self) -> None:
        n = sum(self.counts)
        z = len(self.variances)
        _expect("latent.means", self.means, np.float32, (n, z))
        _expect("latent.clusters", self.clusters, np.int64, (n,))
        _expect("latent.variances", self.variances, np.float32, (z,))
        for layout in self.layouts:
            _expect(f"latent.layouts, {layout.name}", layout.places, np.float32, (n, 2))
        if not 0 <= self.chosen < len(self.layouts):
            raise RecordError(
                f"latent.chosen: expected one of {len(self.layouts)} layouts, found {self.chosen}"
            )

    @property
    def trustworthiness(self) -> float:
        """Of the chosen layout."""
        return self.layouts[self.chosen].trustworthiness

    @property
    def active(self) -> int:
        """How many units are active: of variance above 0.01 (Burda et al. 2016, 1509.00519)."""
        return int((self.variances > ACTIVE).sum())


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
        latent: what the latent space makes of them, or None without a VAE.
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
            held = (len(self.forms), n, len(self.samples))
            if any(asked > there for asked, there in zip(self.latent.counts, held, strict=True)):
                raise RecordError(
                    f"latent.counts: expected at most {held}, found {self.latent.counts}"
                )
        for index, maps in enumerate(self.feature_maps):
            _expect(f"feature_maps[{index}]", maps, np.float32, (None, None, None))


def thumbnail(picture: Images, side: int = THUMBNAIL_SIDE) -> Images:
    """Return the picture, shape (h, w), reduced until no side is longer than ``side``."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def encode(record: Record) -> dict[str, bytes]:
    """Return the record's two files by name, which belong into a bundle's ``report`` folder."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(_arrays(record)))
    values = json.dumps(_values(record), indent=1, ensure_ascii=False, allow_nan=False)
    return {ARRAYS: buffer.getvalue(), VALUES: f"{values}\n".encode()}


def load(folder: Path) -> Record:
    """Return the record of the bundle ``folder``.

    Raises:
        RecordError: names the file that is missing or damaged, and what to run.
    """
    home = folder / REPORT
    values, arrays = _read(home / VALUES), _read(home / ARRAYS)
    try:
        return _record(json.loads(values), archives.read_arrays(arrays))
    except _DAMAGE as error:
        reason = archives.describe(error)
        raise RecordError(
            f"{home}: the record is damaged or of another release: {reason}; {_REMEDY}"
        ) from error


# What the lookups below raise, too, on bytes that are no record.
_DAMAGE = (*archives.DAMAGE, AttributeError, KeyError, TypeError, RecordError)
_REMEDY = "make it anew with `python -m training enroll IMAGE --profile NAME`"

_STACKS = ("forms", "augmented", "reconstructed_from", "reconstructions", "samples")
_PLAIN = ("vae_history", "cnn_history", "seconds", "config")
_LATENT_ARRAYS = ("means", "clusters", "variances")
_LATENT_PLAIN = ("chosen", "neighbours", "coverage", "coverage_neighbours", "spread")
_LATENT_TUPLES = ("counts", "silhouettes")
_STRIPS = ("traversals", "directions", "interpolations")


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
        yield from _latent_arrays(record.latent)


def _latent_arrays(latent: Latent) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in _LATENT_ARRAYS:
        yield f"latent.{name}", getattr(latent, name)
    for index, layout in enumerate(latent.layouts):
        yield f"latent.layouts.{index}", layout.places
    for kind in _STRIPS:
        for index, strip in enumerate(getattr(latent, kind)):
            yield f"latent.{kind}.{index}.frames", strip.frames
            yield f"latent.{kind}.{index}.values", strip.values


def _values(record: Record) -> dict[str, Any]:
    latent = record.latent
    return {
        "format": FORMAT,
        **{name: dict(getattr(record, name)) for name in _PLAIN},
        "pictures": len(record.pictures),
        "feature_maps": len(record.feature_maps),
        "augmentations": [dict(drawn) for drawn in record.augmentations],
        "truth": list(record.tests.truth),
        "latent": latent and _latent_values(latent),
    }


def _latent_values(latent: Latent) -> dict[str, Any]:
    def without(thing: Layout | Strip, *arrays: str) -> dict[str, Any]:
        return {name: value for name, value in vars(thing).items() if name not in arrays}

    return {
        **{name: getattr(latent, name) for name in _LATENT_PLAIN},
        **{name: list(getattr(latent, name)) for name in _LATENT_TUPLES},
        "layouts": [without(layout, "places") for layout in latent.layouts],
        **{
            kind: [without(strip, "frames", "values") for strip in getattr(latent, kind)]
            for kind in _STRIPS
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

    def strips(kind: str) -> tuple[Strip, ...]:
        return tuple(
            Strip(
                frames=arrays[f"latent.{kind}.{index}.frames"],
                values=arrays[f"latent.{kind}.{index}.values"],
                **strip,
            )
            for index, strip in enumerate(values[kind])
        )

    fields: dict[str, Any] = {
        **{name: arrays[f"latent.{name}"] for name in _LATENT_ARRAYS},
        **{name: values[name] for name in _LATENT_PLAIN},
        **{name: tuple(values[name]) for name in _LATENT_TUPLES},
        **{kind: strips(kind) for kind in _STRIPS},
    }
    layouts = tuple(
        Layout(places=arrays[f"latent.layouts.{index}"], **layout)
        for index, layout in enumerate(values["layouts"])
    )
    return Latent(layouts=layouts, **fields)


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
