"""The learned stroke width: near the stick, never far from the line, trained from what is kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import stroke
from training.attributes import outline
from training.data import Digits, load_bundled
from training.errors import TrainingError
from training.morphometry import measure
from training.steer import Steer
from training.stroke import train
from training.stroke.network import StrokeConfig, StrokeWidth, build, line
from training.stroke.pictures import KINDS, PicturesConfig, make
from training.trials import WriterDigits

SMALL = train.TrainConfig(pictures=PicturesConfig(parts=2, each=60), fits=(train.FitConfig(1, 16),))


@pytest.fixture(scope="module")
def writers() -> WriterDigits:
    bundled = load_bundled()
    images, labels = bundled.images[::25], bundled.labels[::25]
    return WriterDigits(Digits(images, labels), np.arange(len(labels), dtype=np.int32))


def measured(network: StrokeWidth, pixels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(pixels, pixels.sum(dim=(1, 2)), outline(pixels))


def test_steered_pictures_are_measured_nearer_than_by_the_line():
    images = load_bundled().images[7::50]
    pixels = torch.from_numpy(images).float() / 255
    pen = torch.linspace(-1.0, 2.0, len(images))
    with torch.inference_mode():
        steered, _ = Steer()(pixels, torch.eye(2).repeat(len(images), 1, 1), pen)
        rough = line(steered.sum(dim=(1, 2)), outline(steered)).numpy()
    found = measured(stroke.load(), steered).numpy()
    stick = measure((steered.numpy() * 255).round().astype(np.uint8)).thickness
    assert np.square(found - stick).mean() < 0.6 * np.square(rough - stick).mean()
    assert np.abs(found - stick).mean() < 0.1


def test_what_is_no_digit_is_measured_about_as_by_the_line():
    torch.manual_seed(0)
    pixels = torch.cat([torch.rand(4, 28, 28), torch.zeros(1, 28, 28), torch.ones(1, 28, 28)])
    rough = line(pixels.sum(dim=(1, 2)), outline(pixels))
    network = StrokeWidth(StrokeConfig())
    for parameter in network.parameters():
        parameter.data.mul_(1e3)
    assert ((measured(network, pixels) - rough).abs() <= 1 + 1e-4).all()


def test_pictures_are_of_all_kinds_and_measured_as_they_are(writers: WriterDigits):
    made = make(writers, PicturesConfig(shares=(0.3, 0.3, 0.4)), np.random.default_rng(0))
    assert set(made.kinds) == set(range(len(KINDS)))
    np.testing.assert_allclose(made.widths, measure(made.images).thickness, rtol=1e-6)
    scanned = made.images[made.kinds == 0]
    known = {image.tobytes() for image in writers.digits.images}
    assert all(image.tobytes() in known for image in scanned)


def test_a_run_keeps_what_it_measured_and_goes_on(writers: WriterDigits, tmp_path: Path):
    out = train.train_stroke(writers, SMALL, tmp_path / "run", seed=3)
    first = (out / "weights.npz").read_bytes()
    figures = json.loads((out / "figures.json").read_text())
    assert set(figures) == set(KINDS)
    assert all("network R2" in each for each in figures.values())
    kept = np.concatenate([np.load(path)["writers"] for path in out.glob("measured-*.npz")])
    assert len(kept) > 60
    assert not (kept % 5 == 0).any()  # no validation writer

    (out / "weights.npz").unlink()
    measured_at = {path: path.stat().st_mtime_ns for path in out.glob("measured-*.npz")}
    train.train_stroke(writers, SMALL, out, seed=3)
    assert measured_at == {path: path.stat().st_mtime_ns for path in out.glob("measured-*.npz")}
    assert (out / "weights.npz").read_bytes() == first
    assert stroke.load(out).config == SMALL.network
    with pytest.raises(TrainingError, match="other settings"):
        train.train_stroke(writers, replace(SMALL, knee=0.2), out, seed=3)


@pytest.mark.parametrize("change", [{"maps": [4]}, {"maps": [0, 4]}, {"hidden": 999}, {"more": 1}])
def test_an_unknown_configuration_is_refused(change):
    with pytest.raises((TypeError, ValueError)):
        build({"maps": [2, 4], "hidden": 4} | change)


def test_a_configuration_without_maps_is_refused():
    with pytest.raises(KeyError, match="maps"):
        build({"hidden": 4})
