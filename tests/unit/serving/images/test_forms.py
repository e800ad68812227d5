"""Forms in plain PNG files come out as the imaging library reads them, and nothing else does."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from serving.errors import BadImage
from serving.images import ImageLimits, decode, encode_png, read_forms, to_mnist_form
from serving.images.mnist_form import forms_among
from tests import pictures

LIMITS = ImageLimits()
NONE, SUB, UP, AVERAGE, PAETH = range(5)


def png(rows: bytes, *, compressed: bool = True) -> bytes:
    """Return a plain PNG of 28 x 28 with these rows."""
    return pictures.plain(zlib.compress(rows, level=9 if compressed else 0))


def rows_of(image: NDArray[np.uint8], kind: int) -> bytes:
    """Return the rows of an image, all by one filter (PNG specification, chapter 9)."""
    whole = np.pad(image.astype(int), ((1, 0), (1, 0)))
    left, above, corner = whole[1:, :-1], whole[:-1, 1:], whole[:-1, :-1]
    guess = left + above - corner
    others = np.stack([left, above, corner])
    nearest = np.abs(guess - others).argmin(axis=0)
    paeth = np.take_along_axis(others, nearest[None], axis=0)[0]
    base = [np.zeros_like(left), left, above, (left + above) // 2, paeth][kind]
    filtered = ((image - base) % 256).astype(np.uint8)
    return b"".join(bytes([kind]) + row.tobytes() for row in filtered)


def test_a_crowd_comes_out_in_order() -> None:
    """Forms that differ, among files of other kinds, each in its place."""
    forms = [pictures.form(seed) for seed in range(6)]
    files = [encode_png(form) for form in forms]
    files[2:2] = [pictures.file(pictures.page(40)), b""]

    found = read_forms(files)

    assert [place for place, form in enumerate(found) if form is None] == [2, 3]
    assert np.array_equal([form for form in found if form is not None], forms)


@pytest.mark.parametrize("kind", [NONE, SUB, UP, AVERAGE, PAETH])
def test_every_filter(kind: int) -> None:
    """Whatever filter its rows have, a picture is the same beside another of any other."""
    form, other = pictures.form(1), pictures.form(2)
    # Ink in the first and the last row, where a filter could reach into the next picture.
    form[0, 10:13] = form[-1, 10:13] = 255
    files = [png(rows_of(form, kind)), png(rows_of(other, PAETH)), png(rows_of(form, kind))]

    found = read_forms(files)

    assert np.array_equal(np.stack([np.asarray(one) for one in found]), [form, other, form])


def test_pixels_that_are_not_compressed() -> None:
    """The longest plain file there is; the service knows by its length what cannot be one."""
    form = pictures.form()

    [found] = read_forms([png(rows_of(form, NONE), compressed=False)])

    assert np.array_equal(np.asarray(found), form)


def as_mode(image: NDArray[np.uint8], mode: str) -> bytes:
    """Return a PNG whose pixels are of this mode."""
    return pictures.saved(Image.fromarray(image).convert(mode))


def told(image: NDArray[np.uint8]) -> bytes:
    """Return a PNG with a chunk of text."""
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Software", "a pen")
    return pictures.saved(Image.fromarray(image), pnginfo=facts)


@pytest.mark.parametrize(
    "file",
    [
        as_mode(pictures.form(), "RGB"),
        as_mode(pictures.form(), "P"),
        as_mode(pictures.form(), "1"),
        as_mode(pictures.form(), "LA"),
        pictures.saved(Image.fromarray(pictures.form()), transparency=0),
        told(pictures.form()),
        pictures.file(pictures.form(), "BMP"),
        pictures.file(np.pad(pictures.form(), 1)),
        pictures.file(255 - pictures.form()),
        pictures.file(pictures.form() // 4),
    ],
    ids=[
        "colour", "palette", "bits", "alpha", "transparent", "text", "BMP", "30 x 30", "on paper",
        "no ink",
    ],
)  # fmt: skip
def test_what_is_left_to_others(file: bytes) -> None:
    """Whatever is not the plainest of files, or not in MNIST form, is read as any other."""
    assert read_forms([file, encode_png(pictures.form())])[0] is None


ROWS = rows_of(pictures.form(), NONE)


@pytest.mark.parametrize(
    "file",
    [
        png(ROWS)[:-1],
        png(ROWS)[:60],
        png(ROWS) + b"\0",
        png(ROWS[:-1]),
        png(b"\5" + ROWS[1:]),
        png(ROWS + bytes(1 << 20)),
        png(ROWS).replace(b"IDAT", b"IDOT"),
        png(ROWS)[:50] + b"\xff" * 20 + png(ROWS)[70:],
    ],
    ids=["end", "cut", "more", "row", "filter", "bomb", "chunk", "stream"],
)
def test_damage_is_left_to_who_can_tell_of_it(file: bytes) -> None:
    """A file that is damaged, or grows, spoils nothing beside it."""
    form = pictures.form()

    bad, good = read_forms([file, encode_png(form)])

    assert bad is None
    assert np.array_equal(np.asarray(good), form)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 9),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
)
def test_bytes_that_are_changed(seed: int, changes: list[tuple[int, int]]) -> None:
    """Either a file is left to the imaging library, or the pixels are those it would give."""
    file = bytearray(encode_png(pictures.form(seed)))
    for place, value in changes:
        file[place % len(file)] = value

    [found] = read_forms([bytes(file)])

    if found is not None:
        assert np.array_equal(found, decode(bytes(file), LIMITS))


@settings(max_examples=300, deadline=None)
@given(level=st.integers(0, 255), ink=st.integers(0, 600), edge=st.integers(0, 255))
def test_one_and_many_agree_on_what_a_form_is(level: int, ink: int, edge: int) -> None:
    """A picture among others is in MNIST form exactly if it comes back from the reader as it is."""
    image = np.full(784, 20, dtype=np.uint8)
    image[100 : 100 + ink] = level
    image = image.reshape(28, 28)
    image[0] = image[:, 0] = edge
    try:
        stays = to_mnist_form(image) is image
    except BadImage:
        stays = False

    assert forms_among(np.stack([pictures.form(), image]))[1] == stays
