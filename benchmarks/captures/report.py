"""What captures cost, and what is taken for "other", as JSON and as Markdown tables."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.captures.crossed import bootstrap_crossed
from benchmarks.results import keep
from training.capture import CAPTURES
from training.metrics import Estimate, auc, bootstrap
from training.synthesize import OTHER, OWN

__all__ = ["KINDS", "write"]

Scores = dict[str, NDArray[Any]]
Chosen = NDArray[np.int64]

_MOST_LOST = 0.02
_LEAST_OTHER = 0.98
_ROUNDS = 200
_HEADS = (
    *("captured", "", "refused, %", "own called own"),
    *("probes: AUC", "lost", "enrolled: AUC", "lost"),
)
KINDS = {
    "Omniglot": "characters of alphabets that training did not see (Omniglot)",
    "scribbles": "scribbles, by the generator that made the training's",
    "textures": "gratings, blobs, dots and the like, likewise",
}


@dataclass(frozen=True)
class Side:
    """What a capture costs on one side, probes or enrolment.

    Attributes:
        auc: pooled over enrolments.
        lost: what is less than with the pictures as they are, on the same enrolments.
    """

    auc: float
    lost: Estimate


@dataclass(frozen=True)
class Row:
    """What one capture costs.

    Attributes:
        name: of the capture.
        says: what it does.
        refused: share of the writers' own pictures that the server refuses, 0 to 1.
        own: share of the writers' own pictures, taken like this, that are called own.
        probes: taken like this, enrolled as they are.
        enrolment: taken like this, probes as they are.
    """

    name: str
    says: str
    refused: float
    own: float
    probes: Side
    enrolment: Side


def write(scores: Sequence[Scores], writers: Sequence[int], options: argparse.Namespace) -> str:
    """Write ``FOLD.json`` and ``FOLD.md`` to the folder of results; return the latter's text."""
    rows = [_row(scores, writers, capture.name, capture.says) for capture in CAPTURES]
    others = {name: _other(scores, writers, name) for name in KINDS}
    straight = auc(*_pool(scores, "", np.arange(len(scores))))
    document = {
        "command": options.command,
        "fold": options.fold,
        "writers": len(set(writers)),
        "enrolments": len(scores),
        "auc": straight,
        "captures": [asdict(row) for row in rows],
        "others": {name: asdict(estimate) for name, estimate in others.items()},
    }
    text = "\n".join(_markdown(rows, others, straight, scores, writers, options)) + "\n"
    keep(options.results, options.fold, document, text)
    return text


def _row(scores: Sequence[Scores], writers: Sequence[int], name: str, says: str) -> Row:
    everything = np.arange(len(scores))
    genuine = f"{name}.probes.genuine"
    labels = np.concatenate([one[f"{genuine}.label"] for one in scores])
    again = f"{name}.enrolled.genuine.llr"
    enrolled = [place for place, one in enumerate(scores) if again in one]
    return Row(
        name=name,
        says=says,
        refused=float(np.mean(np.concatenate([one[f"{name}.refused"] for one in scores]))),
        own=float((labels == OWN).mean()),
        probes=_side(scores, writers, f"{name}.probes.", everything),
        enrolment=_side(scores, writers, f"{name}.enrolled.", np.array(enrolled)),
    )


def _side(scores: Sequence[Scores], writers: Sequence[int], prefix: str, usable: Chosen) -> Side:
    def lost(chosen: Chosen) -> float:
        at = usable[chosen]
        return auc(*_pool(scores, "", at)) - auc(*_pool(scores, prefix, at))

    random = np.random.default_rng(0)
    whose = [writers[place] for place in usable]
    return Side(auc(*_pool(scores, prefix, usable)), bootstrap(lost, whose, random, _ROUNDS))


def _pool(scores: Sequence[Scores], prefix: str, chosen: Chosen) -> tuple[Any, Any]:
    return tuple(
        np.concatenate([scores[place][f"{prefix}{group}.llr"] for place in chosen])
        for group in ("genuine", "impostors")
    )  # type: ignore[return-value]


def _other(scores: Sequence[Scores], writers: Sequence[int], name: str) -> Estimate:
    called = np.array([one[f"others.{name}.label"] == OTHER for one in scores], dtype=np.float64)
    kinds = scores[0][f"others.{name}.kind"].tolist()
    return bootstrap_crossed(called, writers, kinds, np.random.default_rng(0), _ROUNDS)


def _markdown(
    rows: Sequence[Row],
    others: dict[str, Estimate],
    straight: float,
    scores: Sequence[Scores],
    writers: Sequence[int],
    options: argparse.Namespace,
) -> Iterator[str]:
    yield from (
        f"# Captures, {options.fold} writers",
        "",
        f"{len(set(writers))} writers, {len(scores)} enrolments of one 2 each,",
        f"AUC {straight:.3f} with pictures as they are. Every picture file goes through the",
        "server's decoding and normalising; what it refuses counts as called other. In brackets:",
        "95 % interval of the difference, bootstrapped by writer; of what is called other, by",
        "writer and by character, since every hand was shown the same pictures.",
        "",
        "```sh",
        options.command,
        "```",
        "",
        f"| {' | '.join(_HEADS)} | at most {_MOST_LOST} |",
        "|---" * 9 + "|",
    )  # fmt: skip
    for row in rows:
        met = max(row.probes.lost.value, row.enrolment.lost.value) <= _MOST_LOST
        cells = (
            row.name, row.says, f"{100 * row.refused:.1f}", f"{row.own:.3f}",
            f"{row.probes.auc:.3f}", str(row.probes.lost),
            f"{row.enrolment.auc:.3f}", str(row.enrolment.lost), "yes" if met else "**no**",
        )  # fmt: skip
        yield "| " + " | ".join(cells) + " |"
    yield from (
        "",
        f"| anything else | called other | at least {_LEAST_OTHER} |",
        "|---|---|---|",
    )
    for name, says in KINDS.items():
        met = others[name].value >= _LEAST_OTHER
        pictures = len(scores[0][f"others.{name}.label"])
        yield f"| {pictures:,} {says} | {others[name]} | {'yes' if met else '**no**'} |"
