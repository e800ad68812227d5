"""The figures that serving has to reach, each with what this run says of it.

A line whose part was not run is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.serving.ratios import Spread, paired, spread
from benchmarks.serving.rounds import Outcome

__all__ = ["Line", "lines"]

_PROFILES = ("seed", "default")
_EMPTY = "empty handler"
_EMPTY_OURS = "empty handler, served as ours"
_COLD_SECONDS = 1.5
_OVERHEAD_US = 60.0


@dataclass(frozen=True)
class Line:
    """One line of the table: texts, ready to print."""

    number: str
    what: str
    target: str
    reached: str
    verdict: str


def lines(outcomes: Sequence[Outcome]) -> list[Line]:
    """Return every line that the outcomes can say something of."""
    makers: tuple[Callable[[Outcome], Iterator[Line]], ...] = (
        _unary_rate, _unary_latency, _batch, _peers, _cold_start,
    )  # fmt: skip
    found = [line for make in makers for outcome in outcomes for line in make(outcome)]
    return sorted(found, key=lambda line: int(line.number))


def _unary_rate(outcome: Outcome) -> Iterator[Line]:
    if outcome.part != "unary" or not outcome.load.startswith("64 in flight"):
        return
    for profile in _profiles(outcome):
        for reference in (_EMPTY, _EMPTY_OURS):
            ratio = _paired(outcome, _service(profile), reference, "rate")
            bound = 0.85 if profile == "seed" else None
            what = f"requests/s, {outcome.load}, {profile}, 1 worker : {reference}"
            yield _at_least("1", what, ratio, bound)


def _unary_latency(outcome: Outcome) -> Iterator[Line]:
    if outcome.part != "unary" or outcome.load != "1 in flight (1 x 1)":
        return
    p50 = {name: series["p50"] for name, series in outcome.values.items()}
    for profile in _profiles(outcome):
        for reference in (_EMPTY, _EMPTY_OURS):
            for how in ("hot", "idle between"):
                rounds = zip(
                    p50[_service(profile)],
                    p50[reference],
                    p50[f"session.run, {profile}, {how}"],
                    strict=True,
                )
                over = spread([ours - empty - work for ours, empty, work in rounds])
                what = f"p50 1 x 1, {profile}, less {reference}, less session.run {how}"
                yield Line(
                    "2",
                    what,
                    f"<= {_OVERHEAD_US:.0f} us",
                    _show(over, "{:.0f}") + " us",
                    _verdict(over.median <= _OVERHEAD_US),
                )


def _batch(outcome: Outcome) -> Iterator[Line]:
    if outcome.part != "batch" or "32 raw" in outcome.case:
        return
    bound = 0.85 if "PNG" in outcome.case else 0.92
    ours = ["8 in flight", "1 in flight"]
    ours += [name.removeprefix("service, ") for name in outcome.values if "workers" in name]
    for load in ours:
        for reference in outcome.references:
            ratio = _paired(outcome, f"service, {load}", reference, "rate")
            what = f"pictures/s, {outcome.case}, {outcome.load}, {load} : {reference}"
            yield _at_least("3", what, ratio, bound)


def _peers(outcome: Outcome) -> Iterator[Line]:
    if outcome.part != "peers" or "64 in flight" not in outcome.load:
        return
    profile = outcome.load.split(",")[0]
    for peer, bound in (("MLServer", 2.5), ("Triton", None)):
        best = _best(outcome, peer)
        for what in ("Classify", "ModelInfer"):
            ratio = _paired(outcome, f"{_service(profile)}, {what}", best, "rate")
            yield _at_least(
                "4", f"requests/s, {outcome.load}, {what}, 1 worker : {best}", ratio, bound
            )


def _cold_start(outcome: Outcome) -> Iterator[Line]:
    if outcome.part != "cold-start":
        return
    for name, series in outcome.values.items():
        seconds = spread(series["seconds"])
        reached = (
            f"{_show(seconds, '{:.2f}')} s, idle RSS {spread(series['rss MiB']).median:.0f} MiB"
        )
        yield Line(
            "12",
            f"cold start, {name}",
            f"<= {_COLD_SECONDS:g} s",
            reached,
            _verdict(seconds.median <= _COLD_SECONDS),
        )


def _service(profile: str) -> str:
    return f"service, {profile}, 1 worker"


def _profiles(outcome: Outcome) -> list[str]:
    return [profile for profile in _PROFILES if _service(profile) in outcome.values]


def _best(outcome: Outcome, prefix: str) -> str:
    names = [name for name in outcome.values if name.startswith(prefix)]
    return max(names, key=lambda name: spread(outcome.values[name]["rate"]).median)


def _paired(outcome: Outcome, name: str, reference: str, figure: str) -> Spread:
    return paired(outcome.values[name][figure], outcome.values[reference][figure])


def _at_least(number: str, what: str, ratio: Spread, bound: float | None) -> Line:
    target = "stated" if bound is None else f">= {bound:g}"
    verdict = "-" if bound is None else _verdict(ratio.median >= bound)
    return Line(number, what, target, _show(ratio, "{:.3f}"), verdict)


def _show(found: Spread, form: str) -> str:
    low, high = form.format(found.low), form.format(found.high)
    return f"{form.format(found.median)} ({low} - {high})"


def _verdict(met: bool) -> str:
    return "yes" if met else "no"
