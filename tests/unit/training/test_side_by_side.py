"""Jobs in processes of their own, and what becomes of them when one is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.side_by_side import run_all


def test_a_killed_process_is_explained() -> None:
    """The system ends what takes too much memory; what is finished is kept."""
    with pytest.raises(TrainingError, match=r"trials: a process was ended.*goes on there"):
        run_all(os._exit, [(1,)], of=1, title="trials", unit="trial")


_LONG = """
import sys, time
from pathlib import Path
from training.side_by_side import run_all

def work(path):
    Path(path).touch()
    time.sleep(600)

if __name__ == "__main__":
    run_all(work, [(path,) for path in sys.argv[1:]], of=4, title="trials", unit="trial")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_jobs_end_with_whoever_waits_for_them(tmp_path: Path, number: signal.Signals) -> None:
    """Neither Ctrl-C nor a kill waits for jobs that take minutes, or leaves any behind."""
    script, log = tmp_path / "long.py", tmp_path / "log"
    script.write_text(_LONG)
    begun = [tmp_path / f"begun-{job}" for job in range(4)]
    with log.open("w") as file:
        # In a session of its own, which a terminal's Ctrl-C reaches as a whole.
        process = subprocess.Popen(
            [sys.executable, str(script), *map(str, begun)], stderr=file, start_new_session=True
        )
        _wait(begun[0].exists)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(30) != 0

    _wait(lambda: not _is_there(process.pid))


_SLOW_TO_START = """
import sys, time
from pathlib import Path
from training.side_by_side import run_all

if __name__ == "__main__":
    try:
        run_all(print, [(1,)], of=1, title="trials", unit="trial")
    except KeyboardInterrupt:
        sys.exit(130)
else:
    Path(sys.argv[1]).touch()
    time.sleep(5)
"""


def test_ctrl_c_while_processes_start(tmp_path: Path) -> None:
    """Processes that are still importing have nothing to say about it."""
    script, log, begun = (tmp_path / name for name in ("slow.py", "log", "begun"))
    script.write_text(_SLOW_TO_START)
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(script), str(begun)], stderr=file, start_new_session=True
        )
        _wait(begun.exists)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130

    _wait(lambda: not _is_there(process.pid))
    assert "Traceback" not in log.read_text()


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_there(group: int) -> bool:
    """Say whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
