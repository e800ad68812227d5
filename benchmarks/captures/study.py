"""Enrolments scored with pictures taken in other ways, on as many cores as there are."""

import argparse
import hashlib
import os
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
from training import base, data, generator, nondigits
from training.capture import CAPTURES, read
from training.config import RECIPES
from training.pipeline import learn
from training.side_by_side import run_all
from training.trials import (
    DEV,
    VALIDATION,
    Trial,
    WriterDigits,
    draw_trials,
    without_validation,
)

__all__ = ["run"]

Images = NDArray[np.uint8]
Scores = dict[str, NDArray[Any]]

_FOLDS = {"development": DEV, "validation": VALIDATION}
_DIGIT = 2
_RECIPE = "default"
# Of each enrolment; enough for a difference of AUCs, and a third of the benchmark's.
_IMPOSTORS = 100
# Of each kind that is no digit.
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
    folder = options.kept / f"{options.fold}-{_decided_by()}-seed{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    where = _Where(options.mnist, options.qmnist, options.omniglot, folder, options.seed)
    corpus = _corpus(where)
    trials = draw_trials(
        corpus,
        _DIGIT,
        1,
        options.enrolments,
        options.writers,
        options.seed,
        fold=_FOLDS[options.fold],
    )
    kinds = ["others", *(capture.name for capture in CAPTURES)]
    missing = [kind for kind in kinds if not _pictures(folder, kind).exists()]
    jobs = [(kind, where, _FOLDS[options.fold]) for kind in missing]
    run_all(_take_pictures, jobs, of=len(kinds), title="pictures", unit="kind")
    unscored = [trial for trial in trials if not _path(folder, trial).exists()]
    run_all(
        _score_and_keep,
        [(trial, where) for trial in unscored],
        of=len(trials),
        title="enrolments",
        unit="enrolment",
    )
    scores = [_read(_path(folder, trial)) for trial in trials]
    return report.write(scores, [trial.writer for trial in trials], options)


def _decided_by() -> str:
    """Return a short name for what decides the scores, beside the code and the data."""
    files = [base.HERE / name for name in (base.WEIGHTS, base.CALIBRATION)]
    files.append(generator.HERE / generator.WEIGHTS)
    weights = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
    return f"{RECIPES[_RECIPE].sha256()[:8]}-weights{weights}"


def _take_pictures(kind: str, where: _Where, fold: int) -> None:
    """Keep every 2 of the fold, taken in one way, or anything else; as the server reads it."""
    if kind == "others":
        _keep(_pictures(where.kept, kind), **_others(where))
        return
    corpus = _corpus(where)
    [capture] = [capture for capture in CAPTURES if capture.name == kind]
    places = np.flatnonzero(corpus.by_folds(fold) & (corpus.digits.labels == _DIGIT))
    forms = [
        read(capture.make(corpus.digits.images[place], np.random.default_rng([where.seed, place])))
        for place in places.tolist()
    ]
    _keep(_pictures(where.kept, kind), places=places, **_stack(forms))


def _others(where: _Where) -> Scores:
    """Return characters of other alphabets, of which none was trained on, and scribbles."""
    random = np.random.default_rng(where.seed)
    masks = data.load_omniglot(where.omniglot / "images_background_small2.zip")
    characters = [
        read(encode_png(np.where(mask, 30, 230).astype(np.uint8).repeat(2, 0).repeat(2, 1)))
        for mask in random.permutation(masks)[:_OTHERS]
    ]
    scribbles = [read(encode_png(nondigits.scribble(random))) for _ in range(_OTHERS)]
    textures = [read(encode_png(nondigits.texture(random))) for _ in range(_OTHERS)]
    named = {"Omniglot": characters, "scribbles": scribbles, "textures": textures}
    return {
        f"{name}.{key}": value
        for name, forms in named.items()
        for key, value in _stack(forms).items()
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
    _keep(_path(where.kept, trial), **_score(trial, where))


def _score(trial: Trial, where: _Where) -> Scores:
    """Return scores with pictures as they are, and captured: probes, then the enrolled picture.

    The latter for the first enrolment of a writer only, since each capture is one more enrolment.
    """
    images = _corpus(where).digits.images
    probes = {"genuine": trial.genuine, "impostors": trial.impostors[:_IMPOSTORS]}
    answer = _enrol(images[trial.enrolled], where)
    scores: Scores = {f"{name}.llr": answer(images[at])[1] for name, at in probes.items()}
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
                scores[f"{capture.name}.enrolled.{name}.llr"] = again(images[at])[1]
    others = _read(_pictures(where.kept, "others"))
    for name in ("Omniglot", "scribbles", "textures"):
        labels = answer(others[f"{name}.forms"])[0].argmax(axis=1)
        scores[f"others.{name}.label"] = np.where(others[f"{name}.refused"], 2, labels)
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

    def answer(self, ask: Any, at: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return probabilities and LLR; what is refused is surely "other"."""
        forms, refused = self.of(at)
        probabilities, llr = ask(forms)
        other = np.array([0.0, 0.0, 1.0])
        return np.where(refused[:, None], other, probabilities), np.where(refused, _REFUSED, llr)


def _enrol(forms: Images, where: _Where) -> Any:
    """Return what answers for an enrolment: probabilities (n, 3) and LLR (n,) of images."""
    learned = learn(forms, _DIGIT, RECIPES[_RECIPE], _background(where), where.seed)
    graph = learned.classifier.graph()

    def answer(images: Images) -> tuple[Any, Any]:
        with torch.inference_mode():
            probabilities, llr = graph(torch.from_numpy(images))
        return probabilities.numpy(), llr.numpy()

    return answer


@cache
def _corpus(where: _Where) -> WriterDigits:
    digits = data.load_mnist(where.mnist)
    return WriterDigits(digits, data.load_writers(where.qmnist, digits))


@cache
def _background(where: _Where) -> data.Digits:
    return without_validation(data.load_bundled(), _corpus(where))


@cache
def _taken(folder: Path, kind: str) -> _Taken:
    return _Taken(_read(_pictures(folder, kind)))


def _pictures(folder: Path, kind: str) -> Path:
    return folder / f"pictures-{kind.replace(' ', '-').replace(',', '')}.npz"


def _path(folder: Path, trial: Trial) -> Path:
    return folder / f"writer{trial.writer}-turn{trial.turn}.npz"


def _keep(path: Path, **arrays: NDArray[Any]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def _read(path: Path) -> Scores:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
