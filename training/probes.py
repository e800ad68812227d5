"""Short-cut probes: does the classifier know a hand, or only how an image was made?

The names P1 to P6 are those of the benchmark's definition in ``docs/quality.md``.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Images = NDArray[np.uint8]

_HISTOGRAM_BINS = 8
_FOLDS = 5


def trivial_statistics(images: Images) -> NDArray[np.float64]:
    """Return what says nothing of a hand, for images (n, 28, 28); float64 (n, 11).

    Minimum, share of zeros, share of energy in high frequencies, and a histogram of the ink's
    grey levels.
    """
    pixels = images.astype(np.float64)
    spectrum = np.abs(np.fft.fft2(pixels)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(28), np.fft.fftfreq(28)))
    energy = spectrum[:, frequency > 0.25].sum(axis=1) / spectrum.sum(axis=(1, 2)).clip(1)
    zeros = (images == 0).mean(axis=(1, 2))
    histogram = np.stack(
        [np.histogram(image[image > 0], _HISTOGRAM_BINS, (1, 255))[0] for image in images]
    )
    histogram = histogram / histogram.sum(axis=1, keepdims=True).clip(1)
    return np.column_stack([pixels.min(axis=(1, 2)), zeros, energy, histogram])


def shortcut_auc(own: Images, others: Images) -> float:
    """Return P1: the AUC with which trivial statistics tell two sets of images apart.

    Cross-validated logistic regression; 0.5 = no short cut.
    """
    features = trivial_statistics(np.concatenate([own, others]))
    truth = np.repeat(np.array([1, 0]), [len(own), len(others)])
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=500)
    )
    scores = cross_val_predict(model, features, truth, cv=_FOLDS, method="predict_proba")
    return float(roc_auc_score(truth, scores[:, 1]))
