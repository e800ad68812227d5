"""Jobs in processes of their own, and what becomes of them when one is killed."""

import os

import pytest

from training.errors import TrainingError
from training.side_by_side import run_all


def test_a_killed_process_is_explained() -> None:
    """The system ends what takes too much memory; what is finished is kept."""
    with pytest.raises(TrainingError, match=r"trials: a process was ended.*goes on there"):
        run_all(os._exit, [(1,)], of=1, title="trials", unit="trial")
