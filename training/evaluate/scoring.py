"""One enrolment: what it says of the pictures of its trial, and of those that probe for short cuts.

``docs/quality.md`` defines the probes P1 to P6.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from serving.images.mnist_form import centre_in_form
from training import data, probes
from training.config import RECIPES
from training.learned import Learned
from training.metrics import auc
from training.pipeline import learn
from training.synthesize import OTHER_WRITER, OWN, TrainingSet, as_forms, reconstruct, sample_prior
from training.trials import Trial, WriterDigits

Images = NDArray[np.uint8]
Scores = dict[str, NDArray[Any]]
Answer = Callable[[Images], Scores]

PIXEL_COSINE = "pixel-cosine"
"""The baseline that learns nothing: the cosine with the mean of the enrolled pictures."""

GROUPS = ("genuine", "impostors", "others", "strangers")
"""Of a trial's pictures; the first three are the classes, in the order of ``bundle.LABELS``."""

_MEAN_OF = 100


@dataclass(frozen=True)
class Job:
    """One enrolment to score: what, on which trial, kept where."""

    recipe: str
    digit: int
    trial: Trial
    seed: int
    path: Path


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
    for group in GROUPS:
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
    return auc(*(answer(images[getattr(trial, group)])["llr"] for group in GROUPS[:2]))


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
