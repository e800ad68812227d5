"""Arrays become places, ticks and data URIs; each checked against a value worked out by hand."""

import base64
import io
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.test_record import make_record
from training import charts
from training.latent.findings import Strip


def decode(uri: str) -> np.ndarray:
    """Return the pixels of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_tile_holds_its_very_pixels() -> None:
    """Small images are not changed by a single grey level."""
    images = make_record().samples

    for image, tile in zip(images, charts.tiles(images, "sample"), strict=True):
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
    assert charts._ticks(low, high) == expected


def test_a_falling_curve_falls_from_left_to_right() -> None:
    """The first epoch is at the left edge, the lowest loss at the bottom."""
    (panel,) = charts.panels({"loss": (3.0, 2.0, 1.0)})

    places = [tuple(map(float, pair.split(","))) for pair in panel.points.split()]
    assert [x for x, _ in places] == [44.0, 196.0, 348.0]
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert (panel.first, panel.last) == ("3", "1")


@pytest.mark.parametrize("values", [(2.0,), (2.0, 2.0), (0.0,)])
def test_a_flat_curve_can_be_drawn(values: tuple[float, ...]) -> None:
    """One epoch, or a loss that does not move, is no division by zero."""
    (panel,) = charts.panels({"loss": values})

    assert panel.end[1] == pytest.approx(86.0)


def test_ink_is_opaque_where_the_image_is_brightest() -> None:
    """A faint image is drawn at full strength; its paper stays clear."""
    image = np.zeros((28, 28), np.uint8)
    image[3, 4], image[5, 6] = 51, 17

    pixels = decode(charts._ink(image, "#102030"))

    assert pixels[3, 4].tolist() == [16, 32, 48, 255]
    assert pixels[5, 6, 3] == 85
    assert pixels[0, 0].tolist() == [0, 0, 0, 0]


def test_the_map_shows_every_image_and_each_cluster_once() -> None:
    """Clusters count from 1 and their sizes add up; of each kind, what is on the map is counted."""
    shown = make_record()
    assert shown.latent is not None

    drawn = charts.latent_map(shown.latent, (shown.forms, shown.augmented, shown.samples))

    assert [point.title for point in drawn.points[:2]] == [
        "form 1, cluster 1",
        "variation 1, cluster 2",
    ]
    assert drawn.points[-1].title == "sample 5, cluster 3"
    assert Counter(point.kind for point in drawn.points) == {
        "form": 1,
        "variation": 12,
        "sample": 5,
    }
    assert [(cluster.number, cluster.size) for cluster in drawn.clusters] == [
        (1, 6),
        (2, 6),
        (3, 6),
    ]
    assert all(0 <= point.x <= 800 and 0 <= point.y <= 540 for point in drawn.points)


def test_layouts_stand_side_by_side_and_the_chosen_one_is_marked() -> None:
    """Every layout has all its dots; the map is drawn by the chosen one; the best k is marked."""
    shown = make_record()
    assert shown.latent is not None

    drawn = charts.latent_map(shown.latent, (shown.forms, shown.augmented, shown.samples))

    assert drawn.name == "t-SNE, perplexity 5"
    assert [(plot.layout.name, plot.chosen) for plot in drawn.plots] == [
        ("PCA", False),
        ("t-SNE, perplexity 5", True),
    ]
    assert all(len(plot.dots) == 18 for plot in drawn.plots)
    assert drawn.silhouettes == ((2, 0.1, False), (3, 0.3, True), (4, 0.2, False))


def test_units_stand_in_order_of_their_use() -> None:
    """Bars fall from left to right; those that reach over the line are the active ones."""
    shown = make_record()
    assert shown.latent is not None

    units = charts.units(shown.latent)

    assert (units.active, units.total) == (3, 4)
    assert [title.partition(":")[0] for *_, title in units.bars] == [
        *("unit 1", "unit 4", "unit 2", "unit 3"),
    ]
    assert [y < units.threshold for _, _, y, _, _ in units.bars] == [True, True, True, False]
    assert all(y >= 0 and y + height == pytest.approx(120) for _, _, y, height, _ in units.bars)


def test_strips_are_captioned_in_their_units() -> None:
    """Deviations carry a sign, attributes their unit, ways their share; hovering tells the same."""
    frames = make_record().samples[:3]
    values = np.array([-3, 0, 1.26], np.float32)

    def captions(draw: Callable[[Strip], charts.Walk], name: str) -> tuple[str, ...]:
        walk = draw(Strip(name, frames, values, 0.5))
        assert [tile.title for tile in walk.tiles] == [f"{name}: {text}" for text in walk.captions]
        return walk.captions

    minus = "\N{MINUS SIGN}"
    assert captions(charts.traversal, "unit 1") == (f"{minus}3", "0", "+1")
    assert captions(charts.direction, "slant") == (f"{minus}3.0°", "0.0°", "1.3°")
    assert captions(charts.direction, "width") == (f"{minus}3.0 px", "0.0 px", "1.3 px")
    assert captions(charts.interpolation, "a to b")[1:] == ("0 %", "126 %")


@pytest.mark.parametrize(
    ("silhouette", "word"),
    [(0.8, "distinct"), (0.6, "real"), (0.3, "weak"), (0.1, "no groups"), (0.0, "no groups")],
)
def test_groups_are_believed_by_their_silhouette(silhouette: float, word: str) -> None:
    """Colours on the map are not sold as groups where there are none."""
    assert word in charts._structure(silhouette)


@pytest.mark.parametrize(
    ("trustworthiness", "word"),
    [(0.99, "locally"), (0.9, "mostly"), (0.75, "careful"), (0.5, "not believe")],
)
def test_trust_in_the_map_is_said_in_words(trustworthiness: float, word: str) -> None:
    """The lower the figure, the sterner the words."""
    assert word in charts._belief(trustworthiness)


def test_maps_of_one_layer_share_a_scale() -> None:
    """The brightest value of the layer is the brightest pixel; a silent map stays dark."""
    maps = np.zeros((2, 3, 3), np.float32)
    maps[1, 1, 1] = 7

    silent, active = (decode(tile.uri) for tile in charts.layer(maps).tiles)

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
    assert charts.figure(value) == expected
