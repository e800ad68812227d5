"""The Open Inference Protocol over gRPC, by stubs of the standard's own messages."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2 as details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.oip.service import SERVICE_NAME
from serving.pb import handwriting_pb2
from serving.pb import open_inference_pb2 as pb
from serving.pb import open_inference_pb2_grpc as pb_grpc
from tests import bundles
from tests import pictures as pages
from tests.integration.test_health import listed
from tests.serving_host import PATIENCE, Running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
Parameters = dict[str, pb.InferParameter]


def stub(running: Running) -> Any:
    """Return a stub of the protocol's service."""
    return pb_grpc.GRPCInferenceServiceStub(running.channel)  # type: ignore[no-untyped-call]


def images(count: int) -> NDArray[np.uint8]:
    """Return pictures of noise in MNIST form: dark at the rim."""
    noise = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    noise[:, [0, 1, -1, -2], :] = 0
    noise[:, :, [0, 1, -1, -2]] = 0
    return noise


def raw(pictures: NDArray[np.uint8], **fields: Any) -> pb.ModelInferRequest:
    """Return a request with raw contents."""
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="images", datatype="UINT8", shape=pictures.shape
    )
    ours = {"model_name": "tiny", "inputs": [tensor], "raw_input_contents": [pictures.tobytes()]}
    return pb.ModelInferRequest(**(ours | fields))


def typed(pictures: NDArray[np.uint8], **fields: Any) -> pb.ModelInferRequest:
    """Return a request with typed contents."""
    request = raw(pictures, raw_input_contents=[], **fields)
    request.inputs[0].contents.uint_contents.extend(pictures.ravel().tolist())
    return request


def values(answer: pb.ModelInferResponse) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of an answer, whichever form they have."""
    arrays = {}
    for place, output in enumerate(answer.outputs):
        assert output.datatype == "FP32"
        flat = (
            np.frombuffer(answer.raw_output_contents[place], "<f4")
            if answer.raw_output_contents
            else np.array(output.contents.fp32_contents, np.float32)
        )
        arrays[output.name] = flat.reshape(tuple(output.shape))
    return arrays


def ours(running: Running, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return what Classify says of the same pictures."""
    request = handwriting_pb2.ClassifyRequest(
        images=[
            handwriting_pb2.Image(
                pixels=handwriting_pb2.Pixels(data=picture.tobytes(), height=28, width=28)
            )
            for picture in pictures
        ]
    )
    results = running.stub.Classify(request, timeout=PATIENCE).results
    return {
        "probabilities": np.array(
            [(r.own, r.other_writer, r.other) for r in results], dtype=np.float32
        ),
        "llr": np.array([r.llr for r in results], dtype=np.float32),
    }


def refused(running: Running, method: str, request: Any) -> tuple[grpc.StatusCode, list[Any]]:
    """Return code and details of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub(running), method)(request, timeout=PATIENCE)
    status = rpc_status.from_call(caught.value)
    assert status is not None
    details = []
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        detail = getattr(details_pb2, name)()
        packed.Unpack(detail)
        details.append(detail)
    return caught.value.code(), details


def violations(running: Running, request: pb.ModelInferRequest) -> dict[str, str]:
    """Return what is wrong with each field of a request that is refused."""
    code, details = refused(running, "ModelInfer", request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    [bad] = [detail for detail in details if isinstance(detail, details_pb2.BadRequest)]
    return {violation.field: violation.description for violation in bad.field_violations}


def version(running: Running) -> str:
    """Return the version of the tiny profile."""
    [profile] = running.server.catalogue.all()
    return profile.manifest.version


def test_live_and_ready_follow_the_models(make_server: Callable[..., Running]) -> None:
    """The server is live at once, ready with its models, and so says its health."""
    running = make_server(load=False)
    ask = stub(running)
    model = pb.ModelReadyRequest(name="tiny")

    def state() -> tuple[bool, bool, bool, int]:
        health = running.health.Check(
            health_pb2.HealthCheckRequest(service=SERVICE_NAME), timeout=PATIENCE
        )
        return (
            ask.ServerLive(pb.ServerLiveRequest(), timeout=PATIENCE).live,
            ask.ServerReady(pb.ServerReadyRequest(), timeout=PATIENCE).ready,
            ask.ModelReady(model, timeout=PATIENCE).ready,
            health.status,
        )

    before = state()
    running.host.run(running.server.load())
    loaded = state()
    running.host.run(running.server.drain(asyncio.Event()))

    assert before == (True, False, False, NOT_SERVING)
    assert loaded == (True, True, True, SERVING)
    assert state() == (True, False, False, NOT_SERVING)
    stub(running).ModelInfer(raw(images(1)), timeout=PATIENCE)  # who comes all the same


def test_probes_are_answered_however_busy_the_server_is(
    make_server: Callable[..., Running],
) -> None:
    """An orchestrator that hears nothing restarts a server that is only busy."""
    running = make_server(max_in_flight=1)
    model = pb.ModelReadyRequest(name="tiny")

    with running.held(running.server.threads.reading, 1):
        page = pages.encoded(pages.file(pages.page()))
        call = running.stub.Classify.future(
            handwriting_pb2.ClassifyRequest(images=[page]), timeout=PATIENCE
        )
        running.wait_until(lambda: running.in_work() == 1)
        assert (
            refused(running, "ModelInfer", raw(images(1)))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        assert stub(running).ServerLive(pb.ServerLiveRequest(), timeout=PATIENCE).live
        assert stub(running).ServerReady(pb.ServerReadyRequest(), timeout=PATIENCE).ready
        assert stub(running).ModelReady(model, timeout=PATIENCE).ready
    call.result()


def test_not_ready_is_unavailable(make_server: Callable[..., Running]) -> None:
    """Before the models are there, inference is refused and told to come back."""
    running = make_server(load=False)

    code, details = refused(running, "ModelInfer", raw(images(1)))

    assert code is grpc.StatusCode.UNAVAILABLE
    assert any(isinstance(detail, details_pb2.RetryInfo) for detail in details)


def test_metadata(shared_server: Running) -> None:
    """Server and model describe themselves."""
    server = stub(shared_server).ServerMetadata(pb.ServerMetadataRequest(), timeout=PATIENCE)
    model = stub(shared_server).ModelMetadata(
        pb.ModelMetadataRequest(name="tiny", version=version(shared_server)), timeout=PATIENCE
    )

    assert (server.name, list(server.extensions)) == ("onehand", ["model_configuration"])
    assert (model.name, list(model.versions)) == ("tiny", [version(shared_server)])
    assert model.platform == "onnxruntime_onnx"
    assert [(t.name, t.datatype, list(t.shape)) for t in model.inputs] == [
        ("images", "UINT8", [-1, 28, 28])
    ]
    assert [(t.name, t.datatype, list(t.shape)) for t in model.outputs] == [
        ("probabilities", "FP32", [-1, 3]),
        ("llr", "FP32", [-1]),
    ]


def test_configuration(make_server: Callable[..., Running]) -> None:
    """In Triton's terms dimensions leave out the batch, whose size is the limit of a request."""
    request = pb.ModelConfigRequest(name="tiny")

    config = stub(make_server(max_images=7)).ModelConfig(request, timeout=PATIENCE).config

    assert (config.name, config.platform, config.backend) == (
        "tiny",
        "onnxruntime_onnx",
        "onnxruntime",
    )
    assert config.max_batch_size == 7
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [
        ("images", pb.TYPE_UINT8, [28, 28])
    ]
    assert [(t.name, t.data_type, list(t.dims), t.HasField("reshape")) for t in config.output] == [
        ("probabilities", pb.TYPE_FP32, [3], False),
        ("llr", pb.TYPE_FP32, [1], True),
    ]


@pytest.mark.parametrize("form", [raw, typed])
@pytest.mark.parametrize("count", [1, 70])
def test_same_answer_as_classify(
    shared_server: Running, form: Callable[..., pb.ModelInferRequest], count: int
) -> None:
    """The outputs are those of our own service, in the form in which the input came."""
    pictures = images(count)

    answer = stub(shared_server).ModelInfer(form(pictures, id="a1"), timeout=PATIENCE)

    assert (answer.model_name, answer.id) == ("tiny", "a1")
    assert answer.model_version == version(shared_server)
    assert (
        answer.parameters["digest"].string_param == shared_server.server.catalogue.all()[0].digest
    )
    assert len(answer.raw_output_contents) == (2 if form is raw else 0)
    assert list(values(answer)) == ["probabilities", "llr"]
    for name, array in ours(shared_server, pictures).items():
        np.testing.assert_allclose(values(answer)[name], array, atol=1e-6)


def test_every_pixel_has_its_place(shared_server: Running) -> None:
    """Many different images keep their order and orientation: numpy, from the weights, agrees."""
    pictures = np.random.default_rng(5).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    logits = pictures.reshape(5, 784).astype(np.float32) / 255 @ bundles.make_weights(0)["classify"]

    answer = stub(shared_server).ModelInfer(raw(pictures), timeout=PATIENCE)

    np.testing.assert_allclose(values(answer)["llr"], logits[:, 0] - logits[:, 1], atol=1e-4)


@pytest.mark.parametrize("names", [["llr"], ["llr", "probabilities"]])
def test_only_what_is_asked_for(shared_server: Running, names: list[str]) -> None:
    """The outputs named by the request come, in its order, and no other."""
    asked = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in names]

    answer = stub(shared_server).ModelInfer(raw(images(2), outputs=asked), timeout=PATIENCE)

    assert list(values(answer)) == names
    assert {len(array) for array in values(answer).values()} == {2}


def test_a_probe_is_short(shared_server: Running) -> None:
    """Probes take no place among the calls in work, so nothing long is made of them."""
    code, _ = refused(shared_server, "ModelReady", pb.ModelReadyRequest(name="x" * 5000))

    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelConfig"])
@pytest.mark.parametrize(
    ("name", "asked", "reason"),
    [
        ("", "", "UNKNOWN_PROFILE"),
        ("huge", "", "UNKNOWN_PROFILE"),
        ("tiny", "1", "UNKNOWN_VERSION"),
    ],
)
def test_unknown_models(
    shared_server: Running, method: str, name: str, asked: str, reason: str
) -> None:
    """A name that is empty or not loaded, and a version not in force, are NOT_FOUND."""
    request = getattr(pb, f"{method}Request")(name=name, version=asked)

    for code, details in (
        refused(shared_server, method, request),
        refused(
            shared_server,
            "ModelInfer",
            pb.ModelInferRequest(model_name=name, model_version=asked),
        ),
    ):
        assert code is grpc.StatusCode.NOT_FOUND
        assert [d.reason for d in details if isinstance(d, details_pb2.ErrorInfo)] == [reason]


def shaped(*shape: int) -> pb.ModelInferRequest:
    request = raw(images(1))
    request.inputs[0].shape[:] = shape
    return request


def with_input(**fields: Any) -> pb.ModelInferRequest:
    request = raw(images(1))
    request.inputs[0].MergeFrom(pb.ModelInferRequest.InferInputTensor(**fields))
    return request


def asking(*outputs: tuple[str, Parameters]) -> pb.ModelInferRequest:
    kind = pb.ModelInferRequest.InferRequestedOutputTensor
    return raw(images(1), outputs=[kind(name=n, parameters=p) for n, p in outputs])


def too_bright() -> pb.ModelInferRequest:
    request = typed(images(1))
    request.inputs[0].contents.uint_contents[3] = 256
    return request


def in_other_contents() -> pb.ModelInferRequest:
    request = raw(images(1), raw_input_contents=[])
    request.inputs[0].contents.int_contents.extend([0] * 784)
    return request


ONE = pb.InferParameter(int64_param=1)
WRONG = {
    "no input": (pb.ModelInferRequest(model_name="tiny"), "inputs"),
    "two inputs": (raw(images(1), inputs=[pb.ModelInferRequest.InferInputTensor()] * 2), "inputs"),
    "name": (with_input(name="pixels"), "inputs[0].name"),
    "datatype": (with_input(datatype="FP32"), "inputs[0].datatype"),
    "no shape": (shaped(), "inputs[0].shape"),
    "no images": (shaped(0, 28, 28), "inputs[0].shape"),
    "negative": (shaped(-1, 28, 28), "inputs[0].shape"),
    "too many": (shaped(257, 28, 28), "inputs[0].shape"),
    "flat": (shaped(1, 784), "inputs[0].shape"),
    "scalar more": (shaped(1, 28, 28, 1), "inputs[0].shape"),
    "huge": (shaped(2**62, 28, 28), "inputs[0].shape"),
    "shared memory": (
        with_input(parameters={"shared_memory_region": ONE}),
        "inputs[0].parameters",
    ),
    "too few bytes": (raw(images(1), raw_input_contents=[b"\0" * 783]), "raw_input_contents[0]"),
    "two raw": (raw(images(1), raw_input_contents=[b"", b""]), "raw_input_contents"),
    "both": (
        with_input(contents=pb.InferTensorContents(uint_contents=[1])),
        "inputs[0].contents",
    ),
    "neither": (raw(images(1), raw_input_contents=[]), "inputs[0].contents.uint_contents"),
    "too bright": (too_bright(), "inputs[0].contents.uint_contents"),
    "other contents": (in_other_contents(), "inputs[0].contents.int_contents"),
    "unknown output": (asking(("label", {})), "outputs[0].name"),
    "same output twice": (asking(("llr", {}), ("llr", {})), "outputs[1].name"),
    "three outputs": (asking(*[("llr", {})] * 3), "outputs"),
    "classification": (asking(("llr", {"classification": ONE})), "outputs[0].parameters"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_requests_name_the_field(shared_server: Running, case: str) -> None:
    """Each break of the contract is refused, and its field is named."""
    request, field = WRONG[case]

    assert list(violations(shared_server, request)) == [field]


def test_all_that_is_wrong_is_told_at_once(shared_server: Running) -> None:
    """Name, datatype, shape and outputs are reported together."""
    request = asking(("label", {}))
    request.inputs[0].name = "x" * 1000
    request.inputs[0].datatype = "\x00\N{SNOWMAN}"
    request.inputs[0].shape[:] = [1]

    assert set(violations(shared_server, request)) == {
        "inputs[0].name",
        "inputs[0].datatype",
        "inputs[0].shape",
        "outputs[0].name",
    }


def test_limit_of_images_is_the_server_s(make_server: Callable[..., Running]) -> None:
    """As many images as the settings allow, and not one more."""
    running = make_server(max_images=3)

    assert len(stub(running).ModelInfer(raw(images(3)), timeout=PATIENCE).outputs) == 2
    assert list(violations(running, raw(images(4)))) == ["inputs[0].shape"]


def test_inference_is_admitted_and_counted(make_server: Callable[..., Running]) -> None:
    """What is over the limit is shed and told when to come back; every outcome is counted."""
    running = make_server(max_queued_bytes=1024 * 1024, max_message_bytes=1024)
    running.server._admission._max_bytes = 500
    code, details = refused(running, "ModelInfer", raw(images(1)))
    running.server._admission._max_bytes = 10_000
    stub(running).ModelInfer(raw(images(1)), timeout=PATIENCE)

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert any(isinstance(detail, details_pb2.RetryInfo) for detail in details)
    assert running.handled() == {
        ("ModelInfer", "RESOURCE_EXHAUSTED"): 1,
        ("ModelInfer", "OK"): 1,
    }


def test_methods_are_shown_before_they_are_used(make_server: Callable[..., Running]) -> None:
    """Each method has its counters from the start, so that a rate can be taken of the first."""
    running = make_server()
    methods = {
        dict(labels)["grpc_method"]
        for (name, labels), value in running.metrics().items()
        if name == "grpc_server_started_total" and dict(labels)["grpc_service"] == SERVICE_NAME
    }

    assert methods == {
        method.name for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
    }


def test_can_be_switched_off(make_server: Callable[..., Running]) -> None:
    """On by default and listed; when off, the service is not there at all."""
    on, off = make_server(), make_server(open_inference=False)

    code, _ = refused(off, "ServerLive", pb.ServerLiveRequest())

    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert SERVICE_NAME in listed(on)
    assert SERVICE_NAME not in listed(off)


def test_one_of_several_profiles(host: Any, tmp_path: Path) -> None:
    """Each profile is a model of its name, and there is no default one."""
    bundles.build(tmp_path, "anna", seed=1)
    bundles.build(tmp_path, "ben", seed=2)
    pictures = images(1)

    with host.running(models=tmp_path, default_profile="anna") as running:
        answers = {
            name: stub(running).ModelInfer(raw(pictures, model_name=name), timeout=PATIENCE)
            for name in ("anna", "ben")
        }
        code, _ = refused(running, "ModelInfer", raw(pictures, model_name=""))

    assert {name: answer.model_name for name, answer in answers.items()} == {
        "anna": "anna",
        "ben": "ben",
    }
    assert values(answers["anna"])["llr"] != values(answers["ben"])["llr"]
    assert code is grpc.StatusCode.NOT_FOUND


RELAXED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CLEAN = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
dimensions = st.one_of(st.sampled_from([1, 2, 28, 784]), st.integers(-(2**63), 2**63 - 1))
words = st.one_of(
    st.sampled_from(["images", "UINT8", "tiny", "llr", "probabilities", ""]), st.text(max_size=8)
)
pixels = st.one_of(st.binary(max_size=8), st.sampled_from([bytes(784), bytes(1568), b"\xff" * 784]))
parameters = st.dictionaries(
    st.one_of(st.sampled_from(["shared_memory_region", "classification"]), st.text(max_size=4)),
    st.builds(pb.InferParameter, double_param=st.floats()),
    max_size=2,
)
contents = st.builds(
    pb.InferTensorContents,
    uint_contents=st.one_of(
        st.lists(st.integers(0, 2**32 - 1), max_size=4), st.sampled_from([[7] * 784, [256] * 784])
    ),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
)
tensors = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=words,
    datatype=words,
    shape=st.one_of(st.just([1, 28, 28]), st.lists(dimensions, max_size=5)),
    parameters=parameters,
    contents=st.one_of(st.none(), contents),
)
requests = st.builds(
    pb.ModelInferRequest,
    model_name=words,
    model_version=words,
    id=st.text(max_size=8),
    parameters=parameters,
    inputs=st.lists(tensors, max_size=2),
    outputs=st.lists(
        st.builds(
            pb.ModelInferRequest.InferRequestedOutputTensor, name=words, parameters=parameters
        ),
        max_size=3,
    ),
    raw_input_contents=st.lists(pixels, max_size=2),
)
methods = st.sampled_from(["ModelInfer", "ModelMetadata", "ModelReady", "ModelConfig"])


def code_of(running: Running, method: str, payload: bytes) -> grpc.StatusCode:
    """Return the status of a call with these bytes."""
    call = running.channel.unary_unary(f"/{SERVICE_NAME}/{method}")
    code: grpc.StatusCode = call.future(payload, timeout=PATIENCE).code()
    return code


@RELAXED
@given(request=requests)
def test_any_request(shared_server: Running, request: pb.ModelInferRequest) -> None:
    """Whatever a request holds, it is answered or cleanly refused."""
    assert code_of(shared_server, "ModelInfer", request.SerializeToString()) in CLEAN


@RELAXED
@given(method=methods, payload=st.binary(max_size=200))
def test_any_bytes(shared_server: Running, method: str, payload: bytes) -> None:
    """Bytes that were never a message get a clean status from every method."""
    assert code_of(shared_server, method, payload) in CLEAN


@RELAXED
@given(place=st.integers(0, 800), change=st.binary(min_size=1, max_size=4), cut=st.integers(0, 850))
def test_any_damage(shared_server: Running, place: int, change: bytes, cut: int) -> None:
    """A good request with some bytes changed and cut short is answered or cleanly refused."""
    good = raw(images(1)).SerializeToString()
    payload = (good[:place] + change + good[place + len(change) :])[: max(cut, 1)]

    assert code_of(shared_server, "ModelInfer", payload) in CLEAN
