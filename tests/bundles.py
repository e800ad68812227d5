"""A tiny valid bundle, made with ``onnx.helper`` alone: no torch, no training, same bytes always.

The classifier is a linear layer, the encoder and decoder are too; what the decoder draws is a bar
with some texture. Steering resamples between the four nearest pixels; its pen presses harder or
lighter, and thickness is how dark the ink is. The golden vectors come from numpy, which is thus an
independent oracle of what onnxruntime computes.
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
_POINT = [None, LATENT_SIZE]

# Every pixel's place from the middle of the frame, x to the right and y down.
_PLACES = np.stack(np.meshgrid(np.arange(28), np.arange(28)), axis=2).reshape(784, 2) - 13.5
_TERMS = np.column_stack(
    [np.ones(784), _PLACES, _PLACES[:, 0] ** 2, _PLACES.prod(axis=1), _PLACES[:, 1] ** 2]
).astype(np.float32)
EVEN = 1 / 3
"""A gate that refuses what a gated bundle's classifier decides to be no digit, and nothing else."""

_BAR = (slice(6, 22), slice(11, 17))
_LEFT, _RIGHT = (slice(0, 4), slice(0, 4)), (slice(0, 4), slice(24, 28))


def build(
    root: Path,
    profile: str = "tiny",
    seed: int = 0,
    change_golden: Callable[[Arrays], None] = lambda arrays: None,
    *,
    gated: bool = False,
    **changes: Any,
) -> Path:
    """Save a bundle under ``root`` and return its folder.

    Args:
        root: folder of all profiles.
        profile: name.
        seed: of the weights.
        change_golden: may spoil the golden vectors.
        gated: whether half of the pictures are no digit, and each point is in doubt; with a gate
            at a doubt of 0.5 none but theirs.
        changes: fields of the manifest to set otherwise, or ``contents`` to replace files.
    """
    contents = files(seed, change_golden, gated=gated) | changes.pop("contents", {})
    if gated:
        changes = {"gate": bundle.Gate(0.0, EVEN)} | changes
    return bundle.save(manifest(profile, **changes), contents, root)


def files(
    seed: int = 0,
    change_golden: Callable[[Arrays], None] = lambda arrays: None,
    *,
    gated: bool = False,
) -> dict[str, bytes]:
    """Return the bytes of each file."""
    weights = make_gated_weights(seed) if gated else make_weights(seed)
    arrays = golden(weights, seed)
    change_golden(arrays)
    return {
        bundle.CLASSIFIER: classifier(weights).SerializeToString(deterministic=True),
        bundle.ENCODER: encoder(weights).SerializeToString(deterministic=True),
        bundle.SCREEN: screen(weights).SerializeToString(deterministic=True),
        bundle.DECODER: decoder(weights).SerializeToString(deterministic=True),
        bundle.STEER: steer().SerializeToString(deterministic=True),
        bundle.GOLDEN: pack(arrays),
    }


def pack(arrays: Arrays) -> bytes:
    """Return arrays as an uncompressed .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # keyword arrays
    return buffer.getvalue()


def make_weights(seed: int) -> Arrays:
    """Return the weights of the graphs that have some."""
    draw = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return draw.normal(scale=scale, size=shape).astype(np.float32)

    return {
        "classify": normal(784, 3, scale=0.3),
        "mean": normal(784, LATENT_SIZE, scale=0.05),
        "spread": normal(784, LATENT_SIZE, scale=0.02),
        "own": normal(784, LATENT_SIZE, scale=0.05),
        "draw": normal(LATENT_SIZE, 784, scale=0.5),
        "ink": _ink(),
        "doubt": normal(LATENT_SIZE, 1, scale=1.0),
    }


def make_gated_weights(seed: int) -> Arrays:
    """Return weights of a model that draws no digit where the second latent value is positive.

    There it darkens the one upper corner, else the other. The classifier looks at these alone, and
    the screen has a doubt above 0.5 there.
    """
    weights = make_weights(seed)
    draw = weights["draw"].reshape(LATENT_SIZE, 28, 28)
    ink, other = _ink().reshape(28, 28), np.zeros((28, 28), np.float32)
    for corner, sign in ((_LEFT, 1), (_RIGHT, -1)):
        ink[corner] = 0
        draw[:, *corner] = 0
        draw[1, *corner] = 2 * sign
        other[corner] = sign
    classify = np.zeros((784, 3), np.float32)
    classify[:, 2] = other.ravel()
    doubt = np.array([[0], [4], [0], [0]], np.float32)
    return weights | {"ink": ink.ravel(), "classify": classify, "doubt": doubt}


def _ink() -> NDArray[np.float32]:
    ink = np.full((28, 28), -8, np.float32)
    ink[_BAR] = 3
    return ink.ravel()


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
    drawn = (1 / (1 + np.exp(-(latent @ weights["draw"] + weights["ink"])))).reshape(5, 28, 28)
    pixels = images.astype(np.float32) / 255
    matrix = (np.eye(2) + draw.normal(scale=0.2, size=(5, 2, 2))).astype(np.float32)
    pen = draw.normal(size=5).astype(np.float32)
    steered = steered_by_numpy(pixels, matrix, pen)
    return {
        "images": images,
        "noise": noise,
        "probabilities": powers / powers.sum(axis=1, keepdims=True),
        "llr": logits[:, 0] - logits[:, 1],
        "latent": latent,
        "mean": mean,
        "log_variance": log_variance,
        "own": flat @ weights["own"],
        "drawn": drawn,
        "attributes": measured_by_numpy(drawn),
        "doubt": (1 / (1 + np.exp(-(latent @ weights["doubt"]))))[:, 0],
        "pixels": pixels,
        "matrix": matrix,
        "pen": pen,
        "steered": steered,
        "steered_attributes": measured_by_numpy(steered),
    }


def measured_by_numpy(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return thickness, slant, width and height of each picture, shape (n, 4)."""
    flat = pixels.reshape(len(pixels), 784).astype(np.float64)
    _, x, y, xx, xy, yy = ((flat @ _TERMS) / (flat.sum(axis=1, keepdims=True) + 1e-3)).T
    across, both, down = xx - x * x, xy - x * y, yy - y * y + 1e-3
    thickness = 4 * (flat**2).sum(axis=1) / (flat.sum(axis=1) + 1e-3)
    width = np.sqrt(12 * np.maximum(across - both**2 / down, 0))
    slant = np.degrees(np.arctan(-both / down))
    return np.stack([thickness, slant, width, np.sqrt(12 * down)], axis=1).astype(np.float32)


def steered_by_numpy(
    pixels: NDArray[Any], matrix: NDArray[Any], pen: NDArray[Any]
) -> NDArray[np.float32]:
    """Return each picture bent by its matrix about its centre of mass, and pressed by its pen."""
    steered = np.zeros((len(pixels), 784))
    for row, image in enumerate(pixels.astype(np.float64)):
        centre = image.reshape(1, 784) @ _PLACES / (image.sum() + 1e-3)
        places = (_PLACES - centre) @ matrix[row].T + centre + 13.5
        framed = np.pad(image, 1)
        low = np.floor(places).astype(int)
        for right in (0, 1):
            for below in (0, 1):
                corner = low + np.array([right, below])
                column, line = corner.T
                weight = np.prod(1 - np.abs(places - corner), axis=1)
                found = framed[np.clip(line, -1, 28) + 1, np.clip(column, -1, 28) + 1]
                steered[row] += weight * found
    pressed = steered * (1 + pen[:, None] / 4)
    return np.clip(pressed, 0, 1).reshape(-1, 28, 28).astype(np.float32)


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
    """Return images, noise -> latent, mean, log_variance, own."""
    nodes = [
        *_flatten("images"),
        helper.make_node("MatMul", ["flat", "w_mean"], ["mean"]),
        helper.make_node("MatMul", ["flat", "w_spread"], ["log_variance"]),
        helper.make_node("MatMul", ["flat", "w_own"], ["own"]),
        helper.make_node("Mul", ["log_variance", "half"], ["log_deviation"]),
        helper.make_node("Exp", ["log_deviation"], ["deviation"]),
        helper.make_node("Mul", ["deviation", "noise"], ["offset"]),
        helper.make_node("Add", ["mean", "offset"], ["latent"]),
    ]
    inputs = [("images", _UINT8, _IMAGE), ("noise", _FLOAT, _POINT)]
    outputs = [(name, _FLOAT, _POINT) for name in ("latent", "mean", "log_variance", "own")]
    constants = {
        "w_mean": weights["mean"],
        "w_spread": weights["spread"],
        "w_own": weights["own"],
        "half": np.array(0.5, np.float32),
    }
    return _model(nodes, inputs, outputs, constants)


def screen(weights: Arrays) -> ModelProto:
    """Return latent -> doubt."""
    nodes = [
        helper.make_node("MatMul", ["latent", "w_doubt"], ["logit"]),
        helper.make_node("Squeeze", ["logit", "last"], ["flat_logit"]),
        helper.make_node("Sigmoid", ["flat_logit"], ["doubt"]),
    ]
    constants = {"w_doubt": weights["doubt"], "last": np.array([1], np.int64)}
    return _model(nodes, [("latent", _FLOAT, _POINT)], [("doubt", _FLOAT, [None])], constants)


def decoder(weights: Arrays) -> ModelProto:
    """Return latent -> pixels, attributes."""
    nodes = [
        helper.make_node("MatMul", ["latent", "draw"], ["texture"]),
        helper.make_node("Add", ["texture", "ink"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["flat"]),
        helper.make_node("Reshape", ["flat", "square"], ["pixels"]),
        *_measure("flat", "attributes"),
    ]
    constants = {
        "draw": weights["draw"],
        "ink": weights["ink"],
        "square": np.array([-1, 28, 28], np.int64),
        **_MEASURE_CONSTANTS,
    }
    outputs = [("pixels", _FLOAT, _IMAGE), ("attributes", _FLOAT, [None, 4])]
    return _model(nodes, [("latent", _FLOAT, _POINT)], outputs, constants)


def steer() -> ModelProto:
    """Return pixels, matrix, pen -> steered, steered_attributes."""
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["given"], axis=1),
        helper.make_node("MatMul", ["given", "places"], ["moment"]),
        helper.make_node("ReduceSum", ["given", "last"], ["ink"], keepdims=1),
        helper.make_node("Add", ["ink", "tiny"], ["some_ink"]),
        helper.make_node("Div", ["moment", "some_ink"], ["centre"]),
        helper.make_node("Unsqueeze", ["centre", "last"], ["centres"]),
        helper.make_node("Sub", ["places", "centres"], ["from_centre"]),
        helper.make_node("Transpose", ["matrix"], ["transposed"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["from_centre", "transposed"], ["bent"]),
        helper.make_node("Add", ["bent", "centres"], ["source"]),
        helper.make_node("Div", ["source", "half_side"], ["shares"]),
        helper.make_node("Reshape", ["shares", "grid_shape"], ["grid"]),
        helper.make_node("Unsqueeze", ["pixels", "last"], ["planes"]),
        helper.make_node("GridSample", ["planes", "grid"], ["sampled"], mode="linear"),
        helper.make_node("Flatten", ["sampled"], ["resampled"], axis=1),
        helper.make_node("Div", ["pen", "four"], ["press"]),
        helper.make_node("Add", ["press", "one"], ["pressure"]),
        helper.make_node("Unsqueeze", ["pressure", "last"], ["pressures"]),
        helper.make_node("Mul", ["resampled", "pressures"], ["pressed"]),
        helper.make_node("Clip", ["pressed", "zero", "one"], ["flat"]),
        helper.make_node("Reshape", ["flat", "square"], ["steered"]),
        *_measure("flat", "steered_attributes"),
    ]
    constants = {
        "places": _PLACES.astype(np.float32),
        "half_side": np.array(14, np.float32),
        "grid_shape": np.array([-1, 28, 28, 2], np.int64),
        "square": np.array([-1, 28, 28], np.int64),
        "last": np.array([1], np.int64),
        **_MEASURE_CONSTANTS,
    }
    inputs = [("pixels", _FLOAT, _IMAGE), ("matrix", _FLOAT, [None, 2, 2]), ("pen", _FLOAT, [None])]
    outputs = [("steered", _FLOAT, _IMAGE), ("steered_attributes", _FLOAT, [None, 4])]
    return _model(nodes, inputs, outputs, constants)


def manifest(profile: str = "tiny", **changes: Any) -> bundle.Manifest:
    """Return a manifest that fits ``files``; version and file hashes are set by ``bundle.save``."""
    images = bundle.Tensor("images", "uint8", (-1, 28, 28), "white ink on black")
    point, square, four = (-1, LATENT_SIZE), (-1, 28, 28), (-1, 4)

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
                tuple(floats(name, point) for name in ("latent", "mean", "log_variance", "own")),
            ),
            bundle.SCREEN: bundle.Graph((floats("latent", point),), (floats("doubt", (-1,)),)),
            bundle.DECODER: bundle.Graph(
                (floats("latent", point),),
                (floats("pixels", square), floats("attributes", four)),
            ),
            bundle.STEER: bundle.Graph(
                (floats("pixels", square), floats("matrix", (-1, 2, 2)), floats("pen", (-1,))),
                (floats("steered", square), floats("steered_attributes", four)),
            ),
        },
        "decision": bundle.Decision("argmax", (1 / 3, 1 / 3, 1 / 3)),
        "gate": bundle.Gate(1.0, 1.0),
        "enrolment": bundle.Enrolment(1, "linear", 0, "0" * 64),
        "producer": bundle.Producer("0", "none", "1", "1", "2", 20, 10),
        "parity": bundle.Parity(1e-5, (1, 7, 64), 0.0, 0.0, 0.0, 0.0, 0.0, 0),
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


_MEASURE_CONSTANTS: Arrays = {
    "terms": _TERMS,
    "columns": np.array([1], np.int64),
    "tiny": np.array(1e-3, np.float32),
    "zero": np.array(0, np.float32),
    "one": np.array(1, np.float32),
    "four": np.array(4, np.float32),
    "twelve": np.array(12, np.float32),
    "degrees": np.array(180 / np.pi, np.float32),
}


def _measure(flat: str, attributes: str) -> list[Any]:
    """Return nodes that measure flat pictures (n, 784), by their second moments."""
    steps = [
        ("MatMul", [flat, "terms"], "sums"),
        ("ReduceSum", [flat, "columns"], "weight"),
        ("Add", ["weight", "tiny"], "mass"),
        ("Div", ["sums", "mass"], "moments"),
        ("Mul", ["x", "x"], "x_x"),
        ("Mul", ["x", "y"], "x_y"),
        ("Mul", ["y", "y"], "y_y"),
        ("Sub", ["xx", "x_x"], "across"),
        ("Sub", ["xy", "x_y"], "both"),
        ("Sub", ["yy", "y_y"], "exact_down"),
        ("Add", ["exact_down", "tiny"], "down"),
        ("Div", ["both", "down"], "shear"),
        ("Neg", ["shear"], "lean"),
        ("Atan", ["lean"], "angle"),
        ("Mul", ["angle", "degrees"], "slant"),
        ("Mul", ["both", "shear"], "explained"),
        ("Sub", ["across", "explained"], "upright"),
        ("Clip", ["upright", "zero"], "upright_across"),
        ("Mul", ["upright_across", "twelve"], "wide"),
        ("Sqrt", ["wide"], "width"),
        ("Mul", ["down", "twelve"], "high"),
        ("Sqrt", ["high"], "height"),
        ("Mul", [flat, flat], "squares"),
        ("ReduceSum", ["squares", "columns"], "dark"),
        ("Div", ["dark", "mass"], "darkness"),
        ("Mul", ["darkness", "four"], "thickness"),
    ]
    nodes = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps]
    names = ["one_", "x", "y", "xx", "xy", "yy"]
    nodes.insert(4, helper.make_node("Split", ["moments"], names, axis=1, num_outputs=6))
    measured = ["thickness", "slant", "width", "height"]
    return [*nodes, helper.make_node("Concat", measured, [attributes], axis=1)]


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
