"""The rows of the study: what was asked, what was found, and whether it was met."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.variants.figures import (
    Figure,
    Record,
    attribute_error,
    attribute_r2,
    estimate,
    kept,
    kept_at_like_push,
    kept_by_real,
    mean,
    memory_gap,
    minus,
    most,
    own_gap,
    spread_ratio,
)
from benchmarks.variants.sources import AUGMENT, MADE, REAL, SHIPPED, VAES
from benchmarks.variants.steering import NAMES
from benchmarks.variants.study import FADE, TRAINED
from training.metrics import Estimate

_R2 = dict.fromkeys(NAMES, 0.95) | {"width": 0.9, "height": 0.9}


@dataclass(frozen=True)
class Line:
    """One figure for several sources, and what was asked of the shipped one.

    Attributes:
        row: number in the list of what must be shown.
        says: what it is.
        found: by source.
        wanted: in words; empty = reported only.
        met: whether it was; None = reported only.
    """

    row: int
    says: str
    found: Mapping[str, Estimate]
    wanted: str = ""
    met: bool | None = None


def lines(records: Mapping[int, Record]) -> list[Line]:
    """Return all lines, in order."""
    return [line for part in _PARTS for line in part(records)]


def _by_source(
    records: Mapping[int, Record], key: str, sources: Sequence[str]
) -> dict[str, Estimate]:
    return {name: estimate(records, mean(f"{key}/{name}")) for name in sources}


def _one(records: Mapping[int, Record], figure: Figure) -> dict[str, Estimate]:
    return {SHIPPED: estimate(records, figure)}


def _digit(records: Mapping[int, Record]) -> Iterator[Line]:
    found = _by_source(records, "digit", (REAL, *MADE))
    yield Line(1, "called the digit by the digit judge", found, ">= 0.99",
               found[SHIPPED].value >= 0.99)  # fmt: skip
    yield Line(1, "the prior's points in doubt, for which others are taken, share",
               _by_source(records, "doubted", (SHIPPED,)))  # fmt: skip
    yield Line(1, "drawn again after a look, share", _by_source(records, "redrawn", (SHIPPED,)))


def _own(records: Mapping[int, Record]) -> Iterator[Line]:
    found = {name: estimate(records, own_gap(name)) for name in MADE}
    yield _near(2, "own-score minus that of real own pictures, in its SD", found)
    narrow = {name: estimate(records, own_gap(name, within=True)) for name in MADE}
    yield Line(2, "the same in the SD within one writer", narrow)
    yield Line(2, "own-score", _by_source(records, "own", (REAL, *MADE)))
    yield Line(2, "share above the hand judge's threshold",
               _by_source(records, "own-share", (REAL, *MADE)))  # fmt: skip


def _near(row: int, what: str, gap: Mapping[str, Estimate]) -> Line:
    return Line(row, what, gap, "-0.25 to 0.25", abs(gap[SHIPPED].value) <= 0.25)


def _diversity(records: Mapping[int, Record]) -> Iterator[Line]:
    spread = {name: estimate(records, spread_ratio(name)) for name in MADE}
    yield Line(3, "spread over that of real own pictures", spread, "0.7 to 1.3",
               0.7 <= spread[SHIPPED].value <= 1.3)  # fmt: skip
    yield Line(3, "coverage of real own pictures, k = 5", _by_source(records, "coverage", MADE))
    ahead = _ahead(records, "coverage", (SHIPPED,))
    yield Line(3, "coverage, k = 5, minus that of augment", ahead, "interval above 0",
               ahead[SHIPPED].low > 0)  # fmt: skip
    yield Line(3, "coverage of real own pictures, k = 1", _by_source(records, "coverage-1", MADE))
    yield Line(3, "coverage, k = 1, minus that of augment", _ahead(records, "coverage-1", MADE[1:]))
    yield Line(3, "density, k = 5", _by_source(records, "density", MADE))
    yield Line(3, "from a real own picture to the nearest variant",
               _by_source(records, "reach", MADE))  # fmt: skip


def _ahead(records: Mapping[int, Record], key: str, sources: Sequence[str]) -> dict[str, Estimate]:
    return {
        name: estimate(records, minus(mean(f"{key}/{name}"), mean(f"{key}/{AUGMENT}")))
        for name in sources
    }


def _copies(records: Mapping[int, Record]) -> Iterator[Line]:
    for kind, unit in (("pixels", "RMS of grey, 0 to 1"), ("features", "of the hand judge")):
        for whence, says in (
            ("enrolled", "the enrolment picture"),
            ("learned", "the nearest training picture"),
        ):
            found = _by_source(records, f"from-{whence}-{kind}", (REAL, *MADE))
            yield Line(4, f"median distance to {says}, {unit}", found)
    least = _by_source(records, "from-learned-least-pixels", (REAL, *MADE))
    yield Line(4, "nearest of all to a training picture, RMS of grey", least)
    gap = _one(records, memory_gap(SHIPPED))
    yield Line(4, "memorisation gap: error of rebuilding unknown writers' pictures over that of "
               "those learned from, minus 1", gap)  # fmt: skip


def _attributes(records: Mapping[int, Record]) -> Iterator[Line]:
    for name in NAMES:
        r2, error = _one(records, attribute_r2(name)), _one(records, attribute_error(name))
        yield Line(5, f"{name}: R2 of measured by asked", r2, f">= {_R2[name]}",
                   r2[SHIPPED].value >= _R2[name])  # fmt: skip
        yield Line(5, f"{name}: mean error over range", error, "<= 0.10",
                   error[SHIPPED].value <= 0.1)  # fmt: skip
        digit = _one(records, kept("digit", name))
        yield Line(5, f"{name}: share of the digit, steered minus not", digit, ">= -0.02",
                   digit[SHIPPED].value >= -0.02)  # fmt: skip
        for key, says in (
            ("own-share", "share of own"),
            ("own-share-veiled", "share of own by a judge that is not shown what was asked"),
        ):
            made, real = kept(key, name), kept_by_real(key, name)
            own = {SHIPPED: estimate(records, made), REAL: estimate(records, real)}
            lost = f"{name}: {says}, steered minus not"
            yield Line(5, lost, own, ">= -0.02", own[SHIPPED].value >= -0.02)
            beyond = _one(records, minus(made, real))
            yield Line(5, f"{lost}, beyond real own pictures steered alike", beyond,
                       ">= -0.02", beyond[SHIPPED].value >= -0.02)  # fmt: skip
            ahead = minus(mean(f"{key}/steered {name}"), mean(f"{key}/{REAL} steered {name}"))
            yield Line(5, f"{name}: {says}, steered, minus that of real own pictures steered alike",
                       _one(records, ahead))  # fmt: skip
        left = _one(records, kept_at_like_push("own-share", name))
        yield Line(5, f"{name}: share of own, steered minus what a push as large as that of these "
                   "real pictures leaves of it", left)  # fmt: skip
        alike = _one(records, kept("own-share", name, alike=True))
        yield Line(5, f"{name}: the same beside the enrolment picture steered alike", alike)
        gap = _one(records, own_gap(f"steered {name}", beside=f"{REAL} steered {name}"))
        says = "own-score minus that of real own pictures steered alike, in the SD of row 2"
        yield _near(5, f"{name}: {says}", gap)
        yield Line(5, f"{name}: refused values, share", _one(records, mean(f"unfit/{name}")))


def _paths(records: Mapping[int, Record]) -> Iterator[Line]:
    sources = (*VAES, FADE)
    for kind in ("features", "pixels"):
        mean_jump = _by_source(records, f"jump-{kind}", sources)
        yield Line(6, f"largest over mean step, {kind}", mean_jump, "<= 2",
                   mean_jump[SHIPPED].value <= 2)  # fmt: skip
        worst = {name: estimate(records, most(f"jump-{kind}-most/{name}")) for name in sources}
        yield Line(6, f"the same, worst path of all, {kind}", worst, "<= 2",
                   worst[SHIPPED].value <= 2)  # fmt: skip
    frames = _by_source(records, "frames-digit", sources)
    yield Line(6, "frames that show the digit, but for given pictures", frames, "1",
               frames[SHIPPED].value == 1)  # fmt: skip
    given = _by_source(records, "frames-given-digit", (SHIPPED, FADE))
    yield Line(6, "frames that are given pictures and show the digit", given)
    yield Line(6, "given pictures among a writer's frames (of 48, where no path is refused)",
               _by_source(records, "frames-given", (SHIPPED, FADE)))  # fmt: skip
    yield Line(6, "paths refused, share", _one(records, mean("paths-refused/" + SHIPPED)))


def _classifiers(records: Mapping[int, Record]) -> Iterator[Line]:
    base = _by_source(records, "prototype", ("form alone",))
    for way, says, sources in (
        ("head", "logistic head on the base's frozen features", MADE),
        ("cnn", "network trained from scratch", TRAINED),
        ("prototype", "middle of the base's features", MADE),
    ):
        found = _by_source(records, way, sources) | (base if way == "prototype" else {})
        yield Line(7, f"{says}: AUC", found)
        ahead = _ahead(records, way, sources[1:])
        yield Line(7, f"{says}: AUC minus that of augment", ahead, "interval above 0",
                   ahead[SHIPPED].low > 0)  # fmt: skip


_PARTS = (_digit, _own, _diversity, _copies, _attributes, _paths, _classifiers)
