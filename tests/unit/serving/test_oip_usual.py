"""The short way of reading a ModelInfer request agrees with the parser, or stands aside."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidRequest
from serving.oip.tensors import read_asked, read_images
from serving.oip.usual import usual_request
from serving.pb import open_inference_pb2 as pb

MOST = 3
OUTPUTS = [(), ("llr",), ("llr", "probabilities"), ("probabilities", "llr")]


def request(rows: int = 1, pixels: bytes = b"", **fields: str) -> pb.ModelInferRequest:
    """Return a request of so many raw images."""
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="images", datatype="UINT8", shape=[rows, 28, 28]
    )
    data = pixels or bytes(rows * 784)
    return pb.ModelInferRequest(inputs=[tensor], raw_input_contents=[data], **fields)


@given(
    rows=st.integers(1, MOST),
    seed=st.integers(0, 99),
    model=st.text(max_size=20),
    version=st.text(max_size=12),
    name=st.text(max_size=100),
    outputs=st.sampled_from(OUTPUTS),
    hint=st.booleans(),
)
def test_usual_request_is_recognised(
    rows: int,
    seed: int,
    model: str,
    version: str,
    name: str,
    outputs: tuple[str, ...],
    hint: bool,
) -> None:
    """Any pixels, names, id, outputs and parameters are read without the parser."""
    pixels = np.random.default_rng(seed).bytes(rows * 784)
    message = request(rows, pixels, model_name=model, model_version=version, id=name)
    for output in outputs:
        message.outputs.add(name=output)
    if hint:
        message.parameters["priority"].int64_param = 1

    found = usual_request(message.SerializeToString(), MOST)

    assert found is not None
    assert found[:3] == (model, version, read_asked(message, MOST))
    assert found.images.tobytes() == pixels
    assert found.images.shape == (rows, 28, 28)


def test_other_requests_are_left_to_the_parser() -> None:
    """Wrong and unusual requests are: what is wrong with them only the parser can tell."""
    numbers = request()
    numbers.inputs[0].contents.uint_contents.extend([0] * 784)
    twice = request()
    twice.raw_input_contents.append(bytes(784))
    strange = request()
    strange.outputs.add(name="odds")
    other = request()
    other.inputs[0].datatype = "FP32"
    fewer = request(2, bytes(784))
    late = request().SerializeToString() + b"\x1a\x01x"  # an id behind the pixels
    listed = request()
    del listed.raw_input_contents[:]
    listed.inputs[0].contents.uint_contents.extend([0] * 784)
    messages = (
        numbers,
        twice,
        strange,
        other,
        fewer,
        listed,
        request(MOST + 1),
        request(id="x" * 257),
    )
    for raw in (
        b"",
        bytes(784),
        b"\x3a\x90\x06" + bytes(784),
        late,
        request().SerializeToString()[:-1],
    ):
        assert usual_request(raw, MOST) is None
    for message in messages:
        assert usual_request(message.SerializeToString(), MOST) is None


@given(st.data())
def test_recognised_only_if_the_parser_agrees(draw: st.DataObject) -> None:
    """However a request is mangled, the two ways never differ in what they read."""
    rows = draw.draw(st.integers(1, MOST))
    raw = bytearray(request(rows, model_name="sample", id="7").SerializeToString())
    front = len(raw) - rows * 784
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, front + 2) | st.integers(len(raw) - 8, len(raw) - 1))
        raw[at] = draw.draw(st.integers(0, 255))
    found = usual_request(bytes(raw), MOST)
    try:
        parsed = pb.ModelInferRequest.FromString(bytes(raw))
        asked = read_asked(parsed, MOST)
        images = read_images(parsed, asked)
    except (DecodeError, InvalidRequest):
        assert found is None
        return
    if found is not None:
        assert found[:3] == (parsed.model_name, parsed.model_version, asked)
        assert np.array_equal(found.images, images)


@pytest.mark.parametrize("field", ["inputs", "outputs"])
def test_a_field_cut_in_two_is_no_head(field: str) -> None:
    """Pixels that lie inside another field are not taken for the last one."""
    # A tensor's parameter whose text ends like the mark of raw pixels, followed by "pixels".
    message = request()
    del message.raw_input_contents[:]
    holder = message.inputs[0] if field == "inputs" else message.outputs.add(name="llr")
    holder.parameters["hint"].string_param = "\x3a" + "\x10\x06" + "\x00" * 784
    raw = message.SerializeToString()

    assert raw.endswith(bytes(784))
    assert usual_request(raw.replace(b"\x3a\x10\x06", b"\x3a\x90\x06"), MOST) is None
