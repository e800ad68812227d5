"""``python -m serving`` as a process of its own, watched from outside only.

What is known of it is what an operator could know: its log, its metrics over HTTP, and what
``/proc`` says of it and of the worker processes that it started.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["ROOT", "Instance", "Resources", "serving"]

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Resources:
    """What the server's processes hold, added up over all of them.

    Attributes:
        rss: resident memory, bytes.
        files: open file descriptors.
        threads: threads.
    """

    rss: int
    files: int
    threads: int


class Instance:
    """A server process.

    Attributes:
        pid: of the process that was started; it may have workers.
        port: of gRPC.
        metrics_port: of Prometheus.
    """

    def __init__(self, *flags: str) -> None:
        """Start a server and wait until it serves."""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ONEHAND_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "serving", "--port", "0", "--metrics-port", "0", *flags],
            cwd=ROOT,
            env=clean,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self.pid = self._process.pid
        listening = self._wait_for("listening")
        self.port = int(listening["port"])
        self.metrics_port = int(listening["metrics_port"])
        self._wait_for("serving")

    @property
    def target(self) -> str:
        """Address for a client."""
        return f"127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process.poll() is None

    def log(self) -> Iterator[dict[str, Any]]:
        """Yield every whole line of the log so far; a line that is no JSON as its own text."""
        size = os.fstat(self._log.fileno()).st_size
        with open(f"/proc/self/fd/{self._log.fileno()}", "rb") as copy:  # a position of its own
            for line in copy.read(size).splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"event": "no JSON", "text": line.decode(errors="replace")}

    def errors(self) -> list[str]:
        """Return every line of the log that tells of a fault of the server's own."""
        return [
            str(line)[:400]
            for line in self.log()
            if line.get("level") in ("error", "critical") or "exception" in line
        ]

    def events(self, name: str) -> int:
        """Return how often the log tells of this event."""
        return sum(line.get("event") == name for line in self.log())

    def workers(self) -> list[int]:
        """Return the pid of each worker process, where there are several."""
        return self.processes()[1:]

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return every sample of the metrics endpoint by name and sorted labels."""
        address = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
            text = answer.read().decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        return sum(
            value
            for (sample, pairs), value in self.metrics().items()
            if sample == name and labels.items() <= dict(pairs).items()
        )

    def handled(self) -> Counter[tuple[str, str]]:
        """Return how many RPCs have ended, by method and code, without the zeros."""
        ended: Counter[tuple[str, str]] = Counter()
        for (name, labels), value in self.metrics().items():
            if name == "grpc_server_handled_total" and value:
                of = dict(labels)
                ended[f"/{of['grpc_service']}/{of['grpc_method']}", of["grpc_code"]] += int(value)
        return ended

    def processes(self) -> list[int]:
        """Return the pid of the server and of every process that it started."""
        found, row = [], [self.pid]
        while row:
            pid = row.pop()
            with suppress(OSError):  # it has ended meanwhile
                tasks = list(Path(f"/proc/{pid}/task").iterdir())
                found.append(pid)
                row += [child for task in tasks for child in _children(task)]
        return found

    def resources(self) -> Resources:
        """Return what the processes hold at this moment."""
        rss = files = threads = 0
        for pid in self.processes():
            try:
                rss += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
                files += len(os.listdir(f"/proc/{pid}/fd"))
                threads += len(os.listdir(f"/proc/{pid}/task"))
            except OSError:  # it has ended meanwhile
                continue
        return Resources(rss, files, threads)

    def settle(self) -> None:
        """Wait until nothing is in work, so that every RPC has been counted."""
        end = time.monotonic() + _PATIENCE
        while self.total("onehand_in_flight") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the process that was started."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code once the process has ended."""
        return self._process.wait(_PATIENCE)

    def close(self) -> None:
        """End the process and all that it started."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _wait_for(self, event: str) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            for line in self.log():
                if line.get("event") == event:
                    return line
            if not self.alive:
                break
            time.sleep(0.05)
        tail = list(self.log())[-5:]
        self.close()
        raise RuntimeError(f"the server never logged {event!r}; its last lines: {tail}")


@contextmanager
def serving(*flags: str) -> Iterator[Instance]:
    """Run a server, on free ports unless the flags say otherwise, for the length of a block."""
    instance = Instance(*flags)
    try:
        yield instance
    finally:
        instance.close()


def _children(task: Path) -> list[int]:
    """Return the pid of each process that a thread has started; none if it has ended meanwhile."""
    with suppress(OSError):
        return [int(child) for child in (task / "children").read_text().split()]
    return []
