"""The latent analysis, held against scikit-learn and against spaces whose truth is known."""

import numpy as np
import pytest
import torch
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE, trustworthiness

from training.config import LatentConfig
from training.latent import walks
from training.latent.analyse import analyse
from training.latent.clusters import choose_clusters, k_means, silhouette
from training.latent.findings import Floats, Images
from training.latent.layouts import principal_components, t_sne
from training.latent.neighbours import coverage, faithfulness, squared_distances
from training.vae import Autoencoder

RANDOM = 7


class Bar(Autoencoder):
    """A space that is understood: unit 2 is how thick a bar is, unit 3 how it leans."""

    def __init__(self) -> None:
        super().__init__()
        self.latent = 4

    def encode(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how much ink there is and where; two units say nothing."""
        ink = pixels.mean(dim=(1, 2)) * 10
        upper = pixels[:, :14].mean(dim=1) @ torch.arange(28.0) / 10
        nothing = torch.zeros_like(ink)
        mean = torch.stack([nothing, ink, upper, nothing], dim=1)
        return mean, torch.zeros_like(mean)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Draw."""
        y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
        half = (2 + 0.4 * latent[:, 1]).clamp(min=0.5)[:, None, None]
        lean = 0.15 * latent[:, 2, None, None]
        away = (x - 13.5 + lean * (y - 13.5)).abs()
        tall = ((y > 3) & (y < 24)).float()
        return ((half + 0.5 - away).clamp(0, 1) * tall).clamp(1e-6, 1 - 1e-6)


def groups(count: int = 3, each: int = 20, dimensions: int = 5) -> tuple[Floats, np.ndarray]:
    """Return well-parted clouds and the cloud of each point."""
    random = np.random.default_rng(RANDOM)
    truth = np.repeat(np.arange(count), each)
    centres = 12 * np.eye(count, dimensions)
    points = centres[truth] + random.standard_normal((len(truth), dimensions))
    return points.astype(np.float32), truth


def images(count: int) -> Images:
    """Return bars, drawn from the prior."""
    points = torch.from_numpy(
        np.random.default_rng(RANDOM).standard_normal((count, 4)).astype(np.float32)
    )
    return np.rint(Bar().decode(points).numpy() * 255).astype(np.uint8)


def test_trustworthiness_is_that_of_scikit_learn() -> None:
    """Continuity is the same figure with the sides exchanged."""
    random = np.random.default_rng(RANDOM)
    points, places = random.random((40, 6), np.float32), random.random((40, 2), np.float32)

    found = faithfulness(points, places, 5)

    assert found.trustworthiness == pytest.approx(trustworthiness(points, places, n_neighbors=5))
    assert found.continuity == pytest.approx(trustworthiness(places, points, n_neighbors=5))


def test_a_map_that_changes_nothing_is_perfect() -> None:
    """Moved, turned and stretched alike, every neighbourhood survives; shuffled, few do."""
    places = np.random.default_rng(RANDOM).random((40, 2), np.float32)

    same = faithfulness(places, places[:, ::-1] * 3 + 1, 5)
    shuffled = faithfulness(places, places[::-1].copy(), 5)

    assert (same.trustworthiness, same.continuity, same.kept) == (1, 1, 1)
    assert shuffled.trustworthiness < 0.7
    assert shuffled.kept < 0.4


def test_coverage_counts_the_neighbourhoods_that_are_reached() -> None:
    """On a line of points a hundred apart, a sample reaches its neighbours and nobody else."""
    real = np.array([[0], [1], [2], [100], [101], [102]], np.float32)

    assert coverage(real, real, 1) == 1
    assert coverage(real, np.array([[1.0]], np.float32), 2) == 0.5
    assert coverage(real, np.array([[50.0]], np.float32), 2) == 0


def test_principal_components_keep_what_lies_in_a_plane() -> None:
    """Distances within the plane survive; the first axis is the widest; signs are settled."""
    random = np.random.default_rng(RANDOM)
    plane = random.standard_normal((30, 2)) * (5, 1)
    turn, _ = np.linalg.qr(random.standard_normal((6, 6)))
    points = (plane @ turn[:2] + 3).astype(np.float32)

    places = principal_components(points)

    np.testing.assert_allclose(
        squared_distances(places, places), squared_distances(plane, plane), atol=1e-3
    )
    assert places[:, 0].std() > places[:, 1].std()
    np.testing.assert_array_equal(places, principal_components(points))
    assert not principal_components(points[:, :1])[:, 1].any()


def test_t_sne_is_as_true_as_that_of_scikit_learn() -> None:
    """On points without groups, the hardest case, no worse a map; and the same one twice."""
    points = np.random.default_rng(RANDOM).standard_normal((90, 10)).astype(np.float32)

    ours = t_sne(points, 15)
    theirs = TSNE(perplexity=15, random_state=0, method="exact").fit_transform(points)

    mine, other = (faithfulness(points, places, 5) for places in (ours, theirs))
    assert mine.trustworthiness > other.trustworthiness - 0.02
    assert mine.continuity > other.continuity - 0.02
    np.testing.assert_array_equal(ours, t_sne(points, 15))


def test_t_sne_parts_what_is_apart() -> None:
    """Each point's nearest neighbour on the map is of its own cloud."""
    points, truth = groups()

    distances = squared_distances(*[t_sne(points, 10)] * 2)
    np.fill_diagonal(distances, np.inf)

    assert (truth[distances.argmin(axis=1)] == truth).all()


def test_t_sne_survives_points_that_coincide() -> None:
    """Equal points, all or some, give finite places."""
    points, _ = groups()

    for crowd in (np.repeat(points[:2], 10, axis=0), np.zeros((12, 3), np.float32)):
        assert np.isfinite(t_sne(crowd, 3)).all()
        assert np.isfinite(principal_components(crowd)).all()


def test_the_silhouette_is_that_of_scikit_learn() -> None:
    """Whatever the grouping, a cluster of one point included."""
    points, truth = groups()
    distances = np.sqrt(squared_distances(points, points))

    for clusters in (
        truth,
        np.arange(len(points)) % 4,
        np.where(np.arange(len(points)) == 3, 1, 0),
    ):
        assert silhouette(distances, clusters) == pytest.approx(
            metrics.silhouette_score(points, clusters), abs=1e-6
        )


def test_k_means_is_as_tight_as_that_of_scikit_learn() -> None:
    """On points without groups, the sum of squares comes within a tenth of the best known."""
    points = np.random.default_rng(RANDOM).standard_normal((80, 4)).astype(np.float32)

    clusters = k_means(points, 6, np.random.default_rng(0))

    centres = np.stack([points[clusters == number].mean(axis=0) for number in range(6)])
    spread = np.square(points - centres[clusters]).sum()
    assert spread < 1.1 * KMeans(6, n_init=10, random_state=0).fit(points).inertia_


def test_as_many_clusters_are_taken_as_there_are_groups() -> None:
    """The silhouette peaks at the truth, and every group is one cluster."""
    points, truth = groups(4)

    clusters, silhouettes = choose_clusters(points, 8, np.random.default_rng(0))

    assert len(silhouettes) == 7
    assert int(np.argmax(silhouettes)) + 2 == 4
    assert metrics.adjusted_rand_score(truth, clusters) == 1


def test_few_or_equal_points_can_be_grouped() -> None:
    """Two points are one cluster; equal ones fall into some, without an error."""
    random = np.random.default_rng(0)

    clusters, silhouettes = choose_clusters(np.zeros((2, 3), np.float32), 5, random)
    assert (clusters.tolist(), silhouettes) == ([0, 0], ())
    clusters, silhouettes = choose_clusters(np.ones((6, 3), np.float32), 3, random)
    assert len(clusters) == 6
    assert max(silhouettes) <= 0


def test_directions_are_found_where_they_are() -> None:
    """Lines foretell thickness and slant, which grow along them; none foretells height."""
    strips = {
        strip.name: strip for strip in walks.find_directions(Bar(), np.random.default_rng(RANDOM))
    }

    assert list(strips) == ["thickness", "slant", "width", "height"]
    for name, least in (("thickness", 2), ("slant", 40)):
        assert strips[name].score > 0.9
        assert (np.diff(strips[name].values) > 0).all()
        assert np.ptp(strips[name].values) > least
    assert strips["height"].score < 0.3


def test_an_attribute_that_never_changes_has_no_direction() -> None:
    """A decoder that always draws the same foretells nothing, and that is no division by zero."""

    class Still(Bar):
        def decode(self, latent: torch.Tensor) -> torch.Tensor:
            return super().decode(torch.zeros_like(latent))

    for strip in walks.find_directions(Still(), np.random.default_rng(RANDOM)):
        assert strip.score == 0
        assert np.ptp(strip.values) == 0


def test_even_steps_are_told_from_a_jump() -> None:
    """A bar that leans evenly takes even steps; one that changes all at once leaps."""

    class Sudden(Bar):
        def decode(self, latent: torch.Tensor) -> torch.Tensor:
            return super().decode(latent.sign() * 3)

    start, end = np.zeros((2, 4), np.float32)
    start[2], end[2] = -1, 1.01

    smooth = walks.interpolate(Bar(), "a to b", start, end)
    sudden = walks.interpolate(Sudden(), "a to b", start, end)
    still = walks.interpolate(Bar(), "a to a", start, start)

    assert smooth.score < 1.5
    assert sudden.score > 4
    assert still.score == 1
    np.testing.assert_array_equal(
        smooth.frames[[0, -1]], walks._draw(Bar(), np.stack([start, end]))
    )


def test_the_analysis_knows_which_units_are_used() -> None:
    """Two of four units are active; they are walked along first; all images are on the map."""
    forms, variations, samples = images(1), images(30), images(12)

    found = analyse(Bar(), forms, variations, samples, LatentConfig(perplexity=9, clusters=4))

    assert found.active == 2
    assert {strip.name for strip in found.traversals[:2]} == {"unit 2", "unit 3"}
    assert found.counts == (1, 30, 12)
    assert [layout.name for layout in found.layouts] == [
        "PCA",
        *(f"t-SNE, perplexity {each}" for each in ("1.5", "4.5", "9")),
    ]
    best = max(layout.trustworthiness + layout.continuity for layout in found.layouts)
    chosen = found.layouts[found.chosen]
    assert chosen.trustworthiness + chosen.continuity == best
    assert len(found.silhouettes) == 3
    assert found.coverage > 0.3
    assert 0.7 < found.spread < 1.3  # variations and samples are of one source here
    assert found.interpolations[0].name.startswith("form 1 to sample")


def test_equal_spaces_give_equal_analyses() -> None:
    """Chance comes from the seed alone."""
    stacks = (images(2), images(10), images(8))

    one, other = (analyse(Bar(), *stacks, LatentConfig(clusters=3)) for _ in range(2))

    np.testing.assert_array_equal(one.clusters, other.clusters)
    for first, second in zip(one.layouts, other.layouts, strict=True):
        np.testing.assert_array_equal(first.places, second.places)
    for first, second in zip(one.directions, other.directions, strict=True):
        assert first.score == second.score
        np.testing.assert_array_equal(first.frames, second.frames)
    assert one.interpolations[0].name == "form 1 to form 2"


def test_the_smallest_enrolment_can_be_analysed() -> None:
    """A form, four variations and one sample, all of them equal, are no error."""
    one = images(1)

    found = analyse(Bar(), one, np.repeat(one, 4, axis=0), one, LatentConfig())

    assert found.active == 0
    assert found.interpolations[0].score == 1
    assert all(np.isfinite(layout.places).all() for layout in found.layouts)
