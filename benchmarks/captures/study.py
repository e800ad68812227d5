"""Enrolments scored with pictures taken in other ways, on as many cores as there are."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.captures import report
from serving.images import encode_png
from training import data
from training.base import nondigits
from training.capture import CAPTURES, read
from training.config import DEFAULT, RECIPES
from training.evaluate.corpus import load_corpus
from training.evaluate.kept import decided_by, keep_scores, read_scores
from training.evaluate.scoring import Answer, Scores, answers
from training.pipeline import learn
from training.side_by_side import run_all
from training.synthesize import OTHER
from training.trials import (
    FOLD_NAMES,
    Trial,
    draw_trials,
    without_validation,
)

__all__ = ["run"]

Images = NDArray[np.uint8]

_DIGIT = 2
# Of each enrolment; enough for a difference of AUCs, and a third of the benchmark's.
_IMPOSTORS = 100
# Scribbles, and textures.
_OTHERS = 1000
# What the server refuses is taken for nobody's hand.
_REFUSED = -1e3


@dataclass(frozen=True)
class _Where:
    """Folders of the data, of what is kept; and the seed."""

    mnist: Path
    qmnist: Path
    omniglot: Path
    kept: Path
    seed: int


def run(options: argparse.Namespace) -> str:
    """Score what was not scored yet, and return the tables, which are written as well.

    Raises:
        DataError: a file of the data is missing or damaged.
    """
    folder = options.kept / f"{options.fold}-{decided_by(DEFAULT)}-seed{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    where = _Where(options.mnist, options.qmnist, options.omniglot, folder, options.seed)
    corpus = load_corpus(where.mnist, where.qmnist)
    trials = draw_trials(
        corpus,
        _DIGIT,
        1,
        options.enrolments,
        options.writers,
        options.seed,
        fold=FOLD_NAMES[options.fold],
    )
    kinds = ["others", *(capture.name for capture in CAPTURES)]
    missing = [kind for kind in kinds if not _pictures(folder, kind).exists()]
    jobs = [(kind, where, FOLD_NAMES[options.fold]) for kind in missing]
    run_all(_take_pictures, jobs, of=len(kinds), title="pictures", unit="kind")
    unscored = [trial for trial in trials if not _path(folder, trial).exists()]
    run_all(
        _score_and_keep,
        [(trial, where) for trial in unscored],
        of=len(trials),
        title="enrolments",
        unit="enrolment",
    )
    scores = [read_scores(_path(folder, trial)) for trial in trials]
    return report.write(scores, [trial.writer for trial in trials], options)


def _take_pictures(kind: str, where: _Where, fold: int) -> None:
    """Keep every 2 of the fold, taken in one way, or anything else; as the server reads it."""
    if kind == "others":
        keep_scores(_pictures(where.kept, kind), _others(where))
        return
    corpus = load_corpus(where.mnist, where.qmnist)
    [capture] = [capture for capture in CAPTURES if capture.name == kind]
    places = np.flatnonzero(corpus.by_folds(fold) & (corpus.digits.labels == _DIGIT))
    forms = [
        read(capture.make(corpus.digits.images[place], np.random.default_rng([where.seed, place])))
        for place in places.tolist()
    ]
    keep_scores(_pictures(where.kept, kind), {"places": places} | _stack(forms))


def _others(where: _Where) -> Scores:
    """Return characters of alphabets of which none was trained on, and what a program scrawls.

    Each with its kind: what it shows, as pictures of a character resemble each other.
    """
    random = np.random.default_rng(where.seed)
    learned, more = (
        data.load_omniglot(where.omniglot / f"images_background_small{part}.zip") for part in (1, 2)
    )
    unseen = more.besides(learned)
    characters = [
        read(encode_png(np.where(mask, 30, 230).astype(np.uint8).repeat(2, 0).repeat(2, 1)))
        for mask in unseen.images
    ]
    scribbles = [read(encode_png(nondigits.scribble(random))) for _ in range(_OTHERS)]
    textures = [read(encode_png(nondigits.texture(random))) for _ in range(_OTHERS)]
    _, shown = np.unique(unseen.names, return_inverse=True)
    alone = np.arange(_OTHERS)
    named = {
        "Omniglot": (characters, shown),
        "scribbles": (scribbles, alone),
        "textures": (textures, alone),
    }
    return {
        f"{name}.{key}": value
        for name, (forms, kinds) in named.items()
        for key, value in (_stack(forms) | {"kind": kinds}).items()
    }


def _stack(forms: Sequence[Images | None]) -> Scores:
    blank = np.zeros((28, 28), np.uint8)
    return {
        "forms": np.stack([blank if form is None else form for form in forms]),
        "refused": np.array([form is None for form in forms]),
    }


def _score_and_keep(trial: Trial, where: _Where) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    keep_scores(_path(where.kept, trial), _score(trial, where))


def _score(trial: Trial, where: _Where) -> Scores:
    """Return scores with pictures as they are, and captured: probes, then the enrolled picture.

    The latter for the first enrolment of a writer only, since each capture is one more enrolment.
    """
    images = load_corpus(where.mnist, where.qmnist).digits.images
    probes = {"genuine": trial.genuine, "impostors": trial.impostors[:_IMPOSTORS]}
    answer = _enrol(images[trial.enrolled], where)
    scores: Scores = {f"{name}.llr": answer(images[at])["llr"] for name, at in probes.items()}
    for capture in CAPTURES:
        taken = _taken(where.kept, capture.name)
        for name, at in probes.items():
            probabilities, llr = taken.answer(answer, at)
            scores[f"{capture.name}.probes.{name}.llr"] = llr
            scores[f"{capture.name}.probes.{name}.label"] = probabilities.argmax(axis=1)
        forms, refused = taken.of(trial.enrolled)
        scores[f"{capture.name}.refused"] = refused
        if trial.turn == 0 and not refused.any():
            again = _enrol(forms, where)
            for name, at in probes.items():
                scores[f"{capture.name}.enrolled.{name}.llr"] = again(images[at])["llr"]
    others = read_scores(_pictures(where.kept, "others"))
    for name in report.KINDS:
        labels = answer(others[f"{name}.forms"])["probabilities"].argmax(axis=1)
        scores[f"others.{name}.label"] = np.where(others[f"{name}.refused"], OTHER, labels)
        scores[f"others.{name}.kind"] = others[f"{name}.kind"]
    return scores


class _Taken:
    """Pictures of a corpus taken in one way."""

    def __init__(self, kept: Scores) -> None:
        self._forms, self._refused = kept["forms"], kept["refused"]
        self._row = {int(place): row for row, place in enumerate(kept["places"])}

    def of(self, at: NDArray[np.int64]) -> tuple[Images, NDArray[np.bool_]]:
        """Return forms (n, 28, 28), and which of them were refused, of places in the corpus."""
        rows = [self._row[int(place)] for place in at]
        return self._forms[rows], self._refused[rows]

    def answer(self, ask: Answer, at: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return probabilities and LLR; what is refused is surely "other"."""
        forms, refused = self.of(at)
        found = ask(forms)
        probabilities = np.where(refused[:, None], np.eye(3)[OTHER], found["probabilities"])
        return probabilities, np.where(refused, _REFUSED, found["llr"])


def _enrol(forms: Images, where: _Where) -> Answer:
    return answers(learn(forms, _DIGIT, RECIPES[DEFAULT], _background(where), where.seed))


@cache
def _background(where: _Where) -> data.Digits:
    return without_validation(data.load_bundled(), load_corpus(where.mnist, where.qmnist))


@cache
def _taken(folder: Path, kind: str) -> _Taken:
    return _Taken(read_scores(_pictures(folder, kind)))


def _pictures(folder: Path, kind: str) -> Path:
    return folder / f"pictures-{kind.replace(' ', '-').replace(',', '')}.npz"


def _path(folder: Path, trial: Trial) -> Path:
    return folder / f"writer{trial.writer}-turn{trial.turn}.npz"
