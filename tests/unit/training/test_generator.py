"""What the generator must be for an enrolment: exact about hands, and told the digit."""

import numpy as np
import pytest
import torch

from tests.enrolments import background
from training import generator, weights
from training.config import HandConfig
from training.data import load_bundled
from training.errors import WeightsError
from training.generator import train
from training.generator.hand_vae import hand_vae
from training.generator.hands import Hands, enrol, fit_hands
from training.generator.network import Generator, GeneratorConfig, build
from training.generator.traits import Traits, fit_directions, match_scales, narrowed, within
from training.trials import WriterDigits

SMALL = GeneratorConfig(hidden=(32, 16), latent=4)


@pytest.fixture
def population():
    torch.manual_seed(0)
    network = Generator(SMALL)
    factors = torch.randn(2, 10, 4, 4) * 0.5
    network.mean.copy_(torch.randn(10, 4))
    network.between.copy_(factors[0] @ factors[0].mT + 0.5 * torch.eye(4))
    network.within.copy_(factors[1] @ factors[1].mT + 0.1 * torch.eye(4))
    return network.eval()


def drawn(hands, writers, pictures, random):
    middles = random.multivariate_normal(hands.mean, hands.between, writers)
    errors = random.multivariate_normal(np.zeros(2), hands.within, (writers, pictures))
    names = np.repeat(np.arange(writers), pictures)
    return (middles[:, None] + errors).reshape(-1, 2), names


def test_moments_find_how_writers_and_their_pictures_differ():
    truth = Hands(
        np.array([1.0, -2.0]),
        np.array([[4.0, 1.0], [1.0, 2.0]]),
        np.array([[1.0, -0.3], [-0.3, 0.5]]),
    )
    found = fit_hands(*drawn(truth, 4000, 6, np.random.default_rng(0)))
    np.testing.assert_allclose(found.mean, truth.mean, atol=0.1)
    np.testing.assert_allclose(found.between, truth.between, atol=0.25)
    np.testing.assert_allclose(found.within, truth.within, atol=0.05)


def test_the_next_picture_is_where_the_model_says_it_is():
    truth = Hands(np.zeros(2), np.diag([4.0, 0.5]), np.diag([1.0, 1.0]))
    latents, _ = drawn(truth, 20_000, 2, np.random.default_rng(1))
    first, second = latents.reshape(-1, 2, 2).transpose(1, 0, 2)
    hand = enrol(truth, first[:1])
    middles = first @ hand.shared.T  # from a mean of zero
    np.testing.assert_allclose(hand.middle, middles[0])
    np.testing.assert_allclose(np.cov((second - middles).T), hand.spread, atol=0.05)


def test_more_pictures_make_a_hand_surer():
    truth = Hands(np.zeros(2), np.eye(2), np.eye(2))
    one, five = (np.trace(enrol(truth, np.zeros((k, 2))).spread) for k in (1, 5))
    assert np.trace(truth.within) < five < one


def test_a_hand_draws_what_the_generator_draws_at_its_points(population):
    forms = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    vae = hand_vae(population, 7, forms, HandConfig(sharpness=1.0))
    pixels = torch.from_numpy(forms).float() / 255
    with torch.inference_mode():
        mean, _ = population.encode(pixels, torch.tensor([7]))
        point, _ = vae.encode(pixels)
        expected = torch.sigmoid(population.decode_logits(mean, torch.tensor([7])))
        torch.testing.assert_close(vae.decode(point), expected, atol=1e-4, rtol=1e-4)


def test_the_prior_of_a_hand_is_its_next_picture(population):
    forms = np.zeros((1, 28, 28), np.uint8)
    wide, narrow = (hand_vae(population, 3, forms, HandConfig(spread)) for spread in (1.0, 0.5))
    still = torch.zeros(1, 4)
    torch.testing.assert_close(wide.decode(still), narrow.decode(still))
    torch.testing.assert_close(
        wide.decode(torch.full((1, 4), 0.5)), narrow.decode(torch.ones(1, 4)), atol=1e-5, rtol=1e-4
    )


def test_a_hand_is_pulled_towards_what_was_enrolled(population):
    forms = np.random.default_rng(0).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    with torch.inference_mode():
        mean, _ = population.encode(torch.from_numpy(forms).float() / 255, torch.tensor([3, 3]))
    expected, half, enrolled = (
        hand_vae(population, 3, forms, HandConfig(pull=share)).middle for share in (0.0, 0.5, 1.0)
    )
    torch.testing.assert_close(enrolled, mean.mean(dim=0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(half, (expected + enrolled) / 2)
    assert not torch.allclose(expected, enrolled)


def test_without_directions_a_hand_is_narrowed_as_a_whole():
    spread = np.array([[2.0, 0.5], [0.5, 1.0]])
    traits = Traits(np.zeros((1, 2)), np.ones(1))
    np.testing.assert_allclose(narrowed(spread, 0.5, traits), spread / 4)


def test_attributes_keep_their_own_spread_and_the_rest_its():
    random = np.random.default_rng(0)
    factor = random.standard_normal((5, 5))
    spread, directions = factor @ factor.T, random.standard_normal((2, 5))
    scales = np.array([1.0, 0.8])
    found = narrowed(spread, 0.5, Traits(directions, scales))
    told = directions @ spread @ directions.T
    np.testing.assert_allclose(directions @ found @ directions.T, told * np.outer(scales, scales))
    # Whatever goes with no attribute is narrowed alone.
    untold = np.linalg.svd(directions @ spread)[2][2:]
    np.testing.assert_allclose(untold @ found @ untold.T, untold @ spread @ untold.T / 4)
    alike = narrowed(spread, 0.5, Traits(directions, np.full(2, 0.5)))
    np.testing.assert_allclose(alike, spread / 4)


def test_directions_are_those_by_which_attributes_follow():
    random = np.random.default_rng(0)
    latents, truth = random.standard_normal((500, 3)) + 2, np.array([[1.0, 0.0, -2.0]])
    attributes = latents @ truth.T + 7 + 0.01 * random.standard_normal((500, 1))
    np.testing.assert_allclose(fit_directions(latents, attributes), truth, atol=0.01)


def test_scales_make_attributes_vary_as_they_shall():
    found = match_scales(lambda scales: 0.1 + 4 * scales**2, np.array([1.1, 100.0, 0.0]))
    np.testing.assert_allclose(found, [0.5, 1.2, 0.3], atol=0.02)  # the last two at their bounds


def test_what_varies_within_groups_is_told_from_what_they_differ_by():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(400), 5)
    values = random.standard_normal((400, 1))[groups] * 9 + random.standard_normal((2000, 1)) * 2
    np.testing.assert_allclose(within(values, groups), [4.0], rtol=0.1)


def test_the_committed_generator_knows_its_attributes():
    network = generator.load()
    assert network.directions.abs().amax(dim=2).min() > 0
    assert not torch.equal(network.scales, torch.ones_like(network.scales))


def test_style_takes_away_what_is_the_writers_and_keeps_what_is_the_pictures(population):
    forms = np.zeros((1, 28, 28), np.uint8)
    vae = hand_vae(population, 3, forms, HandConfig())
    torch.testing.assert_close(vae.own(torch.zeros(1, 4)), torch.zeros(1, 4))
    far = torch.randn(50, 4) * 5
    assert (vae.own(far).norm(dim=1) < far.norm(dim=1) * 1.5).all()
    assert vae.own(far).norm() < far.norm()


def test_weights_come_back_and_other_files_are_refused(population, tmp_path):
    path = tmp_path / "weights.npz"
    weights.write(population, population.config, path)
    again = weights.read(path, build)
    assert again.config == SMALL
    torch.testing.assert_close(again.between, population.between)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"weights\.npz: cannot be read"):
        weights.read(path, build)


@pytest.mark.parametrize("change", [{"latent": 0}, {"hidden": [1, 99999]}, {"other": 3}])
def test_an_unknown_configuration_is_refused(change):
    with pytest.raises((TypeError, ValueError)):
        build({"hidden": [8], "latent": 2} | change)


def test_the_committed_generator_redraws_digits():
    """Closer to each digit than the mean of its kind, which is a drawing without a hand."""
    digits = load_bundled()
    network = generator.load()
    for digit in range(10):
        pixels = torch.from_numpy(digits.images[digits.labels == digit]).float() / 255
        labels = torch.full((len(pixels),), digit)
        with torch.inference_mode():
            mean, _ = network.encode(pixels, labels)
            redrawn = torch.sigmoid(network.decode_logits(mean, labels))
        error = (redrawn - pixels).square().mean(dim=(1, 2))
        of_the_mean = (pixels.mean(dim=0) - pixels).square().mean(dim=(1, 2))
        assert (error < of_the_mean).float().mean() > 0.99
        assert error.mean() < 0.4 * of_the_mean.mean()


def test_training_leaves_a_generator_that_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_HANDS", 2)
    monkeypatch.setattr(train, "_PICTURES", 3)
    digits = background(each=20)
    corpus = WriterDigits(digits, np.tile(np.repeat(np.arange(1, 6, dtype=np.int32), 4), 10))
    config = train.TrainConfig(network=SMALL, steps=2, batch=8)
    out = train.train_generator(corpus, config, tmp_path / "run", 0)
    network = generator.load(out)
    assert network.config == SMALL
    assert not torch.equal(network.directions, torch.zeros_like(network.directions))
    assert network.scales.isfinite().all()
    assert (out / train.FIGURES).exists()
