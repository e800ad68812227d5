"""How crowded it is where a hand lies, and what a cosine is worth there.

Some pictures lie near everybody's and have high cosines with all hands, others lie apart. Cosines
with other writers' pictures of the digit, the crowd, show which, and are taken off (cohort
normalisation on both sides, the S-norm of Shum et al. 2010). The temperature is that of the loss
that the base learned from, where the same sum over other pictures is the denominator: what remains
is the mean log-probability that the picture is found among the crowd by the hand, and the hand by
the picture.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor

from training.base.contrast import TEMPERATURE
from training.trials import WriterDigits

_ROUNDS = 20


def crowding(embeddings: Tensor, crowd: Tensor) -> Tensor:
    """Return the soft maximum of the cosines with a crowd (k, e), (n,) for unit vectors (n, e)."""
    # Not ``embeddings @ crowd.T``: the exporter would keep the transposed crowd of one hand.
    cosines = F.linear(embeddings, crowd)
    return TEMPERATURE * torch.logsumexp(cosines / TEMPERATURE, dim=-1)


def score(embeddings: Tensor, hand: Tensor, crowd: Tensor, crowded: Tensor) -> Tensor:
    """Return how much nearer pictures lie to a hand than to a crowd, (n,).

    Args:
        embeddings: of the pictures, unit vectors (n, e).
        hand: unit vector (e,).
        crowd: unit vectors (k, e).
        crowded: ``crowding`` of the hand, which is the same for all pictures.
    """
    expected = (crowding(embeddings, crowd) + crowded) / 2
    return embeddings @ hand - expected


def gather(
    data: WriterDigits,
    embeddings: NDArray[np.floating],
    digit: int,
    places: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the places (places, e), unit vectors, about which the writers of a digit lie.

    Args:
        data: pictures of at least so many writers.
        embeddings: of these pictures (n, e).
        digit: which of them count.
        places: how many; each writer weighs the same, and they are grouped by k-means.
        random: draws the first places.
    """
    rows = data.digits.labels == digit
    writers, theirs = np.unique(data.writers[rows], return_inverse=True)
    middles = np.zeros((len(writers), embeddings.shape[1]))
    np.add.at(middles, theirs, embeddings[rows])
    found, _ = kmeans2(_unit(middles), places, iter=_ROUNDS, minit="++", rng=random)
    return _unit(found)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths
