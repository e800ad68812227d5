"""What a scenario found: figures, and a verdict on each line that it had to keep."""

import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["RESULTS", "Report", "percentiles"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Check:
    """One line that had to be kept.

    Attributes:
        passed: whether it was.
        line: what had to hold.
        found: what did.
    """

    passed: bool
    line: str
    found: str


@dataclass
class Report:
    """The outcome of one scenario.

    Attributes:
        scenario: its name.
        flags: what it was run with.
        figures: what was measured, as JSON can hold it.
        checks: the verdicts.
    """

    scenario: str
    flags: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def check(self, passed: bool, line: str, found: object) -> None:
        """Add a verdict."""
        self.checks.append(Check(bool(passed), line, str(found)))

    @property
    def passed(self) -> bool:
        """Whether every line was kept, and there was one."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def markdown(self) -> str:
        """Return the report for people."""
        lines = [
            f"# {self.scenario}: {'passed' if self.passed else 'FAILED'}",
            "",
            f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, Python "
            f"{platform.python_version()}; flags: "
            + (", ".join(f"{k}={v}" for k, v in self.flags.items()) or "none"),
            "",
            "| | must hold | found |",
            "|---|---|---|",
            *(f"| {'pass' if c.passed else 'FAIL'} | {c.line} | {c.found} |" for c in self.checks),
            "",
            "```json",
            json.dumps(self.figures, indent=1, default=str),
            "```",
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> Path:
        """Write the JSON and the Markdown file; return the latter."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "scenario": self.scenario,
            "passed": self.passed,
            "flags": self.flags,
            "checks": [vars(check) for check in self.checks],
            "figures": self.figures,
        }
        (folder / f"{self.scenario}.json").write_text(
            json.dumps(content, indent=1, default=str) + "\n"
        )
        path = folder / f"{self.scenario}.md"
        path.write_text(self.markdown())
        return path


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    """Return count, median, 99th percentile and maximum."""
    if not milliseconds:
        return {"n": 0}
    p50, p99, most = np.percentile(
        milliseconds,
        (50, 99, 100),
        method="nearest",  # some may be infinite
    )
    return {
        "n": len(milliseconds),
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(most), 2),
    }
