"""``python -m benchmarks.robustness SCENARIO``: hostile conditions, and a verdict on each line."""

import argparse
import importlib
import shlex
import sys
from pathlib import Path

from benchmarks.robustness.report import RESULTS, Report

_SCENARIOS = {
    "overload": "three waves of twice the capacity",
    "storm": "10,000 cancellations and expired deadlines among good requests",
    "drain": "two instances, restarted one after the other under load",
    "kill": "kill -9 of one of two workers under load",
    "reloads": "200 reloads under load, every tenth one of a corrupt bundle",
    "soak": "half an hour at 70 % load with bad input mixed in",
    "fuzz": "100,000 hostile messages and connections",
}
_EPILOG = """\
examples:
  python -m benchmarks.robustness overload                 the whole thing, about 6 minutes
  python -m benchmarks.robustness overload --seconds 5     a look
  python -m benchmarks.robustness soak --minutes 2
  python -m benchmarks.robustness fuzz --cases 5000
  python -m benchmarks.robustness SCENARIO --help          its own flags

Writes results/SCENARIO.json and .md beside this package. Exit code 0: every line was kept; 1: one
was not.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one scenario; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness",
        description="Put a real server process under hostile conditions and judge what it did.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = parser.add_subparsers(dest="scenario", metavar="SCENARIO", required=True)
    for name, summary in _SCENARIOS.items():
        choice = choices.add_parser(name, help=summary.replace("%", "%%"), description=summary)
        choice.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
        choice.add_argument(
            "--serving",
            type=shlex.split,
            default=[],
            help="further flags of the server, in one word: --serving='--workers 2'",
        )
        _module(name).add_flags(choice)
    flags = parser.parse_args(arguments)
    chosen = {k: v for k, v in vars(flags).items() if k not in ("scenario", "out")}
    report = Report(flags.scenario, chosen)
    _module(flags.scenario).run(flags, report)
    report.write(flags.out)
    sys.stdout.write(report.markdown())
    return 0 if report.passed else 1


def _module(name: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"benchmarks.robustness.{name}")


if __name__ == "__main__":
    sys.exit(main())
