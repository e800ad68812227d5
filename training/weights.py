"""Networks on disk: every array by name, the configuration beside them, nothing pickled."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training import archives
from training.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)
Arrays = Mapping[str, NDArray[Any]]

REMEDY = (
    "put the package's own file there again, or learn it anew with `python -m training pretrain`"
)

_CONFIG = "config"
_COUNTERS = "num_batches_tracked"  # of batch normalisation; only training would need them


def write(network: nn.Module, config: Any, path: Path) -> None:
    """Write all weights, matrices and kernels as float16, and the configuration (a dataclass).

    No reader ever sees half of the file, whatever stops the writer.
    """
    arrays = {
        name: value.detach().cpu().numpy().astype(_kept_as(value.ndim))
        for name, value in _state(network).items()
    }
    arrays[_CONFIG] = np.frombuffer(json.dumps(asdict(config)).encode(), np.uint8)
    archives.write_arrays(path, arrays)


def read(path: Path, build: Callable[[dict[str, Any]], Network]) -> Network:
    """Return the network in a file of ``write``, ready for inference.

    Args:
        path: the file.
        build: makes the network from the values of its configuration; may raise ``TypeError`` or
            ``ValueError`` for values that it cannot take, ``KeyError`` for one that is missing.

    Raises:
        WeightsError: names the file and the array that is missing, unknown or not as expected.
    """
    arrays = _arrays(path)
    try:
        values = json.loads(arrays.pop(_CONFIG).tobytes())
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: {_CONFIG}: missing or not JSON: {error}") from error
    try:
        network = build(values)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: {_CONFIG}: {error}") from error
    expected = _state(network)
    if set(arrays) != set(expected):
        missing, unknown = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected))
        raise WeightsError(f"{path}: arrays missing: {missing}; not known: {unknown}")
    for name, value in expected.items():
        _check(path, name, arrays[name], tuple(value.shape))
    state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in expected}
    network.load_state_dict(state, strict=False)  # the counters alone stay as they are
    return network.eval()


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}; {REMEDY}") from error
    try:
        return archives.read_arrays(data)
    except archives.DAMAGE as error:
        reason = archives.describe(error)
        raise WeightsError(f"{path}: cannot be read: {reason}; {REMEDY}") from error


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if _COUNTERS not in name}


def _kept_as(dimensions: int) -> type[np.floating]:
    """Return the type of an array on disk: float16 for matrices and kernels.

    Vectors are few, and scales deserve all their bits; so do stacks of covariances, which are
    going to be inverted.
    """
    return np.float16 if dimensions in (2, 4) else np.float32


def _check(path: Path, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != _kept_as(len(shape)):
        raise WeightsError(
            f"{path}: {name}: expected {np.dtype(_kept_as(len(shape)))} {shape}, "
            f"found {array.dtype} {array.shape}"
        )
    if not np.isfinite(array).all():
        raise WeightsError(f"{path}: {name}: expected finite numbers only")
