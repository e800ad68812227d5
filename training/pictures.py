"""The pictures of an enrolment: whatever is wrong with any of them is told at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.images import BadImage, ImageLimits, decode, to_mnist_form
from training import base
from training.data import DIGITS
from training.prototype import taken_for

Images = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, read.

    Attributes:
        path: its file.
        grey: its pixels, (h, w).
        form: its MNIST form, (28, 28).
    """

    path: Path
    grey: Images
    form: Images


def read_all(paths: Sequence[Path], digit: int | None = None) -> list[Picture]:
    """Return the pictures in these files.

    Args:
        paths: one or more picture files.
        digit: what each must show, by all that the base knows of digits; None = anything.

    Raises:
        BadImage: names every picture that cannot be used and says why, a line for each.
    """
    pictures, problems = [], []
    for path in paths:
        try:
            pictures.append(read(path))
        except BadImage as error:
            problems.append(str(error))
    problems += _twins(pictures)
    if digit is not None:
        problems += _others(pictures, digit)
    if problems:
        raise BadImage("\n".join(problems))
    return pictures


def read(path: Path) -> Picture:
    """Return the picture in a file.

    Raises:
        BadImage: names the file and says what is wrong with it.
    """
    try:
        grey = decode(path.read_bytes(), ImageLimits())
        return Picture(path, grey, to_mnist_form(grey))
    except BadImage as error:
        raise BadImage(f"{path}: {error}") from error
    except OSError as error:
        raise BadImage(f"{path}: cannot be read: {error.strerror}") from error


def _twins(pictures: Sequence[Picture]) -> Iterator[str]:
    """Say which picture is there twice: it would count as two that agree."""
    first: dict[bytes, Picture] = {}
    for picture in pictures:
        twin = first.setdefault(picture.form.tobytes(), picture)
        if twin is not picture:
            yield f"{picture.path}: expected another picture than {twin.path}, found the same one"


def _others(pictures: Sequence[Picture], digit: int) -> Iterator[str]:
    """Say which picture is not the digit: all that the writer writes would be called other."""
    if not pictures:
        return
    forms = np.stack([picture.form for picture in pictures])
    for picture, found in zip(pictures, taken_for(base.load(), digit, forms), strict=True):
        if found != digit:
            looks = f"looks like a {found}" if found < DIGITS else "looks like no digit"
            yield (
                f"{picture.path}: expected a {digit}, found a picture that {looks}; say with "
                "--digit what it shows, or take a clearer picture"
            )
