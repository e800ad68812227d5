"""What came out, as JSON with every round's figures, and as Markdown tables of ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import keep
from benchmarks.serving.lines import Line, lines
from benchmarks.serving.ratios import Spread, confidence, paired, spread
from benchmarks.serving.rounds import Outcome

__all__ = ["Run", "markdown", "save"]

_UNITS = {
    "rate": "pictures/s",
    "seconds": "seconds",
    "p50": "p50 us",
    "p90": "p90 us",
    "p99": "p99 us",
    "p99.9": "p99.9 us",
    "client lag p50": "client late p50 us",
    "client lag p99": "client late p99 us",
}


@dataclass(frozen=True)
class Run:
    """One run of the benchmark.

    Attributes:
        command: what was typed.
        started: UTC, ISO 8601.
        seconds: how long it took.
        repeats: rounds.
        machine: see ``machine.describe``.
        noise: load average before and after, and CPU steal in percent, over the whole run and by
            part.
        versions: of what was compared.
        memory: MiB of each of our servers after all load.
        outcomes: of every group.
    """

    command: str
    started: str
    seconds: float
    repeats: int
    machine: Mapping[str, str | int]
    noise: Mapping[str, Any]
    versions: Mapping[str, str]
    memory: Mapping[str, Mapping[str, float]]
    outcomes: Sequence[Outcome]


def save(run: Run, base: Path) -> None:
    """Write ``base`` with .json and with .md."""
    keep(base.parent, base.name, asdict(run), markdown(run))


def markdown(run: Run) -> str:
    """Return the report: the lines to reach first, then a table for each group."""
    blocks = [_head(run), _lines(lines(run.outcomes)), *map(_table, run.outcomes)]
    if run.memory:
        blocks.append(_memory(run.memory))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(run: Run) -> str:
    machine, noise = run.machine, run.noise
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    steal = ", ".join(f"{part} {share:.1f} %" for part, share in noise["steal by part"].items())
    return f"""\
# Serving, measured

`{run.command}`, {run.started}, {run.seconds / 60:.1f} minutes, {run.repeats} rounds.

- {machine["cores"]} cores of {machine["processor"]}, {machine["system"]}, Python
  {machine["python"]}; {versions}; clients on the same cores
- load average of the minute before {noise["load before"]:.2f}, at the end, its own load included,
  {noise["load after"]:.2f}; CPU time stolen by the host {noise["steal"]:.1f} % ({steal})
- a figure is the median of {run.repeats} rounds; in brackets the smallest and the largest, which
  hold the true median with {confidence(run.repeats):.1%}; a ratio is the median of the ratios
  within each round, not the ratio of the medians"""


def _lines(found: Sequence[Line]) -> str:
    if not found:
        return ""
    rows = [[line.number, line.what, line.target, line.reached, line.verdict] for line in found]
    return "## Lines to reach\n\n" + _grid(["line", "what", "target", "reached", "met"], rows)


def _table(outcome: Outcome) -> str:
    figures = list(dict.fromkeys(f for series in outcome.values.values() for f in series))
    references = [r for r in outcome.references if outcome.headline in outcome.values[r]]
    unit = _UNITS.get(outcome.headline, outcome.headline)
    rest = [figure for figure in figures if figure != outcome.headline]
    header = ["", unit, *(f": {name}" for name in references)]
    header += [_UNITS.get(figure, figure) for figure in rest]
    rows = []
    for name, series in outcome.values.items():
        values = series.get(outcome.headline)
        row = [name, _figure(spread(values)) if values else ""]
        for reference in references:
            against = outcome.values[reference][outcome.headline]
            same = name == reference or not values
            row.append("" if same else _ratio(paired(values or [], against)))
        row += [_number(spread(series[f]).median) if f in series else "" for f in rest]
        rows.append(row)
    title = f"## {outcome.part}: {outcome.case}, {outcome.load}"
    return f"{title}\n\n{_grid(header, rows)}"


def _memory(memory: Mapping[str, Mapping[str, float]]) -> str:
    rows = [[name, f"{m['rss']:.0f}", f"{m['pss']:.0f}"] for name, m in memory.items()]
    return "## memory after all load\n\n" + _grid(["", "rss MiB", "pss MiB"], rows)


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, marks, *rows])


def _figure(found: Spread) -> str:
    return f"{_number(found.median)} ({_number(found.low)} - {_number(found.high)})"


def _ratio(found: Spread) -> str:
    return f"**{found.median:.3f}** ({found.low:.3f} - {found.high:.3f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
