"""The outside client: nghttp2's ``h2load``, in C, one thread, a fixed gRPC body.

It counts HTTP statuses, and gRPC answers errors with HTTP 200 too. But an error has no message,
so the bytes of data that came back must be those of as many answers as an ordinary client got to
the same body; and each run sends an exact number of requests, so that our service's own counters
can be held against the ledger, see ``servers.Server.check_ledger``.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.cases import Case
from benchmarks.serving.processes import BenchmarkError
from benchmarks.serving.ratios import percentiles
from benchmarks.serving.servers import Server

__all__ = ["H2Load", "Load", "steady_rate"]

_MINIMUM_WAVES = 3
_SECONDS_AT_MOST = 120
_FRAME = 5  # bytes in front of each gRPC message
_SUCCEEDED = re.compile(r"(\d+) succeeded")
_DATA = re.compile(r"\((\d+)\) data")
# Of a stream's and a connection's flow-control window, 1 MiB, as a gRPC client's in Java is from
# the start and others' grow to. With 64 KiB, h2load's own, large answers wait for the client.
_WINDOW_BITS = 20


@dataclass(frozen=True)
class Load:
    """How many requests are in flight: connections times streams on each."""

    connections: int
    streams: int

    @property
    def in_flight(self) -> int:
        """Requests at once."""
        return self.connections * self.streams

    def __str__(self) -> str:
        return f"{self.in_flight} in flight ({self.connections} x {self.streams})"


class H2Load:
    """A contender: one server, one case, one load."""

    def __init__(
        self, server: Server, case: Case, load: Load, seconds: float, folder: Path, name: str = ""
    ) -> None:
        """Prepare the body.

        Args:
            server: whom to ask.
            case: what.
            load: how many at once.
            seconds: about how long each round takes.
            folder: for the body and h2load's own log.
            name: in tables; empty = the server's.
        """
        self.name = name or server.name
        self._server, self._case, self._load, self._seconds = server, case, load, seconds
        self._requests = 0
        self._answer = 0
        self._log = folder / "h2load.tsv"
        self._body = folder / f"{case.name}.body"
        self._body.write_bytes(case.framed)

    def warm(self) -> None:
        """Prove that the case is answered, and find out how many requests make a round."""
        self._answer = len(self._server.ask(self._case))
        few = _MINIMUM_WAVES * self._load.in_flight
        pace = self._shoot(few)[0]
        if few < pace * self._seconds / 4:
            pace = self._shoot(int(pace * self._seconds / 4))[0]
        self._requests = max(few, int(pace * self._seconds))

    def measure(self) -> dict[str, float]:
        """Return pictures a second, and percentiles of the latency in microseconds."""
        rate, latencies = self._shoot(self._requests)
        return {"rate": rate * self._case.pictures} | percentiles(latencies)

    def _shoot(self, requests: int) -> tuple[float, NDArray[np.float64]]:
        """Send so many requests; return requests a second and latencies in microseconds."""
        self._log.unlink(missing_ok=True)
        url = f"http://{self._server.address}{self._server.path(self._case)}"
        words = ["h2load", "-t1", f"-c{self._load.connections}", f"-m{self._load.streams}"]
        words += [f"-w{_WINDOW_BITS}", f"-W{_WINDOW_BITS}"]
        words += [f"-n{requests}", f"--data={self._body}", f"--log-file={self._log}"]
        words += ["-H", "content-type: application/grpc", "-H", "te: trailers", url]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_SECONDS_AT_MOST, check=False
        )
        found = (_count(_SUCCEEDED, done.stdout), _count(_DATA, done.stdout))
        expected = (requests, requests * (_FRAME + self._answer))
        if found != expected:
            raise BenchmarkError(
                f"{self.name}, {self._case.title}: expected {expected} answers and bytes of data, "
                f"found {found}: {done.stdout[-800:]}{done.stderr[-200:]}"
            )
        self._server.sent += requests
        starts, _status, latencies = np.loadtxt(self._log, ndmin=2).T[:3]
        return steady_rate(starts + latencies, self._load.in_flight), latencies


def _count(pattern: re.Pattern[str], output: str) -> int:
    found = pattern.search(output)
    return int(found[1]) if found else -1


def steady_rate(ends: NDArray[np.float64], in_flight: int) -> float:
    """Return answers a second once the first few are there.

    The first ``in_flight`` answers hold the setting up of connections and are left out. Where all
    in flight are answered together, in waves, those after them are whole waves over whole waves'
    time; to leave out the last few as well would count part of a wave over all of its time.

    Args:
        ends: microseconds at which each answer was complete, in any order; more than twice
            in_flight of them.
        in_flight: how many requests were kept in flight.
    """
    later = np.sort(ends)[in_flight - 1 :]
    return float((len(later) - 1) / (later[-1] - later[0]) * 1e6)
