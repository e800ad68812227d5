"""Hostile messages: every field of every request, by its descriptor, and bytes that are no message.

Strategies are made from the descriptors of the .proto files, so a new field or a new service is
covered the day it appears. Values lean towards borders; a few fields get values that lead deeper
into the server than chance would.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor as MessageDescriptor
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from hypothesis import strategies as st

from benchmarks.robustness.calls import page, stroke
from serving.images import encode_png
from serving.pb import handwriting_pb2, open_inference_pb2

__all__ = ["methods", "mutate", "requests"]

_DEPTH = 4
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_UINT32 = (0, 2**32 - 1)
_UINT64 = (0, 2**64 - 1)
_ALWAYS = ("images", "count", "model_name", "inputs", "data", "height", "width", "image")
_STRANGE_TEXT = (
    "",
    "sample",
    "../../etc",
    "a" * 63,
    "a" * 64,
    "\0",
    "\n",
    "é",
    "%s{}",
    "\U0001f600",
)
_FILES = (
    *(page(40, kind) for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")),
    encode_png(stroke(0)),  # is read with others like it, by another way
)


def methods() -> Iterator[MethodDescriptor]:
    """Yield every unary method that a server has."""
    for file in (handwriting_pb2, open_inference_pb2, health_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if not (method.server_streaming or method.client_streaming):
                    yield method


def requests(method: MethodDescriptor) -> st.SearchStrategy[bytes]:
    """Return valid messages for this method with any values, as bytes."""
    return _messages(method.input_type, _DEPTH).map(lambda message: message.SerializeToString())


def mutate(draw: random.Random, payload: bytes) -> bytes:
    """Return bytes that were a message once: flipped, cut, doubled, or never one at all."""
    data = bytearray(payload)
    for _ in range(draw.randint(1, 4)):
        place = draw.randint(0, len(data))
        match draw.randrange(6):
            case 0 if data:
                data[place - 1] = draw.randrange(256)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = draw.randbytes(draw.randint(1, 16))
            case 3:
                data[place:place] = data[: draw.randint(0, 64)]
            case 4:
                data[place:place] = b"\xff" * draw.randint(1, 11)
            case _ if draw.random() < 0.2:
                data = bytearray(draw.randbytes(draw.randint(0, 200)))
    return bytes(data)


def _messages(kind: MessageDescriptor, depth: int) -> st.SearchStrategy[Message]:
    fields = {
        field.name: _values(field, depth)
        for field in kind.fields
        if depth or field.type != FieldDescriptor.TYPE_MESSAGE
    }
    # Without these a request comes to nothing; their values may still be empty.
    always = {name: values for name, values in fields.items() if name in _ALWAYS}
    others = {name: values for name, values in fields.items() if name not in _ALWAYS}
    make = GetMessageClass(kind)
    return st.fixed_dictionaries(always, optional=others).map(lambda values: make(**values))


def _values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_single(key, depth - 1), _single(value, depth - 1), max_size=2)
    one = _single(field, depth - 1)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _single(  # noqa: PLR0911 - one line for each type
    field: FieldDescriptor, depth: int
) -> st.SearchStrategy[Any]:
    if field.full_name in _CHOSEN_FIELDS:
        return _CHOSEN_FIELDS[field.full_name]()
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            return _messages(field.message_type, depth)
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=40)
        case FieldDescriptor.CPPTYPE_STRING:
            return st.one_of(st.sampled_from(_STRANGE_TEXT), st.text(max_size=20))
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_FLOAT:
            return st.floats(width=32)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return st.floats()
        case FieldDescriptor.CPPTYPE_UINT32:
            return st.integers(*_UINT32)
        case FieldDescriptor.CPPTYPE_UINT64:
            return st.integers(*_UINT64)
        case FieldDescriptor.CPPTYPE_INT64:
            return st.integers(*_INT64)
        case FieldDescriptor.CPPTYPE_ENUM:
            return st.one_of(st.integers(-1, 5), st.integers(*_INT32))
        case _:
            return st.integers(*_INT32)


def _names() -> st.SearchStrategy[str]:
    # The profiles of the benchmark and of the tests, far more often than names of nothing.
    known = st.sampled_from(("", "sample", "tiny") * 6 + _STRANGE_TEXT)
    return st.one_of(known, known, known, st.text(max_size=20))


def _sides() -> st.SearchStrategy[int]:
    return st.one_of(
        st.just(28), st.just(28), st.just(28), st.integers(0, 64), st.integers(*_UINT32)
    )


def _pixels() -> st.SearchStrategy[bytes]:
    return st.sampled_from((stroke(1).tobytes(), stroke(2).tobytes(), bytes(784), bytes(783)))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A picture file with some bytes changed, or cut short."""
    data = bytearray(draw(st.sampled_from(_FILES)))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=4)
    ):
        data[place] = value
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


_CHOSEN_FIELDS: Mapping[str, Callable[[], st.SearchStrategy[Any]]] = {
    "onehand.v1.Image.encoded": lambda: st.one_of(_damaged(), st.binary(max_size=64)),
    "onehand.v1.Pixels.data": lambda: st.one_of(_pixels(), _pixels(), st.binary(max_size=64)),
    "onehand.v1.Pixels.height": _sides,
    "onehand.v1.Pixels.width": _sides,
    "onehand.v1.ClassifyRequest.profile": _names,
    "onehand.v1.GetProfileRequest.profile": _names,
    "onehand.v1.GenerateVariantsRequest.profile": _names,
    # Few, so that the fuzz does not spend its time on drawing.
    "onehand.v1.GenerateVariantsRequest.count": lambda: st.one_of(
        st.integers(-2, 4), st.integers(1001, _INT32[1]), st.integers(_INT32[0], 0)
    ),
    "inference.ModelInferRequest.model_name": _names,
    "inference.ModelInferRequest.raw_input_contents": lambda: st.one_of(
        _pixels(), st.binary(max_size=64)
    ),
    "inference.ModelInferRequest.InferInputTensor.name": lambda: st.sampled_from(
        ("images", "", "x")
    ),
    "inference.ModelInferRequest.InferInputTensor.datatype": lambda: st.sampled_from(
        ("UINT8", "FP32", "BYTES", "", "uint8")
    ),
    "inference.ModelInferRequest.InferInputTensor.shape": lambda: st.one_of(
        st.sampled_from((1, 28, 784, 0, -1)), st.integers(*_INT64)
    ),
}
