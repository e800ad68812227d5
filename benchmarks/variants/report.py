"""The study as JSON and as Markdown tables."""

import argparse
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.results import keep
from benchmarks.variants.claims import CLAIMS, Verdict, overall, verdicts
from benchmarks.variants.figures import Record
from benchmarks.variants.rows import Line, lines
from benchmarks.variants.sources import COUNT, VAES
from training.metrics import Estimate

_FORM = "pen, day and scanner are the same for all pictures of a writer"


def write(records: Mapping[int, Record], options: argparse.Namespace) -> str:
    """Write ``FOLD.json`` and ``FOLD.md`` to the folder of results; return the latter's text."""
    judged, claimed = lines(records), verdicts(records)
    document = {
        "command": options.command,
        "fold": options.fold,
        "writers": len(records),
        "pictures": COUNT,
        "form": _FORM,
        "rows": [_line(line) for line in judged],
        "claims": [_verdict(verdict) for verdict in claimed],
    }
    text = "\n".join(_markdown(judged, claimed, len(records), options)) + "\n"
    keep(options.results, options.fold, document, text)
    return text


def _markdown(
    judged: Sequence[Line], claimed: list[Verdict], writers: int, options: argparse.Namespace
) -> Iterator[str]:
    yield from (
        f"# Variants, {options.fold} writers",
        "",
        f"{writers} writers, one enrolment picture each, {COUNT} pictures of each source; {_FORM}.",
        "In brackets: 95 % interval, bootstrapped by writer.",
        "",
        "```sh",
        options.command,
        "```",
        "",
        "| row | | " + " | ".join(_HEADS) + " | wanted | met |",
        "|---" * (4 + len(_HEADS)) + "|",
    )
    for line in judged:
        yield _row(line)
    yield from ("", "## The 20 claims", "", "| | over plain augmentation it ... | "
                + " | ".join(VAES) + " |", "|---" * (2 + len(VAES)) + "|")  # fmt: skip
    for number, says in {claim.number: claim.says for claim in CLAIMS}.items():
        words = [overall(claimed, number, source) for source in VAES]
        yield f"| {number} | {says} | " + " | ".join(words) + " |"
    yield from ("", "| | measure | augment, or what stands for it | "
                + " | ".join(f"{name} | ahead by" for name in VAES) + " |",
                "|---" * (3 + 2 * len(VAES)) + "|")  # fmt: skip
    for claim in CLAIMS:
        mine = [verdict for verdict in claimed if verdict.claim is claim]
        cells = [str(claim.number), claim.measure, _told(mine[0].baseline)]
        for verdict in mine:
            cells += [_told(verdict.found), f"{_told(verdict.ahead)}: {verdict.word}"]
        yield "| " + " | ".join(cells) + " |"


_HEADS = ("real", "augment", "seed-augment", "seed VAE", "default, ungated", "default", "other")


def _row(line: Line) -> str:
    others = [f"{name}: {_told(found)}" for name, found in line.found.items() if name not in _HEADS]
    cells = [_told(line.found[name]) if name in line.found else "" for name in _HEADS[:-1]]
    met = {True: "yes", False: "**no**", None: ""}[line.met]
    return (
        "| "
        + " | ".join([str(line.row), line.says, *cells, "; ".join(others), line.wanted, met])
        + " |"
    )


def _told(found: Estimate) -> str:
    return f"{_short(found.value)} ({_short(found.low)} to {_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _line(line: Line) -> dict[str, object]:
    found = {name: [each.value, each.low, each.high] for name, each in line.found.items()}
    return {"row": line.row, "says": line.says, "found": found, "wanted": line.wanted,
            "met": line.met}  # fmt: skip


def _verdict(verdict: Verdict) -> dict[str, object]:
    def plain(each: Estimate) -> list[float]:
        return [each.value, each.low, each.high]

    return {
        "claim": verdict.claim.number,
        "says": verdict.claim.says,
        "measure": verdict.claim.measure,
        "source": verdict.source,
        "against": verdict.claim.against,
        "baseline": plain(verdict.baseline),
        "found": plain(verdict.found),
        "ahead": plain(verdict.ahead),
        "verdict": verdict.word,
    }
