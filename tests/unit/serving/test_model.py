"""The model's own checks, against the tiny linear bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import bundle
from serving.errors import ModelFault
from serving.model import Model
from tests import bundles


@pytest.fixture(scope="module")
def model(hands: Path) -> Model:
    """The model of the tiny profile."""
    return Model(bundle.load(bundle.discover(hands)["tiny"]))


def test_classify_is_softmax_of_a_linear_layer(model: Model) -> None:
    """Numpy computes the same probabilities and ratios, across chunks."""
    images = np.random.default_rng(5).integers(0, 256, (150, 28, 28), dtype=np.uint8)
    logits = images.reshape(150, 784) / 255 @ bundles.make_weights(0)["classify"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))

    verdicts = model.classify(images)

    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(verdicts.probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(verdicts.llr, logits[:, 0] - logits[:, 1], atol=1e-4)


def test_encode_gives_standard_deviations(model: Model) -> None:
    """The deviation is the root of the variance whose log the graph gives."""
    image = np.full((1, 28, 28), 200, np.uint8)
    flat = image.reshape(1, 784) / 255
    weights = bundles.make_weights(0)

    posterior = model.encode(image)

    np.testing.assert_allclose(posterior.mean, flat @ weights["mean"], atol=1e-5)
    variance = np.exp(flat @ weights["spread"])
    np.testing.assert_allclose(posterior.deviation, np.sqrt(variance), rtol=1e-5)
    np.testing.assert_allclose(posterior.own, flat @ weights["own"], atol=1e-5)


def test_decode_draws_and_measures(model: Model) -> None:
    """Pixels and what they measure are those that numpy computes."""
    latent = np.array([[0.1, -0.2, 0.3, 0.4], [1, 1, -1, 0]], np.float32)
    weights = bundles.make_weights(0)
    pixels = 1 / (1 + np.exp(-(latent @ weights["draw"] + weights["ink"])))

    decoded = model.decode(latent)

    np.testing.assert_allclose(decoded.pixels.reshape(2, 784), pixels, atol=1e-5)
    np.testing.assert_allclose(decoded.attributes, bundles.measured_by_numpy(pixels), atol=1e-3)


def test_doubt_is_of_the_point_alone(model: Model) -> None:
    """It is what numpy computes from where the point lies."""
    latent = np.array([[0.1, -0.2, 0.3, 0.4], [1, 1, -1, 0]], np.float32)
    logits = latent @ bundles.make_weights(0)["doubt"]

    np.testing.assert_allclose(model.doubt(latent), 1 / (1 + np.exp(-logits[:, 0])), atol=1e-5)


def test_steer_shows_at_p_what_was_at_matrix_p(model: Model) -> None:
    """The convention of the matrix: seen from the middle of the ink, x to the right, y down."""
    pixels = np.zeros((1, 28, 28), np.float32)
    pixels[0, 8:19, 8:19] = 0.5  # the middle is at 13
    pixels[0, 13, 13] = 1
    pixels[0, 10, 15] = 0.9  # 2 to the right and 3 up, and its opposite
    pixels[0, 16, 11] = 0.9
    quarter = np.array([[[0, 1], [-1, 0]]], np.float32)  # (3, 2) comes from (2, -3)

    steered = model.steer(pixels, quarter, np.zeros(1, np.float32))

    assert steered.pixels[0, 13 + 2, 13 + 3] == pytest.approx(0.9, abs=0.01)
    assert steered.pixels[0, 13 - 2, 13 + 3] == pytest.approx(0.5, abs=0.01)
    assert steered.attributes.shape == (1, 4)


def test_answer_that_is_no_number(model: Model, hands: Path) -> None:
    """An output that is not finite is a fault of the model, named by file and output.

    Callers hear of it, and so nothing of where the file lies.
    """
    version = bundle.discover(hands)["tiny"].name

    with pytest.raises(ModelFault) as fault:
        model.decode(np.full((1, 4), np.nan, np.float32))

    assert str(fault.value) == (
        f"tiny/{version}/decoder.onnx: pixels: expected finite numbers, found others"
    )


def test_answer_of_another_shape(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """An output with another number of rows than the input is a fault of the model."""

    class Short:
        def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
            return [np.zeros((1, 3), np.float32), np.zeros(1, np.float32)]

    monkeypatch.setattr(model._classifier, "_session", Short())

    with pytest.raises(ModelFault, match=r"probabilities: expected shape \(2, 3\)"):
        model.classify(np.zeros((2, 28, 28), np.uint8))
