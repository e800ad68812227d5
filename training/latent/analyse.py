"""An enrolment's latent space, looked at: maps and their truth, clusters, walks, and reach."""

from collections.abc import Iterator

import numpy as np
import torch

from training.config import LatentConfig
from training.latent.clusters import choose_clusters
from training.latent.findings import Floats, Images, Latent, Layout, Strip
from training.latent.layouts import principal_components, t_sne
from training.latent.neighbours import coverage, faithfulness, squared_distances
from training.latent.walks import find_directions, interpolate, traverse
from training.vae import Autoencoder

# Of each kind of image; all pairs are compared, so twice as many take four times as long.
_MAPPED = 100
_PERPLEXITIES = (1 / 6, 1 / 2, 1.0)
_TRAVERSED = 8


def analyse(
    network: Autoencoder,
    forms: Images,
    variations: Images,
    samples: Images,
    config: LatentConfig,
) -> Latent:
    """Return what the latent space makes of an enrolment.

    Args:
        network: the encoder and decoder.
        forms: the enrolled ones, (k, 28, 28).
        variations: of them, (n, 28, 28), more than 3.
        samples: drawn from the prior, (s, 28, 28), at least one.
        config: how it is mapped and grouped.
    """
    random = np.random.default_rng(config.seed)
    stacks = tuple(stack[:_MAPPED] for stack in (forms, variations, samples))
    shown, varied, drawn = (_means(network, stack) for stack in stacks)
    means = np.concatenate([shown, varied, drawn])
    neighbours = min(config.neighbours, (len(means) - 1) // 2)
    layouts = tuple(_lay_out(means, config.perplexity, neighbours))
    clusters, silhouettes = choose_clusters(means, config.clusters, random)
    variances = varied.var(axis=0)
    most_active = np.argsort(-variances, kind="stable")[:_TRAVERSED].tolist()
    reach = min(config.neighbours, len(varied) - 1)
    return Latent(
        counts=(len(shown), len(varied), len(drawn)),
        means=means,
        layouts=layouts,
        # The first of the best, so that t-SNE has to beat the plain picture to be shown.
        chosen=max(range(len(layouts)), key=lambda index: layouts[index].faithful),
        neighbours=neighbours,
        clusters=clusters,
        silhouettes=silhouettes,
        variances=variances,
        traversals=traverse(network, variances, most_active),
        directions=find_directions(network, random),
        interpolations=tuple(_interpolations(network, shown, drawn)),
        coverage=coverage(varied, drawn, reach),
        coverage_neighbours=reach,
        spread=_spread(drawn) / max(_spread(varied), 1e-12),
    )


def _means(network: Autoencoder, images: Images) -> Floats:
    with torch.inference_mode():
        mean, _ = network.encode(torch.from_numpy(images).float() / 255)
    means: Floats = mean.numpy()
    return means


def _spread(points: Floats) -> float:
    return float(np.sqrt(points.var(axis=0, dtype=np.float64).sum()))


def _lay_out(means: Floats, perplexity: float, neighbours: int) -> Iterator[Layout]:
    """Yield the principal components, then t-SNE at several perplexities."""
    most = (len(means) - 1) / 3
    tried = sorted({min(share * perplexity, most) for share in _PERPLEXITIES})
    plane = principal_components(means)
    yield _judged("PCA", means, plane, neighbours)
    for each in tried:
        yield _judged(f"t-SNE, perplexity {each:.3g}", means, t_sne(means, each), neighbours)


def _judged(name: str, means: Floats, places: Floats, neighbours: int) -> Layout:
    truth = faithfulness(means, places, neighbours)
    return Layout(name, places, truth.trustworthiness, truth.continuity, truth.kept)


def _interpolations(network: Autoencoder, forms: Floats, samples: Floats) -> Iterator[Strip]:
    """Yield the longest ways there are: where a jump would be seen, if there is one."""
    if len(forms) > 1:
        yield interpolate(network, "form 1 to form 2", forms[0], forms[1])
    far = int(squared_distances(forms[:1], samples).argmax())
    yield interpolate(network, f"form 1 to sample {far + 1}", forms[0], samples[far])
    apart = squared_distances(samples, samples)
    one, other = (int(index) for index in np.unravel_index(apart.argmax(), apart.shape))
    if one != other:
        name = f"sample {one + 1} to sample {other + 1}"
        yield interpolate(network, name, samples[one], samples[other])
