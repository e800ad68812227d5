"""From the records of many writers to figures with intervals.

There is one enrolment for each writer, so drawing records with replacement draws writers.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from benchmarks.variants.sources import REAL
from benchmarks.variants.steering import UNSTEERED
from training.metrics import Estimate, bootstrap
from training.morphometry import ATTRIBUTES

Record = Mapping[str, float]
Figure = Callable[[Sequence[Record]], float]


def estimate(records: Mapping[int, Record], figure: Figure) -> Estimate:
    """Return a figure of the records, by writer, with its 95 % interval over writers."""
    every = list(records.values())
    random = np.random.default_rng(0)
    return bootstrap(
        lambda chosen: figure([every[index] for index in chosen]), list(records), random
    )


def mean(key: str) -> Figure:
    """Return the figure that is the mean over the writers who have it."""

    def figure(records: Sequence[Record]) -> float:
        values = [record[key] for record in records if key in record]
        return float(np.mean(values)) if values else float("nan")

    return figure


def most(key: str) -> Figure:
    """Return the figure that is the largest of all writers who have it."""

    def figure(records: Sequence[Record]) -> float:
        return max((record[key] for record in records if key in record), default=float("nan"))

    return figure


def minus(first: Figure, second: Figure) -> Figure:
    """Return the difference of two figures, taken on the same writers."""
    return lambda records: first(records) - second(records)


def own_gap(source: str, *, beside: str = REAL, within: bool = False) -> Figure:
    """Return by how many standard deviations of real own-scores those of a source are off.

    Args:
        source: whose.
        beside: off from whose.
        within: take the deviation within one writer instead of that over all writers' pictures.
    """

    def figure(records: Sequence[Record]) -> float:
        real = [record[f"own/{REAL}"] for record in records]
        variance = mean(f"own-variance/{REAL}")(records) + (0 if within else np.var(real))
        gap = mean(f"own/{source}")(records) - mean(f"own/{beside}")(records)
        return gap / float(np.sqrt(variance))

    return figure


def spread_ratio(source: str, key: str = "variance") -> Figure:
    """Return the spread of a source over that of the writers' real pictures.

    Variances are averaged over writers first: a handful of pictures gives a poor ratio each.
    """

    def figure(records: Sequence[Record]) -> float:
        made, real = (mean(f"{key}/{name}")(records) for name in (source, REAL))
        return float(np.sqrt(made / real))

    return figure


def spread_error(source: str) -> Figure:
    """Return how far off the attributes' spreads are: mean |log2 ratio|, 1 = twice or half."""

    def figure(records: Sequence[Record]) -> float:
        ratios = [spread_ratio(source, f"variance-{name}")(records) for name in ATTRIBUTES]
        return float(np.abs(np.log2(ratios)).mean())

    return figure


def region_error(source: str) -> Figure:
    """Return how far the share of real pictures in the 90 % region of a source is from 0.9."""
    return lambda records: abs(mean(f"region/{source}")(records) - 0.9)


def attribute_r2(name: str) -> Figure:
    """Return the R2 of measured attributes by what was asked: 1 - residual / variance."""

    def figure(records: Sequence[Record]) -> float:
        measured, square, missed = (
            mean(f"{each}/{name}")(records)
            for each in ("measured", "measured-square", "missed-square")
        )
        return 1 - missed / (square - measured**2)

    return figure


def attribute_error(name: str) -> Figure:
    """Return the mean absolute error of an attribute over the range in which it was asked."""
    return lambda records: mean(f"missed/{name}")(records) / mean(f"range/{name}")(records)


def kept(figure: str, name: str, *, alike: bool = False) -> Figure:
    """Return a share among steered variants minus the same among these variants before."""
    steered = f"{figure}{'-alike' if alike else ''}/steered {name}"
    return minus(mean(steered), mean(f"{figure}/{UNSTEERED}"))


def kept_by_real(figure: str, name: str) -> Figure:
    """Return the same of the writers' real pictures, steered to the same values."""
    return minus(mean(f"{figure}/{REAL} steered {name}"), mean(f"{figure}/{REAL} {UNSTEERED}"))


def kept_at_like_push(key: str, name: str) -> Figure:
    """Return a share among steered variants minus what a push like the real pictures' leaves of it.

    Steering moves likenesses down. Where fewer pictures lie above the judge's threshold to begin
    with, the same move takes more of them below it. How far it moves the real pictures is read
    from their shares, by the quantiles of a normal distribution.
    """
    normal = NormalDist()

    def figure(records: Sequence[Record]) -> float:
        made, steered, real, real_steered = (
            float(np.clip(mean(f"{key}/{each}")(records), 1e-3, 1 - 1e-3))
            for each in (UNSTEERED, f"steered {name}", f"{REAL} {UNSTEERED}",
                         f"{REAL} steered {name}")
        )  # fmt: skip
        push = normal.inv_cdf(real_steered) - normal.inv_cdf(real)
        return steered - normal.cdf(normal.inv_cdf(made) + push)

    return figure


def memory_gap(source: str) -> Figure:
    """Return by what share unknown writers' pictures come back worse than those learned from."""

    def figure(records: Sequence[Record]) -> float:
        unknown = mean(f"missed/{source}")(records)
        return unknown / mean(f"missed-learned/{source}")(records) - 1

    return figure
