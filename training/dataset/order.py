"""What is asked for: everything that decides the bytes of a data set, and nothing else."""

import math
from dataclasses import dataclass
from fractions import Fraction

from serving.steering import RANGES
from training.dataset.errors import DatasetError

BLOCK = 4096
"""Pictures that are drawn and written together: a multiple of every batch size of the model."""

PART = 256
"""Pictures drawn between two signs of life: a span of the model, else parts would cost twice."""

MAX_COUNT = 10**9
MAX_TEMPERATURE = 3.0
_MAX_DENOMINATOR = 10**6


@dataclass(frozen=True)
class Hand:
    """The bundle that draws.

    Attributes:
        profile: its name.
        version: 12 hex digits.
        digest: SHA-256 of its manifest, lower-case hex.
        digit: what it writes, 0 to 9; the label of every picture.
        latent_size: dimensions z of its latent space.
    """

    profile: str
    version: str
    digest: str
    digit: int
    latent_size: int


@dataclass(frozen=True)
class Span:
    """Values of one attribute, evenly likely.

    Attributes:
        name: of the attribute.
        least: in its unit.
        most: in its unit.
    """

    name: str
    least: float
    most: float


@dataclass(frozen=True)
class Order:
    """One data set.

    Attributes:
        hand: whose.
        count: number of pictures, 1 to 10**9.
        format: ``idx``, ``npz`` or ``png``.
        gzip: compress the files; idx only.
        seed: of all chance, 0 to 2**64 - 1.
        temperature: factor on the noise of the prior, 0 to 3.
        validation: share of the pictures that is kept apart, at least 0 and below 1.
        spans: of the attributes that are drawn for each picture; others are left to the hand.
    """

    hand: Hand
    count: int
    format: str = "png"
    gzip: bool = False
    seed: int = 0
    temperature: float = 1.0
    validation: Fraction = Fraction(0)
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            DatasetError: names the option, what was expected and what was found.
        """
        if not 1 <= self.count <= MAX_COUNT:
            raise DatasetError(f"count: expected 1 to {MAX_COUNT}, found {self.count}")
        if not 0 <= self.seed < 2**64:
            raise DatasetError(f"seed: expected 0 to 2**64 - 1, found {self.seed}")
        if not 0 <= self.temperature <= MAX_TEMPERATURE:  # NaN is refused too
            raise DatasetError(
                f"temperature: expected 0 to {MAX_TEMPERATURE:g}, found {self.temperature:g}"
            )
        if self.gzip and self.format != "idx":
            raise DatasetError(f"gzip: only for the format idx, found {self.format}")
        for span in self.spans:
            bounds = RANGES[span.name]
            if not bounds.least <= span.least <= span.most <= bounds.most:
                raise DatasetError(
                    f"{span.name}: expected two values, the least first, from {bounds.least:g} to "
                    f"{bounds.most:g}, found {span.least:g} and {span.most:g}"
                )
        self._check_validation()

    def _check_validation(self) -> None:
        share = self.validation
        if not 0 <= share < 1 or share.denominator > _MAX_DENOMINATOR:
            raise DatasetError(
                "validation: expected a share of at least 0 and below 1, with at most six "
                f"decimals, found {share}"
            )
        if share and not math.floor(share * self.count):
            raise DatasetError(
                f"validation: {share} of {self.count} is less than one picture; ask for more "
                "pictures, a larger share, or 0"
            )

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.count // BLOCK)

    def rows(self, block: int) -> range:
        """Return the numbers of the pictures of a block, counted from 0."""
        return range(self.pictures(block), self.pictures(block + 1))

    def pictures(self, blocks: int) -> int:
        """Return the number of pictures in the first blocks."""
        return min(blocks * BLOCK, self.count)
