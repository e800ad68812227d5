"""Scores to figures: pooled over enrolments, with intervals over writers, and the probes."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate.kept import read_scores
from training.evaluate.scoring import GROUPS, Job, Scores
from training.metrics import (
    Bin,
    Estimate,
    auc,
    bootstrap,
    eer,
    expected_calibration_error,
    reliability,
)
from training.synthesize import OTHER, OTHER_WRITER, OWN


@dataclass(frozen=True)
class Row:
    """One line of the table: a recipe with so many enrolment pictures."""

    name: str
    enrolled: int
    figures: dict[str, Estimate]
    reliability: tuple[Bin, ...]
    probes: dict[str, float]
    trials: dict[str, int]
    cost: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; estimates as [value, low, high]."""
        plain = asdict(self) | {
            name: [each.value, each.low, each.high] for name, each in self.figures.items()
        }
        del plain["figures"]
        return plain


def summarise(name: str, enrolled: int, jobs: Sequence[Job]) -> Row:
    """Return the figures over all jobs, which are scored already."""
    scores = [read_scores(job.path) for job in jobs]
    writers = [job.trial.writer for job in jobs]
    random = np.random.default_rng(0)

    def pooled(measure: Callable[[Any, Any], float]) -> Callable[[NDArray[np.int64]], float]:
        def figure(chosen: NDArray[np.int64]) -> float:
            return measure(*(_pool(scores, f"{group}.llr", chosen) for group in GROUPS[:2]))

        return figure

    each = np.array([auc(one["genuine.llr"], one["impostors.llr"]) for one in scores])
    figures = {
        "auc": bootstrap(pooled(auc), writers, random),
        "auc_each": bootstrap(lambda chosen: float(each[chosen].mean()), writers, random),
        "eer": bootstrap(pooled(eer), writers, random),
    }
    decides = "genuine.probabilities" in scores[0]
    if decides:
        figures |= _decisions(scores, writers, random)
    return Row(
        name=name,
        enrolled=enrolled,
        figures=figures,
        reliability=_reliability(scores, np.arange(len(scores))) if decides else (),
        probes=_probes(scores),
        trials={
            "writers": len(set(writers)),
            "enrolments": len(jobs),
            **{group: sum(len(one[f"{group}.llr"]) for one in scores) for group in GROUPS[:3]},
        },
        cost={
            "seconds": float(np.mean([one["seconds"] for one in scores])),
            "peak_mib": float(np.max([one["peak_mib"] for one in scores])),
        },
    )


def _decisions(
    scores: Sequence[Scores], writers: Sequence[int], random: np.random.Generator
) -> dict[str, Estimate]:
    def recall(group: str, label: int) -> Callable[[NDArray[np.int64]], float]:
        def figure(chosen: NDArray[np.int64]) -> float:
            labels = _pool(scores, f"{group}.probabilities", chosen).argmax(axis=1)
            return float((labels == label).mean())

        return figure

    recalls = {
        "own": recall("genuine", OWN),
        "other_writer": recall("impostors", OTHER_WRITER),
        "other": recall("others", OTHER),
    }

    def mean_recall(chosen: NDArray[np.int64]) -> float:
        return float(np.mean([one(chosen) for one in recalls.values()]))

    def calibration(chosen: NDArray[np.int64]) -> float:
        return expected_calibration_error(_reliability(scores, chosen))

    named = recalls | {"mean_recall": mean_recall, "ece": calibration}
    return {name: bootstrap(figure, writers, random) for name, figure in named.items()}


def _reliability(scores: Sequence[Scores], chosen: NDArray[np.int64]) -> tuple[Bin, ...]:
    """Return the reliability diagram over equal shares of the three classes."""
    parts = [_pool(scores, f"{group}.probabilities", chosen) for group in GROUPS[:3]]
    sizes = [len(part) for part in parts]
    together = np.concatenate(parts)
    correct = together.argmax(axis=1) == np.repeat(np.arange(3), sizes)
    weights = np.repeat(1 / np.array(sizes), sizes)
    return reliability(together.max(axis=1), correct, weights)


def _probes(scores: Sequence[Scores]) -> dict[str, float]:
    everything = np.arange(len(scores))
    strangers, impostors = (
        _pool(scores, f"{group}.llr", everything) for group in ("strangers", "impostors")
    )
    found = {"P4": auc(strangers, impostors)}
    if "enrolled.llr" not in scores[0]:
        return found

    def labels(group: str) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = _pool(scores, f"{group}.probabilities", everything).argmax(1)
        return chosen

    def share(group: str, label: int) -> float:
        return float((labels(group) == label).mean())

    if "P1" in scores[0]:
        found["P1"] = float(np.mean([one["P1"] for one in scores]))
    return {
        **found,
        # Flips: of those that were told from the hand before they went through the autoencoder.
        "P2": float((labels("through_vae") == OWN)[labels("impostors") != OWN].mean()),
        "P3": share("generated", OWN) - share("genuine", OWN),
        "P5": float(np.mean([one["P5"] for one in scores])),
        "P6": share("enrolled", OWN),
    }


def _pool(scores: Sequence[Scores], key: str, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.concatenate([scores[index][key] for index in chosen])
