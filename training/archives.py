"""Arrays in .npz files: written whole, and read though disks and networks damage them.

They are zip archives, and what zip archives suffer they suffer too.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.files import replace_file
from training.errors import DataError

# What zipfile and numpy raise on bytes that are no archive, that end early or were changed, and on
# archives that are packed or locked in ways that they do not know.
DAMAGE = (EOFError, OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)

_BEGINNING = b"PK"


def describe(error: Exception) -> str:
    """Return in words what one of ``DAMAGE`` is about; one of them has none."""
    return str(error) or "it ends early"


def pack(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = True) -> bytes:
    """Return the bytes of an .npz file, equal for equal arrays; nothing is pickled."""
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed .npz file, never half of one.

    Raises:
        OSError: it cannot be written.
    """
    replace_file(path, pack(arrays))


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return what ``write_arrays`` wrote to a file that can be made again.

    Raises:
        DataError: it cannot be read, or is damaged.
    """
    try:
        return read_arrays(path.read_bytes())
    except DAMAGE as error:
        raise DataError(
            f"{path}: cannot be read: {describe(error)}; remove it, and it is made again"
        ) from error


def read_arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name; nothing is unpickled.

    Raises:
        Exception: one of ``DAMAGE``; it is no such file, or a damaged one.
    """
    if not data.startswith(_BEGINNING):  # numpy would take it for pickled, and say how to trust it
        raise ValueError("expected an archive of arrays, found other bytes")
    # From memory: numpy would leave a damaged file open.
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return dict(file)
