"""From a score to evidence: how much more likely a score is from the same hand than from another.

The score is the cosine between a picture and the enrolled hand, less what it is worth among the
crowd (``training.base.crowd``). ``llr = slope * score + offset``
is the natural-log likelihood ratio own : other writer, fitted by logistic regression with both
kinds in equal shares (Brummer and du Preez 2006). Digits differ in how much they tell of a hand,
and more enrolled pictures make the score sharper, so there is one line for each.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.data import DIGITS
from training.errors import WeightsError
from training.weights import REMEDY

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Calibration:
    """Slopes and offsets by digit (rows) and number of enrolled pictures (columns).

    Attributes:
        pictures: the numbers that the columns stand for, ascending from 1.
        slope: 10 rows, positive.
        offset: 10 rows.
        fitted_on: whose pictures the figures were fitted on.
    """

    pictures: tuple[int, ...]
    slope: Table
    offset: Table
    fitted_on: str

    def line(self, digit: int, count: int) -> tuple[float, float]:
        """Return slope and offset for ``count`` enrolled pictures (the next smaller column)."""
        column = max(index for index, known in enumerate(self.pictures) if known <= count)
        return self.slope[digit][column], self.offset[digit][column]

    def to_json(self) -> str:
        """Return the tables as readable text."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_calibration(path: Path) -> Calibration:
    """Return the tables in a file written from ``Calibration.to_json``.

    Raises:
        WeightsError: names the file and what is wrong with it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}; {REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: expected JSON, found other text: {error}; {REMEDY}") from error
    names = {"pictures", "slope", "offset", "fitted_on"}
    if not isinstance(values, dict) or set(values) != names:
        found = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise WeightsError(f"{path}: expected the keys {sorted(names)}, found {found}")
    pictures = values["pictures"]
    rising = isinstance(pictures, list) and all(isinstance(count, int) for count in pictures)
    if not rising or pictures[:1] != [1] or sorted(set(pictures)) != pictures:
        raise WeightsError(f"{path}: pictures: expected whole numbers from 1 up, found {pictures}")
    slope, offset = (
        _table(path, name, values[name], len(pictures)) for name in ("slope", "offset")
    )
    if min(min(row) for row in slope) <= 0:
        raise WeightsError(f"{path}: slope: expected positive numbers only")
    return Calibration(tuple(pictures), slope, offset, str(values["fitted_on"]))


def _table(path: Path, name: str, rows: Any, columns: int) -> Table:
    """Return the rows as a table, checked."""
    fits = isinstance(rows, list) and len(rows) == DIGITS
    fits = fits and all(isinstance(row, list) and len(row) == columns for row in rows)
    if not fits or not all(
        isinstance(x, int | float) and math.isfinite(x) for r in rows for x in r
    ):
        raise WeightsError(f"{path}: {name}: expected {DIGITS} rows of {columns} finite numbers")
    return tuple(tuple(float(value) for value in row) for row in rows)
