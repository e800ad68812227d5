"""Triton's own client against a server of ours: exits with 1 and says what does not fit.

Runs where ``requirements.txt`` beside it is installed, and imports nothing of onehand:

    python tritonclient_check.py HOST:PORT expected.npz

``expected.npz`` holds ``descriptor``: our FileDescriptorProto as bytes; ``model`` and ``version``:
texts; ``images``: uint8, shape (n, 28, 28); ``probabilities`` and ``llr``: what Classify said of
them.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

SECONDS = 30
TOLERANCE = 1e-6
PARTLY = ("ModelConfig", "ModelInput", "ModelOutput")


def main() -> int:
    """Check the messages, then the answers; 0 if all fit."""
    target, path = sys.argv[1:]
    expected = dict(np.load(path))
    problems = list(_messages(expected["descriptor"].tobytes()))
    with triton.InferenceServerClient(target) as client:
        problems += [*_states(client, expected), *_answers(client, expected)]
        problems += _refusals(client, expected)
    for problem in problems:
        print(problem, file=sys.stderr)
    return bool(problems)


def _messages(serialized: bytes) -> Iterator[str]:
    """Compare our messages and methods with those that the client was generated from."""
    ours = FileDescriptorProto.FromString(serialized)
    theirs, extension = FileDescriptorProto(), FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    model_config_pb2.DESCRIPTOR.CopyToProto(extension)
    if ours.package != theirs.package:
        yield f"package: expected {theirs.package}, found {ours.package}"
    known = {message.name: message for message in (*theirs.message_type, *extension.message_type)}
    if list(ours.enum_type) != [e for e in extension.enum_type if e.name == "DataType"]:
        yield "DataType: differs"
    for message in ours.message_type:
        yield from _fields(message.name, message, known.get(message.name))
    methods = {m.name: (m.input_type, m.output_type) for m in theirs.service[0].method}
    for method in ours.service[0].method:
        if (method.input_type, method.output_type) != methods.get(method.name):
            yield f"{method.name}: expected {methods.get(method.name)}"
    if ours.service[0].name != theirs.service[0].name:
        yield f"service: expected {theirs.service[0].name}, found {ours.service[0].name}"


def _fields(path: str, ours: DescriptorProto, theirs: DescriptorProto | None) -> Iterator[str]:
    if theirs is None:
        yield f"{path}: not a message of the client"
        return
    expected = {_declaration(field) for field in theirs.field}
    found = {_declaration(field) for field in ours.field}
    # Of the extension's messages we have the fields that we fill.
    if not (found <= expected if path in PARTLY else found == expected):
        yield f"{path}: differs in {sorted(map(str, expected ^ found))}"
    nested = {message.name: message for message in theirs.nested_type}
    for message in ours.nested_type:
        yield from _fields(f"{path}.{message.name}", message, nested.get(message.name))


def _declaration(field: FieldDescriptorProto) -> tuple[Any, ...]:
    in_oneof = field.HasField("oneof_index")
    return field.number, field.name, field.type, field.label, field.type_name, in_oneof


def _states(client: triton.InferenceServerClient, expected: dict[str, Any]) -> Iterator[str]:
    """Ask all that is asked before an inference."""
    model, version = str(expected["model"]), str(expected["version"])
    if not client.is_server_live(client_timeout=SECONDS):
        yield "the server is not live"
    if not client.is_server_ready(client_timeout=SECONDS):
        yield "the server is not ready"
    for asked in ("", version):
        if not client.is_model_ready(model, asked, client_timeout=SECONDS):
            yield f"the model is not ready in version {asked!r}"
    server = client.get_server_metadata(client_timeout=SECONDS)
    if server.name != "onehand" or not server.version:
        yield f"server metadata: {server}"
    metadata = client.get_model_metadata(model, as_json=True, client_timeout=SECONDS)
    tensors = {t["name"]: (t["datatype"], t["shape"]) for t in metadata["inputs"]}
    tensors |= {t["name"]: (t["datatype"], t["shape"]) for t in metadata["outputs"]}
    if metadata["versions"] != [version] or tensors != {
        "images": ("UINT8", ["-1", "28", "28"]),
        "probabilities": ("FP32", ["-1", "3"]),
        "llr": ("FP32", ["-1"]),
    }:
        yield f"model metadata: {metadata}"
    config = client.get_model_config(model, client_timeout=SECONDS).config
    if (config.name, config.backend) != (model, "onnxruntime") or config.max_batch_size < 1:
        yield f"model configuration: {config}"


def _answers(client: triton.InferenceServerClient, expected: dict[str, Any]) -> Iterator[str]:
    """Infer, now and later, all outputs and one, and compare with Classify."""
    images, model = expected["images"], str(expected["model"])
    tensor = triton.InferInput("images", images.shape, "UINT8")
    tensor.set_data_from_numpy(images)
    whole = client.infer(model, [tensor], request_id="7", client_timeout=SECONDS)
    for name in ("probabilities", "llr"):
        given = whole.as_numpy(name)
        if given is None or given.shape != expected[name].shape:
            yield f"{name}: no array of shape {expected[name].shape}"
        elif not np.abs(given - expected[name]).max() <= TOLERANCE:
            yield f"{name}: differs by {np.abs(given - expected[name]).max()}"
    answer = whole.get_response()
    if (answer.id, answer.model_version) != ("7", str(expected["version"])):
        yield f"infer: id {answer.id}, version {answer.model_version}"
    part = client.infer(
        model,
        [tensor],
        model_version=str(expected["version"]),
        outputs=[triton.InferRequestedOutput("llr")],
        client_timeout=SECONDS,
    )
    if [output.name for output in part.get_response().outputs] != ["llr"]:
        yield "infer: expected the one output that was asked for"


def _refusals(client: triton.InferenceServerClient, expected: dict[str, Any]) -> Iterator[str]:
    """See that errors reach the caller as what they are."""
    tensor = triton.InferInput("images", (1, 784), "UINT8")
    tensor.set_data_from_numpy(expected["images"][:1].reshape(1, 784))
    for model, code in (("", "NOT_FOUND"), ("lost", "NOT_FOUND")):
        yield from _refusal(client, model, tensor, code)
    yield from _refusal(client, str(expected["model"]), tensor, "INVALID_ARGUMENT")


def _refusal(
    client: triton.InferenceServerClient, model: str, tensor: triton.InferInput, code: str
) -> Iterator[str]:
    try:
        client.infer(model, [tensor], client_timeout=SECONDS)
    except InferenceServerException as error:
        if error.status() != f"StatusCode.{code}":
            yield f"infer of {model!r}: expected {code}, found {error.status()}"
    else:
        yield f"infer of {model!r}: expected {code}, found an answer"


if __name__ == "__main__":
    sys.exit(main())
