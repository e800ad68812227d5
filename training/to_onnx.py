"""A network as an ONNX file: by torch's exporter, or quicker, by one that it wrote before.

The exporter takes seconds for each graph, and for hands of one recipe it writes the same graph each
time, but for the weights. Those of the default recipe lie in ``graphs/`` without their weights; a
network whose weights have the names and shapes that such a graph expects is filled into it. Whether
the outcome computes what the network does is checked by ``training.export``, whichever way it came
about. ``python -m training.graphs`` writes them anew.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as package_version
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from serving import bundle
from training.errors import ParityError

OPSET = 20
IR_VERSION = 10
GRAPHS = Path(__file__).with_name("graphs")


def to_onnx(network: nn.Module, contract: bundle.Graph, name: str) -> bytes:
    """Return the network as the bytes of a self-contained ONNX file with a free batch axis.

    Args:
        network: in evaluation mode.
        contract: its inputs and outputs.
        name: of the file in the bundle.

    Raises:
        ParityError: the exporter gave nothing.
    """
    return fill(network, name) or export_anew(network, contract, name)


def fill(network: nn.Module, name: str) -> bytes | None:
    """Return the known graph of this name with the network's weights; None = it does not fit."""
    model = onnx.load(GRAPHS / name, load_external_data=False)
    weights = network.state_dict()
    for tensor in _without_values(model):
        weight = weights.get(tensor.name)
        if weight is None or tuple(weight.shape) != tuple(tensor.dims):
            return None
        tensor.CopyFrom(numpy_helper.from_array(weight.numpy(), tensor.name))
    return _checked(model)


def keep(data: bytes, names: set[str], name: str) -> None:
    """Write a graph to ``GRAPHS`` without the values of the named weights."""
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        if tensor.name in names:
            tensor.ClearField("raw_data")
    GRAPHS.mkdir(exist_ok=True)
    (GRAPHS / name).write_bytes(model.SerializeToString(deterministic=True))


def _without_values(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [tensor for tensor in model.graph.initializer if not tensor.HasField("raw_data")]


def _checked(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def export_anew(network: nn.Module, contract: bundle.Graph, name: str) -> bytes:
    """Return the network as ``to_onnx`` does, always by torch's exporter."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    with _quiet_exporter():
        program = torch.onnx.export(
            network,
            tuple(_example(tensor) for tensor in contract.inputs),
            dynamo=True,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in contract.inputs],
            output_names=[tensor.name for tensor in contract.outputs],
            dynamic_shapes=tuple({0: batch} for _ in contract.inputs),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ParityError(f"{name}: the exporter returned no graph")
    model = program.model_proto
    _strip(model, name)
    return _checked(model)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep to itself what the exporter says of torch and of packages it can do without."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _example(tensor: bundle.Tensor) -> Tensor:
    shape = (2, *tensor.shape[1:])
    return torch.zeros(shape, dtype=torch.uint8 if tensor.dtype == "uint8" else torch.float32)


def _strip(model: onnx.ModelProto, name: str) -> None:
    """Remove what the exporter notes of this machine (stack traces with paths), name the graph."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.ClearField("value_info")
    graph.name = name.removesuffix(".onnx")
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    model.ir_version = IR_VERSION
    model.producer_name = "onehand"
    model.producer_version = package_version("onehand")
    onnx.helper.set_model_props(model, {"onehand.schema": str(bundle.SCHEMA_VERSION)})
