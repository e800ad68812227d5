"""The 20 things that a notebook claimed for its autoencoder over plain augmentation, measured.

Each claim gets one measure that could have gone either way, for augmentation and for the
autoencoders alike, on the same writers and the same number of pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.variants.figures import (
    Figure,
    Record,
    estimate,
    mean,
    minus,
    region_error,
    spread_error,
    spread_ratio,
)
from benchmarks.variants.sources import AUGMENT, SHIPPED, UNGATED, VAES
from benchmarks.variants.study import FADE, PCA
from training.metrics import Estimate

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be said"


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        number: in the notebook's order.
        says: the claim, in short.
        measure: what is compared, in words.
        figure: of a source.
        more: whether more is better.
        against: what stands for augmentation in it.
    """

    number: int
    says: str
    measure: str
    figure: Callable[[str], Figure]
    more: bool = True
    against: str = AUGMENT


@dataclass(frozen=True)
class Verdict:
    """What became of a claim for one autoencoder.

    Attributes:
        claim: the claim.
        source: the autoencoder.
        baseline: the figure of augmentation, or of what stands for it.
        found: the autoencoder's.
        ahead: the difference on the same writers, positive = the autoencoder is better.
    """

    claim: Claim
    source: str
    baseline: Estimate
    found: Estimate
    ahead: Estimate

    @property
    def word(self) -> str:
        """Return ``holds``, ``does not hold`` or ``cannot be said``, by the interval."""
        if self.ahead.low > 0:
            return HOLDS
        return FAILS if self.ahead.high < 0 else OPEN


def _mean(key: str) -> Callable[[str], Figure]:
    return lambda source: mean(f"{key}/{source}")


def _drawing(source: str) -> Figure:
    """Return seconds for 1,000 pictures; the gate's share is the serving benchmark's to tell."""
    return mean(f"seconds/{UNGATED if source == SHIPPED else source}")


def _off_spread(source: str) -> Figure:
    ratio = spread_ratio(source)
    return lambda records: abs(ratio(records) - 1)


CLAIMS = (
    Claim(1, "captures the data distribution",
          "distance of distributions (squared MMD) between variants and the writer's real "
          "pictures, in the hand judge's features", _mean("discrepancy"), more=False),
    Claim(2, "more diverse and realistic",
          "density: in how many real pictures' neighbourhoods a variant lies (realistic)",
          _mean("density")),
    Claim(2, "more diverse and realistic",
          "how far the spread of the variants is from that of real pictures, as a share (diverse)",
          _off_spread, more=False),
    Claim(3, "smooth interpolation",
          "largest step over mean step from one real picture to another, in the hand judge's "
          "features; beside it a plain cross-fade", _mean("jump-features"), more=False,
          against=FADE),
    Claim(4, "better generalisation",
          "AUC on the writer's real pictures of a network trained on the variants alone",
          _mean("cnn")),
    Claim(5, "handles noise and uncertainty",
          "the same with Gaussian noise on what is shown", _mean("cnn-noisy")),
    Claim(6, "compact representation",
          "error of real pictures rebuilt from the latent numbers (RMS of grey); beside it 32 "
          "principal components of the augmentations", _mean("missed"), more=False, against=PCA),
    Claim(7, "controlled generation by latent dimension",
          "share of an attribute's variance that the best single number explains: a latent "
          "dimension, or a parameter of the augmentation", _mean("knob")),
    Claim(8, "helps class imbalance",
          "mean recall of own and others' pictures where one picture stands against 2,000",
          _mean("cnn-balanced")),
    Claim(9, "learns end to end",
          "error of the spread of thickness, slant, width and height against real pictures, in "
          "doublings: set by hand in the augmentation, learned in an autoencoder", spread_error,
          more=False),
    Claim(10, "scales to many images",
          "seconds for 1,000 pictures on one core, without what is done once for a hand",
          _drawing, more=False),
    Claim(11, "interpretable latent space",
          "R2 of a straight line from all the numbers to the attributes, on unseen pictures",
          _mean("linear")),
    Claim(12, "ignores outliers",
          "share that shows the digit after enrolling four pictures of it and one of another",
          _mean("spoiled")),
    Claim(13, "reconstruction and generation in one",
          "error of rebuilding the writer's other pictures (RMS of grey); beside it the nearest "
          "of 100 augmentations", _mean("missed"), more=False),
    Claim(14, "works from very little data",
          "coverage of the writer's real pictures from one picture, k = 5", _mean("coverage")),
    Claim(15, "disentangles attributes (rotation, thickness)",
          "lead of the best single number over the second best, for slant and thickness",
          _mean("apart")),
    Claim(16, "less overfitting",
          "recall on the training pictures minus recall on real ones", _mean("cnn-gap"),
          more=False),
    Claim(17, "a probabilistic account of variability",
          "how far the share of real pictures inside the variants' 90 % region is from 90 %",
          region_error, more=False),
    Claim(18, "a more robust model",
          "AUC of that network where pictures are blurred, turned or moved", _mean("cnn-changed")),
    Claim(19, "style transfer and editing",
          "own-score of other people's pictures after they were put into the hand",
          _mean("transfer-own")),
    Claim(20, "beats traditional augmentation",
          "AUC of a logistic head on the base's frozen features",
          _mean("head")),
)  # fmt: skip


def verdicts(records: Mapping[int, Record]) -> list[Verdict]:
    """Return every measure of every claim for every autoencoder, in order."""
    return [_judge(records, claim, source) for claim in CLAIMS for source in VAES]


def overall(found: list[Verdict], number: int, source: str) -> str:
    """Return the verdict on a claim: it holds if every measure of it does."""
    words = {v.word for v in found if v.claim.number == number and v.source == source}
    if FAILS in words:
        return FAILS
    return HOLDS if words == {HOLDS} else OPEN


def _judge(records: Mapping[int, Record], claim: Claim, source: str) -> Verdict:
    first, second = claim.figure(source), claim.figure(claim.against)
    ahead = minus(first, second) if claim.more else minus(second, first)
    return Verdict(
        claim=claim,
        source=source,
        baseline=estimate(records, second),
        found=estimate(records, first),
        ahead=estimate(records, ahead),
    )
