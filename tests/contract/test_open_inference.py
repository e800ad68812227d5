"""The protocol is the standard's: other people's clients were generated from other files."""

import tomllib

import pytest
from google.protobuf.descriptor import FieldDescriptor

import serving
from serving.oip.service import SERVICE_NAME
from serving.pb import open_inference_pb2 as pb
from tests.generated_code import ROOT

PARAMETERS = "map<string, InferParameter> parameters"
STANDARD = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {1: "bool live"},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {1: "bool ready"},
    "ModelReadyRequest": {1: "string name", 2: "string version"},
    "ModelReadyResponse": {1: "bool ready"},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {
        1: "string name",
        2: "string version",
        3: "repeated string extensions",
    },
    "ModelMetadataRequest": {1: "string name", 2: "string version"},
    "ModelMetadataResponse": {
        1: "string name",
        2: "repeated string versions",
        3: "string platform",
        4: "repeated TensorMetadata inputs",
        5: "repeated TensorMetadata outputs",
    },
    "ModelMetadataResponse.TensorMetadata": {
        1: "string name",
        2: "string datatype",
        3: "repeated int64 shape",
    },
    "ModelInferRequest": {
        1: "string model_name",
        2: "string model_version",
        3: "string id",
        4: PARAMETERS,
        5: "repeated InferInputTensor inputs",
        6: "repeated InferRequestedOutputTensor outputs",
        7: "repeated bytes raw_input_contents",
    },
    "ModelInferRequest.InferInputTensor": {
        1: "string name",
        2: "string datatype",
        3: "repeated int64 shape",
        4: PARAMETERS,
        5: "InferTensorContents contents",
    },
    "ModelInferRequest.InferRequestedOutputTensor": {1: "string name", 2: PARAMETERS},
    "ModelInferResponse": {
        1: "string model_name",
        2: "string model_version",
        3: "string id",
        4: PARAMETERS,
        5: "repeated InferOutputTensor outputs",
        6: "repeated bytes raw_output_contents",
    },
    "ModelInferResponse.InferOutputTensor": {
        1: "string name",
        2: "string datatype",
        3: "repeated int64 shape",
        4: PARAMETERS,
        5: "InferTensorContents contents",
    },
    "InferParameter": {
        1: "bool bool_param",
        2: "int64 int64_param",
        3: "string string_param",
        4: "double double_param",
        5: "uint64 uint64_param",
    },
    "InferTensorContents": {
        1: "repeated bool bool_contents",
        2: "repeated int32 int_contents",
        3: "repeated int64 int64_contents",
        4: "repeated uint32 uint_contents",
        5: "repeated uint64 uint64_contents",
        6: "repeated float fp32_contents",
        7: "repeated double fp64_contents",
        8: "repeated bytes bytes_contents",
    },
    # Triton's extension; of the last four, only some fields.
    "ModelConfigRequest": {1: "string name", 2: "string version"},
    "ModelConfigResponse": {1: "ModelConfig config"},
    "ModelConfig": {
        1: "string name",
        2: "string platform",
        4: "int32 max_batch_size",
        5: "repeated ModelInput input",
        6: "repeated ModelOutput output",
        17: "string backend",
    },
    "ModelInput": {1: "string name", 2: "DataType data_type", 4: "repeated int64 dims"},
    "ModelOutput": {
        1: "string name",
        2: "DataType data_type",
        3: "repeated int64 dims",
        5: "ModelTensorReshape reshape",
    },
    "ModelTensorReshape": {1: "repeated int64 shape"},
}
DATA_TYPES = (
    *("INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "STRING", "BF16"),
)
METHODS = (
    *("ServerLive", "ServerReady", "ModelReady"),
    *("ServerMetadata", "ModelMetadata", "ModelInfer", "ModelConfig"),
)
SCALARS = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def declared(field: FieldDescriptor) -> str:
    """Return a field as a .proto file declares it."""
    kind = field.message_type
    if kind and kind.GetOptions().map_entry:
        key, value = kind.fields
        return f"map<{SCALARS[key.type]}, {value.message_type.name}> {field.name}"
    named = kind or field.enum_type
    name = named.name if named else SCALARS[field.type]
    return f"{'repeated ' if field.is_repeated else ''}{name} {field.name}"


@pytest.mark.parametrize("message", STANDARD)
def test_messages(message: str) -> None:
    """Each field has the number, the type and the name that the standard gives it."""
    names = message.split(".")
    kind = pb.DESCRIPTOR.message_types_by_name[names[0]]
    for name in names[1:]:
        kind = kind.nested_types_by_name[name]

    assert {field.number: declared(field) for field in kind.fields} == STANDARD[message]


def test_nothing_besides() -> None:
    """The file holds these messages, in the standard's package, and no other."""
    top = {message for message in STANDARD if "." not in message}

    assert set(pb.DESCRIPTOR.message_types_by_name) == top
    assert pb.DESCRIPTOR.package == "inference"
    assert pb.DataType.items() == [(f"TYPE_{name}", i) for i, name in enumerate(DATA_TYPES)]
    assert [oneof.name for oneof in pb.InferParameter.DESCRIPTOR.oneofs] == ["parameter_choice"]


def test_methods() -> None:
    """The service has the standard's name and methods, each with the messages of its name."""
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    signatures = {m.name: (m.input_type.name, m.output_type.name) for m in service.methods}

    assert SERVICE_NAME == "inference.GRPCInferenceService"
    assert signatures == {name: (f"{name}Request", f"{name}Response") for name in METHODS}


def test_version_is_the_package_s() -> None:
    """ServerMetadata tells the version that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert serving.__version__ == project["version"]
