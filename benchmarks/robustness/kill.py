"""kill -9 of one of two workers: the service goes on, and no counter ever goes back."""

import argparse
import os
import signal
import statistics
import time

from benchmarks.robustness.calls import classify, learn, pixels, stroke
from benchmarks.robustness.drain import published_policy
from benchmarks.robustness.instance import Instance, serving
from benchmarks.robustness.load import Load, Outcome, clients, merge, start
from benchmarks.robustness.report import Report, percentiles
from benchmarks.robustness.watch import every

__all__ = ["add_flags", "run"]

_CALLERS = 8
_COUNTERS = ("_total", "_count", "_bucket", "_sum")
Metrics = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--kills", type=int, default=3, help="(default 3)")
    parser.add_argument("--pause", type=float, default=6, help="seconds between kills (default 6)")


def run(flags: argparse.Namespace, report: Report) -> None:
    """Kill a worker again and again under load, with a scrape every 100 ms."""
    options = ("--drain-delay", "0", "--workers", "2", *flags.serving)
    with serving(*options) as server, clients(3) as pool:
        calls = tuple(classify(f"raw {seed}", pixels(stroke(seed))) for seed in range(6))
        load = Load(
            target=server.target,
            calls=learn(server.target, calls),
            seconds=flags.pause * (flags.kills + 1),
            callers=_CALLERS,
            connections=4,
            service_config=published_policy(),
        )
        watched = _Watched(server)
        with every(0.1, watched.scrape) as samples:
            futures = start(pool, load, 2)
            returned = []
            for _ in range(flags.kills):
                time.sleep(flags.pause)
                returned.append(_kill_one(server))
            seen = merge([future.result() for future in futures])
        report.figures["scrapes"] = len(samples.rows)
        report.figures["latency"] = percentiles(seen.accepted)
        _judge(report, flags, server, seen, watched, returned)


def _kill_one(server: Instance) -> float:
    """Kill a worker; return the seconds until another one serves in its place."""
    served = server.events("worker serving")
    os.kill(server.workers()[0], signal.SIGKILL)
    begun = time.monotonic()
    while server.events("worker serving") == served:
        if time.monotonic() > begun + 60:
            return float("inf")
        time.sleep(0.05)
    return time.monotonic() - begun


class _Watched:
    """Scrapes the counters and notes each that goes back or away.

    Attributes:
        back: what went back, and how.
        seconds: that each scrape took.
    """

    def __init__(self, server: Instance) -> None:
        self.back: list[str] = []
        self.seconds: list[float] = []
        self._server = server
        self._last: Metrics = {}

    def scrape(self) -> tuple[float, ...]:
        """Take a look."""
        begun = time.monotonic()
        now = {k: v for k, v in self._server.metrics().items() if k[0].endswith(_COUNTERS)}
        self.seconds.append(time.monotonic() - begun)
        for key, before in self._last.items():
            if key[0].startswith(("process_", "python_")):
                continue
            if now.get(key, -1.0) < before:
                self.back.append(f"{key}: {before} -> {now.get(key)}")
        self._last = now
        return (float(len(now)),)


def _judge(
    report: Report,
    flags: argparse.Namespace,
    server: Instance,
    seen: Outcome,
    watched: _Watched,
    returned: list[float],
) -> None:
    ledger = seen.ledger
    failed = ledger.sent - ledger.count("OK")
    report.figures["failed"] = failed
    report.check(server.alive, "the service goes on", f"{ledger.count('OK')} answers")
    report.check(
        failed <= _CALLERS * flags.kills and ledger.balanced,
        "at most what the killed worker had in work fails",
        f"{failed} of {ledger.sent}; {dict(ledger.unexpected)}",
    )
    report.check(ledger.wrong == 0, "every answer is right", f"{ledger.wrong} wrong")
    report.check(
        max(returned) < 60,
        "another worker takes the place",
        ", ".join(f"{seconds:.1f} s" for seconds in returned),
    )
    report.check(
        not watched.back,
        "no counter ever goes back",
        watched.back[:3] or f"{len(watched.seconds)} scrapes",
    )
    half = len(watched.seconds) // 2
    first, last = (
        statistics.median(watched.seconds[:half]),
        statistics.median(watched.seconds[half:]),
    )
    report.figures["scrape_seconds"] = {"first half": first, "second half": last}
    counted = server.handled()["/onehand.v1.HandwritingService/Classify", "OK"]
    report.check(
        counted >= ledger.count("OK"),
        "the counters hold every answer that was seen, those of the dead too",
        f"client {ledger.count('OK')}, server {counted}",
    )
