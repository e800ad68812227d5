"""Proof before service: this machine computes what the training framework computed.

A bundle's ``golden.npz`` holds inputs and the outputs that training saw for them. They are run
through the very graphs that will serve; a difference beyond the manifest's tolerance means a
wrong graph, a wrong runtime or a wrong processor, and the bundle is refused.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle import CLASSIFIER, DECODER, ENCODER, GOLDEN, SCREEN, STEER, Bundle
from serving.errors import BundleError
from serving.graph import Graph

__all__ = ["replay"]

Arrays = dict[str, NDArray[Any]]

# By file: the arrays that go in, and those that came out, both in the graph's order. Screen and
# decoder are asked for the points that the encoder gave; the decoder's pictures are ``drawn``.
_REPLAYED = {
    CLASSIFIER: (("images",), ("probabilities", "llr")),
    ENCODER: (("images", "noise"), ("latent", "mean", "log_variance", "own")),
    SCREEN: (("latent",), ("doubt",)),
    DECODER: (("latent",), ("drawn", "attributes")),
    STEER: (("pixels", "matrix", "pen"), ("steered", "steered_attributes")),
}
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024


def replay(bundle: Bundle, graphs: Mapping[str, Graph]) -> float:
    """Run the golden inputs; return the largest difference over all outputs.

    It is absolute, and relative where values are large: log-ratios run to where float32 itself
    has steps of that size.

    Raises:
        BundleError: the file is not a set of golden vectors, or an output differs by more than
            the manifest allows; names the output and the difference.
    """
    where = bundle.folder / GOLDEN
    golden = _read(bundle.contents[GOLDEN], where)
    _check_form(golden, bundle.manifest.latent_size, where)
    differences = {
        name: _difference(name, golden[name], values)
        for file, (inputs, outputs) in _REPLAYED.items()
        for name, values in zip(
            outputs, graphs[file].run(*(golden[name] for name in inputs)), strict=True
        )
    }
    for name, difference in differences.items():
        if not difference <= bundle.manifest.golden_tolerance:  # NaN differs too
            raise BundleError(
                f"{where}: {name}: expected to be met within "
                f"{bundle.manifest.golden_tolerance:g}, found a difference of {difference:g}"
            )
    return max(differences.values())


def _difference(name: str, expected: NDArray[Any], found: NDArray[Any]) -> float:
    large = 100 if name.endswith("attributes") else 1  # a hundredth of a degree is nothing
    scale = np.maximum(large, np.abs(expected))
    return float((np.abs(expected - found) / scale).max())


def _read(data: bytes, where: Path) -> Arrays:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MAX_UNPACKED_BYTES:
            raise BundleError(
                f"{where}: expected at most {_MAX_UNPACKED_BYTES} bytes unpacked, found {unpacked}"
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BundleError(f"{where}: expected a numpy archive, found: {error}") from error


def _check_form(golden: Arrays, latent_size: int, where: Path) -> None:
    shapes = _shapes(golden, latent_size)
    if sorted(golden) != sorted(shapes):
        raise BundleError(f"{where}: expected arrays {sorted(shapes)}, found {sorted(golden)}")
    for name, shape in shapes.items():
        dtype = "uint8" if name == "images" else "float32"
        found = golden[name]
        if shape[0] < 1 or found.shape != shape or found.dtype != dtype:
            raise BundleError(
                f"{where}: {name}: expected {dtype} of shape {shape} with at least one row, "
                f"found {found.dtype} of shape {found.shape}"
            )


def _shapes(golden: Arrays, latent_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape that each array should have, for as many rows as there are images."""
    images = golden.get("images")
    rows = len(images) if images is not None and images.ndim else 0
    point, square, attributes = (rows, latent_size), (rows, 28, 28), (rows, 4)
    return {
        "probabilities": (rows, 3),
        "matrix": (rows, 2, 2),
        **dict.fromkeys(("llr", "doubt", "pen"), (rows,)),
        **dict.fromkeys(("images", "pixels", "drawn", "steered"), square),
        **dict.fromkeys(("attributes", "steered_attributes"), attributes),
        **dict.fromkeys(("noise", "latent", "mean", "log_variance", "own"), point),
    }
