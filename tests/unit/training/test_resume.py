"""The loop of a training that can be stopped: what is kept when, and what ends it."""

import math
from pathlib import Path

import pytest

from training import resume
from training.errors import Diverged


class Counting:
    """A trainer whose state is its step, and whose loss is gone from a step on."""

    name = "counting"

    def __init__(self, diverges_at: int = 99) -> None:
        self.step, self.diverges_at = 0, diverges_at
        self.kept: list[int] = []

    def advance(self) -> float:
        """Count."""
        self.step += 1
        return math.nan if self.step >= self.diverges_at else 1.0

    def save(self, path: Path) -> None:
        """Note the step."""
        self.kept.append(self.step)
        path.write_text(str(self.step))

    def restore(self, path: Path) -> None:
        """Go on from it."""
        self.step = int(path.read_text())


def test_a_checkpoint_comes_after_every_so_many_steps_and_the_last(tmp_path: Path) -> None:
    """A run that finds one goes on from there; one that finds the last has nothing to do."""
    checkpoint = tmp_path / "state"
    first, second, third = Counting(), Counting(), Counting()

    resume.run(first, 4, checkpoint, every=3, title="")
    resume.run(second, 8, checkpoint, every=3, title="")
    resume.run(third, 8, checkpoint, every=3, title="")

    assert (first.kept, second.kept, third.kept) == ([3, 4], [6, 8], [])


def test_a_loss_that_is_no_number_is_not_kept(tmp_path: Path) -> None:
    """What was trained, and when it went wrong, is said; the checkpoint before it stays."""
    checkpoint = tmp_path / "state"

    with pytest.raises(Diverged, match="counting: the loss became nan at step 4"):
        resume.run(Counting(diverges_at=3), 8, checkpoint, every=2, title="")

    assert checkpoint.read_text() == "2"
