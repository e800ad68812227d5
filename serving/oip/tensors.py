"""Tensors of the protocol to arrays and back, and all that can be wrong with those of a request.

The input is ``images``: UINT8, shape (n, 28, 28), MNIST form. The outputs are ``probabilities``:
FP32, shape (n, 3), of own, other writer and other, and ``llr``: FP32, shape (n,).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import InvalidRequest
from serving.images import PIXELS, SIDE
from serving.model import Verdicts
from serving.pb import open_inference_pb2 as pb
from serving.profiles import Profile
from serving.wire import varint

__all__ = [
    "Asked", "configuration", "describe", "most_bytes", "read_asked", "read_images",
    "write_verdicts",
]  # fmt: skip

_INPUT = "images"
_DATATYPE = "UINT8"
_SIDES = (SIDE, SIDE)
_ENVELOPE = 64 * 1024
_LONGEST_ID = 256
_TAIL = {"probabilities": (3,), "llr": ()}
_OUTPUTS = " or ".join(_TAIL)
_ANY = -1
_PLATFORM = "onnxruntime_onnx"
# These change what the answer is or where it goes; all others are hints, and may be ignored.
_UNSUPPORTED = ("shared_memory_region", "classification")
# Field 6 of ModelInferResponse: a tag, a length, the bytes.
_RAW_OUTPUT = 0x32

Violation = tuple[str, str]
Images = NDArray[np.uint8]
InputTensor = pb.ModelInferRequest.InferInputTensor
OutputTensor = pb.ModelInferRequest.InferRequestedOutputTensor


class Asked(NamedTuple):
    """What a request asks for, without its pixels.

    Attributes:
        id: of the request, for the answer.
        rows: how many images it has.
        outputs: names of what it wants, in this order.
        raw: whether tensors travel as bytes, or else as lists of numbers.
    """

    id: str
    rows: int
    outputs: tuple[str, ...]
    raw: bool


def describe(profile: Profile) -> pb.ModelMetadataResponse:
    """Return the answer of ModelMetadata."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=profile.manifest.profile,
        versions=[profile.manifest.version],
        platform=_PLATFORM,
        inputs=[tensor(name=_INPUT, datatype=_DATATYPE, shape=(_ANY, *_SIDES))],
        outputs=[
            tensor(name=name, datatype="FP32", shape=(_ANY, *tail)) for name, tail in _TAIL.items()
        ],
    )


def configuration(profile: Profile, most: int) -> pb.ModelConfigResponse:
    """Return the answer of ModelConfig, where ``most`` is the largest n."""
    outputs = [
        pb.ModelOutput(
            name=name,
            data_type=pb.TYPE_FP32,
            dims=tail or (1,),
            reshape=None if tail else pb.ModelTensorReshape(),
        )
        for name, tail in _TAIL.items()
    ]
    return pb.ModelConfigResponse(
        config=pb.ModelConfig(
            name=profile.manifest.profile,
            platform=_PLATFORM,
            backend="onnxruntime",
            max_batch_size=most,
            input=[pb.ModelInput(name=_INPUT, data_type=pb.TYPE_UINT8, dims=_SIDES)],
            output=outputs,
        )
    )


def most_bytes(images: int) -> int:
    """Return the size that no request for so many images need exceed.

    A pixel takes two bytes at the most, as a number of ``contents``.
    """
    return 2 * PIXELS * images + _ENVELOPE


def read_asked(request: pb.ModelInferRequest, most: int) -> Asked:
    """Return what a request asks for, if that is something that can be answered.

    Args:
        request: whatever a caller sent.
        most: the largest number of images.

    Raises:
        InvalidRequest: names every field that breaks the contract, of inputs and of outputs.
    """
    violations = [*_problems_of_inputs(request.inputs, most), *_problems_of_outputs(request)]
    if len(request.id) > _LONGEST_ID:  # it is given back
        violations.append(
            ("id", f"expected at most {_LONGEST_ID} letters, found {len(request.id)}")
        )
    if violations:
        raise InvalidRequest(violations)
    return Asked(
        id=request.id,
        rows=request.inputs[0].shape[0],
        outputs=tuple(output.name for output in request.outputs) or tuple(_TAIL),
        raw=bool(request.raw_input_contents),
    )


def read_images(request: pb.ModelInferRequest, asked: Asked) -> Images:
    """Return the images of a request that asks for this, shape (rows, 28, 28).

    Raises:
        InvalidRequest: they are not as many bytes or numbers as that, or not in one place.
    """
    pixels = _raw_pixels(request, asked.rows) if asked.raw else _pixels(request, asked.rows)
    return pixels.reshape(asked.rows, *_SIDES)


def write_verdicts(asked: Asked, profile: Profile, verdicts: Verdicts) -> bytes:
    """Return the answer as on the wire: what is asked for, in the form of the request's input.

    What follows from the question is written once for all that are alike; the numbers of a raw
    answer are its last fields, and two messages in a row are one with the fields of both
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
    """
    manifest = profile.manifest
    head = _answer(asked, manifest.profile, manifest.version, profile.digest)
    values = {"probabilities": verdicts.probabilities, "llr": verdicts.llr}
    arrays = [values[name] for name in asked.outputs]
    if asked.raw:
        return b"".join([head, *map(_raw_output, arrays)])
    response = pb.ModelInferResponse.FromString(head)
    for output, array in zip(response.outputs, arrays, strict=True):
        output.contents.fp32_contents.extend(array.ravel().tolist())
    return response.SerializeToString()


@lru_cache(maxsize=1024)
def _answer(asked: Asked, name: str, version: str, digest: str) -> bytes:
    """Return the answer without its numbers."""
    response = pb.ModelInferResponse(model_name=name, model_version=version, id=asked.id)
    response.parameters["digest"].string_param = digest
    for output in asked.outputs:
        response.outputs.add(name=output, datatype="FP32", shape=(asked.rows, *_TAIL[output]))
    return response.SerializeToString()


def _raw_output(array: NDArray[np.float32]) -> bytes:
    return _mark(array.nbytes) + array.astype("<f4", copy=False).tobytes()


@lru_cache(maxsize=1024)
def _mark(length: int) -> bytes:
    """Return what stands before a raw output of so many bytes."""
    return bytes([_RAW_OUTPUT]) + varint(length)


def _problems_of_inputs(inputs: Sequence[InputTensor], most: int) -> Iterator[Violation]:
    if len(inputs) != 1:
        yield "inputs", f"expected one tensor, {_INPUT}, found {len(inputs)}"
        return
    [tensor] = inputs
    if tensor.name != _INPUT:
        yield "inputs[0].name", f"expected {_INPUT}, found {_quoted(tensor.name)}"
    if tensor.datatype != _DATATYPE:
        yield "inputs[0].datatype", f"expected {_DATATYPE}, found {_quoted(tensor.datatype)}"
    shape = tuple(tensor.shape[:4])
    if shape[1:] != _SIDES or not 1 <= shape[0] <= most:
        found = f"{len(tensor.shape)} dimensions" if len(shape) > 3 else f"{list(shape)}"
        yield "inputs[0].shape", f"expected [n, 28, 28] with n from 1 to {most}, found {found}"
    yield from _problems_of_parameters("inputs[0].parameters", tensor)


def _problems_of_outputs(request: pb.ModelInferRequest) -> Iterator[Violation]:
    outputs = request.outputs
    if len(outputs) > len(_TAIL):
        yield "outputs", f"expected at most {len(_TAIL)}, found {len(outputs)}"
        return
    seen = set()
    for place, output in enumerate(outputs):
        field = f"outputs[{place}]"
        if output.name not in _TAIL:
            yield f"{field}.name", f"expected {_OUTPUTS}, found {_quoted(output.name)}"
        elif output.name in seen:
            yield f"{field}.name", f"{output.name} is asked for twice"
        seen.add(output.name)
        yield from _problems_of_parameters(f"{field}.parameters", output)


def _problems_of_parameters(field: str, tensor: InputTensor | OutputTensor) -> Iterator[Violation]:
    for name in _UNSUPPORTED:
        if name in tensor.parameters:
            yield field, f"{name} is not supported"


def _raw_pixels(request: pb.ModelInferRequest, rows: int) -> Images:
    raw = request.raw_input_contents
    if len(raw) != 1:
        raise _invalid("raw_input_contents", f"expected one for the one input, found {len(raw)}")
    if request.inputs[0].contents.ListFields():
        raise _invalid("inputs[0].contents", "expected none beside raw_input_contents, found some")
    if len(raw[0]) != rows * PIXELS:
        raise _invalid(
            "raw_input_contents[0]",
            f"expected {rows * PIXELS} bytes for the shape, found {len(raw[0])}",
        )
    return np.frombuffer(raw[0], np.uint8)


def _pixels(request: pb.ModelInferRequest, rows: int) -> Images:
    contents = request.inputs[0].contents
    field = "inputs[0].contents.uint_contents"
    others = [given.name for given, _ in contents.ListFields() if given.name != "uint_contents"]
    if others:
        raise _invalid(f"inputs[0].contents.{others[0]}", f"expected none for {_DATATYPE}")
    count = len(contents.uint_contents)
    if count != rows * PIXELS:
        raise _invalid(
            field,
            f"expected {rows * PIXELS} elements for the shape, here or as bytes in "
            f"raw_input_contents, found {count}",
        )
    wide = np.array(contents.uint_contents)  # a copy of memory: no element becomes an object
    if wide.max() > 255:
        raise _invalid(field, f"expected 0 to 255, found {wide.max()}")
    return wide.astype(np.uint8)


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest([(field, problem)])


def _quoted(text: str) -> str:
    return repr(text[:64])
