"""What every writer's study is held against: other people's pictures, and networks that are shared.

Nothing of it is by the writers of the fold that is studied.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.variants.judges import Judges
from benchmarks.variants.measures import as_rows
from training import base
from training.base.network import Base, embed
from training.data import Digits
from training.morphometry import measure
from training.trials import VALIDATION, Trial, WriterDigits, draw_trials

Images = NDArray[np.uint8]
Floats = NDArray[np.floating]

_AXES = 5
_MEASURED = 1500
_NEGATIVES = 1000
_CENTRAL = (0.05, 0.95)


@dataclass(frozen=True)
class Subject:
    """One writer of the fold that is studied.

    Attributes:
        writer: number.
        form: the enrolment picture, uint8 (28, 28).
        real: the writer's other pictures of the digit, (n, 28, 28).
        impostors: the digit by other writers of the fold, (m, 28, 28).
        others: other digits by writers of the fold.
    """

    writer: int
    form: Images
    real: Images
    impostors: Images
    others: Images


@dataclass(frozen=True)
class Population:
    """Everybody else.

    Attributes:
        digit: the enrolled one.
        judges: who never saw a generator.
        learners: every picture of the digit that something served may have been trained on.
        features: of the learners, by the hand judge, (m, e).
        rows: of the learners, ``measures.as_rows``.
        axes: (e, 5), the directions in which the learners' features vary most.
        ranges: (4, 2), the central 90 % of thickness, slant, width and height.
        background: everybody's digits.
        network: the base that is served.
        negatives: of the digit, ``others`` of other digits; what classifiers learn against.
        others: see there.
        embedded: the negatives, placed by ``network``, (n, 128).
    """

    digit: int
    judges: Judges
    learners: Images
    features: Floats
    rows: Floats
    axes: Floats
    ranges: Floats
    background: Digits
    network: Base
    negatives: Images
    others: Images
    embedded: Floats


def gather(data: WriterDigits, judges: Judges, digit: int, fold: int) -> Population:
    """Return the population for studies of writers of ``fold``, development or validation."""
    known = data.where(~data.by_folds(VALIDATION, fold))
    learners, others = known.digits.split(digit)
    random = np.random.default_rng(digit)
    features = judges.features(learners)
    _, _, directions = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    some = random.permutation(learners)
    attributes = measure(some[:_MEASURED]).attributes()
    network = base.load().network.folded()
    negatives = some[:_NEGATIVES]
    return Population(
        digit=digit,
        judges=judges,
        learners=learners,
        features=features,
        rows=as_rows(learners),
        axes=directions[:_AXES].T,
        ranges=np.quantile(attributes, _CENTRAL, axis=0).T,
        background=known.digits,
        network=network,
        negatives=negatives,
        others=random.permutation(others)[:_NEGATIVES],
        embedded=embed(network, negatives)[0],
    )


def subjects(data: WriterDigits, digit: int, fold: int, least: int, count: int) -> list[Subject]:
    """Return writers with at least ``least`` further pictures; ``count`` of them, 0 = all."""
    trials = draw_trials(data, digit, 1, 1, 0, 0, fold=fold)
    chosen = [trial for trial in trials if len(trial.genuine) >= least]
    return [_subject(data.digits.images, trial) for trial in chosen[: count or None]]


def _subject(images: Images, trial: Trial) -> Subject:
    return Subject(
        writer=trial.writer,
        form=images[trial.enrolled[0]].copy(),  # the rest are copies already
        real=images[trial.genuine],
        impostors=images[trial.impostors],
        others=images[trial.others],
    )
