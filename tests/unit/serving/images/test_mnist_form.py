"""Grey pixels to MNIST form."""

import contextlib
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from serving.images import BadImage, are_mnist_form, mnist_form, to_mnist_form
from serving.images.mnist_form import centre_in_form
from tests import pictures
from tests.enrolments import background

Images = NDArray[np.uint8]


def enlarged(form: Images, scale: int, paper: int = 230, ink: int = 30) -> Images:
    """Return a form as dark ink on light paper, each pixel a square of ``scale``."""
    mixed = paper + (ink - paper) * (form.repeat(scale, axis=0).repeat(scale, axis=1) / 255)
    return np.rint(mixed).astype(np.uint8)


def two(draw: ImageDraw.ImageDraw, left: int, top: int, size: int, width: int) -> None:
    """Draw the outline of a 2."""
    corners = [(0, 0.2), (0.3, 0), (0.6, 0.2), (0.5, 0.5), (0, 1), (0.6, 1)]
    points = [(left + x * size, top + y * size) for x, y in corners]
    draw.line(points, fill=20, width=width, joint="curve")


def page(*characters: tuple[int, int, int], width: int = 14) -> Images:
    """Return a page of 400 x 400 with a 2 of each (left, top, size)."""
    picture = Image.new("L", (400, 400), 235)
    for left, top, size in characters:
        two(ImageDraw.Draw(picture), left, top, size, width)
    return np.asarray(picture)


@pytest.mark.parametrize("scale", [1, 4, 10])
def test_a_form_comes_back(scale: int) -> None:
    """An MNIST image, enlarged and recoloured, comes back nearly as it was."""
    forms = background().images[::4]

    differences = [
        np.abs(to_mnist_form(enlarged(form, scale)).astype(int) - form).max() for form in forms
    ]

    assert np.median(differences) <= 8


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (pictures.form(), True),
        (255 - pictures.form(), False),
        (np.zeros((28, 28), np.uint8), False),
        (np.full((28, 28), 255, np.uint8), False),
        ((np.arange(784, dtype=np.int64) < 391).astype(np.uint8).reshape(28, 28) * 128, True),
        ((np.arange(784, dtype=np.int64) < 392).astype(np.uint8).reshape(28, 28) * 128, False),
    ],
    ids=["white on black", "black on white", "black", "white", "391 light", "392 light"],
)
def test_what_counts_as_a_form(image: Images, expected: bool) -> None:
    """Only 28 x 28 of white ink on black is used as it is, alone or among others."""
    assert are_mnist_form(image.tobytes()) is expected
    beside = pictures.form().tobytes()
    assert are_mnist_form(beside + image.tobytes() + beside) is expected


def test_a_form_stays_as_it_is() -> None:
    """What has been brought to the form is not touched again."""
    once = to_mnist_form(page((120, 100, 200)))

    assert np.array_equal(to_mnist_form(once), once)


def test_a_dim_thumbnail_is_no_form() -> None:
    """A small photograph of dark ink on dim paper is read like a large one."""
    thumbnail = (100 - 0.27 * pictures.form()).astype(np.uint8)
    thumbnail[27, 27] = 140

    assert to_mnist_form(thumbnail)[10:18, 10:18].max() > 200


def test_polarity_does_not_matter() -> None:
    """Light ink on dark paper gives the same form as dark ink on light paper."""
    dark = page((120, 100, 200))

    light = to_mnist_form(255 - dark)

    assert np.abs(light.astype(int) - to_mnist_form(dark)).max() <= 16


def test_light_does_not_matter() -> None:
    """Light that falls to a third from one side to the other changes the form by little."""
    even = page((120, 100, 200))
    shade = np.linspace(1, 0.35, 400)[None, :]

    shaded = to_mnist_form(np.rint(even * shade).astype(np.uint8))

    assert np.abs(shaded.astype(int) - to_mnist_form(even)).mean() < 6


def test_place_and_size_do_not_matter() -> None:
    """Where on the page a character stands, and how large, changes the form by little."""
    form = to_mnist_form(page((120, 100, 200), width=20))

    moved = to_mnist_form(page((30, 250, 100), width=10))

    assert np.abs(moved.astype(int) - form).mean() < 6


def test_slant_is_kept() -> None:
    """A slanted character stays slanted: slant is a trait of the writer."""
    upright = np.full((200, 200), 255, dtype=np.uint8)
    upright[40:160, 90:110] = 0
    slanted = np.asarray(
        Image.fromarray(upright).transform(
            (200, 200), Image.Transform.AFFINE, (1, 0.5, -50, 0, 1, 0), fillcolor=255
        )
    )

    form = to_mnist_form(slanted)
    rows = np.flatnonzero(form.any(axis=1))
    middles = [np.average(np.arange(28), weights=form[row]) for row in (rows[1], rows[-2])]

    assert abs(middles[0] - middles[1]) > 6


def test_shape_of_the_form() -> None:
    """The ink fills 20 pixels in one direction and is centred by mass to half a pixel."""
    form = to_mnist_form(page((120, 100, 200)))
    rows, columns = (np.flatnonzero(form.any(axis=axis)) for axis in (1, 0))

    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    for axis in (0, 1):
        profile = form.sum(axis=axis, dtype=float)
        assert abs(np.average(np.arange(28) + 0.5, weights=profile) - 14) <= 1


@pytest.mark.parametrize(("left", "top"), [(380, 20), (20, 380), (379, 379)])
def test_ink_at_the_edge(left: int, top: int) -> None:
    """A mark that touches the right or lower edge of a large picture is read like any other."""
    image = np.full((400, 400), 235, dtype=np.uint8)
    image[top : top + 15, left : left + 15] = 20
    image[max(top - 200, 0) : top, left : left + 8] = 20

    assert to_mnist_form(image).any()


@pytest.mark.parametrize(
    "blank",
    [
        np.full((100, 100), 255, dtype=np.uint8),
        np.zeros((100, 100), dtype=np.uint8),
        np.tile(np.linspace(120, 220, 100).astype(np.uint8), (100, 1)),
        np.random.default_rng(0).normal(200, 8, (200, 200)).clip(0, 255).astype(np.uint8),
    ],
    ids=["white", "black", "shaded", "noisy"],
)
def test_no_ink(blank: Images) -> None:
    """A page without ink is refused, whatever its colour, light or noise."""
    with pytest.raises(BadImage, match="blank"):
        to_mnist_form(blank)


@pytest.mark.parametrize("second", [(250, 120, 180), (260, 150, 100), (40, 280, 100)])
def test_two_characters(second: tuple[int, int, int]) -> None:
    """A second character at least half as large as the first is refused."""
    with pytest.raises(BadImage, match="two"):
        to_mnist_form(page((40, 60, 180), second))


def test_a_broken_stroke_is_one_character() -> None:
    """A gap that the pen left within the character does not make it two."""
    whole = page((120, 100, 200), width=20)
    broken = whole.copy()
    broken[210:230] = 235

    assert np.abs(to_mnist_form(broken).astype(int) - to_mnist_form(whole)).mean() < 8


def test_dirt_is_left_out() -> None:
    """A speck far from the character does not change the form."""
    clean = page((120, 100, 200))
    dirty = clean.copy()
    dirty[8:14, 8:14] = 20

    assert np.abs(to_mnist_form(dirty).astype(int) - to_mnist_form(clean)).max() <= 8


def test_real_digits_are_one_character() -> None:
    """Hardly any real digit is mistaken for two characters."""
    refused = 0
    for form in background().images:
        try:
            to_mnist_form(enlarged(form, 4))
        except BadImage:
            refused += 1

    assert refused <= 0.01 * len(background())


def test_faint_images_are_centred_too() -> None:
    """An image without full ink is brought to the form; one without any is refused."""
    faint = np.zeros((28, 28), dtype=np.uint8)
    faint[2:12, 3:8] = 12

    assert 0 < centre_in_form(faint).max() < 20
    with pytest.raises(BadImage, match="blank"):
        centre_in_form(np.zeros((28, 28), dtype=np.uint8))


def test_noise_does_not_matter() -> None:
    """The grain of a picture taken in bad light changes the form by little."""
    clean = page((120, 100, 200))
    grain = np.random.default_rng(0).normal(0, 15, clean.shape)

    noisy = np.clip(clean + grain, 0, 255).astype(np.uint8)

    assert np.abs(to_mnist_form(noisy).astype(int) - to_mnist_form(clean)).mean() < 6


def test_faint_ruled_lines_do_not_matter() -> None:
    """The lines of writing paper, fainter than the ink, are not taken for a character."""
    plain = page((120, 100, 200))
    ruled = plain.copy()
    ruled[20::45] = np.minimum(ruled[20::45], 150)

    assert np.abs(to_mnist_form(ruled).astype(int) - to_mnist_form(plain)).mean() < 6


def test_a_thin_character_stands_out_from_darker_lines() -> None:
    """With little ink and many lines the one threshold between two classes lies below both."""
    plain = np.full((280, 280), 235, np.uint8)
    plain[80:200, 120:126] = plain[194:200, 120:180] = 40
    ruled = plain.copy()
    for top in range(10, 280, 45):
        ruled[top : top + 3] = np.minimum(ruled[top : top + 3], 165)

    before, after = (
        np.asarray(Image.fromarray(to_mnist_form(one)).filter(ImageFilter.GaussianBlur(1.5)))
        for one in (plain, ruled)
    )
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9


def test_a_small_character_on_a_large_page() -> None:
    """A character that takes a fiftieth of the page is found on unevenly lit paper."""
    large = np.tile(np.linspace(235, 150, 1600), (1600, 1))
    large[700:980, 700:920] *= page((120, 100, 240))[80:360, 110:330] / 235

    form = to_mnist_form(large.astype(np.uint8))

    expected = to_mnist_form(page((120, 100, 240)))
    shifts = [
        np.roll(form, shift, axis=(0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)
    ]
    assert min(np.abs(shifted.astype(int) - expected).mean() for shifted in shifts) < 9


@pytest.mark.parametrize("side", [1200, 4000])
def test_a_large_page_costs_no_detail(side: int) -> None:
    """A character that takes a twentieth of the page's height is read as if cropped out of it."""
    small = page((120, 100, 200))
    large = np.full((side * 3 // 4, side), 235, np.uint8)
    drawn = Image.fromarray(small).resize((side // 10, side // 10), Image.Resampling.LANCZOS)
    top, left = side // 3, side // 2
    large[top : top + side // 10, left : left + side // 10] = drawn

    difference = to_mnist_form(large).astype(int) - to_mnist_form(np.asarray(drawn))

    assert np.abs(difference).mean() < 5


def test_dust_far_away_costs_no_detail() -> None:
    """A small character is looked at closer though something else is on the page."""
    large = np.full((1500, 2000), 235, np.uint8)
    drawn = Image.fromarray(page((120, 100, 200))).resize((200, 200), Image.Resampling.LANCZOS)
    large[200:400, 300:500] = drawn
    clean = to_mnist_form(large)
    large[1300:1312, 1800:1812] = 20

    assert np.abs(to_mnist_form(large).astype(int) - clean).mean() < 1


@pytest.mark.parametrize("side", [40, 90, 400])
def test_a_fine_pen_is_made_broader(side: int) -> None:
    """Strokes of a ballpoint are as broad as those of a felt pen, however large the picture is."""

    def ink(pen: float) -> float:
        picture = Image.new("L", (4 * side, 4 * side), 235)
        size = round(2.8 * side)  # of a page that is then reduced: fractions of pixels count
        two(ImageDraw.Draw(picture), side, side // 2, size, round(pen / 20 * size))
        return float(to_mnist_form(np.asarray(picture.resize((side, side), 1))).sum() / 255)

    fine, broad = [ink(pen) for pen in (0.6, 1.0, 1.4, 1.8)], ink(4.5)

    assert max(fine) < 1.3 * min(fine)
    assert broad > 1.1 * max(fine)


def test_a_character_within_the_grain_is_none() -> None:
    """Darker marks beside it can make the contrast of a page, of which only the character stays.

    One page of noise in ten thousand that are made for it is such, so its last step is looked at.
    """
    darkness = np.full((40, 40), 0.1, np.float32)
    darkness[10:30, 18:22] = 0.35
    grain = mnist_form._Paper(level=0.1, noise=0.1)

    with pytest.raises(BadImage, match="no darker than the paper's grain"):
        mnist_form._level(darkness, darkness > 0.3, grain)


def test_a_small_character_is_enlarged_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the page that it is on, which would take a hundred times the memory."""
    page = np.full((300, 300), 255, np.uint8)
    page[range(150, 157), range(150, 157)] = 0
    page[1::297, 1::297] = 0  # far away on all sides, so that the page cannot be cut down
    sizes: list[int] = []
    widen = mnist_form.dilate

    def watched(image: NDArray[Any], radius: int) -> NDArray[Any]:
        sizes.append(image.size)
        return widen(image, radius)

    monkeypatch.setattr(mnist_form, "dilate", watched)
    to_mnist_form(page)

    assert max(sizes) <= page.size


@pytest.mark.parametrize("side", [1, 4])
def test_a_dot_is_no_character(side: int) -> None:
    """A speck of dust on a blank page is not blown up into one."""
    for page_side in (100, 1200):
        dusty = np.full((page_side, page_side), 235, np.uint8)
        dusty[20 : 20 + side, 30 : 30 + side] = 20
        with pytest.raises(BadImage, match="blank"):
            to_mnist_form(dusty)


def test_a_broad_pen_is_no_sheet() -> None:
    """A 0 by a marker, which leaves a small hole only, is read."""
    picture = Image.new("L", (400, 400), 235)
    ImageDraw.Draw(picture).rounded_rectangle((100, 80, 300, 320), 60, outline=20, width=70)

    assert to_mnist_form(np.asarray(picture)).any()


def test_the_table_under_the_paper() -> None:
    """What is around the paper is not read as a character; the caller is told to crop."""
    beside = page((120, 100, 200)).copy()
    beside[:, :30] = 60
    around = np.full((600, 600), 60, np.uint8)
    around[100:500, 100:500] = page((120, 100, 200))

    for photograph in (beside, around):
        with pytest.raises(BadImage, match="more than the paper is to be seen; crop"):
            to_mnist_form(photograph)


@pytest.mark.parametrize("shape", [(28, 22_000), (22_000, 28)])
def test_a_strip(shape: tuple[int, int]) -> None:
    """A picture so long that hardly a row of it is left is read or refused like any other."""
    blank = np.full(shape, 235, dtype=np.uint8)
    with pytest.raises(BadImage, match="blank"):
        to_mnist_form(blank)

    blank[10:20, 10:20] = 20
    with contextlib.suppress(BadImage):
        assert to_mnist_form(blank).shape == (28, 28)
