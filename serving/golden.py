"""Proof before service: this machine computes what the training framework computed.

A bundle's ``golden.npz`` holds inputs and the outputs that training saw for them. They are run
through the very graphs that will serve; a difference beyond the manifest's tolerance means a
wrong graph, a wrong runtime or a wrong processor, and the bundle is refused.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle import CLASSIFIER, DECODER, ENCODER, GOLDEN, Bundle
from serving.errors import BundleError
from serving.graph import Graph

__all__ = ["replay"]

Arrays = dict[str, NDArray[Any]]

_INPUTS = ("images", "noise")
_OUTPUTS = ("probabilities", "llr", "latent", "mean", "log_variance", "pixels")
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024


def replay(bundle: Bundle, graphs: Mapping[str, Graph]) -> float:
    """Run the golden inputs; return the largest absolute difference over all outputs.

    Raises:
        BundleError: the file is not a set of golden vectors, or an output differs by more than
            the manifest allows; names the output and the difference.
    """
    where = f"{bundle.manifest.profile}/{bundle.manifest.version}/{GOLDEN}"
    golden = _read(bundle.contents[GOLDEN], where)
    _check_form(golden, bundle.manifest.latent_size, where)
    probabilities, llr = graphs[CLASSIFIER].run(golden["images"])
    latent, mean, log_variance = graphs[ENCODER].run(golden["images"], golden["noise"])
    (pixels,) = graphs[DECODER].run(golden["latent"])
    found = (probabilities, llr, latent, mean, log_variance, pixels)
    differences = {
        name: float(np.abs(golden[name] - values).max())
        for name, values in zip(_OUTPUTS, found, strict=True)
    }
    for name, difference in differences.items():
        if not difference <= bundle.manifest.golden_tolerance:  # NaN differs too
            raise BundleError(
                f"{where}: {name}: expected to be met within "
                f"{bundle.manifest.golden_tolerance:g}, found a difference of {difference:g}"
            )
    return max(differences.values())


def _read(data: bytes, where: str) -> Arrays:
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


def _check_form(golden: Arrays, latent_size: int, where: str) -> None:
    expected_names = sorted((*_INPUTS, *_OUTPUTS))
    if sorted(golden) != expected_names:
        raise BundleError(f"{where}: expected arrays {expected_names}, found {sorted(golden)}")
    rows = len(golden["images"]) if golden["images"].ndim else 0
    point = (rows, latent_size)
    shapes = {
        "images": (rows, 28, 28),
        "probabilities": (rows, 3),
        "llr": (rows,),
        "pixels": (rows, 28, 28),
        **dict.fromkeys(("noise", "latent", "mean", "log_variance"), point),
    }
    for name, shape in shapes.items():
        dtype = "uint8" if name == "images" else "float32"
        found = golden[name]
        if rows < 1 or found.shape != shape or found.dtype != dtype:
            raise BundleError(
                f"{where}: {name}: expected {dtype} of shape {shape} with at least one row, "
                f"found {found.dtype} of shape {found.shape}"
            )
