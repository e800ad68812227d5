"""One ONNX graph, ready to run: loaded from verified bytes and held to its contract.

What a graph takes and gives is written here a third time on purpose, after the manifest and the
graph itself: all three must agree before a request sees it, and each answer is checked again.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle import CLASSIFIER, DECODER, ENCODER, SCREEN, STEER, Bundle, Tensor
from serving.errors import BundleError, ModelFault
from serving.runtime import open_session

__all__ = ["Graph", "contract"]

Signature = tuple[str, str, tuple[int, ...]]
_BATCH = -1


def contract(latent_size: int) -> Mapping[str, tuple[list[Signature], list[Signature]]]:
    """Return name, dtype and shape of every input and output, by file; -1 = the batch."""
    images = ("images", "uint8", (_BATCH, 28, 28))
    pixels = (_BATCH, 28, 28)
    attributes = (_BATCH, 4)
    point = (_BATCH, latent_size)
    return {
        CLASSIFIER: (
            [images],
            [("probabilities", "float32", (_BATCH, 3)), ("llr", "float32", (_BATCH,))],
        ),
        ENCODER: (
            [images, ("noise", "float32", point)],
            [(name, "float32", point) for name in ("latent", "mean", "log_variance", "own")],
        ),
        SCREEN: (
            [("latent", "float32", point)],
            [("doubt", "float32", (_BATCH,))],
        ),
        DECODER: (
            [("latent", "float32", point)],
            [("pixels", "float32", pixels), ("attributes", "float32", attributes)],
        ),
        STEER: (
            [
                ("pixels", "float32", pixels),
                ("matrix", "float32", (_BATCH, 2, 2)),
                ("pen", "float32", (_BATCH,)),
            ],
            [
                ("steered", "float32", pixels),
                ("steered_attributes", "float32", attributes),
            ],
        ),
    }


class Graph:
    """A graph of a bundle. ``run`` may be called from many threads at once."""

    def __init__(self, bundle: Bundle, name: str) -> None:
        """Load ``name``.

        Raises:
            BundleError: onnxruntime cannot load it, or it is not of the form that the contract
                or the bundle's manifest says.
        """
        manifest, path = bundle.manifest, bundle.folder / name
        inputs, outputs = contract(manifest.latent_size)[name]
        self._session = _open(bundle.contents[name], path)
        _check(path, "manifest's inputs", inputs, _declared(manifest.graphs[name].inputs))
        _check(path, "manifest's outputs", outputs, _declared(manifest.graphs[name].outputs))
        _check(path, "inputs", inputs, _found(self._session.get_inputs()))
        _check(path, "outputs", outputs, _found(self._session.get_outputs()))
        # Faults are told to callers, who are to learn nothing of this disk.
        self._where = f"{manifest.profile}/{manifest.version}/{name}"
        self._inputs = [name for name, _, _ in inputs]
        self._outputs = [name for name, _, _ in outputs]
        self._tails = [shape[1:] for _, _, shape in outputs]

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return the outputs for one batch, in the contract's order.

        Raises:
            ModelFault: an output has another shape than the contract says, or is not finite.
        """
        rows = len(inputs[0])
        found: list[Any] = self._session.run(
            self._outputs, dict(zip(self._inputs, inputs, strict=True))
        )
        for name, tail, output in zip(self._outputs, self._tails, found, strict=True):
            if output.shape != (rows, *tail):
                raise ModelFault(
                    f"{self._where}: {name}: expected shape {(rows, *tail)}, found {output.shape}"
                )
            # The sum of squares is finite only if all of them are, and quicker to look at.
            if not math.isfinite(np.vdot(output, output)):
                raise ModelFault(f"{self._where}: {name}: expected finite numbers, found others")
        return found


def _check(path: Path, what: str, expected: list[Signature], found: list[Signature]) -> None:
    if expected != found:
        raise BundleError(f"{path}: {what}: expected {expected}, found {found}")


def _open(data: bytes, path: Path) -> Any:
    try:
        return open_session(data)
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        reason = str(error).splitlines()[0]
        raise BundleError(f"{path}: expected a graph that onnxruntime loads: {reason}") from error


def _declared(tensors: tuple[Tensor, ...]) -> list[Signature]:
    return [(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors]


def _found(nodes: list[Any]) -> list[Signature]:
    dtypes = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
    return [
        (
            node.name,
            dtypes.get(node.type, node.type),
            tuple(size if isinstance(size, int) else _BATCH for size in node.shape),
        )
        for node in nodes
    ]
