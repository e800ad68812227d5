"""What the serving benchmark says of its rounds; nothing is timed here."""

import numpy as np
import pytest

from benchmarks.serving.h2load import steady_rate
from benchmarks.serving.lines import lines
from benchmarks.serving.ratios import Spread, confidence, paired, percentiles, spread
from benchmarks.serving.rounds import Group, Measure, Outcome, run
from benchmarks.serving.schedule import arrivals


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that is ten times slower in one round does not change the ratio."""
    assert paired([8.0, 0.8, 8.0], [10.0, 1.0, 10.0]) == Spread(0.8, 0.8, 0.8)
    assert paired([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == Spread(2.0, 1.0, 3.0)


def test_rounds_must_match() -> None:
    """Rounds that are missing on one side, or on both, are an error and no ratio."""
    with pytest.raises(ValueError, match="longer"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="at least one round"):
        spread([])


def test_the_interval_is_as_sure_as_it_says() -> None:
    """All of n draws fall on one side of the median with probability 2^(1 - n), as simulated."""
    draws = np.random.default_rng(0).exponential(size=(20_000, 5))
    held = (draws.min(axis=1) < np.log(2)) & (np.log(2) < draws.max(axis=1))
    assert held.mean() == pytest.approx(confidence(5), abs=0.005)


def test_percentiles_are_values_that_were_measured() -> None:
    """Of 1 to 1000, each percentile is the value at its rank."""
    shuffled = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))
    assert percentiles(shuffled) == {"p50": 500.0, "p90": 900.0, "p99": 990.0, "p99.9": 999.0}


def test_a_schedule_is_fixed_in_advance() -> None:
    """The same seed gives the same arrivals, another one others, all within the time."""
    due = arrivals(1000, 2.0, seed=1)
    assert len(due) == 2000
    assert np.array_equal(due, arrivals(1000, 2.0, seed=1))
    assert not np.array_equal(due, arrivals(1000, 2.0, seed=2))
    assert (np.diff(due) >= 0).all()
    assert due[0] >= 0
    assert due[-1] < 2.0


def test_arrivals_are_those_of_independent_callers() -> None:
    """Gaps are exponential: their mean is 1 / rate, and so is their deviation."""
    gaps = np.diff(arrivals(1000, 100.0, seed=3))
    assert gaps.mean() == pytest.approx(1e-3, rel=0.01)
    assert gaps.std() == pytest.approx(1e-3, rel=0.03)


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_a_schedule_needs_a_rate_and_a_time(rate: float, seconds: float) -> None:
    """No rate, no time: no schedule."""
    with pytest.raises(ValueError, match="above 0"):
        arrivals(rate, seconds, seed=0)


def test_the_steady_rate_leaves_out_the_start() -> None:
    """Slow first answers do not count, and answers that come in waves count as what they are."""
    steady = np.arange(1, 1001) * 100.0
    ends = np.concatenate([np.linspace(-9e6, 0, 7), steady])
    waves = np.repeat([1e6, 2e6, 3e6], 8)
    assert steady_rate(ends[::-1], in_flight=8) == pytest.approx(10_000)
    assert steady_rate(waves, in_flight=8) == pytest.approx(8)
    assert steady_rate(steady, in_flight=1) == pytest.approx(10_000)


def test_rounds_take_turns() -> None:
    """Every contender is warmed up once and measured once a round, each first in its turn."""
    calls: list[str] = []

    def contender(name: str) -> Measure:
        def measure() -> dict[str, float]:
            calls.append(name)
            return {"rate": float(len(calls))}

        return Measure(name, measure)

    group = Group("part", "case", "load", "rate", ["a"], [contender("a"), contender("b")])
    [outcome] = run([group], repeats=2)

    assert calls == ["a", "b", "a", "b", "b", "a"]
    assert outcome.values == {"a": {"rate": [3.0, 6.0]}, "b": {"rate": [4.0, 5.0]}}


def batch(rate: float) -> Outcome:
    """Return an outcome of 256 pictures a request at this rate; alone it is 100."""
    outcome = Outcome("batch", "Classify, 256 raw pictures", "seed, 2 threads", "rate", ["a", "b"])
    for name, figure in (("a", 80.0), ("b", 100.0)):
        outcome.add(name, {"rate": figure})
    for load in (1, 8):
        outcome.add(f"service, {load} in flight", {"rate": rate})
    return outcome


@pytest.mark.parametrize(("rate", "verdicts"), [(92.0, ["yes"] * 4), (91.9, ["yes", "no"] * 2)])
def test_a_line_is_held_against_each_way_to_do_the_work(rate: float, verdicts: list[str]) -> None:
    """Whoever reads the one sees the other, with either load."""
    assert [line.verdict for line in lines([batch(rate)])] == verdicts
