"""The writer benchmark, run: recipes and baselines on the same trials, as a table and JSON.

Every enrolment's scores are kept in a file of their own under ``--out``, named after the recipe,
the base and the trial, so a run that was stopped goes on where it was and figures are cheap to
redo. After a change of the code, of the data or of a package's version, take a new folder.
"""

import argparse
import hashlib
import json
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.bundle import replace_file
from serving.images.mnist_form import centre_in_form
from training import base, data, generator, probes
from training.config import RECIPES
from training.errors import DataError
from training.learned import Learned
from training.metrics import (
    Bin,
    Estimate,
    auc,
    bootstrap,
    eer,
    expected_calibration_error,
    reliability,
)
from training.pipeline import learn
from training.side_by_side import run_all
from training.synthesize import OTHER_WRITER, OWN, TrainingSet, as_forms, reconstruct, sample_prior
from training.trials import Trial, WriterDigits, draw_trials, without_validation

Images = NDArray[np.uint8]
Scores = dict[str, NDArray[Any]]
Answer = Callable[[Images], Scores]

PIXEL_COSINE = "pixel-cosine"
_GROUPS = ("genuine", "impostors", "others", "strangers")
_MEAN_OF = 100


@dataclass(frozen=True)
class Job:
    """One enrolment to score: what, on which trial, kept where."""

    recipe: str
    digit: int
    trial: Trial
    seed: int
    path: Path


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


def run(options: argparse.Namespace) -> int:
    """Score what is asked for, print the table, write ``results.json``; return 0."""
    corpus = load_corpus(options.mnist, options.qmnist)
    names = options.recipe or [PIXEL_COSINE, *RECIPES]
    drawn = {pictures: _draw(corpus, pictures, options) for pictures in options.pictures}
    rows = []
    for name in names:
        for pictures, trials in drawn.items():
            jobs = [_job(name, trial, options) for trial in trials]
            _score_missing(jobs, options, f"{name}, {pictures} enrolled")
            rows.append(summarise(name, pictures, jobs))
    command = "python -m training evaluate " + " ".join(_shown(options))
    document = {
        "command": command,
        "recipe": ", ".join(names),
        "digit": options.digit,
        "form": "same form",
        "rows": [row.as_dict() for row in rows],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    replace_file(options.out / "results.json", json.dumps(document, indent=1).encode() + b"\n")
    print(format_table(rows))
    print(f"\n{command}\n{options.out / 'results.json'}")
    return 0


def _draw(corpus: WriterDigits, pictures: int, options: argparse.Namespace) -> list[Trial]:
    """Return the trials with so many enrolled pictures.

    Raises:
        DataError: there are none.
    """
    trials = draw_trials(
        corpus, options.digit, pictures, options.enrolments, options.writers, options.seed
    )
    if not trials:
        raise DataError(
            f"--pictures {pictures}: expected validation writers with {pictures + 1} pictures of a "
            f"{options.digit} or more, found none; ask for fewer"
        )
    return trials


def summarise(name: str, enrolled: int, jobs: Sequence[Job]) -> Row:
    """Return the figures over all jobs, which are scored already."""
    scores = [read_scores(job.path) for job in jobs]
    writers = [job.trial.writer for job in jobs]
    random = np.random.default_rng(0)

    def pooled(measure: Callable[[Any, Any], float]) -> Callable[[NDArray[np.int64]], float]:
        def figure(chosen: NDArray[np.int64]) -> float:
            return measure(*(_pool(scores, f"{group}.llr", chosen) for group in _GROUPS[:2]))

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
            **{group: sum(len(one[f"{group}.llr"]) for one in scores) for group in _GROUPS[:3]},
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
        "own": recall("genuine", 0),
        "other_writer": recall("impostors", 1),
        "other": recall("others", 2),
    }

    def mean_recall(chosen: NDArray[np.int64]) -> float:
        return float(np.mean([one(chosen) for one in recalls.values()]))

    def calibration(chosen: NDArray[np.int64]) -> float:
        return expected_calibration_error(_reliability(scores, chosen))

    named = recalls | {"mean_recall": mean_recall, "ece": calibration}
    return {name: bootstrap(figure, writers, random) for name, figure in named.items()}


def _reliability(scores: Sequence[Scores], chosen: NDArray[np.int64]) -> tuple[Bin, ...]:
    """Return the reliability diagram over equal shares of the three classes."""
    parts = [_pool(scores, f"{group}.probabilities", chosen) for group in _GROUPS[:3]]
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


def score_trial(
    job: Job, corpus: WriterDigits, background: data.Digits, nobody: Answer | None
) -> Scores:
    """Enrol, and return scores of all groups of the trial.

    Args:
        job: what to enrol, and on which trial.
        corpus: whose pictures the trial's numbers mean.
        background: pictures that enrolment may learn from.
        nobody: see ``enrol_nobody``; ``None`` for a baseline without an enrolment.
    """
    images = corpus.digits.images
    forms = images[job.trial.enrolled]
    start = time.perf_counter()
    if job.recipe == PIXEL_COSINE:
        answer: Answer = _pixel_cosine(forms)
        learned = None
    else:
        learned = learn(forms, job.digit, RECIPES[job.recipe], background, job.seed)
        answer = answers(learned)
    scores: Scores = {"seconds": np.array(time.perf_counter() - start)}
    for group in _GROUPS:
        scores |= _named(group, answer(images[getattr(job.trial, group)]))
    if learned is not None:
        scores |= _probe(learned, job, images)
    if nobody is not None:
        scores["P5"] = np.array(_auc_of(nobody, job.trial, images))
    scores["peak_mib"] = np.array(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return scores


def enrol_nobody(recipe: str, digit: int, seed: int, background: data.Digits) -> Answer:
    """Return the answers of a classifier that was enrolled with a mean of many writers' pictures.

    It knows nobody's hand, so one writer's pictures should look no more its own than another's.
    """
    same_digit, _ = background.split(digit)
    random = np.random.default_rng(seed)
    mean = random.permutation(same_digit)[:_MEAN_OF].mean(axis=0)
    form = centre_in_form(np.where(mean < 64, 0, mean).astype(np.uint8))
    return answers(learn(form[None], digit, RECIPES[recipe], background, seed))


def _auc_of(answer: Answer, trial: Trial, images: Images) -> float:
    return auc(*(answer(images[getattr(trial, group)])["llr"] for group in _GROUPS[:2]))


def _probe(learned: Learned, job: Job, images: Images) -> Scores:
    chance = torch.Generator().manual_seed((job.seed + 1) % 2**64)
    answer = answers(learned)
    fresh = sample_prior(learned.vae, 100, chance)
    if learned.recipe.augment.mnist_form and learned.recipe.hand is None:
        fresh = as_forms(fresh)
    through = reconstruct(learned.vae, images[job.trial.impostors])
    return {
        **_training_set_probe(learned.classifier.training_set),
        **_named("generated", answer(fresh)),
        **_named("through_vae", answer(through)),
        **_named("enrolled", answer(learned.forms)),
    }


def _training_set_probe(training: TrainingSet | None) -> Scores:
    """Return P1, which asks about a training set; nothing where the enrolment has none."""
    if training is None:
        return {}
    own, other_writer = (training.images[training.labels == label] for label in (OWN, OTHER_WRITER))
    return {"P1": np.array(probes.shortcut_auc(own, other_writer))}


def answers(learned: Learned) -> Answer:
    """Return what answers as served: ``probabilities`` (n, 3) and ``llr`` (n,) of images."""
    graph = learned.classifier.graph()

    def answer(images: Images) -> Scores:
        with torch.inference_mode():
            probabilities, llr = graph(torch.from_numpy(images))
        return {"probabilities": probabilities.numpy(), "llr": llr.numpy()}

    return answer


def _pixel_cosine(forms: Images) -> Answer:
    def unit(images: Images) -> NDArray[np.float64]:
        rows = images.reshape(len(images), -1).astype(np.float64)
        directions: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return directions

    reference = unit(forms).mean(axis=0)
    return lambda images: {"llr": unit(images) @ reference}


def _named(group: str, scores: Scores) -> Scores:
    return {f"{group}.{name}": value for name, value in scores.items()}


def _job(name: str, trial: Trial, options: argparse.Namespace) -> Job:
    home = options.out / f"{name}-{decided_by(name)}-{options.background}"
    parts = (
        f"digit{options.digit}", f"seed{options.seed}", f"enrolled{len(trial.enrolled)}",
        f"writer{trial.writer}", f"turn{trial.turn}",
    )  # fmt: skip
    return Job(name, options.digit, trial, options.seed, home / ("-".join(parts) + ".npz"))


def decided_by(name: str) -> str:
    """Return a short name for all that decides a recipe's scores: its values, and the weights'."""
    if name not in RECIPES:
        return "0"
    recipe = RECIPES[name]
    files = []
    if recipe.metric is not None:
        files += [base.HERE / file for file in (base.WEIGHTS, base.CALIBRATION)]
    if recipe.hand is not None:
        files += [generator.HERE / generator.WEIGHTS]
    decided = recipe.sha256()[:8]
    if files:
        content = b"".join(path.read_bytes() for path in files)
        decided += f"-weights{hashlib.sha256(content).hexdigest()[:8]}"
    return decided


def _score_missing(jobs: Sequence[Job], options: argparse.Namespace, title: str) -> None:
    missing = [job for job in jobs if not job.path.exists()]
    if not missing:
        return
    missing[0].path.parent.mkdir(parents=True, exist_ok=True)
    where = (options.mnist, options.qmnist, options.background)
    run_all(
        _score_and_keep,
        [(job, *where) for job in missing],
        of=len(jobs),
        title=title,
        unit="enrolment",
    )


def _score_and_keep(job: Job, mnist: Path, qmnist: Path, background: str) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    known = job.recipe in RECIPES
    scores = score_trial(
        job,
        load_corpus(mnist, qmnist),
        _load_background(mnist, qmnist, background),
        _nobody(job.recipe, job.digit, job.seed, mnist, qmnist, background) if known else None,
    )
    keep_scores(job.path, scores)


@cache
def load_corpus(mnist: Path, qmnist: Path) -> WriterDigits:
    """Return MNIST's training set with its writers, read once for each process."""
    digits = data.load_mnist(mnist)
    return WriterDigits(digits, data.load_writers(qmnist, digits))


@cache
def _load_background(mnist: Path, qmnist: Path, kind: str) -> data.Digits:
    background = data.load_bundled() if kind == "bundled" else data.load_mnist(mnist)
    return without_validation(background, load_corpus(mnist, qmnist))


@cache
def _nobody(
    recipe: str, digit: int, seed: int, mnist: Path, qmnist: Path, background: str
) -> Answer:
    """Enrol nobody once for all trials."""
    return enrol_nobody(recipe, digit, seed, _load_background(mnist, qmnist, background))


def keep_scores(path: Path, scores: Scores) -> None:
    """Write a file of scores that is there whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **scores)
    partial.replace(path)


def read_scores(path: Path) -> Scores:
    """Return what ``keep_scores`` has written."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _shown(options: argparse.Namespace) -> Iterator[str]:
    yield "--mnist MNIST --qmnist QMNIST"
    for name in ("digit", "writers", "enrolments", "background", "seed"):
        yield f"--{name} {getattr(options, name)}"
    yield "--pictures " + " ".join(map(str, options.pictures))
    for name in options.recipe or ():
        yield f"--recipe {name}"


_COLUMNS = ("auc", "auc_each", "eer", "own", "other_writer", "other", "mean_recall", "ece")


def format_table(rows: Sequence[Row]) -> str:
    """Return two Markdown tables: figures with intervals, and probes with cost."""
    lines = [
        "| recipe | pictures | " + " | ".join(_COLUMNS) + " |",
        "|---" * (2 + len(_COLUMNS)) + "|",
    ]
    for row in rows:
        cells = [str(row.figures[name]) if name in row.figures else "-" for name in _COLUMNS]
        lines.append(f"| {row.name} | {row.enrolled} | " + " | ".join(cells) + " |")
    names = ("P1", "P2", "P3", "P4", "P5", "P6")
    lines += [
        "",
        "| recipe | pictures | " + " | ".join(names) + " | writers | enrolments | s each | MiB |",
        "|---" * (6 + len(names)) + "|",
    ]
    for row in rows:
        cells = [f"{row.probes[name]:.3f}" if name in row.probes else "-" for name in names]
        lines.append(
            f"| {row.name} | {row.enrolled} | "
            + " | ".join(cells)
            + f" | {row.trials['writers']} | {row.trials['enrolments']}"
            + f" | {row.cost['seconds']:.1f} | {row.cost['peak_mib']:.0f} |"
        )
    return "\n".join(lines)
