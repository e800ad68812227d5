"""Verdicts that several scenarios share."""

from benchmarks.robustness.instance import Instance
from benchmarks.robustness.ledger import Ledger
from benchmarks.robustness.report import Report
from benchmarks.robustness.watch import Samples, slope

__all__ = ["MIB", "books", "flat"]

MIB = 1024 * 1024
_SERIES = ("rss_mib", "files", "threads")
# What a look at the metrics, which may be under way, takes: a connection, and two threads.
_SPARE = {"files": 1, "threads": 2}


def books(
    report: Report, ledger: Ledger, server: Instance, *, below: frozenset[str] = frozenset()
) -> None:
    """Judge that client and server counted the same, and that the server found no fault in itself.

    Args:
        report: where the verdicts go.
        ledger: of all calls that were ever sent to the server, but for probes of its health.
        server: still running, with nothing in work.
        below: codes that calls may get without having come to any handler.
    """
    differences = ledger.differences(server.handled())
    strange = {key: n for key, n in ledger.below.items() if key[1] not in below}
    report.check(
        ledger.balanced and not differences and not strange,
        "client's ledger = server's counters, code by code",
        differences or strange or ledger.codes(),
    )
    errors = [line for line in server.errors() if "profile refused" not in line]
    report.check(not errors, "no fault in the server's log", errors[:3] or "none")


def flat(report: Report, samples: Samples, *, after: float, growth: float) -> None:
    """Judge that memory, file descriptors and threads do not grow.

    Args:
        report: where the verdicts go.
        samples: rows of ``Resources`` in the order of its fields.
        after: seconds of warming up that do not count.
        growth: share by which the last quarter's median of the memory may exceed the first's.
    """
    for column, name in enumerate(_SERIES):
        at, values = samples.series(column, after)
        found = slope(at, [v / MIB for v in values] if name == "rss_mib" else values)
        report.figures[name] = {k: round(v, 2) for k, v in vars(found).items()}
        most = found.first * (1 + growth) if name == "rss_mib" else found.first + _SPARE[name]
        report.check(
            found.last <= most,
            f"{name} flat: median of the last quarter <= {most:.1f}",
            f"{found.first:.1f} -> {found.last:.1f}; {found.per_hour:+.2f} an hour "
            f"(95 %: {found.low:+.2f} to {found.high:+.2f}), {len(values)} samples",
        )
