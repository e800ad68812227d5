"""Answers do not depend on what they are asked together with."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.bundle import Gate
from serving.drawing import draw
from serving.fuse import fuse
from serving.model import Model, Posterior, Verdicts
from serving.noise import generator
from serving.paths import lay
from serving.plans import Along, Around, Between, InStyle, Plan, Prior
from serving.profiles import load_profile
from serving.steering import Target
from tests import bundles

SIZE = bundles.LATENT_SIZE
EQUAL = (1 / 3, 1 / 3, 1 / 3)
seeds = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def model(hands: Path) -> Model:
    """The model of the tiny profile."""
    return load_profile(next((hands / "tiny").glob("[0-9a-f]*"))).model


@pytest.fixture(scope="module")
def doubting(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that doubts half of its points, and rightly so."""
    root = tmp_path_factory.mktemp("doubting")
    return load_profile(bundles.build(root, gated=True, gate=Gate(0.5, bundles.EVEN))).model


def pictures(seed: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return random images."""
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 150), data=st.data())
def test_verdicts_do_not_depend_on_the_batch(
    model: Model, seed: int, count: int, data: st.DataObject
) -> None:
    """A picture's verdict is the same alone, in any batch, in any order, in any chunk."""
    images = pictures(seed, count)
    order = data.draw(st.permutations(range(count)))

    together = model.classify(images)
    shuffled = model.classify(images[order])
    place = data.draw(st.integers(0, count - 1))
    alone = model.classify(images[place : place + 1])

    np.testing.assert_allclose(
        shuffled.probabilities, together.probabilities[order], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(shuffled.llr, together.llr[order], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        alone.probabilities[0], together.probabilities[place], rtol=0, atol=1e-6
    )


def plans(model: Model, seed: int, count: int) -> list[Plan]:
    """Return a plan of each kind."""
    images = pictures(seed % 99, 2)
    ends = model.encode(images)
    centre = Posterior(ends.mean[:1], ends.deviation[:1], ends.own[:1])
    targets = {"slant": Target(-9, 9, True), "rotation": Target(0, 40, False)}
    prior = Prior(1.0, seed)
    return [
        prior,
        Around(centre, 1.5, seed),
        lay(model, images, Between.straight(ends, count)),
        InStyle(centre, 0.5, 0.5, seed),
        Along(prior, targets, count),
    ]


@settings(max_examples=15, deadline=None)
@given(seed=seeds, count=st.integers(1, 100), cuts=st.sets(st.integers(1, 99)))
def test_pictures_do_not_depend_on_the_chunks(
    model: Model, doubting: Model, seed: int, count: int, cuts: set[int]
) -> None:
    """Cut anywhere, the pictures are the same to the bit, points taken anew or not."""
    ends = [0, *sorted(cut for cut in cuts if cut < count), count]
    spans = [range(start, stop) for start, stop in pairwise(ends)]
    asked = [(model, plan) for plan in plans(model, seed, count)]
    asked.append((doubting, Prior(1.0, seed)))
    for artist, plan in asked:
        whole = draw(artist, plan, range(count))
        pieces = [draw(artist, plan, span) for span in spans]

        for field in ("images", "latents", "attributes"):
            found = np.concatenate([getattr(piece, field) for piece in pieces])
            assert np.array_equal(getattr(whole, field), found)


@settings(max_examples=30, deadline=None)
@given(
    first=st.lists(st.floats(-50, 50, width=32), min_size=SIZE, max_size=SIZE),
    last=st.lists(st.floats(-50, 50, width=32), min_size=SIZE, max_size=SIZE),
    count=st.integers(2, 100),
)
def test_a_way_leads_from_end_to_end(
    model: Model, first: list[float], last: list[float], count: int
) -> None:
    """It meets both ends to the bit, never turns back, and is the same whatever the count."""
    ends = np.array([first, last], np.float32)
    line = Posterior(ends, np.ones_like(ends), ends)
    images = pictures(count, 2)

    laid, other = (
        lay(model, images, Between.straight(line, number)) for number in (count, count + 1)
    )

    assert np.array_equal(draw(model, laid, range(count)).images[[0, -1]], images)
    assert np.array_equal(laid.latents([0, count - 1], np.zeros((2, SIZE), np.float32)), ends)
    assert (np.diff(laid.shares) > 0).all()
    assert np.array_equal(laid.way, other.way)
    assert np.array_equal(laid.shares, other.shares)


@given(seed=seeds, row=st.integers(0, 2**40), attempt=st.integers(0, 20))
def test_noise_is_a_function_of_seed_row_and_attempt(seed: int, row: int, attempt: int) -> None:
    """The same three give the same noise, and each of them gives another."""

    def noise(seed: int, row: int, attempt: int) -> list[float]:
        return generator(seed, row, attempt).standard_normal(5).tolist()

    found = noise(seed, row, attempt)

    assert found == noise(seed, row, attempt)
    assert found != noise(seed ^ 1, row, attempt)
    assert found != noise(seed, row + 1, attempt)
    assert found != noise(seed, row, attempt + 1)


@given(data=st.data(), count=st.integers(2, 8))
def test_fused_verdict_does_not_depend_on_the_order(data: st.DataObject, count: int) -> None:
    """Fusing is symmetric, gives probabilities, and adds ratios."""
    seed = data.draw(st.integers(0, 999))
    draw = np.random.default_rng(seed)
    verdicts = Verdicts(
        draw.dirichlet((0.2, 0.2, 0.2), count).astype(np.float32),
        draw.normal(size=count).astype(np.float32),
    )
    order = data.draw(st.permutations(range(count)))

    fused = fuse(verdicts, EQUAL)
    again = fuse(Verdicts(verdicts.probabilities[order], verdicts.llr[order]), EQUAL)

    np.testing.assert_allclose(fused.probabilities.sum(), 1, atol=1e-6)
    np.testing.assert_allclose(fused.probabilities, again.probabilities, atol=1e-6)
    np.testing.assert_allclose(fused.llr, verdicts.llr.sum(keepdims=True), atol=1e-5)
