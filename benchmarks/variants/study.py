"""One writer, studied: every figure of every row and claim, from one enrolment picture.

A record is flat: ``figure/source`` to a number. What is made of many records is said in ``rows``
and ``claims``. A writer is studied in two parts, so that another generator costs only the second.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.variants import classifiers, steering
from benchmarks.variants.measures import (
    as_rows,
    coverage,
    density,
    discrepancy,
    linear_r2,
    nearest,
    region_share,
    single_r2,
    unevenness,
    variance,
)
from benchmarks.variants.population import Population, Subject
from benchmarks.variants.sources import (
    AUGMENT,
    COUNT,
    REAL,
    SHIPPED,
    VAES,
    Enrolled,
    Made,
    Space,
    enrol_others,
    enrol_shipped,
    pictures,
)
from training.augment import augment
from training.config import DEFAULT, RECIPES
from training.morphometry import ATTRIBUTES, measure
from training.trials import FOLDS

Images = NDArray[np.uint8]
Floats = NDArray[np.floating]
Record = dict[str, float]

FADE, PCA, STRANGERS = "cross-fade", "PCA", "strangers"
TRAINED = (AUGMENT, *VAES)  # from which a network is trained: that takes seconds each
_DRAWN = 200  # the codes of so many are looked at; pictures are compared by the first hundred
_FRAMES = 16
_SHARES = np.linspace(0, 1, _FRAMES, dtype=np.float32)[:, None]
_PAIRS = 3
_STRANGERS = 20
_COMPONENTS = 32
_SPOILED_EVERY = 4


@dataclass(frozen=True)
class Case:
    """A subject, enrolled, beside everybody else.

    Attributes:
        subject: the writer.
        enrolled: with some of the makers.
        population: everybody else.
        seed: of all chance.
    """

    subject: Subject
    enrolled: Enrolled
    population: Population
    seed: int

    def sets(self) -> dict[str, Images]:
        """Return the first hundred pictures of each source."""
        return {name: made.images[:COUNT] for name, made in self.enrolled.made.items()}

    def random(self, stream: int) -> np.random.Generator:
        """Return a source of chance of its own for one row."""
        return np.random.default_rng([self.seed, stream])


def study_others(
    subject: Subject, population: Population, seed: int
) -> tuple[Record, dict[str, Images]]:
    """Return the figures of real pictures and of all that is not shipped, and its pictures."""
    seed = _seed(subject, seed)
    case = Case(subject, enrol_others(subject.form[None], seed, _DRAWN), population, seed)
    record = _figures(case, {REAL: subject.real} | case.sets())
    for row in (_faded, _by_augmentation, _foreign):
        record |= row(case)
    for name, space in case.enrolled.spaces.items():
        record |= _paths(case, name, partial(_between, space))
    if _is_spoiled(subject):
        spoiled = enrol_others(_with_outlier(subject), seed)
        record |= _still_the_digit(spoiled, population)
    return record, case.sets()


def study_shipped(
    subject: Subject, population: Population, seed: int, others: dict[str, Images]
) -> Record:
    """Return the figures of what is shipped, and what its base makes of the others' pictures."""
    seed, digit, background = _seed(subject, seed), population.digit, population.background
    shipped = enrol_shipped(subject.form[None], digit, background, seed, _DRAWN)
    case = Case(subject, shipped, population, seed)
    record = _figures(case, case.sets())
    record |= _paths(case, SHIPPED, partial(shipped.served.between, count=_FRAMES))
    record |= steering.study(case, shipped.served)
    record |= _on_base(case, others | case.sets())
    record[f"doubted/{SHIPPED}"] = shipped.doubted
    record[f"redrawn/{SHIPPED}"] = shipped.redrawn / _DRAWN
    if _is_spoiled(subject):
        spoiled = enrol_shipped(_with_outlier(subject), digit, background, seed)
        record |= _still_the_digit(spoiled, population)
    return record


def _seed(subject: Subject, seed: int) -> int:
    """Return a seed of the writer's own: equal noise for all would make them alike."""
    return seed * 10_000 + subject.writer


def _figures(case: Case, sets: dict[str, Images]) -> Record:
    record: Record = {}
    for name, images in sets.items():
        record |= _likeness(case, name, images)
        record |= _copies(case, name, images)
        record |= _spreads(name, images)
    for name, made in case.enrolled.made.items():
        record[f"seconds/{name}"] = made.seconds / len(made.images) * 1000
        record |= _codes(name, made)
    for name, space in case.enrolled.spaces.items():
        record |= _rebuilt(case, name, space)
        record |= _transfer(case, name, restyled(space, _strangers(case)))
    return record | _trained(case)


def _likeness(case: Case, name: str, images: Images) -> Record:
    """Rows 1 to 3: the digit, the hand, the spread."""
    judges = case.population.judges
    form = judges.features(case.subject.form[None])[0]
    features = judges.features(images)
    own = features @ form
    record = {
        f"digit/{name}": float((judges.digits(images) == case.population.digit).mean()),
        f"own/{name}": float(own.mean()),
        f"own-share/{name}": float((own >= judges.threshold).mean()),
        f"own-variance/{name}": float(own.var(ddof=1)),
        f"variance/{name}": variance(features),
    }
    if name == REAL:
        return record
    real, axes = judges.features(case.subject.real), case.population.axes
    return record | {
        f"coverage/{name}": coverage(real, features),
        f"coverage-1/{name}": coverage(real, features, 1),
        f"density/{name}": density(real, features),
        f"reach/{name}": float(nearest(real, features).mean()),
        f"discrepancy/{name}": discrepancy(real, features),
        f"region/{name}": region_share(real @ axes, features @ axes),
    }


def _copies(case: Case, name: str, images: Images) -> Record:
    """Row 4: how near the pictures are to the enrolled one and to any that was learned from."""
    population, judges = case.population, case.population.judges
    form = case.subject.form[None]
    record: Record = {}
    for kind, each, enrolled, learned in (
        ("pixels", as_rows(images), as_rows(form), population.rows),
        ("features", judges.features(images), judges.features(form), population.features),
    ):
        away = nearest(each, learned)
        record |= {
            f"from-enrolled-{kind}/{name}": float(np.median(nearest(each, enrolled))),
            f"from-learned-{kind}/{name}": float(np.median(away)),
            f"from-learned-least-{kind}/{name}": float(away.min()),
        }
    return record


def _spreads(name: str, images: Images) -> Record:
    """Return the variances of the attributes."""
    spread = measure(images).attributes().var(axis=0, ddof=1)
    return {
        f"variance-{attribute}/{name}": float(value)
        for attribute, value in zip(ATTRIBUTES, spread, strict=True)
    }


def _codes(name: str, made: Made) -> Record:
    """Return what the numbers behind a picture say of its attributes.

    ``knob``: of the best single number, chosen on one half of the pictures and judged on the
    other. ``apart``: how far it is ahead of the second best, for thickness and slant alone.
    """
    attributes = measure(made.images).attributes()
    chosen = np.argsort(single_r2(made.codes[::2], attributes[::2]), axis=0)  # (c, 4)
    judged = np.take_along_axis(single_r2(made.codes[1::2], attributes[1::2]), chosen, axis=0)
    return {
        f"knob/{name}": float(judged[-1].mean()),
        f"apart/{name}": float((judged[-1] - judged[-2])[:2].mean()),
        f"linear/{name}": float(linear_r2(made.codes, attributes).mean()),
    }


def _paths(case: Case, name: str, between: Callable[[Images], Images | None]) -> Record:
    """Row 6: from the enrolment picture to others of the same hand, in 16 frames each.

    A frame that is one of these pictures was not made, and is judged apart.

    Args:
        case: whose pictures.
        name: of the source.
        between: two pictures to the frames between them, or none where it draws none.
    """
    judges = case.population.judges
    ends = [np.stack([case.subject.form, end]) for end in case.subject.real[:_PAIRS]]
    asked = [between(pair) for pair in ends]
    paths = [frames for frames in asked if frames is not None]
    record = {f"paths-refused/{name}": 1 - len(paths) / len(asked)}
    if not paths:
        return record
    jumps: dict[str, list[Floats]] = {
        "features": [judges.features(frames) for frames in paths],
        "pixels": [as_rows(frames) for frames in paths],
    }
    frames = np.concatenate(paths)
    is_given = (frames[:, None] == np.concatenate(ends)).all(axis=(2, 3)).any(axis=1)
    shows_digit = judges.digits(frames) == case.population.digit
    record[f"frames-digit/{name}"] = float(shows_digit[~is_given].mean())
    if is_given.any():
        record[f"frames-given/{name}"] = float(is_given.sum())
        record[f"frames-given-digit/{name}"] = float(shows_digit[is_given].mean())
    for kind, each in jumps.items():
        found = [unevenness(path) for path in each]
        record |= {
            f"jump-{kind}/{name}": float(np.mean(found)),
            f"jump-{kind}-most/{name}": float(np.max(found)),
        }
    return record


def _between(space: Space, ends: Images) -> Images:
    first, last = space.locate(ends).mean
    return pictures(space.vae, (1 - _SHARES) * first + _SHARES * last)


def _faded(case: Case) -> Record:
    """Return the jumps of a plain cross-fade."""

    def fade(ends: Images) -> Images:
        first, last = ends.reshape(2, -1)
        return np.rint((1 - _SHARES) * first + _SHARES * last).astype(np.uint8).reshape(-1, 28, 28)

    return _paths(case, FADE, fade)


def _rebuilt(case: Case, name: str, space: Space) -> Record:
    """Return how well real pictures come back, and pictures that were learned from."""
    real = case.subject.real
    learned = case.random(2).permutation(case.population.learners)[:COUNT]
    own_places, places = (space.locate(images).mean for images in (real, learned))
    return {
        f"missed/{name}": _distance(real, pictures(space.vae, own_places)),
        f"missed-learned/{name}": _distance(learned, pictures(space.vae, places)),
        f"active/{name}": float((places.var(axis=0) > 0.01).sum()),
    }


def _distance(images: Images, others: Images) -> float:
    return float(np.linalg.norm(as_rows(images) - as_rows(others), axis=1).mean())


def _by_augmentation(case: Case) -> Record:
    """Return how near augmentations come to real pictures, as they are and as components."""
    real, augmented = as_rows(case.subject.real), as_rows(case.sets()[AUGMENT])
    middle = augmented.mean(axis=0)
    _, _, directions = np.linalg.svd(augmented - middle, full_matrices=False)
    kept = directions[:_COMPONENTS]
    missed = real - middle - (real - middle) @ kept.T @ kept
    return {
        f"missed/{AUGMENT}": float(nearest(real, augmented).mean()),
        f"missed/{PCA}": float(np.linalg.norm(missed, axis=1).mean()),
    }


def _strangers(case: Case) -> Images:
    return case.subject.impostors[:_STRANGERS]


def restyled(space: Space, images: Images) -> Images:
    """Return images (n, 28, 28) in the hand of the autoencoder."""
    return pictures(space.vae, space.locate(images).own)


def _transfer(case: Case, name: str, images: Images) -> Record:
    """Judge other people's pictures that were put into the hand: ``images``.

    ``form-kept`` is 1 where nothing of a picture's form was lost, 0 where the result is no nearer
    to it than the hand's own real pictures are.
    """
    judges, strangers = case.population.judges, _strangers(case)
    form = judges.features(case.subject.form[None])[0]
    unlike = cdist(as_rows(case.subject.real), as_rows(strangers)).mean()
    return {
        f"transfer-own/{name}": float((judges.features(images) @ form).mean()),
        f"transfer-digit/{name}": float((judges.digits(images) == case.population.digit).mean()),
        f"form-kept/{name}": 1 - _distance(images, strangers) / float(unlike),
    }


def _foreign(case: Case) -> Record:
    """Return the same of these pictures as they are, and after plain augmentation."""
    strangers = _strangers(case)
    config = replace(RECIPES[DEFAULT].augment, count=len(strangers))
    varied = augment(strangers, config, case.random(3)).images
    return _transfer(case, STRANGERS, strangers) | _transfer(case, AUGMENT, varied)


def _trained(case: Case) -> Record:
    """Row 7: what a network learns from the pictures, from scratch."""
    asked = classifiers.probes(case.subject, case.random(1))
    record: Record = {}
    for name, images in case.sets().items():
        if name in TRAINED:
            record |= classifiers.from_scratch(name, images, asked, case.population, case.seed)
    return record


def _on_base(case: Case, sets: dict[str, Images]) -> Record:
    """Row 7: what the base makes of the pictures."""
    record = classifiers.nothing_learned(case.subject, case.population)
    for name, images in sets.items():
        record |= classifiers.on_base(name, images, case.subject, case.population)
    return record


def _is_spoiled(subject: Subject) -> bool:
    """Tell whether the writer is one of those who are also enrolled with an outlier."""
    return subject.writer // FOLDS % _SPOILED_EVERY == 0


def _with_outlier(subject: Subject) -> Images:
    """Return four pictures of the digit and one that shows another."""
    return np.concatenate([subject.form[None], subject.real[:3], subject.others[:1]])


def _still_the_digit(enrolled: Enrolled, population: Population) -> Record:
    return {
        f"spoiled/{name}": float(
            (population.judges.digits(made.images[:COUNT]) == population.digit).mean()
        )
        for name, made in enrolled.made.items()
    }
