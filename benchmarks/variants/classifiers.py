"""Row 7: classifiers whose only own pictures are made ones, on the writer benchmark.

Three ways to learn from the same pictures, against the same pictures of other people: a network
trained from scratch (the notebook's way, with the remedied recipe's equal shares), a logistic head
on the frozen features of the base, and the middle of these features (what is served).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from benchmarks.variants.population import Population, Subject
from training.base.network import embed
from training.cnn import train_cnn
from training.config import REMEDIED, FitConfig
from training.metrics import auc
from training.synthesize import OTHER_WRITER, OWN, TrainingSet, as_forms

Images = NDArray[np.uint8]
Record = dict[str, float]
Floats = NDArray[np.float64]
Scorer = Callable[[Images], Floats]

_CNN = replace(REMEDIED.cnn, fit=FitConfig(epochs=5, batch_size=64, epsilon=1e-7))
_PER_CLASS = 400
_NOISE = 40.0  # grey levels
_BLUR, _TURN, _SHIFT = 0.8, 10.0, 2


@dataclass(frozen=True)
class Probes:
    """What a classifier is asked about: as scanned, with noise, and otherwise changed.

    Each is a pair: the writer's other pictures, and the digit by others.
    """

    clean: tuple[Images, Images]
    noisy: tuple[Images, Images]
    changed: tuple[Images, Images]


def probes(subject: Subject, random: np.random.Generator) -> Probes:
    """Return the probes of a subject; own and foreign pictures are spoiled alike."""
    clean = (subject.real, subject.impostors)
    first, second = ((noisy(each, random), changed(each, random)) for each in clean)
    return Probes(clean, (first[0], second[0]), (first[1], second[1]))


def noisy(images: Images, random: np.random.Generator) -> Images:
    """Return images (n, 28, 28) with Gaussian noise of 40 grey levels."""
    spoiled = images + random.normal(0, _NOISE, images.shape)
    return np.clip(spoiled, 0, 255).astype(np.uint8)


def changed(images: Images, random: np.random.Generator) -> Images:
    """Return images (n, 28, 28), each blurred, turned by 10 degrees or moved by 2 pixels."""
    result = []
    for image in images:
        sign = random.choice([-1, 1])
        kind = random.integers(3)
        if kind == 0:
            result.append(ndimage.gaussian_filter(image.astype(float), _BLUR))
        elif kind == 1:
            result.append(ndimage.rotate(image.astype(float), sign * _TURN, reshape=False, order=1))
        else:
            result.append(np.roll(image, sign * _SHIFT, axis=int(random.integers(2))))
    spoiled: Images = np.clip(np.stack(result), 0, 255).astype(np.uint8)
    return spoiled


def on_base(name: str, own: Images, subject: Subject, population: Population) -> Record:
    """Learn the hand from ``own`` (n, 28, 28) in the base's features; keys are ``way/name``."""
    embedded = embed(population.network, as_forms(own))[0]
    asked = (subject.real, subject.impostors)
    return {
        f"head/{name}": _auc(_head(embedded, population), asked),
        f"prototype/{name}": _auc(_prototype(embedded, population), asked),
    }


def nothing_learned(subject: Subject, population: Population) -> Record:
    """Return the AUC of comparing with the enrolment picture itself, in the base's features."""
    embedded = embed(population.network, subject.form[None])[0]
    scorer = _prototype(embedded, population)
    return {"prototype/form alone": _auc(scorer, (subject.real, subject.impostors))}


def _auc(scorer: Scorer, pair: tuple[Images, Images]) -> float:
    own, foreign = pair
    return auc(scorer(own), scorer(foreign))


def _placed(images: Images, population: Population) -> Floats:
    return embed(population.network, images)[0].astype(np.float64)


def _head(embedded: NDArray[np.floating], population: Population) -> Scorer:
    features = np.concatenate([embedded, population.embedded])
    labels = np.repeat([1, 0], [len(embedded), len(population.embedded)])
    head = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000).fit(features, labels)
    return lambda images: np.asarray(head.decision_function(_placed(images, population)))


def _prototype(embedded: NDArray[np.floating], population: Population) -> Scorer:
    middle = embedded.mean(axis=0).astype(np.float64)
    return lambda images: _placed(images, population) @ middle


def from_scratch(
    name: str, own: Images, asked: Probes, population: Population, seed: int
) -> Record:
    """Train a network on ``own`` (n, 28, 28) against other people's; keys are ``figure/name``.

    ``cnn`` is its AUC, also with noise and changes; ``cnn-balanced`` the mean recall of own and
    others' pictures; ``cnn-gap`` its recall on ``own`` minus that on real own pictures.
    """
    forms = as_forms(own)
    parts = (forms, population.negatives, population.others)
    labels = np.repeat(np.arange(3, dtype=np.int64), [len(part) for part in parts])
    learned, _ = train_cnn(
        TrainingSet(np.concatenate(parts), labels, _PER_CLASS),
        _CNN,
        torch.Generator().manual_seed(seed),
    )

    def logits(images: Images) -> NDArray[np.float32]:
        with torch.inference_mode():
            result: NDArray[np.float32] = learned(torch.from_numpy(images).float() / 255).numpy()
        return result

    def score(images: Images) -> Floats:
        each = logits(images).astype(np.float64)
        difference: Floats = each[:, OWN] - each[:, OTHER_WRITER]
        return difference

    def share(images: Images, label: int) -> float:
        return float((logits(images).argmax(axis=1) == label).mean())

    recall = share(asked.clean[0], OWN)
    return {
        f"cnn/{name}": _auc(score, asked.clean),
        f"cnn-noisy/{name}": _auc(score, asked.noisy),
        f"cnn-changed/{name}": _auc(score, asked.changed),
        f"cnn-balanced/{name}": (recall + share(asked.clean[1], OTHER_WRITER)) / 2,
        f"cnn-gap/{name}": share(forms, OWN) - recall,
    }
