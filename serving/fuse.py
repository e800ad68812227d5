"""One verdict for several pictures taken as written by one hand."""

from collections.abc import Sequence

import numpy as np

from serving.model import Verdicts

__all__ = ["fuse"]

# A probability of exactly 0 would let one picture veto all others.
_LEAST = 1e-7


def fuse(verdicts: Verdicts, priors: Sequence[float]) -> Verdicts:
    """Return a single verdict, shapes (1, 3) and (1,), for all n pictures.

    p(class | x1..xn) is proportional to the product of the p(class | xi) / p(class), times
    p(class), as long as the pictures are independent given the class (naive Bayes).
    Log-likelihood ratios then add. One picture keeps its own verdict to the bit.

    Args:
        verdicts: of n pictures.
        priors: p(class) for which the verdicts stand, three numbers above 0.
    """
    if len(verdicts.llr) == 1:
        return verdicts
    prior = np.log(np.asarray(priors, dtype=np.float64))
    posteriors = np.log(np.clip(verdicts.probabilities.astype(np.float64), _LEAST, 1))
    logs = (posteriors - prior).sum(axis=0) + prior
    weights = np.exp(logs - logs.max())
    probabilities = weights / weights.sum()
    llr = verdicts.llr.astype(np.float64).sum(keepdims=True)
    return Verdicts(probabilities[None].astype(np.float32), llr.astype(np.float32))
