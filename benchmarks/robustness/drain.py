"""Two instances, each restarted under load: a client of the published policy sees no failure."""

import argparse
import signal
import time
from importlib import resources

from benchmarks.robustness.calls import classify, learn, pixels, prior, stroke
from benchmarks.robustness.instance import Instance
from benchmarks.robustness.load import Load, clients, merge, start
from benchmarks.robustness.report import Report, percentiles

__all__ = ["add_flags", "published_policy", "run"]


def published_policy() -> str:
    """Return the service config that the client package publishes, as JSON."""
    return resources.files("serving.client").joinpath("service_config.json").read_text()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--rate", type=float, default=300, help="calls a second (default 300)")
    parser.add_argument(
        "--pause", type=float, default=5, help="seconds before and after each stop (default 5)"
    )
    parser.add_argument("--drain-delay", type=float, default=2, help="of the servers (default 2)")


def run(flags: argparse.Namespace, report: Report) -> None:
    """Stop and start the one, then the other, while calls arrive at a fixed rate."""
    options = ("--drain-delay", str(flags.drain_delay), *flags.serving)
    running = [Instance(*options), Instance(*options)]
    try:
        calls = tuple(classify(f"raw {seed}", pixels(stroke(seed))) for seed in range(6))
        calls = learn(running[0].target, (*calls, prior(20)))
        load = Load(
            target="ipv4:" + ",".join(server.target for server in running),
            calls=calls,
            seconds=4 * flags.pause + 2 * (flags.drain_delay + 15),
            rate=flags.rate,
            connections=4,
            service_config=published_policy(),
        )
        with clients(2) as pool:
            futures = start(pool, load, 2)
            exits = [_restart(running, which, options, flags.pause, report) for which in (0, 1)]
            time.sleep(flags.pause)
            in_time = not any(future.done() for future in futures)
            seen = merge([future.result() for future in futures])
        report.figures["latency"] = percentiles(seen.accepted)
        report.check(in_time, "both were restarted while calls arrived", in_time)
        report.check(exits == [0, 0], "both ended with exit code 0", exits)
        failed = seen.ledger.sent - seen.ledger.count("OK")
        report.check(
            failed == 0 and seen.ledger.balanced and seen.ledger.sent > 0,
            "no failed RPC in the client's ledger",
            f"{failed} of {seen.ledger.sent}; {dict(seen.ledger.unexpected)}",
        )
        report.check(seen.ledger.wrong == 0, "every answer is right", f"{seen.ledger.wrong} wrong")
    finally:
        for server in running:
            server.close()


def _restart(
    running: list[Instance], which: int, options: tuple[str, ...], pause: float, report: Report
) -> int:
    time.sleep(pause)
    old = running[which]
    begun = time.monotonic()
    old.signal(signal.SIGTERM)
    code = old.wait()
    report.figures[f"seconds from signal to exit, instance {which}"] = round(
        time.monotonic() - begun, 2
    )
    errors = old.errors()
    report.check(not errors, f"no fault in the log of instance {which}", errors[:3] or "none")
    running[which] = Instance(*options, "--port", str(old.port))
    old.close()
    time.sleep(pause)
    return code
