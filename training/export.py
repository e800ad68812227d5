"""Networks to a bundle: ONNX graphs that answer as torch does, golden vectors, manifest.

The graphs take bytes and noise and hold all arithmetic, so nothing is left for the server to get
wrong, and no random operation, so the server owns the seed. A graph that differs from its network
is not written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from serving import bundle
from serving.runtime import open_session
from training import archives
from training.attributes import Attributes
from training.errors import ParityError
from training.screen import Screen
from training.steer import Steer
from training.to_onnx import IR_VERSION, OPSET, to_onnx
from training.vae import Autoencoder, reparameterise

TOLERANCE = 1e-5
BATCHES = (1, 7, 64)
# Another processor adds up in another order, so the server allows a little more than the export.
GOLDEN_TOLERANCE = 1e-4
_GOLDEN_ROWS = 16

Arrays = dict[str, NDArray[np.generic]]


class ClassifierGraph(nn.Module):
    """Images uint8 (n, 28, 28) -> probabilities (n, 3), llr (n,).

    The likelihood ratio is the posterior odds of own against other writer, divided by the odds
    that the training set's class shares implied.
    """

    def __init__(self, network: nn.Module, priors: tuple[float, float, float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("prior_log_odds", torch.tensor(priors[0] / priors[1]).log())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities in the order of ``bundle.LABELS`` and the natural-log ratio."""
        logits = self.network(images.to(torch.float32) / 255)
        llr = logits[:, 0] - logits[:, 1] - self.prior_log_odds
        return torch.softmax(logits, dim=1), llr


class EncoderGraph(nn.Module):
    """Images uint8 (n, 28, 28), noise (n, z) -> latent, mean, log-variance, own, each (n, z)."""

    def __init__(self, vae: Autoencoder) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the reparameterised point, what it was drawn from, and the mean in the hand."""
        mean, log_variance = self.vae.encode(images.to(torch.float32) / 255)
        return reparameterise(mean, log_variance, noise), mean, log_variance, self.vae.own(mean)


class DecoderGraph(nn.Module):
    """Latent points (n, z) -> pixels (n, 28, 28) in [0, 1], attributes (n, 4)."""

    def __init__(self, vae: Autoencoder) -> None:
        super().__init__()
        self.vae = vae
        self.attributes = Attributes()

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return the picture, and what it measures."""
        pixels = self.vae.decode(latent)
        return pixels, self.attributes(pixels)


@dataclass(frozen=True)
class Graphs:
    """The networks as they are exported.

    Attributes:
        classifier: see ``ClassifierGraph``.
        vae: encoder and decoder.
        priors: class shares that the probabilities stand for.
        screen: how doubtful points are.
        gate: what is drawn may be given out.
    """

    classifier: ClassifierGraph
    vae: Autoencoder
    priors: tuple[float, float, float]
    screen: Screen
    gate: bundle.Gate


@dataclass(frozen=True)
class Identity:
    """What the bundle is of, and how it came about."""

    profile: str
    digit: int
    enrolment: bundle.Enrolment
    metrics: Mapping[str, bundle.Metric]


def export(
    graphs: Graphs, identity: Identity, examples: NDArray[np.uint8], seed: int
) -> tuple[bundle.Manifest, dict[str, bytes]]:
    """Export and check; return what ``bundle.save`` takes, a manifest and the files by name.

    Args:
        graphs: trained networks.
        identity: profile, digit, recipe, figures.
        examples: uint8 (n, 28, 28), images of the kind the graphs will see; n >= 1. Some of them
            are written into the bundle as golden vectors.
        seed: of the noise in the checks.

    Raises:
        ParityError: a graph differs from its network by more than ``TOLERANCE``, or flips a label.
    """
    networks = networks_of(graphs)
    contracts = contracts_of(graphs.vae.latent)
    models = {name: to_onnx(networks[name], contracts[name], name) for name in networks}
    random = np.random.default_rng(seed)
    batches = [_make_inputs(examples, graphs.vae.latent, size, random) for size in BATCHES]
    parity = _check_parity(networks, contracts, models, batches)
    golden_inputs = _make_inputs(examples, graphs.vae.latent, _GOLDEN_ROWS, random)
    golden = archives.pack(_golden(networks, contracts, golden_inputs), compressed=False)
    return _manifest(graphs, identity, contracts, parity), {**models, bundle.GOLDEN: golden}


def networks_of(graphs: Graphs) -> dict[str, nn.Module]:
    """Return the networks in evaluation mode, by the file that each becomes."""
    networks: dict[str, nn.Module] = {
        bundle.CLASSIFIER: graphs.classifier,
        bundle.ENCODER: EncoderGraph(graphs.vae),
        bundle.SCREEN: graphs.screen,
        bundle.DECODER: DecoderGraph(graphs.vae),
        bundle.STEER: Steer(),
    }
    return {name: network.eval() for name, network in networks.items()}


def contracts_of(latent: int) -> dict[str, bundle.Graph]:
    """Return what goes into and comes out of each file, for a latent space of a size."""

    def tensor(
        name: str,
        shape: tuple[int, ...],
        meaning: str,
        dtype: Literal["uint8", "float32"] = "float32",
    ) -> bundle.Tensor:
        return bundle.Tensor(name, dtype, shape, meaning)

    def pixels(name: str) -> bundle.Tensor:
        return tensor(name, (-1, 28, 28), "0 = black to 1 = white")

    def measured(name: str) -> bundle.Tensor:
        return tensor(name, (-1, 4), "thickness px, slant degrees, width px, height px")

    images = tensor("images", (-1, 28, 28), "MNIST form, white ink on black", "uint8")
    point = (-1, latent)
    latents = tensor("latent", point, "mean + exp(log_variance / 2) * noise")
    return {
        bundle.CLASSIFIER: bundle.Graph(
            (images,),
            (
                tensor("probabilities", (-1, 3), "own, other_writer, other; sum 1"),
                tensor("llr", (-1,), "natural-log likelihood ratio, own to other_writer"),
            ),
        ),
        bundle.ENCODER: bundle.Graph(
            (images, tensor("noise", point, "N(0, I), or 0 for the mean")),
            (
                latents,
                tensor("mean", point, "of the posterior"),
                tensor("log_variance", point, "of the posterior, natural log"),
                tensor("own", point, "the mean in the enrolled hand"),
            ),
        ),
        bundle.SCREEN: bundle.Graph(
            (latents,), (tensor("doubt", (-1,), "of the picture's showing the digit, 0 to 1"),)
        ),
        bundle.DECODER: bundle.Graph((latents,), (pixels("pixels"), measured("attributes"))),
        bundle.STEER: bundle.Graph(
            (
                pixels("pixels"),
                tensor("matrix", (-1, 2, 2), "from output to input, about the ink's centre"),
                tensor("pen", (-1,), "change of the stroke's width in pixels"),
            ),
            (pixels("steered"), measured("steered_attributes")),
        ),
    }


def _make_inputs(
    examples: NDArray[np.uint8], latent: int, size: int, random: np.random.Generator
) -> Arrays:
    """Return inputs for all graphs: half examples, half random pixels, noise, and what to steer."""
    images = examples[np.arange(size) % len(examples)].copy()
    images[size // 2 + 1 :] = random.integers(0, 256, images[size // 2 + 1 :].shape)
    noise = random.standard_normal((size, latent)).astype(np.float32)
    matrix = np.eye(2) + random.uniform(-0.3, 0.3, (size, 2, 2))
    return {
        "images": images,
        "noise": noise,
        "latent": noise,
        "pixels": examples[np.arange(size) % len(examples)].astype(np.float32) / 255,
        "matrix": matrix.astype(np.float32),
        "pen": random.uniform(-2, 2, size).astype(np.float32),
    }


def _run_torch(network: nn.Module, contract: bundle.Graph, inputs: Arrays) -> Arrays:
    with torch.inference_mode():
        outputs = network(*(torch.from_numpy(inputs[tensor.name]) for tensor in contract.inputs))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    names = [tensor.name for tensor in contract.outputs]
    return {name: value.numpy() for name, value in zip(names, outputs, strict=True)}


def _run_onnx(model: bytes, contract: bundle.Graph, inputs: Arrays) -> Arrays:
    session = open_session(model)  # the very session that serves
    names = [tensor.name for tensor in contract.outputs]
    outputs = session.run(names, {tensor.name: inputs[tensor.name] for tensor in contract.inputs})
    return dict(zip(names, outputs, strict=True))


def _check_parity(
    networks: Mapping[str, nn.Module],
    contracts: Mapping[str, bundle.Graph],
    models: Mapping[str, bytes],
    batches: Sequence[Arrays],
) -> bundle.Parity:
    worst = dict.fromkeys(networks, 0.0)
    flips = 0
    for inputs in batches:
        for name, network in networks.items():
            expected = _run_torch(network, contracts[name], inputs)
            found = _run_onnx(models[name], contracts[name], inputs)
            differences = [_difference(k, expected[k], found[k]) for k in expected]
            worst[name] = max(worst[name], *differences)
            if name == bundle.CLASSIFIER:
                by_torch = expected["probabilities"].argmax(axis=1)
                by_onnx = found["probabilities"].argmax(axis=1)
                flips += int(np.count_nonzero(by_torch != by_onnx))
    for name, difference in worst.items():
        if not difference <= TOLERANCE:
            raise ParityError(
                f"{name}: expected onnxruntime within {TOLERANCE} of torch, found {difference:.2e}"
            )
    if flips:
        raise ParityError(f"{bundle.CLASSIFIER}: expected equal labels, found {flips} flipped")
    return bundle.Parity(
        tolerance=TOLERANCE,
        batches=BATCHES,
        classifier=worst[bundle.CLASSIFIER],
        encoder=worst[bundle.ENCODER],
        screen=worst[bundle.SCREEN],
        decoder=worst[bundle.DECODER],
        steer=worst[bundle.STEER],
        label_flips=flips,
    )


def _difference(name: str, expected: NDArray[np.generic], found: NDArray[np.generic]) -> float:
    """Return the largest difference, relative where values are large.

    Log-variances and log-ratios of pixels that no writer ever drew run to thousands, where
    float32 itself has steps of 1e-4. Of the attributes' pixels and degrees a hundredth is nothing.
    """
    large = 1000 if name.endswith("attributes") else 1
    scale = np.maximum(large, np.abs(expected.astype(np.float64)))
    return float(np.max(np.abs(expected.astype(np.float64) - found.astype(np.float64)) / scale))


def _golden(
    networks: Mapping[str, nn.Module], contracts: Mapping[str, bundle.Graph], inputs: Arrays
) -> Arrays:
    """Return inputs and what torch makes of them; pictures are drawn from the encoder's latent."""
    golden = {name: inputs[name] for name in ("images", "noise", "pixels", "matrix", "pen")}
    for name in (bundle.CLASSIFIER, bundle.ENCODER, bundle.SCREEN, bundle.STEER):
        golden.update(_run_torch(networks[name], contracts[name], golden))
    drawn = _run_torch(networks[bundle.DECODER], contracts[bundle.DECODER], golden)
    return golden | drawn | {"pixels": golden["pixels"], "drawn": drawn["pixels"]}


def _manifest(
    graphs: Graphs,
    identity: Identity,
    contracts: dict[str, bundle.Graph],
    parity: bundle.Parity,
) -> bundle.Manifest:
    return bundle.Manifest(
        schema_version=bundle.SCHEMA_VERSION,
        profile=identity.profile,
        version="",
        digit=identity.digit,
        labels=bundle.LABELS,
        latent_size=graphs.vae.latent,
        graphs=contracts,
        decision=bundle.Decision("argmax", graphs.priors),
        gate=graphs.gate,
        enrolment=identity.enrolment,
        producer=bundle.Producer(
            onehand=package_version("onehand"),
            torch=str(torch.__version__),
            onnx=onnx.__version__,
            onnxruntime=package_version("onnxruntime"),
            numpy=np.__version__,
            opset=OPSET,
            ir_version=IR_VERSION,
        ),
        parity=parity,
        metrics=dict(identity.metrics),
        golden_tolerance=GOLDEN_TOLERANCE,
        files={},
    )
