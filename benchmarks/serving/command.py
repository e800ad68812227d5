"""The command ``python -m benchmarks.serving``: which parts, how long, where to."""

import argparse
import datetime as dt
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.serving import machine, profiles, report, rounds
from benchmarks.serving.parts import PARTS
from benchmarks.serving.peers import environments
from benchmarks.serving.processes import ROOT, BenchmarkError
from benchmarks.serving.stage import PROFILES, Options, Stage

__all__ = ["main", "measure"]

_RESULTS = ROOT / "benchmarks" / "serving" / "results"
_EPILOG = """\
parts:
  unary       1 raw picture a request, 1, 8 and 64 in flight: against an empty gRPC handler
  batch       32 and 256 raw, 32 PNG a request (pages, and forms that need no normalising):
              against onnxruntime alone, same threads
  generate    GenerateVariants, 16, 256 and 1,000, raw and PNG: against the decoder alone
  open-loop   a fixed schedule of arrivals at 25, 50 and 75 % of capacity: percentiles
  cold-start  from exec to SERVING, and memory
  peers       MLServer and Triton: same model, same bytes (python -m benchmarks.serving.peers)

examples:
  python -m benchmarks.serving --quick               everything but the peers, about a minute
  python -m benchmarks.serving unary                 one part, 7 rounds
  python -m benchmarks.serving --all --name r1       all parts; results/r1.json and r1.md

Servers, clients and the work alone are processes of their own, started once; every contender has
its turn in every round. h2load (Debian: nghttp2-client) must be installed. Figures of one run can
be compared with one another; figures of two runs cannot, but their ratios can.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    options = parser.parse_args(words)
    chosen = _parts(parser, options)
    command = shlex.join(["python", "-m", "benchmarks.serving", *words])
    settings = Options(
        repeats=options.repeats or (2 if options.quick else 7),
        seconds=options.seconds or (0.1 if options.quick else 0.8),
        models=profiles.models(),
        profiles=PROFILES[:1] if options.quick else PROFILES,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        _check_tools(chosen)
        for run in measure(chosen, settings, command):
            report.save(run, options.out / options.name)  # what there is, should a later part fail
    except BenchmarkError as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 1
    print(report.markdown(run))
    return 0


def measure(parts: list[str], options: Options, command: str) -> Iterator[report.Run]:
    """Measure the parts, one after another; after each, yield the run so far.

    Raises:
        BenchmarkError: a server, a client or a ledger is not as it must be.
    """
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    begin, stolen, load = time.monotonic(), machine.steal(), os.getloadavg()[0]
    outcomes: list[rounds.Outcome] = []
    steal_by_part: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serving-")))
        stage = Stage(options, folder, stack)
        for part in parts:
            print(f"{time.monotonic() - begin:5.0f} s  {part}", file=sys.stderr)
            before = machine.steal()
            outcomes += rounds.run(PARTS[part](stage), options.repeats)
            stage.check_ledgers()
            steal_by_part[part] = machine.steal().percent_since(before)
            yield report.Run(
                command=command,
                started=started,
                seconds=time.monotonic() - begin,
                repeats=options.repeats,
                machine=machine.describe(),
                noise={
                    "load before": load,
                    "load after": os.getloadavg()[0],
                    "steal": machine.steal().percent_since(stolen),
                    "steal by part": dict(steal_by_part),
                },
                versions=_versions(with_peers="peers" in parts),
                memory=stage.memory(),
                outcomes=list(outcomes),
            )


def _check_tools(parts: list[str]) -> None:
    """Find out at the start what would fail at the end.

    Raises:
        BenchmarkError: a tool is not installed; the message says how to.
    """
    if shutil.which("h2load") is None:
        raise BenchmarkError("expected h2load, found none; run: apt-get install nghttp2-client")
    if "peers" in parts:
        for peer in environments.REQUIREMENTS:
            environments.installed(peer)


def _versions(*, with_peers: bool) -> Mapping[str, str]:
    ours = {name: version(name) for name in ("onnxruntime", "grpcio", "uvloop")}
    return ours | (environments.versions() if with_peers else {})


def _parts(parser: argparse.ArgumentParser, options: Any) -> list[str]:
    if options.all:
        return list(PARTS)
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"expected parts among {', '.join(PARTS)}; found {', '.join(unknown)}")
    if options.parts:
        return [part for part in PARTS if part in options.parts]
    if options.quick:
        return [part for part in PARTS if part != "peers"]
    return parser.error("name one or more parts, or --all, or --quick")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description="Measure what serving costs over the work itself, as ratios from one run.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="which parts; see below")
    parser.add_argument("--all", action="store_true", help="every part, about 20 minutes")
    parser.add_argument(
        "--quick", action="store_true", help="2 short rounds, one profile: does it work at all?"
    )
    parser.add_argument("--repeats", type=_rounds, help="rounds, at least 2 (default: 7)")
    parser.add_argument(
        "--seconds", type=float, help="about how long each turn takes (default: 0.8)"
    )
    parser.add_argument("--name", default="latest", help="of the results (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=_RESULTS, help="folder of the results (default: %(default)s)"
    )
    return parser


def _rounds(text: str) -> int:
    rounds_asked = int(text)
    if rounds_asked < 2:
        raise argparse.ArgumentTypeError(f"expected 2 or more, found {text}")
    return rounds_asked
