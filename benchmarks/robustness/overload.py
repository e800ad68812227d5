"""Three waves of twice the capacity: those admitted are in time, the others are told at once.

A request holds many pictures, so that the model is what is short. With one picture each, on a
machine of two cores that its clients share, it is the clients and the transport that run out of
time, long before the server has anything to decide (``--images 1`` shows it).
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from benchmarks.robustness.calls import classify, learn, pixels, stroke
from benchmarks.robustness.instance import Instance, serving
from benchmarks.robustness.ledger import Ledger
from benchmarks.robustness.load import Load, Outcome, capacity, clients, merge, start
from benchmarks.robustness.report import Report, percentiles
from benchmarks.robustness.verdicts import books
from benchmarks.robustness.watch import check_health

__all__ = ["add_flags", "run"]

_CODES = frozenset({"OK", "RESOURCE_EXHAUSTED"})
_CLIENTS = 2
_MIB = 1024 * 1024
# Allocators keep what they once needed; this much more in a later wave is noise, not growth.
_GROWTH = 1.05


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--seconds", type=float, default=60, help="of each wave (default 60)")
    parser.add_argument("--pause", type=float, default=10, help="between waves (default 10)")
    parser.add_argument("--waves", type=int, default=3, help="(default 3)")
    parser.add_argument("--images", type=int, default=32, help="in each request (default 32)")
    parser.add_argument(
        "--max-wait", default="0.02", help="the server's setting, in seconds (default 0.02)"
    )
    parser.add_argument("--factor", type=float, default=2, help="times the capacity (default 2)")


def run(flags: argparse.Namespace, report: Report) -> None:
    """Find the capacity, measure 80 % of it, then overload."""
    settings = ("--drain-delay", "0", "--max-wait", flags.max_wait, *flags.serving)
    with serving(*settings) as server, clients(_CLIENTS + 1) as pool:
        raw = tuple(
            classify(f"raw {seed}", *(pixels(stroke(seed + i)) for i in range(flags.images)))
            for seed in range(8)
        )
        calls = tuple(replace(call, codes=_CODES) for call in learn(server.target, raw))
        ledger = Ledger(sent=len(calls))
        ledger.answered[calls[0].method, "OK"] += len(calls)
        # Enough connections that no limit of streams holds calls back on the client's side.
        base = Load(server.target, calls, min(10.0, flags.seconds), callers=16, connections=8)
        most, outcome = capacity(pool, base, _CLIENTS)
        ledger.add(outcome.ledger)
        report.figures["capacity_per_second"] = round(most)

        def wave(share: float, seed: int) -> tuple[Outcome, list[float]]:
            load = replace(base, seconds=flags.seconds, rate=share * most, seed=seed)
            health = check_health(pool, server.target, flags.seconds)
            seen = merge([future.result() for future in start(pool, load, _CLIENTS)])
            ledger.add(seen.ledger)
            return seen, health.result()

        calm, _ = wave(0.8, 1)
        report.figures["80 %"] = _figures(calm, server)
        waves, healths = [], []
        for number in range(flags.waves):
            time.sleep(flags.pause)
            seen, health = wave(flags.factor, 2 + number)
            waves.append(seen)
            healths += health
            report.figures[f"wave {number + 1}"] = _figures(seen, server)
        server.settle()
        _judge(report, calm, waves, healths, ledger, server)


def _figures(seen: Outcome, server: Instance) -> dict[str, object]:
    return {
        "sent": seen.ledger.sent,
        "codes": seen.ledger.codes(),
        "accepted": percentiles(seen.accepted),
        "shed": percentiles(seen.shed),
        "begun_late": percentiles(seen.lag),
        "rss_mib": round(server.resources().rss / _MIB, 1),
    }


def _judge(
    report: Report,
    calm: Outcome,
    waves: list[Outcome],
    healths: list[float],
    ledger: Ledger,
    server: Instance,
) -> None:
    limit = 2 * float(np.percentile(calm.accepted, 99))
    p99 = [float(np.percentile(wave.accepted, 99)) for wave in waves]
    report.check(
        max(p99) <= limit,
        f"p99 of the accepted <= 2 x that at 80 % load, {limit:.1f} ms",
        ", ".join(f"{value:.1f} ms" for value in p99),
    )
    report.check(
        all(wave.shed for wave in waves) and not ledger.unexpected,
        "the rest is shed with RESOURCE_EXHAUSTED, nothing ends otherwise",
        dict(ledger.unexpected) or ledger.codes(),
    )
    report.check(
        ledger.unadvised == 0,
        "every shed call is told when to come back (RetryInfo and pushback)",
        f"{ledger.unadvised} without",
    )
    shed = [value for wave in waves for value in wave.shed]
    found = percentiles(shed)
    report.check(
        bool(shed) and found["p99_ms"] <= limit,
        f"shed at once: p99 of the time to shed <= {limit:.1f} ms",
        found,
    )
    report.check(ledger.wrong == 0, "every answer is right", f"{ledger.wrong} wrong")
    rss = [report.figures[f"wave {n + 1}"]["rss_mib"] for n in range(len(waves))]
    report.check(
        rss[-1] <= rss[0] * _GROWTH, "memory does not grow from wave to wave", f"{rss} MiB"
    )
    worst = percentiles(healths)
    report.check(max(healths) < 100, "health answers in < 100 ms throughout", worst)
    books(report, ledger, server)
