"""Processes that live as long as a block, and helpers among them that answer questions.

Each is the head of a process group of its own, so that what it starts ends with it.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["ROOT", "BenchmarkError", "Helper", "answer_lines", "helper", "running"]

ROOT = Path(__file__).parents[2]
_PATIENCE = 10.0


class BenchmarkError(Exception):
    """What was to be measured did not behave; the message says what was expected and found."""


@contextmanager
def running(
    words: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    talks: bool = False,
    folder: Path = ROOT,
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command for the length of a block; SIGTERM ends it, SIGKILL what is left of it.

    Args:
        words: the command.
        log: file for its standard error, and its standard output unless it ``talks``.
        environment: variables beside the inherited ones, of which ONEHAND_* are left out.
        talks: its standard input and output are pipes.
        folder: where it runs.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ONEHAND_")}
    with log.open("w") as file:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=clean | dict(environment or {}),
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else file,
            stderr=file,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    with suppress(ProcessLookupError):  # nothing of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_PATIENCE)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


class Helper:
    """A process that answers one JSON line with one JSON line."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def hear(self) -> Any:
        """Return the next line that it says.

        Raises:
            BenchmarkError: it has ended; the message quotes the end of its log.
        """
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise BenchmarkError(f"{self._log.stem} ended: {self._log.read_text()[-2000:]}")
        return json.loads(line)

    def ask(self, **question: Any) -> Any:
        """Return the answer to a question.

        Raises:
            BenchmarkError: it has ended.
        """
        self.tell(**question)
        return self.hear()

    def tell(self, **question: Any) -> None:
        """Put a question to it, whose answer is to be heard later."""
        pipe = _pipe(self._process.stdin)
        pipe.write(json.dumps(question) + "\n")
        pipe.flush()


@contextmanager
def helper(
    module: str, log: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Helper]:
    """Run ``python -m benchmarks.serving.MODULE`` for the length of a block."""
    words = [sys.executable, "-m", f"benchmarks.serving.{module}", *arguments]
    variables = {"OPENBLAS_NUM_THREADS": "1", **(environment or {})}
    with running(words, log, environment=variables, talks=True) as process:
        yield Helper(process, log)


def answer_lines(questions: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield each question that this process, as a helper, is asked."""
    for line in questions:
        yield json.loads(line)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise BenchmarkError("expected a process that talks, found one without pipes")
    return pipe
