"""Captured characters: readable, changed as said, and the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from serving.images import ImageLimits, decode, encode_png
from tests import pictures
from training.capture import CAPTURES, Capture, read
from training.morphometry import measure

SAMPLE = Path(__file__).parents[3] / "training/samples/two.jpg"
BY_NAME = {capture.name: capture for capture in CAPTURES}


@pytest.fixture(scope="module")
def form() -> NDArray[np.uint8]:
    """The project's own sample in MNIST form, by a broader pen, as most in MNIST are."""
    sample = read(SAMPLE.read_bytes())
    assert sample is not None
    broad = np.pad(np.maximum(sample, np.roll(sample, 1, axis=1)), 10)
    found = read(encode_png(broad))
    assert found is not None
    return found


def random() -> np.random.Generator:
    """Return the chance of every test."""
    return np.random.default_rng(7)


def taken(name: str, form: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a form after it was captured and read."""
    found = read(BY_NAME[name].make(form, random()))
    assert found is not None
    return found


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_the_character_comes_back(capture: Capture, form: NDArray[np.uint8]) -> None:
    """Through the server's decoding and normalising it is nearly what it was."""
    before, after = (
        ndimage.gaussian_filter(one.astype(float), 1.5)  # it may have moved by a pixel
        for one in (form, taken(capture.name, form))
    )

    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture.name)
def test_same_seed_same_file(capture: Capture, form: NDArray[np.uint8]) -> None:
    """Another run scores the same files."""
    assert capture.make(form, random()) == capture.make(form, random())


def test_pens_are_as_thick_as_they_say(form: NDArray[np.uint8]) -> None:
    """Thirty per cent, within what pixels allow."""
    drawn, thicker, thinner = (
        float(measure(taken(name, form)[None]).thickness[0])
        for name in ("as it is", "thicker", "thinner")
    )

    assert thicker / drawn == pytest.approx(1.3, abs=0.12)
    assert thinner / drawn == pytest.approx(0.7, abs=0.12)


def test_pages_are_as_large_as_they_say(form: NDArray[np.uint8]) -> None:
    """From a thumbnail to a page of a scanner."""
    for name, side in (("40 pixels", 40), ("2,000 pixels", 2000)):
        page = decode(BY_NAME[name].make(form, random()), ImageLimits())
        assert page.shape == (side, side)


def test_shade_falls_on_ink_and_paper_alike(form: NDArray[np.uint8]) -> None:
    """One side of the page is much darker than the other."""
    page = decode(BY_NAME["shaded"].make(form, random()), ImageLimits())
    corners = page[[0, 0, -1, -1], [0, -1, 0, -1]]

    assert corners.max() > 1.3 * corners.min()


def test_what_cannot_be_read_is_refused() -> None:
    """Not an error: it is one of the outcomes that are counted."""
    assert read(pictures.file(np.full((100, 100), 255, np.uint8))) is None
