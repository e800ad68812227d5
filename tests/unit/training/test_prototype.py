"""The classifier on top of the base: its algebra, by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.enrolments import background
from training import base, prototype
from training.base.network import Base, NetworkConfig, embed
from training.config import PrototypeConfig
from training.data import load_bundled
from training.export import ClassifierGraph
from training.prototype import PrototypeClassifier, imprint, taken_for

FORMS = background().images[40:42]  # 2s


class Fixed(Base):
    """A base that says the same of every picture."""

    def __init__(self, embedding: list[float], digits: list[float]) -> None:
        super().__init__(NetworkConfig(stem=1, middle=1, wide=1, embedding=2, hidden=1, crowd=1))
        self.crowd[2] = torch.tensor([0.0, 1.0])
        self.answer = torch.tensor([embedding]), torch.tensor([digits])

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fixed answer."""
        return self.answer


def judged(embedding: list[float], digits: list[float]) -> tuple[np.ndarray, float]:
    """Return probabilities and ratio for a hand at (1, 0), a crowd at (0, 1), llr = 10 s - 5."""
    network = PrototypeClassifier(Fixed(embedding, digits), 2, torch.tensor([3.0, 0.0]), 10.0, -5.0)
    with torch.inference_mode():
        probabilities, llr = ClassifierGraph(network, prototype.PRIORS)(
            torch.zeros(1, 28, 28, dtype=torch.uint8)
        )
    return probabilities[0].numpy(), llr.item()


def test_by_hand() -> None:
    """Cosine 0.6, less half of 0.8 and of 0, is llr -3; the digit has 3 of 3.5 shares.

    Were all eleven kinds alike, it would have 3 of 13. But 4 in 6 pictures show the digit, 1 in 6
    one of the nine others, and 1 in 6 none: 3 shares, 9 / 36 and 1 / 4.
    """
    digits = [0.0] * 11
    digits[2] = float(np.log(3))
    own = 1 / (1 + np.exp(3))

    probabilities, llr = judged([0.6, 0.8], digits)

    assert llr == pytest.approx(-3, abs=1e-5)
    expected = [3 / 3.5 * own, 3 / 3.5 * (1 - own), 0.5 / 3.5]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)


@pytest.mark.parametrize("certainty", [-1e30, -1e4, 0.0, 1e4, 1e30])
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_absurd_certainty_stays_finite(certainty: float, direction: float) -> None:
    """Whatever the heads say, probabilities add up to one and the ratio is that of the cosine."""
    digits = [0.0] * 11
    digits[2] = certainty

    probabilities, llr = judged([direction, 0.0], digits)

    assert np.isfinite(probabilities).all()
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert llr == 10 * direction - 5


@pytest.mark.parametrize("value", [0, 1, 255])
def test_empty_and_full_fields_are_no_digit(value: int) -> None:
    """Blank paper and spilt ink get finite answers, and are called other."""
    network = imprint(base.load(), 2, {"forms": FORMS}, PrototypeConfig())
    images = torch.full((1, 28, 28), value, dtype=torch.uint8)

    with torch.inference_mode():
        probabilities, llr = ClassifierGraph(network, prototype.PRIORS)(images)

    assert torch.isfinite(llr).all()
    assert probabilities.argmax().item() == 2


def test_the_prototype_is_the_weighted_mean() -> None:
    """Groups are averaged first, then weighted, then brought to length one."""
    pretrained = base.load()
    images = {
        "forms": FORMS,
        "variations": background().images[42:45],
        "samples": background().images[45:50],
    }

    network = imprint(pretrained, 2, images, PrototypeConfig(1.0, 0.5, 2.0))

    means = [embed(pretrained.network, group)[0].mean(axis=0) for group in images.values()]
    expected = means[0] + 0.5 * means[1] + 2 * means[2]
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(network.prototype.numpy(), expected, atol=1e-5)
    assert (network.slope.item(), network.offset.item()) == pytest.approx(
        pretrained.calibration.line(2, 2)
    )


def test_the_enrolled_forms_are_own_and_other_digits_are_other() -> None:
    """The enrolled pictures come out on top, other digits are told from the digit."""
    graph = ClassifierGraph(
        imprint(base.load(), 2, {"forms": FORMS[:1]}, PrototypeConfig()), prototype.PRIORS
    )
    digits = background()

    with torch.inference_mode():
        own, _ = graph(torch.from_numpy(FORMS[:1]))
        other, _ = graph(torch.from_numpy(digits.images[digits.labels != 2]))

    assert own.argmax().item() == 0
    assert (other.argmax(dim=1) == 2).float().mean() > 0.97


def test_an_oddly_drawn_digit_is_own_when_it_is_enrolled() -> None:
    """Its writer says what it is, and is believed; clear other digits still do not pass."""
    digits = load_bundled()
    twos = digits.images[digits.labels == 2]
    pretrained = base.load()
    logits = torch.from_numpy(embed(pretrained.network.folded(), twos)[1])
    share = logits.softmax(dim=1)[:, 2]
    doubted = (share > 0.01) & (share < 0.05)
    odd = twos[doubted.numpy()][:1]
    network = imprint(pretrained, 2, {"forms": odd}, PrototypeConfig())
    with torch.inference_mode():
        own = network(torch.from_numpy(odd).float() / 255).argmax(dim=1)
        others = network(torch.from_numpy(digits.images[digits.labels == 5]).float() / 255)

    assert 0 < network.trust <= 5
    assert own.tolist() == [0]
    assert (others.argmax(dim=1) == 2).float().mean() > 0.97


def test_what_is_plainly_another_digit_is_known() -> None:
    """And an odd one of the right digit is not taken for another."""
    digits = load_bundled()
    sevens = digits.images[digits.labels == 7]

    assert set(taken_for(base.load(), 7, sevens)) == {7}
    assert np.mean(np.array(taken_for(base.load(), 2, sevens)) == 7) > 0.95
    assert taken_for(base.load(), 2, np.zeros((1, 28, 28), np.uint8)) == [10]
