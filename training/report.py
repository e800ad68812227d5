"""The enrolment in pictures: one HTML page that holds everything it shows.

For people only: a student who wants to see each stage, an engineer who wants to know whether to
trust a profile. The page asks the network for nothing and runs no script. Its numbers come from
the verified manifest and from ``training.record``; this module puts them into words,
``training.charts`` into pictures, and ``templates/report.html.j2`` into a page. Nothing new is
computed about the model. Equal bundles and records give equal bytes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import numpy as np

from serving import bundle
from serving.files import replace_file
from serving.images import encode_png
from training import charts, record_file
from training.errors import TrainingError
from training.latent.findings import Latent
from training.record import Record

PAGE = "index.html"

_TEMPLATES = Path(__file__).parent / "templates"


class ReportError(TrainingError):
    """Figures that cannot be shown or a page that cannot be written; says what to run."""


class Bin(msgspec.Struct, frozen=True):
    """Predictions of like confidence; the three are from 0 to 1."""

    confidence: float
    accuracy: float
    share: float


class Row(msgspec.Struct, frozen=True):
    """One system of the writer benchmark; figures are (value, low, high) or None."""

    name: str
    enrolled: int
    auc: tuple[float, float, float] | None = None
    eer: tuple[float, float, float] | None = None
    own: tuple[float, float, float] | None = None
    other_writer: tuple[float, float, float] | None = None
    other: tuple[float, float, float] | None = None
    mean_recall: tuple[float, float, float] | None = None
    ece: tuple[float, float, float] | None = None
    reliability: tuple[Bin, ...] = ()
    trials: dict[str, Any] = {}


class Benchmark(msgspec.Struct, frozen=True):
    """What ``python -m training evaluate`` wrote; other keys are ignored."""

    command: str
    recipe: str
    digit: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Verdict:
    """One test picture and what the model said of it; ``enrolled`` if it was enrolled with."""

    uri: str
    truth: str
    label: str
    probabilities: tuple[tuple[str, float], ...]
    llr: float
    enrolled: bool

    @property
    def right(self) -> bool:
        """Whether the most probable label is the true one."""
        return self.label == self.truth


@dataclass(frozen=True)
class Group:
    """The test pictures of one true label, the wrong verdicts first."""

    label: str
    phrase: str
    verdicts: tuple[Verdict, ...]
    counts: tuple[tuple[str, int], ...]

    @property
    def right(self) -> int:
        """How many verdicts are right."""
        return sum(verdict.right for verdict in self.verdicts)


def render(folder: Path, benchmark: Path | None = None) -> Path:
    """Write ``report/index.html`` of the bundle in ``folder`` and return its path.

    Args:
        folder: the bundle, or its profile's, whose version in force is meant; verified first.
        benchmark: JSON written by ``python -m training evaluate``, if there is any.

    Raises:
        BundleError: the bundle breaks its contract.
        RecordError: the record is missing or damaged; says which file and what to run.
        ReportError: the benchmark is missing, damaged or of another digit, or the page cannot be
            written; says the same.
    """
    folder = bundle.named(folder)
    loaded = bundle.load(folder)
    remembered = record_file.load(folder)
    command = _evaluate(loaded.manifest)
    rows = None if benchmark is None else _read_benchmark(benchmark, loaded.manifest.digit, command)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(_page(loaded, remembered), benchmark=rows, evaluate=command)
    )
    target = folder / bundle.REPORT / PAGE
    try:
        replace_file(target, page.encode())
    except OSError as error:
        raise ReportError(
            f"{target}: cannot be written: {error.strerror}; see to that, and draw the report with "
            f"`python -m training report {folder}`"
        ) from error
    return target


def _evaluate(manifest: bundle.Manifest) -> str:
    """Return what measures a profile's recipe, on its digit."""
    recipe = manifest.enrolment.recipe
    chosen = f"--recipe {recipe} --digit {manifest.digit}"
    return f"python -m training evaluate --mnist DIR --qmnist DIR {chosen}"


def _read_benchmark(path: Path, digit: int, command: str) -> Benchmark:
    try:
        benchmark = msgspec.json.decode(path.read_bytes(), type=Benchmark)
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read: {error.strerror}; make it with `{command}`"
        ) from error
    except (ValueError, RecursionError) as error:  # msgspec's own, and what is no UTF-8
        raise ReportError(
            f"{path}: expected the JSON of a benchmark, found other text: {error}; make it with "
            f"`{command}`"
        ) from error
    if benchmark.digit != digit:
        raise ReportError(
            f"{path}: expected the benchmark of a {digit}, as the profile has it, found that of a "
            f"{benchmark.digit}; make it with `{command}`"
        )
    return benchmark


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": charts.figure,
        "percent": _percent,
        "signed": _signed,
        "size": _size,
    }
    return environment


def _page(loaded: bundle.Bundle, shown: Record) -> dict[str, Any]:
    manifest = loaded.manifest
    groups = _groups(shown, manifest.digit)
    return {
        "manifest": manifest,
        "digest": loaded.digest,
        "labels": {label: label.replace("_", " ") for label in manifest.labels},
        "groups": groups,
        "headline": _headline(groups),
        "advice": _advice(groups),
        "enrolled": sum(verdict.enrolled for group in groups for verdict in group.verdicts),
        "missing": _missing(shown),
        "inputs": tuple(
            zip(map(charts.photo, shown.pictures), charts.tiles(shown.forms, "form"), strict=True)
        ),
        "augmented": charts.tiles(shown.augmented, "variation", shown.augmentations),
        "spreads": charts.spreads(shown.augmentations),
        "samples": charts.tiles(shown.samples, "sample"),
        "pairs": tuple(
            zip(
                charts.tiles(shown.reconstructed_from, "original"),
                charts.tiles(shown.reconstructions, "reconstruction"),
                strict=True,
            )
        ),
        "vae_panels": charts.panels(shown.vae_history),
        "cnn_panels": charts.panels(shown.cnn_history),
        **_latent(shown),
        "layers": tuple(charts.layer(maps) for maps in shown.feature_maps),
        "seconds": shown.seconds,
        "total_seconds": sum(shown.seconds.values()),
        "config": _settings(shown.config),
        "pretrained": "metric" in shown.config,
    }


def _latent(shown: Record) -> dict[str, Any]:
    """Return the parts of the page that show the latent space; empty without one."""
    latent = shown.latent
    if latent is None:
        return dict.fromkeys(("map", "units", "traversals", "directions", "ways", "reach"))
    return {
        "map": charts.latent_map(latent, (shown.forms, shown.augmented, shown.samples)),
        "units": charts.units(latent),
        "traversals": tuple(map(charts.traversal, latent.traversals)),
        "directions": tuple(
            (charts.direction(strip), _steering(strip.score)) for strip in latent.directions
        ),
        "ways": tuple(
            (charts.interpolation(strip), _smoothness(strip.score))
            for strip in latent.interpolations
        ),
        "reach": _reach(latent),
    }


def _steering(r2: float) -> str:
    """Say how well a straight line steers an attribute."""
    if r2 >= 0.9:
        return "it can be steered along one straight line"
    if r2 >= 0.5:
        return (
            "a straight line steers the larger part; the rest bends or is mixed with other things"
        )
    return "no straight line steers it: do not rely on this direction"


def _smoothness(jump: float) -> str:
    """Say whether pictures leap on their way; 2 is the most that is called smooth."""
    return "no jump" if jump <= 2 else "there is a jump, where the form changes all at once"


def _reach(latent: Latent) -> str:
    """Say how much of the variations the samples reach, and how much would be perfect."""
    _, real, drawn = latent.counts
    k = latent.coverage_neighbours
    # Naeem et al. 2020, lemma 2: what two draws from one distribution reach on average.
    missed = math.prod((real - i) / (drawn + real - i) for i in range(1, k + 1))
    if latent.coverage >= 0.9 * (1 - missed):
        verdict = "so samples lie wherever variations do"
    elif latent.spread >= 1.2:
        verdict = (
            f"but samples are spread {charts.figure(latent.spread)} times as widely, so that few "
            "of them come as near"
        )
    else:
        verdict = "so samples leave out a part of what the variations show"
    return (
        f"Samples reach {_percent(latent.coverage)} of the variations: that many have one nearer "
        f"than their {_ordinal(k)} neighbour among themselves. Two draws from one source would "
        f"reach {_percent(1 - missed)}, {verdict}."
    )


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _groups(shown: Record, digit: int) -> tuple[Group, ...]:
    """Return the verdicts by true label; a label without test pictures is left out."""
    verdicts = _verdicts(shown)
    groups = []
    for label in bundle.LABELS:
        mine = sorted((v for v in verdicts if v.truth == label), key=lambda v: v.right)
        counts = tuple((said, sum(v.label == said for v in mine)) for said in bundle.LABELS)
        if mine:
            groups.append(Group(label, _phrase(label, digit, mine), tuple(mine), counts))
    return tuple(groups)


def _phrase(label: str, digit: int, verdicts: Sequence[Verdict]) -> str:
    if all(verdict.enrolled for verdict in verdicts):
        return "the enrolment picture" if len(verdicts) == 1 else "the enrolment pictures"
    phrases = {
        "own": f"{digit}s by this writer",
        "other_writer": f"{digit}s by other writers",
        "other": "other pictures",
    }
    return phrases[label]


def _verdicts(shown: Record) -> tuple[Verdict, ...]:
    tests = shown.tests
    return tuple(
        Verdict(
            uri=charts.data_uri(encode_png(image)),
            truth=truth,
            label=bundle.LABELS[int(np.argmax(row))],
            probabilities=tuple(zip(bundle.LABELS, map(float, row), strict=True)),
            llr=float(llr),
            enrolled=bool((shown.forms == image).all(axis=(1, 2)).any()),
        )
        for image, truth, row, llr in zip(
            tests.images, tests.truth, tests.probabilities, tests.llr, strict=True
        )
    )


def _headline(groups: Sequence[Group]) -> str:
    if not groups:
        return "No test pictures were kept, so this page cannot say how well the model does."
    right, total = sum(group.right for group in groups), sum(len(g.verdicts) for g in groups)
    parts = [f"{group.phrase} {group.right} of {len(group.verdicts)}" for group in groups]
    return f"The model names {right} of {total} test pictures right: {', '.join(parts)}."


def _advice(groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    worst = min(groups, key=lambda group: group.right / len(group.verdicts))
    share = worst.right / len(worst.verdicts)
    if share < 1 and all(verdict.enrolled for verdict in worst.verdicts):
        return "It does not even recognise what it was enrolled with: it does not do its job."
    if share == 0:
        return f"It is wrong on all of {worst.phrase}: as it stands, it does not do its job."
    if share < 0.5:
        return f"It is wrong on most of {worst.phrase}: do not rely on its verdict there."
    if share < 1:
        return f"It is at its weakest on {worst.phrase}; the mistakes are shown below, first."
    return "No mistake among so few pictures is no proof; the writer benchmark says more."


def _missing(shown: Record) -> tuple[str, ...]:
    """Return a clause for each stage that the recipe skips."""
    vae = bool(len(shown.samples) or len(shown.reconstructions) or shown.vae_history)
    stages = (
        (len(shown.augmented), "it augments nothing, so there are no variations"),
        (vae, "it trains no VAE, so there are no samples, reconstructions, curves or map of it"),
        (
            shown.vae_history or not vae,
            "it trains no VAE of its own: that of other writers is set to this hand instead",
        ),
        (shown.latent or not vae, "it draws no map of the latent space"),
        (shown.cnn_history, "it trains no CNN, so there are no curves of it"),
        (shown.feature_maps, "it keeps no feature maps"),
    )
    return tuple(clause for present, clause in stages if not present)


def _settings(config: Mapping[str, Any]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return the settings of each stage as (stage, ((name, value), ...)); deeper keys dotted."""
    stages: dict[str, list[tuple[str, str]]] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            stages.setdefault(key, []).extend(_flatten(value))
        else:
            stages.setdefault("recipe", []).append((key, _setting(value)))
    return tuple((stage, tuple(settings)) for stage, settings in stages.items())


def _flatten(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and set(value) != {"low", "high"}:
            flat.extend(_flatten(value, f"{prefix}{key}."))
        else:
            flat.append((f"{prefix}{key}", _setting(value)))
    return flat


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['low']} to {value['high']}".replace("-", "\N{MINUS SIGN}")
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _percent(value: float) -> str:
    """Return whole per cents that never round to a certainty."""
    if 0 < value < 0.005:
        return "<1\N{NARROW NO-BREAK SPACE}%"
    if 0.995 <= value < 1:
        return ">99\N{NARROW NO-BREAK SPACE}%"
    return f"{value:.0%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def _signed(value: float) -> str:
    """Return two decimals, with a plus or a true minus sign."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1024:,.0f} kB" if count >= 1024 else f"{count} bytes"
