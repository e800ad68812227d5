"""``python -m serving`` as a process of its own, watched through its log."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.serving_host import PATIENCE

ROOT = Path(__file__).parents[1]


class Process:
    """A running server.

    Attributes:
        log: the parsed lines so far.
        noise: the lines so far that are no part of the log.
    """

    def __init__(self, *flags: str, **environment: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ONEHAND_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "serving", *flags],
            cwd=ROOT,
            env=clean | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.noise: list[str] = []
        self._grown = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("{"):
                with self._grown:
                    self.log.append(json.loads(line))
                    self._grown.notify_all()
            else:
                self.noise.append(line)
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def event(self, name: str, **facts: object) -> dict[str, Any]:
        """Return the first log line of this event, with these facts, once it is there."""
        wanted = {"event": name, **facts}.items()

        def found() -> dict[str, Any] | None:
            return next((line for line in self.log if wanted <= line.items()), None)

        with self._grown:
            self._grown.wait_for(lambda: found() or self._ended, PATIENCE)
            line = found()
        assert line is not None, f"no {name!r} in the log: {self.log}"
        return line

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def silent(self) -> bool:
        """Return whether the process and all that it started have ended, waiting for it."""
        with self._grown:
            return self._grown.wait_for(lambda: self._ended, PATIENCE)

    def wait(self) -> int:
        """Return the exit code once the process has ended."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """End the process if it has not ended."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()


@contextmanager
def serving(*flags: str, **environment: str) -> Iterator[Process]:
    """Run a server, on free ports unless the flags say otherwise, for the length of a block."""
    process = Process("--port", "0", "--metrics-port", "0", *flags, **environment)
    try:
        yield process
    finally:
        process.kill()
