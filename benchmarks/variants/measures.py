"""What is measured on sets of pictures, as plain functions of arrays.

``features`` are unit vectors of the hand judge, shape (n, e); ``real`` are a writer's own other
pictures, ``made`` the variants, ``form`` the one enrolment picture, (e,).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Images = NDArray[np.uint8]
Floats = NDArray[np.floating]

NEIGHBOURS = 5


def variance(features: Floats) -> float:
    """Return the mean squared distance to the mean, with n - 1 for n: the square of the spread."""
    return float(np.var(features, axis=0, ddof=1).sum())


def coverage(real: Floats, made: Floats, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of real pictures with a variant in their neighbourhood.

    The neighbourhood of a real picture is a ball as large as the distance to its k-th nearest
    among the writer's other real pictures (Naeem et al. 2020, arXiv:2002.09797).
    """
    distances = cdist(real, made)
    return float((distances.min(axis=1) <= _radii(real, neighbours)).mean())


def density(real: Floats, made: Floats, neighbours: int = NEIGHBOURS) -> float:
    """Return in how many of these balls a variant lies, over k; about 1 for equal distributions."""
    inside = cdist(real, made) <= _radii(real, neighbours)[:, None]
    return float(inside.sum(axis=0).mean() / neighbours)


def _radii(real: Floats, neighbours: int) -> NDArray[np.float64]:
    if len(real) <= neighbours:
        raise ValueError(f"real: expected more than {neighbours} pictures, found {len(real)}")
    radii: NDArray[np.float64] = np.sort(cdist(real, real), axis=1)[:, neighbours]
    return radii


def discrepancy(real: Floats, made: Floats) -> float:
    """Return the squared maximum mean discrepancy, unbiased; 0 for equal distributions.

    The kernel is the cubic one of the kernel inception distance (Binkowski et al. 2018,
    arXiv:1801.01401), which may be estimated without bias from a handful of pictures.
    """

    def kernel(first: Floats, second: Floats) -> NDArray[np.float64]:
        values: NDArray[np.float64] = (first.astype(np.float64) @ second.T + 1) ** 3
        return values

    def within(each: Floats) -> float:
        values = kernel(each, each)
        return float((values.sum() - np.trace(values)) / (len(each) * (len(each) - 1)))

    return within(real) + within(made) - 2 * float(kernel(real, made).mean())


def nearest(images: Floats, others: Floats) -> NDArray[np.float64]:
    """Return the distance (n,) of each row of (n, d) to the nearest of the others (m, d)."""
    distances: NDArray[np.float64] = cdist(images, others).min(axis=1)
    return distances


def as_rows(images: Images) -> NDArray[np.float64]:
    """Return images (n, 28, 28) as rows whose distances are root mean squares of grey, 0 to 1."""
    return images.reshape(len(images), -1) / (255 * 28)


def unevenness(path: Floats) -> float:
    """Return the largest step between neighbours of a path (n, d), over the mean step."""
    steps = np.linalg.norm(np.diff(path.astype(np.float64), axis=0), axis=1)
    return float(steps.max() / steps.mean())


def region_share(real: Floats, made: Floats, level: float = 0.9) -> float:
    """Return the share of real pictures inside the ellipsoid that holds ``level`` of the variants.

    The ellipsoid is a Gaussian's, fitted to half of the variants and sized on the other half.
    """
    fitted, sized = made[::2], made[1::2]
    middle = fitted.mean(axis=0)
    inverse = np.linalg.inv(np.cov(fitted.T))

    def away(features: Floats) -> NDArray[np.float64]:
        off = features - middle
        distances: NDArray[np.float64] = np.einsum("ni,ij,nj->n", off, inverse, off)
        return distances

    return float((away(real) <= np.quantile(away(sized), level)).mean())


def single_r2(codes: Floats, values: Floats) -> NDArray[np.float64]:
    """Return the squared correlation of each code (n, c) with each value (n, v), shape (c, v)."""
    # A code that does not vary explains nothing.
    x, y = (each - each.mean(axis=0) for each in (codes, values))
    scale = np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0))
    correlation = np.divide(x.T @ y, scale, out=np.zeros_like(scale), where=scale > 1e-12)
    squared: NDArray[np.float64] = correlation**2
    return squared


def linear_r2(codes: Floats, values: Floats, ridge: float = 1e-2) -> NDArray[np.float64]:
    """Return the R2 (v,) with which a straight line through the codes predicts unseen values.

    Fitted to the even rows, judged on the odd ones; at least 0.

    Args:
        codes: (n, c).
        values: (n, v).
        ridge: share of the mean square of the codes added to each, against overfitting.
    """
    scaled = (codes - codes.mean(axis=0)) / np.maximum(codes.std(axis=0), 1e-9)
    known = np.column_stack([scaled, np.ones(len(scaled))])
    x, y = known[::2], values[::2]
    weights = np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ y)
    return np.clip(r2(values[1::2], known[1::2] @ weights), 0, None)


def r2(values: Floats, foretold: Floats) -> NDArray[np.float64]:
    """Return 1 - residual / total of each column (n, v), shape (v,)."""
    missed = ((values - foretold) ** 2).sum(axis=0)
    total: Floats = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    explained: NDArray[np.float64] = 1 - missed / np.maximum(total, 1e-12)
    return explained
