"""One verdict for several pictures taken as written by one hand."""

import numpy as np

from serving.model import Verdicts

__all__ = ["fuse"]

# A probability of exactly 0 would let one picture veto all others.
_LEAST = 1e-7


def fuse(verdicts: Verdicts) -> Verdicts:
    """Return a single verdict, shapes (1, 3) and (1,), for all n pictures.

    With equal priors p(class | x1..xn) is proportional to the product of the p(class | xi), as
    long as the pictures are independent given the class (naive Bayes). Log-likelihood ratios
    then add. One picture keeps its own verdict to the bit.
    """
    if len(verdicts.llr) == 1:
        return verdicts
    logs = np.log(np.clip(verdicts.probabilities.astype(np.float64), _LEAST, 1)).sum(axis=0)
    weights = np.exp(logs - logs.max())
    probabilities = weights / weights.sum()
    llr = verdicts.llr.astype(np.float64).sum(keepdims=True)
    return Verdicts(probabilities[None].astype(np.float32), llr.astype(np.float32))
