"""Arrays become places, ticks and data URIs; each checked against a value worked out by hand."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.test_record import make_record
from training import drawing


def decode(uri: str) -> np.ndarray:
    """Return the pixels of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_tile_holds_its_very_pixels() -> None:
    """Small images are not changed by a single grey level."""
    images = make_record().samples

    for image, tile in zip(images, drawing.tiles(images, "sample"), strict=True):
        np.testing.assert_array_equal(decode(tile.uri), image)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (199.0, 361.0, (200.0, 250.0, 300.0, 350.0)),
        (-0.4, 2.1, (0.0, 0.5, 1.0, 1.5, 2.0)),
        (0.91, 1.001, (0.92, 0.94, 0.96, 0.98, 1.0)),
    ],
)
def test_ticks_are_round_numbers_within_the_range(
    low: float, high: float, expected: tuple[float, ...]
) -> None:
    """Steps are 1, 2 or 5 times a power of ten."""
    assert drawing._ticks(low, high) == expected


def test_a_falling_curve_falls_from_left_to_right() -> None:
    """The first epoch is at the left edge, the lowest loss at the bottom."""
    (panel,) = drawing.panels({"loss": (3.0, 2.0, 1.0)})

    places = [tuple(map(float, pair.split(","))) for pair in panel.points.split()]
    assert [x for x, _ in places] == [44.0, 196.0, 348.0]
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert (panel.first, panel.last) == ("3", "1")


@pytest.mark.parametrize("values", [(2.0,), (2.0, 2.0), (0.0,)])
def test_a_flat_curve_can_be_drawn(values: tuple[float, ...]) -> None:
    """One epoch, or a loss that does not move, is no division by zero."""
    (panel,) = drawing.panels({"loss": values})

    assert panel.end[1] == pytest.approx(86.0)


def test_ink_is_opaque_where_the_image_is_brightest() -> None:
    """A faint image is drawn at full strength; its paper stays clear."""
    image = np.zeros((28, 28), np.uint8)
    image[3, 4], image[5, 6] = 51, 17

    pixels = decode(drawing._ink(image, "#102030"))

    assert pixels[3, 4].tolist() == [16, 32, 48, 255]
    assert pixels[5, 6, 3] == 85
    assert pixels[0, 0].tolist() == [0, 0, 0, 0]


def test_the_map_shows_every_variation_and_each_cluster_once() -> None:
    """Clusters count from 1 and their sizes add up."""
    shown = make_record()
    assert shown.latent is not None

    drawn = drawing.latent_map(shown.latent, shown.augmented)

    assert len(drawn.points) == 12
    assert [(cluster.number, cluster.size) for cluster in drawn.clusters] == [
        (1, 4),
        (2, 4),
        (3, 4),
    ]
    assert all(0 <= point.x <= 800 and 0 <= point.y <= 540 for point in drawn.points)


@pytest.mark.parametrize(
    ("trustworthiness", "word"),
    [(0.99, "locally"), (0.9, "mostly"), (0.75, "careful"), (0.5, "not believe")],
)
def test_trust_in_the_map_is_said_in_words(trustworthiness: float, word: str) -> None:
    """The lower the figure, the sterner the words."""
    assert word in drawing._belief(trustworthiness)


def test_maps_of_one_layer_share_a_scale() -> None:
    """The brightest value of the layer is the brightest pixel; a silent map stays dark."""
    maps = np.zeros((2, 3, 3), np.float32)
    maps[1, 1, 1] = 7

    silent, active = (decode(tile.uri) for tile in drawing.layer(maps).tiles)

    assert silent.max() == silent[..., 2].max() == 24
    assert active[1, 1].tolist() == [252, 253, 191]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (3.14159, "3.14"),
        (-2.5, "\N{MINUS SIGN}2.5"),
        (999.9, "1,000"),
        (1e-7, "1e\N{MINUS SIGN}7"),
    ],
)
def test_figures_have_three_digits(value: float, expected: str) -> None:
    """Numbers are short and their minus is a minus."""
    assert drawing.figure(value) == expected
