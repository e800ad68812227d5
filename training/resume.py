"""Trainings that can be stopped: whose folder it is, the loop, and checkpoints that are whole."""

import errno
import io
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from tqdm import tqdm

from serving.files import replace_file
from training.errors import Diverged, TrainingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_SETTINGS = "settings.json"


class Trainer(Protocol):
    """Everything that a step changes, so that it can be saved and restored as a whole.

    Attributes:
        name: of what it trains.
        step: updates so far.
    """

    name: str
    step: int

    def advance(self) -> float:
        """Make one update and return its loss."""

    def save(self, path: Path) -> None:
        """Write a checkpoint, never half of one."""

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""


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


def run(trainer: Trainer, steps: int, checkpoint: Path, *, every: int, title: str) -> None:
    """Train to the last step, from the checkpoint if there is one.

    Args:
        trainer: at its first step.
        steps: updates in all.
        checkpoint: file of the state, written after every so many steps and after the last.
        every: so many.
        title: of the progress bar.

    Raises:
        Diverged: the loss is not finite; the checkpoint is the last at which it was.
    """
    if checkpoint.exists():
        trainer.restore(checkpoint)
    with tqdm(total=steps, initial=trainer.step, desc=title, unit="step") as progress:
        while trainer.step < steps:
            loss = trainer.advance()
            progress.update()
            if trainer.step % every == 0 or trainer.step == steps:
                if not math.isfinite(loss):
                    raise Diverged(f"{trainer.name}: the loss became {loss} at step {trainer.step}")
                trainer.save(checkpoint)
                progress.set_postfix(loss=f"{loss:.4g}")


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half of one.

    Raises:
        OSError: it cannot be written.
    """
    # Through memory: where a disk is full, what torch raises of its own accord is no OSError.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(path, buffer.getvalue())
