"""The record of an enrolment on disk.

It lies in ``<bundle>/report/``, beside the contract and outside it: the server never reads it,
and a bundle without it serves just as well. Two files, one for each kind of content::

    record.npz     every array, nothing pickled
    record.json    everything else

Equal records give equal bytes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from serving.bundle import REPORT
from training import archives
from training.errors import TrainingError
from training.latent.findings import Latent, Layout, Strip
from training.record import History, Record, Tests

ARRAYS = "record.npz"
VALUES = "record.json"
FORMAT = 2


class RecordError(TrainingError):
    """A record that is missing, damaged or inconsistent; the message says what to do."""


def encode(record: Record) -> dict[str, bytes]:
    """Return the record's two files by name, which belong into a bundle's ``report`` folder."""
    values = json.dumps(_values(record), indent=1, ensure_ascii=False, allow_nan=False)
    return {ARRAYS: archives.pack(dict(_arrays(record))), VALUES: f"{values}\n".encode()}


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
_DAMAGE = (*archives.DAMAGE, AttributeError, KeyError, TypeError)
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
        raise ValueError(f"format: expected {FORMAT}, found {values['format']!r}")
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
