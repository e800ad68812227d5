"""Scores that are kept: named after all that decides them, each enrolment's in a file of its own.

A run that was stopped goes on where it was, and figures are cheap to redo. After a change of the
code, of the data or of a package's version, take a new folder.
"""

import hashlib
from pathlib import Path

from training import archives, base, generator
from training.config import RECIPES
from training.evaluate.scoring import Scores


def decided_by(name: str) -> str:
    """Return a short name for all that decides a recipe's scores: its values, and the weights'."""
    if name not in RECIPES:
        return "0"
    recipe = RECIPES[name]
    files = []
    if recipe.metric is not None:
        files += [base.HERE / file for file in (base.WEIGHTS, base.CALIBRATION)]
    if recipe.hand is not None:
        files += [generator.HERE / generator.WEIGHTS]
    decided = recipe.sha256()[:8]
    if files:
        content = b"".join(path.read_bytes() for path in files)
        decided += f"-weights{hashlib.sha256(content).hexdigest()[:8]}"
    return decided


def keep_scores(path: Path, scores: Scores) -> None:
    """Write a file of scores that is there whole or not at all."""
    archives.write_arrays(path, scores)


def read_scores(path: Path) -> Scores:
    """Return what ``keep_scores`` has written.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    return archives.load_arrays(path)
