"""Two hundred reloads under load, every tenth of a bundle that must be refused.

Two versions with the same graphs and other manifests take turns, so that the right answer to a
request is known whichever is in force. What is corrupt differs each time: a flipped byte, half a
file, a missing file, a manifest of another version, a version that is not there.
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.robustness.calls import classify, learn, pixels, prior, stroke
from benchmarks.robustness.instance import ROOT, Instance, serving
from benchmarks.robustness.ledger import Ledger
from benchmarks.robustness.load import Load, clients, merge, start
from benchmarks.robustness.report import Report, percentiles
from benchmarks.robustness.verdicts import books, flat
from benchmarks.robustness.watch import every
from serving import bundle, files

__all__ = ["add_flags", "run"]

_EVERY = 10
_PATIENCE = 60.0
_GROWTH = 0.05


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--count", type=int, default=200, help="reloads (default 200)")
    parser.add_argument("--rate", type=float, default=100, help="calls a second (default 100)")


def run(flags: argparse.Namespace, report: Report) -> None:
    """Point the profile elsewhere again and again while calls arrive."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "exported" / "sample", root / "sample")
        home = root / "sample"
        versions = (bundle.current(home).name, _other_version(home))
        options = ("--models", folder, "--drain-delay", "0", "--reload-seconds", "0.1")
        with serving(*options, *flags.serving) as server, clients(2) as pool:
            _Reloads(report, server, home, versions).run(flags, pool)


def _other_version(home: Path) -> str:
    """Save a bundle of the same files whose manifest has one more figure; return its version."""
    whole = bundle.load(bundle.current(home))
    figure = bundle.Metric(1.0, 1, "tells this version from the other")
    manifest = msgspec.structs.replace(
        whole.manifest, metrics={**whole.manifest.metrics, "second": figure}
    )
    return bundle.save(manifest, dict(whole.contents), home.parent).name


class _Reloads:
    def __init__(
        self, report: Report, server: Instance, home: Path, versions: tuple[str, str]
    ) -> None:
        self._report = report
        self._server = server
        self._home = home
        self._versions = versions
        self._seconds: list[float] = []

    def run(self, flags: argparse.Namespace, pool) -> None:  # type: ignore[no-untyped-def]
        server, report = self._server, self._report
        calls = (*(classify(f"raw {seed}", pixels(stroke(seed))) for seed in range(4)), prior(5))
        ledger = Ledger()
        for version in self._versions:  # learn what each of them answers
            self._point_at(version)
            self._wait(lambda version=version: self._in_force(version))
            calls = learn(server.target, calls)
            for call in calls:
                ledger.sent += 1
                ledger.answered[call.method, "OK"] += 1
        before = {outcome: self._count(outcome) for outcome in ("loaded", "refused")}
        load = Load(server.target, calls, seconds=5, rate=flags.rate, connections=2)
        expected_bad = flags.count // _EVERY
        with every(1, lambda: _row(server)) as samples:
            futures = start(pool, load, 1)
            outcomes = []
            for number in range(1, flags.count + 1):
                if number % _EVERY == 0:
                    self._refused(number)
                else:
                    self._loaded()
                if futures[0].done():  # load in pieces, for as long as the reloads take
                    outcomes.append(futures[0].result())
                    futures = start(pool, replace(load, seed=number), 1)
            outcomes.append(futures[0].result())
        server.settle()
        seen = merge(outcomes)
        ledger.add(seen.ledger)
        failed = seen.ledger.sent - seen.ledger.count("OK")
        report.figures["latency"] = percentiles(seen.accepted)
        report.figures["reload_seconds"] = percentiles([1000 * s for s in self._seconds])
        report.check(
            failed == 0 and seen.ledger.sent > 0,
            "no failed call during the reloads",
            f"{failed} of {seen.ledger.sent}; {dict(seen.ledger.unexpected)}",
        )
        report.check(seen.ledger.wrong == 0, "every answer is right", f"{seen.ledger.wrong} wrong")
        for outcome, expected in (
            ("loaded", flags.count - expected_bad),
            ("refused", expected_bad),
        ):
            found = self._count(outcome) - before[outcome]
            report.check(
                found == expected, f"{expected} versions counted as {outcome}", f"{found:.0f}"
            )
        flat(report, samples, after=0.1 * samples.at[-1], growth=_GROWTH)
        books(report, ledger, server)

    def _loaded(self) -> None:
        version = next(v for v in self._versions if not self._in_force(v))
        begun = time.monotonic()
        self._point_at(version)
        self._wait(lambda: self._in_force(version))
        self._seconds.append(time.monotonic() - begun)

    def _refused(self, number: int) -> None:
        bad = f"{number:012x}"
        _spoil(self._home, self._versions[0], bad, number // _EVERY)
        before = self._count("refused")
        in_force = next(v for v in self._versions if self._in_force(v))
        self._point_at(bad)
        self._wait(lambda: self._count("refused") > before)
        if not self._in_force(in_force):
            raise RuntimeError(f"{in_force} is no longer in force after a bad version")

    def _point_at(self, version: str) -> None:
        files.replace_file(self._home / bundle.CURRENT, f"{version}\n".encode())

    def _in_force(self, version: str) -> bool:
        return self._server.total("onehand_model_info", version=version) >= 1

    def _count(self, outcome: str) -> float:
        return self._server.total("onehand_reloads_total", outcome=outcome)

    def _wait(self, condition) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError("the server did not take note of the new version in time")
            time.sleep(0.03)


def _row(server: Instance) -> tuple[float, ...]:
    held = server.resources()
    return (held.rss, held.files, held.threads)


def _spoil(home: Path, good: str, bad: str, kind: int) -> None:
    """Make a version that must be refused; kinds take turns."""
    folder = home / bad
    if kind % 5 == 4:
        return  # CURRENT will name a version that is not there
    shutil.copytree(home / good, folder, ignore=shutil.ignore_patterns(bundle.REPORT))
    graph = folder / bundle.CLASSIFIER
    match kind % 5:
        case 0:
            data = bytearray(graph.read_bytes())
            data[len(data) // 2] ^= 1
            graph.write_bytes(data)
        case 1:
            graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
        case 2:
            graph.unlink()
        case 3:
            pass  # whole, but the folder's name is not the manifest's version
