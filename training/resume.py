"""Trainings that can be stopped: whose folder it is, and checkpoints that are always whole."""

import errno
import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from serving.files import replace_file
from training.errors import TrainingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SETTINGS = "settings.json"


def claim(out: Path, config: "DataclassInstance", seed: int) -> None:
    """Note the settings of a run in its folder, or check that they are those to go on with.

    Raises:
        TrainingError: ``out`` holds a run with other settings.
    """
    settings = json.dumps({"seed": seed, **asdict(config)}, indent=1) + "\n"
    path = out / _SETTINGS
    if path.exists() and path.read_text(encoding="utf-8") != settings:
        raise TrainingError(f"{path}: a run with other settings lies here; choose another folder")
    replace_file(path, settings.encode())


def make_folder(path: Path) -> None:
    """Make a folder, or find out before long work that nothing can be written to it.

    Raises:
        OSError: it cannot be made, or not be written to.
    """
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half of one.

    Raises:
        OSError: it cannot be written.
    """
    # Through memory: where a disk is full, what torch raises of its own accord is no OSError.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(path, buffer.getvalue())
