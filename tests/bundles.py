"""A tiny valid bundle, made with ``onnx.helper`` alone: no torch, no training, same bytes always.

The classifier is a linear layer, the encoder and decoder are too. The golden vectors come from
numpy, which is thus an independent oracle of what onnxruntime computes.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from serving import bundle

LATENT_SIZE = 4
Arrays = dict[str, NDArray[Any]]

_FLOAT, _UINT8 = TensorProto.FLOAT, TensorProto.UINT8
_IMAGE = [None, 28, 28]


def build(
    root: Path,
    profile: str = "tiny",
    seed: int = 0,
    change_golden: Callable[[Arrays], None] = lambda arrays: None,
    **changes: Any,
) -> Path:
    """Save a bundle under ``root`` and return its folder.

    Args:
        root: folder of all profiles.
        profile: name.
        seed: of the weights.
        change_golden: may spoil the golden vectors.
        changes: fields of the manifest to set otherwise, or ``contents`` to replace files.
    """
    contents = files(seed, change_golden) | changes.pop("contents", {})
    return bundle.save(manifest(profile, **changes), contents, root)


def files(
    seed: int = 0, change_golden: Callable[[Arrays], None] = lambda arrays: None
) -> dict[str, bytes]:
    """Return the bytes of each file."""
    weights = make_weights(seed)
    arrays = golden(weights, seed)
    change_golden(arrays)
    return {
        bundle.CLASSIFIER: classifier(weights).SerializeToString(deterministic=True),
        bundle.ENCODER: encoder(weights).SerializeToString(deterministic=True),
        bundle.DECODER: decoder(weights).SerializeToString(deterministic=True),
        bundle.GOLDEN: pack(arrays),
    }


def pack(arrays: Arrays) -> bytes:
    """Return arrays as an uncompressed .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # keyword arrays
    return buffer.getvalue()


def make_weights(seed: int) -> Arrays:
    """Return the weights of the three graphs."""
    draw = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return draw.normal(scale=scale, size=shape).astype(np.float32)

    return {
        "classify": normal(784, 3, scale=0.3),
        "mean": normal(784, LATENT_SIZE, scale=0.05),
        "spread": normal(784, LATENT_SIZE, scale=0.02),
        "draw": normal(LATENT_SIZE, 784, scale=1.0),
    }


def golden(weights: Arrays, seed: int) -> Arrays:
    """Return golden vectors, computed by numpy."""
    draw = np.random.default_rng(seed + 1)
    images = draw.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    noise = draw.normal(size=(5, LATENT_SIZE)).astype(np.float32)
    flat = images.reshape(5, 784).astype(np.float32) / 255
    logits = flat @ weights["classify"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    mean = flat @ weights["mean"]
    log_variance = flat @ weights["spread"]
    latent = mean + np.exp(log_variance / 2) * noise
    return {
        "images": images,
        "noise": noise,
        "probabilities": powers / powers.sum(axis=1, keepdims=True),
        "llr": logits[:, 0] - logits[:, 1],
        "latent": latent,
        "mean": mean,
        "log_variance": log_variance,
        "pixels": (1 / (1 + np.exp(-(latent @ weights["draw"])))).reshape(5, 28, 28),
    }


def classifier(weights: Arrays) -> ModelProto:
    """Return images -> probabilities, llr."""
    nodes = [
        *_flatten("images"),
        helper.make_node("MatMul", ["flat", "classify"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Gather", ["logits", "own"], ["own_logit"], axis=1),
        helper.make_node("Gather", ["logits", "other"], ["other_logit"], axis=1),
        helper.make_node("Sub", ["own_logit", "other_logit"], ["llr"]),
    ]
    constants = {
        "classify": weights["classify"],
        "own": np.array(0, np.int64),
        "other": np.array(1, np.int64),
    }
    outputs = [("probabilities", _FLOAT, [None, 3]), ("llr", _FLOAT, [None])]
    return _model(nodes, [("images", _UINT8, _IMAGE)], outputs, constants)


def encoder(weights: Arrays) -> ModelProto:
    """Return images, noise -> latent, mean, log_variance."""
    nodes = [
        *_flatten("images"),
        helper.make_node("MatMul", ["flat", "w_mean"], ["mean"]),
        helper.make_node("MatMul", ["flat", "w_spread"], ["log_variance"]),
        helper.make_node("Mul", ["log_variance", "half"], ["log_deviation"]),
        helper.make_node("Exp", ["log_deviation"], ["deviation"]),
        helper.make_node("Mul", ["deviation", "noise"], ["offset"]),
        helper.make_node("Add", ["mean", "offset"], ["latent"]),
    ]
    point = [None, LATENT_SIZE]
    inputs = [("images", _UINT8, _IMAGE), ("noise", _FLOAT, point)]
    outputs = [(name, _FLOAT, point) for name in ("latent", "mean", "log_variance")]
    constants = {
        "w_mean": weights["mean"],
        "w_spread": weights["spread"],
        "half": np.array(0.5, np.float32),
    }
    return _model(nodes, inputs, outputs, constants)


def decoder(weights: Arrays) -> ModelProto:
    """Return latent -> pixels."""
    nodes = [
        helper.make_node("MatMul", ["latent", "draw"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["flat"]),
        helper.make_node("Reshape", ["flat", "square"], ["pixels"]),
    ]
    constants = {"draw": weights["draw"], "square": np.array([-1, 28, 28], np.int64)}
    inputs = [("latent", _FLOAT, [None, LATENT_SIZE])]
    return _model(nodes, inputs, [("pixels", _FLOAT, _IMAGE)], constants)


def manifest(profile: str = "tiny", **changes: Any) -> bundle.Manifest:
    """Return a manifest that fits ``files``; version and file hashes are set by ``bundle.save``."""
    images = bundle.Tensor("images", "uint8", (-1, 28, 28), "white ink on black")
    point = (-1, LATENT_SIZE)

    def floats(name: str, shape: tuple[int, ...]) -> bundle.Tensor:
        return bundle.Tensor(name, "float32", shape, f"{name} of a tiny linear model")

    fields: dict[str, Any] = {
        "schema_version": bundle.SCHEMA_VERSION,
        "profile": profile,
        "version": "",
        "digit": 2,
        "labels": bundle.LABELS,
        "latent_size": LATENT_SIZE,
        "graphs": {
            bundle.CLASSIFIER: bundle.Graph(
                (images,), (floats("probabilities", (-1, 3)), floats("llr", (-1,)))
            ),
            bundle.ENCODER: bundle.Graph(
                (images, floats("noise", point)),
                tuple(floats(name, point) for name in ("latent", "mean", "log_variance")),
            ),
            bundle.DECODER: bundle.Graph(
                (floats("latent", point),), (floats("pixels", (-1, 28, 28)),)
            ),
        },
        "decision": bundle.Decision("argmax", (1 / 3, 1 / 3, 1 / 3)),
        "enrolment": bundle.Enrolment(1, "linear", 0, "0" * 64),
        "producer": bundle.Producer("0", "none", "1", "1", "2", 20, 10),
        "parity": bundle.Parity(1e-5, (1, 7, 64), 0.0, 0.0, 0.0, 0),
        "metrics": {"auc": bundle.Metric(0.5, 10, "area under the ROC curve, made up")},
        "golden_tolerance": 1e-4,
        "files": {},
    }
    return bundle.Manifest(**(fields | changes))


def _flatten(name: str) -> list[Any]:
    return [
        helper.make_node("Cast", [name], ["floats"], to=_FLOAT),
        helper.make_node("Div", ["floats", "full"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"], axis=1),
    ]


def _model(
    nodes: list[Any],
    inputs: list[tuple[str, int, list[int | None]]],
    outputs: list[tuple[str, int, list[int | None]]],
    constants: Arrays,
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [
            numpy_helper.from_array(value, name)
            for name, value in ({"full": np.array(255, np.float32)} | constants).items()
        ],
    )
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)
