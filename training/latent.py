"""A map of the latent space, and how far to believe it.

t-SNE (van der Maaten and Hinton 2008) flattens the space for the eye, K-means groups it, and
trustworthiness (Venna and Kaski 2001) says what share of the neighbourhoods on the map are real.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE, trustworthiness

from training.config import LatentConfig
from training.record import Latent


def draw_map(means: NDArray[np.float32], config: LatentConfig) -> Latent:
    """Return the map of latent means (n, z); n > 3."""
    count = len(means)
    perplexity = min(config.perplexity, (count - 1) / 3)
    embedding = TSNE(perplexity=perplexity, random_state=config.seed).fit_transform(means)
    kmeans = KMeans(min(config.clusters, count), n_init=10, random_state=config.seed)
    neighbours = min(config.neighbours, (count - 1) // 2)
    return Latent(
        means=means,
        embedding=embedding.astype(np.float32),
        clusters=kmeans.fit_predict(means).astype(np.int64),
        cluster_count=kmeans.n_clusters,
        trustworthiness=float(trustworthiness(means, embedding, n_neighbors=neighbours)),
        neighbours=neighbours,
    )
