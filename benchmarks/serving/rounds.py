"""Contenders measured side by side, round after round.

Within a round every contender has its turn, and the next round begins with another one, so what
changes with time, or with who came before, hits all of them alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Contender", "Group", "Measure", "Outcome", "run"]


class Contender(Protocol):
    """Something that can be measured once a round."""

    @property
    def name(self) -> str:
        """In tables; unique within a group."""

    def warm(self) -> None:
        """Do once, before the first round, what must not be measured."""

    def measure(self) -> Mapping[str, float]:
        """Return one round's figures by name."""


@dataclass(frozen=True)
class Measure:
    """A contender that needs no warm-up but one measurement thrown away."""

    name: str
    measure: Callable[[], Mapping[str, float]]

    def warm(self) -> None:
        """Measure once for nothing."""
        self.measure()


@dataclass(frozen=True)
class Group:
    """Contenders for one table.

    Attributes:
        part: of the benchmark.
        case: what is asked.
        load: how.
        headline: the figure of which ratios are taken.
        references: names of those to which ratios are taken.
        contenders: in the order of the table.
    """

    part: str
    case: str
    load: str
    headline: str
    references: Sequence[str]
    contenders: Sequence[Contender]


@dataclass(frozen=True)
class Outcome:
    """What the rounds of a group gave: contender, figure, one value a round."""

    part: str
    case: str
    load: str
    headline: str
    references: Sequence[str]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contender: str, figures: Mapping[str, float]) -> None:
        """Add a round's figures of a contender."""
        series = self.values.setdefault(contender, {})
        for name, value in figures.items():
            series.setdefault(name, []).append(value)


def run(groups: Sequence[Group], repeats: int) -> list[Outcome]:
    """Warm up every contender, then measure all of them in each of ``repeats`` rounds."""
    outcomes = [Outcome(g.part, g.case, g.load, g.headline, g.references) for g in groups]
    for group, outcome in zip(groups, outcomes, strict=True):
        for contender in group.contenders:
            contender.warm()
            outcome.values[contender.name] = {}  # the table keeps this order
    for turn in range(repeats):
        for group, outcome in zip(groups, outcomes, strict=True):
            first = turn % len(group.contenders)
            for contender in (*group.contenders[first:], *group.contenders[:first]):
                outcome.add(contender.name, contender.measure())
    return outcomes
