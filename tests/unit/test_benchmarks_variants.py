"""What the study of variants says of pictures; nothing is enrolled here."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.published import published
from benchmarks.variants import claims, report
from benchmarks.variants.bending import Bending
from benchmarks.variants.claims import FAILS, HOLDS, OPEN, Verdict, overall
from benchmarks.variants.classifiers import changed, noisy
from benchmarks.variants.figures import (
    attribute_error,
    attribute_r2,
    estimate,
    kept,
    kept_at_like_push,
    kept_by_real,
    mean,
    minus,
    own_gap,
    region_error,
    spread_ratio,
)
from benchmarks.variants.judges import JudgeConfig, load_judges, train_judges
from benchmarks.variants.measures import (
    coverage,
    density,
    discrepancy,
    linear_r2,
    region_share,
    single_r2,
    unevenness,
    variance,
)
from benchmarks.variants.veil import Veil, middle
from serving.steering import Target
from training.base.contrast import BatchConfig
from training.data import Digits, load_bundled
from training.errors import TrainingError, WeightsError
from training.metrics import Estimate
from training.trials import WriterDigits


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_equal_distributions_are_called_equal(random):
    """The discrepancy is 0 on average, the density about 1, and 90 % lie in the 90 % region."""
    pairs = [(random.normal(size=(12, 3)), random.normal(size=(100, 3))) for _ in range(200)]
    found = [discrepancy(*pair) for pair in pairs]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    assert np.mean([density(*pair) for pair in pairs]) == pytest.approx(1, abs=0.1)
    assert np.mean([region_share(*pair) for pair in pairs]) == pytest.approx(0.9, abs=0.02)


def test_collapse_and_distance_are_seen(random):
    """Copies of one picture cover little, and far pictures nothing."""
    real = random.normal(size=(12, 3))
    copies = np.repeat(real[:1], 100, axis=0)
    far = random.normal(size=(100, 3)) + 50
    assert coverage(real, copies) < coverage(real, random.normal(size=(100, 3))) == 1
    assert coverage(real, far) == density(real, far) == 0
    assert variance(copies) == pytest.approx(0)
    assert discrepancy(real, far) > discrepancy(real, copies) > 0
    with pytest.raises(ValueError, match="more than 5 pictures, found 5"):
        coverage(real[:5], copies)


def test_a_jump_is_seen():
    """A path with one step of 4 among nine of 1 has a largest step of 4 / 1.3 means."""
    steps = np.ones((10, 1))
    assert unevenness(np.cumsum(steps, axis=0)) == 1
    steps[5] = 4
    assert unevenness(np.cumsum(np.concatenate([[[0]], steps]), axis=0)) == pytest.approx(4 / 1.3)


def test_what_a_number_explains(random):
    """A knob that sets an attribute explains all of it; a constant one explains nothing."""
    codes = random.normal(size=(200, 3))
    codes[:, 2] = 1
    values = np.column_stack([2 * codes[:, 0], codes[:, 0] + codes[:, 1]])
    expected = [[1, 0.5], [0, 0.5], [0, 0]]
    np.testing.assert_allclose(single_r2(codes, values), expected, atol=0.1)
    np.testing.assert_allclose(linear_r2(codes, values), [1, 1], atol=0.01)
    assert linear_r2(codes, random.normal(size=(200, 1)))[0] < 0.1


def test_probes_are_spoiled_but_remain_pictures(random):
    """Noise and changes keep form and type and leave no picture as it was."""
    images = np.zeros((9, 28, 28), np.uint8)
    images[:, 8:20, 12:15] = 200
    for spoil in (noisy, changed):
        spoiled = spoil(images, random)
        assert spoiled.shape == images.shape
        assert spoiled.dtype == np.uint8
        assert (spoiled != images).any(axis=(1, 2)).all()


def records():
    """Four writers of whom everything is known."""
    return {
        writer: {
            "own/real": 0.5 + 0.1 * sign,
            "own-variance/real": 0.03,
            "own/default": 0.55 + 0.1 * sign,
            "variance/real": 4.0,
            "variance/default": 1.0,
            "region/default": 0.8,
            "measured/slant": 1.0,
            "measured-square/slant": 5.0,
            "missed-square/slant": 0.4,
            "missed/slant": 0.5,
            "range/slant": 10.0,
            "own-share/unsteered": 0.8,
            "own-share/steered slant": 0.6,
            "own-share/real unsteered": 0.9,
            "own-share/real steered slant": 0.7 + 0.05 * sign,
            "own/steered slant": 0.3,
            "own/real steered slant": 0.4,
        }
        for writer, sign in ((1, -1), (6, 1), (11, -1), (16, 1))
    }


def test_figures_follow_from_records():
    """Each figure is the one that was worked out by hand."""
    known = records()
    assert estimate(known, own_gap("default")).value == pytest.approx(0.05 / 0.2)
    steered = own_gap("steered slant", beside="real steered slant")
    assert estimate(known, steered).value == pytest.approx(-0.1 / 0.2)
    assert estimate(known, spread_ratio("default")) == Estimate(0.5, 0.5, 0.5)
    assert estimate(known, region_error("default")).value == pytest.approx(0.1)
    assert estimate(known, attribute_r2("slant")).value == pytest.approx(0.9)
    assert estimate(known, attribute_error("slant")).value == pytest.approx(0.05)
    assert estimate(known, kept("own-share", "slant")).value == pytest.approx(-0.2)
    assert estimate(known, kept_by_real("own-share", "slant")).value == pytest.approx(-0.2)
    left = estimate(known, kept_at_like_push("own-share", "slant"))
    assert left.value == pytest.approx(0.6 - 0.5336, abs=1e-4)  # 0.8 pushed as 0.9 is to 0.7
    paired = estimate(known, minus(mean("own/default"), mean("own/real")))
    assert (paired.low, paired.high) == pytest.approx((0.05, 0.05))


def test_a_claim_holds_only_if_all_its_measures_do():
    """The interval decides each measure, and one that fails decides the claim."""

    def verdict(low, high):
        ahead = Estimate((low + high) / 2, low, high)
        return Verdict(claims.CLAIMS[1], "default", ahead, ahead, ahead)

    better, worse, unclear = verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(-0.1, 0.1)
    assert [each.word for each in (better, worse, unclear)] == [HOLDS, FAILS, OPEN]
    assert overall([better, better], 2, "default") == HOLDS
    assert overall([better, unclear], 2, "default") == OPEN
    assert overall([better, worse, unclear], 2, "default") == FAILS


def test_all_twenty_claims_are_there():
    """Each of the 20 has a measure."""
    assert {claim.number for claim in claims.CLAIMS} == set(range(1, 21))


class _Everything(dict):
    """A record in which every figure is known."""

    def __init__(self, seed):
        super().__init__()
        self._random = np.random.default_rng(seed)

    def __contains__(self, key):
        return True

    def __missing__(self, key):
        self[key] = float(self._random.uniform(1, 2))
        return self[key]


def test_the_tables_hold_every_row_and_claim(tmp_path):
    """What is written names each source, each claim and the command."""
    options = argparse.Namespace(command="python -m x", fold="development", results=tmp_path)
    text = report.write({writer: _Everything(writer) for writer in (1, 6, 11)}, options)
    assert text == (tmp_path / "development.md").read_text()
    document = json.loads((tmp_path / "development.json").read_text())
    assert {row["row"] for row in document["rows"]} == set(range(1, 8))
    assert len(document["claims"]) == 2 * len(claims.CLAIMS)
    assert text.count("| 20 | beats traditional augmentation |") == 1
    assert all(each["verdict"] in text for each in document["claims"])
    assert "python -m x" in text


def test_a_veil_hides_what_can_be_steered(random):
    """Pictures by different pens, leaning or not, are shown with one pen and one slant."""
    bundled = load_bundled()
    plain = np.repeat(bundled.images[bundled.labels == 3][2:3], 20, axis=0)
    pen = {"thickness": Target(1.5, 1.5, True), "slant": Target(15, 15, True)}
    pictures = np.concatenate([plain, Bending().bend(plain, pen, np.zeros(20))])
    data = WriterDigits(Digits(pictures, np.zeros(40, np.uint8)), np.arange(40, dtype=np.int32))
    veil = Veil(middle(data, random))

    shown = [veil(pictures, data.digits.labels), veil(pictures, data.digits.labels, random)]

    before, *after = (
        Bending().attributes((images / 255).astype(np.float32)) for images in (pictures, *shown)
    )
    assert (np.ptp(before[:, :2], axis=0) > (1, 10)).all()
    for measured in after:
        assert (np.ptp(measured[:, :2], axis=0) < (0.3, 2)).all()
    assert (shown[0] != shown[1]).any(axis=(1, 2)).all()  # the latter were turned first


def test_judges_come_back_as_they_were_trained(random, tmp_path):
    """Written and read, they answer the same; training is not done twice; a missing one is told."""
    count = 600
    digits = Digits(
        random.integers(0, 256, (count, 28, 28), dtype=np.uint8),
        np.repeat(np.arange(10, dtype=np.uint8), count // 10),
    )
    data = WriterDigits(digits, np.tile(np.arange(10, dtype=np.int32), count // 10))
    config = JudgeConfig(2, 8, 2, 2, BatchConfig(2, 3, 2))
    figures = train_judges(data, config, tmp_path)
    written = (tmp_path / "hand.npz").stat().st_mtime_ns
    assert train_judges(data, config, tmp_path) == figures
    assert (tmp_path / "hand.npz").stat().st_mtime_ns == written
    judges = load_judges(tmp_path)
    features = judges.features(digits.images[:5])
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    assert set(judges.digits(digits.images)) <= set(range(10))
    assert judges.passes_veiled(digits.images[:1], digits.images[0], 0) == 1
    with pytest.raises(TrainingError, match=r"settings\.json: a run with other settings"):
        train_judges(data, replace(config, hand_steps=9), tmp_path)
    (tmp_path / "figures.json").unlink()
    with pytest.raises(WeightsError, match=r"figures\.json: .* judge --mnist"):
        load_judges(tmp_path)
    (tmp_path / "digit.npz").unlink()
    with pytest.raises(WeightsError, match=r"digit\.npz: no judge .* judge --mnist"):
        load_judges(tmp_path)


def test_folders_of_data_are_not_told():
    """Whichever way they are given."""
    given = ["run", "--mnist=/home/me/mnist", "--qmnist", "/home/me/qmnist", "--writers", "8"]

    shown = published(given, ("mnist", "qmnist"))

    assert shown == ["run", "--mnist=MNIST", "--qmnist", "QMNIST", "--writers", "8"]
