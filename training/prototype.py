"""The classifier of one hand on top of the base: where the hand lies, and how to read distances.

Nothing is trained here. The enrolled pictures, and what the stages before made of them, are
placed by the base; their weighted mean is the prototype (the imprinted weight of Qi, Brown and
Lowe 2018, arXiv:1712.07136). A cosine with it, less what cosines are worth among the crowd of other
hands, becomes a likelihood ratio by the base's calibration, and the base's digit head says whether
the picture shows the digit at all. An enrolled hand is thus 128 numbers.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.base import Pretrained
from training.base.crowd import crowding, score
from training.base.network import Base, embed
from training.config import PrototypeConfig
from training.data import DIGITS
from training.synthesize import Images

# The classifier decides between equally likely classes: the base was calibrated so.
PRIORS = (1 / 3, 1 / 3, 1 / 3)
# Of what is "other" one half is likely to be another digit, any of the nine, one half no digit.
_OTHER_DIGIT, _NO_DIGIT = PRIORS[2] / 2 / (DIGITS - 1), PRIORS[2] / 2
# How much likelier than not an enrolled picture must be the digit; its writer says that it is.
_SURE = 1.5
_MOST_TRUST = 5.0  # of a picture that is no such digit at all, nothing is believed
# So far below the others a logit counts for nothing among them.
_LEFT_OUT = 1e9


class PrototypeClassifier(nn.Module):
    """The base, one prototype, and one line from score to likelihood ratio.

    Attributes:
        base: shared by all hands.
        digit: the enrolled one, 0 to 9.
        is_digit: (11,), 1 at the enrolled digit. The graph is the same for all digits.
        left_out: (11,), what takes the enrolled digit's logit out of a sum of exponentials, and
            makes the others count as they are likely; see ``_unlikelier``.
        prototype: unit vector (e,).
        crowd: unit vectors (k, e), where other hands lie that draw the digit.
        crowded: how near the prototype lies to them; see ``crowding``.
        slope: of the likelihood ratio over the score.
        offset: of the same.
        trust: added to the digit's log-odds, so that enrolled pictures pass for it.
    """

    is_digit: Tensor
    left_out: Tensor
    prototype: Tensor
    crowd: Tensor
    crowded: Tensor
    slope: Tensor
    offset: Tensor
    trust: Tensor

    def __init__(
        self, base: Base, digit: int, prototype: Tensor, slope: float, offset: float
    ) -> None:
        super().__init__()
        self.base = base
        self.digit = digit
        is_digit = F.one_hot(torch.tensor(digit), DIGITS + 1).float()
        self.register_buffer("is_digit", is_digit)
        self.register_buffer("left_out", _unlikelier() + _LEFT_OUT * is_digit)
        self.register_buffer("prototype", F.normalize(prototype, dim=0))
        self.register_buffer("crowd", base.crowd_of(digit).clone())
        self.register_buffer("crowded", crowding(self.prototype, self.crowd))
        self.register_buffer("slope", torch.tensor(slope))
        self.register_buffer("offset", torch.tensor(offset))
        self.register_buffer("trust", torch.zeros(()))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (n, 3), in the order of ``bundle.LABELS``, for pixels (n, 28, 28).

        With p the probability of the enrolled digit and s the logistic function, their softmax is
        ``p s(llr), p s(-llr), 1 - p``. The first two differ by exactly the likelihood ratio, and
        no logarithm of a small probability is ever taken.
        """
        embedding, digits = self.base(pixels)
        llr = self.slope * self.score(embedding) + self.offset  # (n,)
        against = self.against(digits) - self.trust  # log((1 - p) / p)
        return torch.stack([llr, torch.zeros_like(llr), F.softplus(llr) + against], dim=1)

    def score(self, embedding: Tensor) -> Tensor:
        """Return the score (n,) of unit embeddings (n, e); see ``training.base.crowd``."""
        return score(embedding, self.prototype, self.crowd, self.crowded)

    def against(self, digits: Tensor) -> Tensor:
        """Return the log-odds (n,) that a picture is not the digit, for digit logits (n, 11)."""
        return torch.logsumexp(digits - self.left_out, dim=1) - digits @ self.is_digit

    def feature_maps(self, pixels: Tensor) -> list[Tensor]:
        """Return what each convolution of the base sees; see ``Base.feature_maps``."""
        return self.base.feature_maps(pixels)


def taken_for(pretrained: Pretrained, digit: int, forms: Images) -> list[int]:
    """Return what the base takes each picture for, 10 = no digit; the digit where it may be one.

    Args:
        pretrained: the base.
        digit: what the pictures are said to show.
        forms: uint8 (n, 28, 28), in MNIST form.
    """
    logits = embed(pretrained.network.folded(), forms)[1].astype(np.float64)
    said = logits[:, digit].copy()
    logits[:, digit] = -np.inf
    against = np.logaddexp.reduce(logits, axis=1) - said
    hopeless = against + math.log(_SURE) > _MOST_TRUST
    return [int(found) for found in np.where(hopeless, logits.argmax(axis=1), digit)]


def _unlikelier() -> Tensor:
    """Return by what log-odds each kind of picture (11,) is less likely than the enrolled digit.

    The digit head holds all of its kinds for equally likely, the decision does not: two thirds of
    what it is asked about show the digit (Bayes' rule; Saerens et al. 2002).
    """
    likely = torch.tensor([_OTHER_DIGIT] * DIGITS + [_NO_DIGIT])
    return ((PRIORS[0] + PRIORS[1]) / likely).log()


def imprint(
    pretrained: Pretrained,
    digit: int,
    images: Mapping[str, Images],
    config: PrototypeConfig,
) -> PrototypeClassifier:
    """Return the classifier of a hand.

    Args:
        pretrained: the base.
        digit: the enrolled one.
        images: ``forms``, ``variations`` and ``samples``, each uint8 (n, 28, 28), in MNIST form.
        config: what each of these groups counts.
    """
    weights = {"forms": config.forms, "variations": config.variations, "samples": config.samples}
    network = pretrained.network.folded()
    prototype = torch.zeros(network.config.embedding)
    for name, weight in weights.items():
        if weight:
            prototype += weight * torch.from_numpy(embed(network, images[name])[0].mean(axis=0))
    slope, offset = pretrained.calibration.line(digit, len(images["forms"]))
    classifier = PrototypeClassifier(network, digit, prototype, slope, offset).eval()
    with torch.inference_mode():
        against = classifier.against(torch.from_numpy(embed(network, images["forms"])[1]))
    classifier.trust.fill_((against.max() + math.log(_SURE)).clamp(0.0, _MOST_TRUST))
    return classifier
