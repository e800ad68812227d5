"""Row 5: attributes, asked of the server and measured by Morpho-MNIST's stick.

Values are asked over the central 90 % of the population's range, rotation over 15 degrees to either
side. The server steers by its own measure, which is inside its graphs; what it gives is judged here
by another one (``training.morphometry``). Beside the variants, the hand's own real pictures
are steered to the same values: what the judges no longer take for the hand then was lost to the
change that was asked for, and not to the variants.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.variants.served import Served
from benchmarks.variants.sources import REAL
from serving.drawing import Drawn
from serving.errors import CannotDraw
from training.morphometry import ATTRIBUTES, measure, rotation_between

if TYPE_CHECKING:
    from benchmarks.variants.study import Case

Images = NDArray[np.uint8]
Record = dict[str, float]

ROTATION, UNSTEERED = "rotation", "unsteered"
NAMES = (*ATTRIBUTES, ROTATION)
_TURNS = (-15.0, 15.0)
_VALUES = 7
_EACH = 16


def study(case: "Case", served: Served) -> Record:
    """Return sums from which R2 and errors over many writers follow, and what is kept.

    Keys are ``figure/attribute``: means of what was ``measured``, of its square, of the error
    that was ``missed`` by, and of its square; ``unfit`` is the share of values that the server
    refused because not all pictures became the digit.
    """
    variants = served.prior(_EACH, case.seed).images
    record = {
        **_passed(case, UNSTEERED, variants),
        **_passed(case, f"{REAL} {UNSTEERED}", case.subject.real),
    }
    for name in NAMES:
        record |= _study(case, served, name)
    return record


def _study(case: "Case", served: Served, name: str) -> Record:
    least, most = _range(case, name)
    drawn: dict[float, Drawn] = {}
    for value in np.linspace(least, most, _VALUES).tolist():
        with suppress(CannotDraw):  # counted as unfit
            drawn[value] = served.along({name: value}, _EACH, case.seed)
    if not drawn:
        return {f"unfit/{name}": 1.0}
    got = np.concatenate([_measured(served, name, each, case.seed) for each in drawn.values()])
    images = np.concatenate([each.images for each in drawn.values()])
    real = np.concatenate([served.steered(case.subject.real, {name: value}) for value in drawn])
    return {
        **_sums(name, np.repeat(list(drawn), _EACH), got),
        f"range/{name}": most - least,
        f"unfit/{name}": 1 - len(drawn) / _VALUES,
        f"own-share-alike/steered {name}": _alike(case, served, drawn, name),
        **_passed(case, f"steered {name}", images),
        **_passed(case, f"{REAL} steered {name}", real),
    }


def _passed(case: "Case", name: str, images: Images) -> Record:
    """Return how far the judges take the images (n, 28, 28) for the digit, and for the hand."""
    judges, digit, form = case.population.judges, case.population.digit, case.subject.form
    own = judges.features(images) @ judges.features(form[None])[0]
    return {
        f"digit/{name}": float((judges.digits(images) == digit).mean()),
        f"own/{name}": float(own.mean()),
        f"own-share/{name}": float((own >= judges.threshold).mean()),
        f"own-share-veiled/{name}": judges.passes_veiled(images, form, digit),
    }


def _range(case: "Case", name: str) -> tuple[float, float]:
    if name == ROTATION:
        return _TURNS
    least, most = case.population.ranges[ATTRIBUTES.index(name)]
    return float(least), float(most)


def _measured(served: Served, name: str, drawn: Drawn, seed: int) -> NDArray[np.float64]:
    if name == ROTATION:
        unturned = served.along({ROTATION: 0.0}, _EACH, seed).images
        return rotation_between(drawn.images, unturned)
    column: NDArray[np.float64] = measure(drawn.images).attributes()[:, ATTRIBUTES.index(name)]
    return column


def _sums(name: str, asked: NDArray[np.float64], got: NDArray[np.float64]) -> Record:
    return {
        f"measured/{name}": float(got.mean()),
        f"measured-square/{name}": float((got**2).mean()),
        f"missed-square/{name}": float(((got - asked) ** 2).mean()),
        f"missed/{name}": float(np.abs(got - asked).mean()),
    }


def _alike(case: "Case", served: Served, drawn: dict[float, Drawn], name: str) -> float:
    """Return the share of own pictures, judged by the enrolment picture steered to the same value.

    Slant and the pen are part of a hand: a picture made to lean is less like the enrolled one,
    and rightly so. Beside an enrolled one made to lean as much it may still be the same hand.
    """
    judges = case.population.judges
    scores = []
    for value, each in drawn.items():
        form = served.steered(case.subject.form[None], {name: value})
        scores.append(judges.features(each.images) @ judges.features(form)[0])
    return float((np.concatenate(scores) >= judges.threshold).mean())
