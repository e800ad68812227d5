"""Trainings that can be stopped: whose folder it is, and checkpoints that are always whole."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from serving.bundle import replace_file
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


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half of one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
