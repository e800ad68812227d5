"""The short way of reading a request agrees with the generated parser, or stands aside."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from serving.pb import handwriting_pb2 as pb
from serving.wire import has_at_most, usual_request, varint

FORM = pb.ClassifyRequest


def request(profile: str, *data: bytes, height: int = 28, width: int = 28) -> bytes:
    """Return a request of these pictures as on the wire."""
    pixels = [pb.Pixels(data=each, height=height, width=width) for each in data]
    images = [pb.Image(pixels=each) for each in pixels]
    return pb.ClassifyRequest(profile=profile, images=images).SerializeToString()


@given(
    st.text(st.characters(codec="ascii"), max_size=127),
    st.lists(st.binary(min_size=784, max_size=784), min_size=1, max_size=4),
)
def test_usual_request_is_recognised(profile: str, data: list[bytes]) -> None:
    """Any pixels and any usual profile name are read without the parser."""
    assert usual_request(request(profile, *data), 4) == (profile, b"".join(data))


def test_other_requests_are_left_to_the_parser() -> None:
    """Other sizes, fields and orders, long or foreign names and too many pictures are not."""
    data = bytes(784)
    for raw in (
        b"",
        request("x" * 30),
        request("", data[:-1]),
        request("", data, data[:-1], data + b"1"),
        request("", data, data, data, data),
        request("", data, height=14, width=56),
        request("x" * 128, data),
        request("ümlaut", data),
        request("", data) + b"\x0a\x01x",
        request("", data) + request("x", data),
        pb.ClassifyRequest(images=[pb.Image(encoded=data)]).SerializeToString(),
    ):
        assert usual_request(raw, 3) is None


@given(st.data())
def test_recognised_only_if_the_parser_agrees(draw: st.DataObject) -> None:
    """However a request is mangled, the two ways never differ in what they read."""
    raw = bytearray(request("sample", *[bytes(784)] * draw.draw(st.integers(1, 3))))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, 20) | st.integers(len(raw) - 8, len(raw) - 1))
        raw[at] = draw.draw(st.integers(0, 255))
    found = usual_request(bytes(raw), 3)
    if found is not None:
        parsed = pb.ClassifyRequest.FromString(bytes(raw))
        pixels = [image.pixels for image in parsed.images]
        assert (parsed.profile, b"".join(each.data for each in pixels)) == found
        assert all(each.height == each.width == 28 for each in pixels)


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 45))
def test_fields_are_counted_before_parsing(data: list[bytes], most: int) -> None:
    """As many fields as the parser would find, in messages in messages too, whatever they hold."""
    images = [pb.Image(encoded=each) for each in data]
    raw = pb.ClassifyRequest(images=images).SerializeToString()
    assert has_at_most(most, raw, FORM) == (2 * len(data) <= most)


@given(st.binary(max_size=40))
def test_counting_never_accepts_more_than_the_parser(raw: bytes) -> None:
    """What is no message is refused by one of the two; what is one is counted right."""
    try:
        counted = has_at_most(40, raw, FORM)
        parsed = pb.ClassifyRequest.FromString(raw)
    except DecodeError:
        return
    assert counted
    assert len(parsed.images) <= 40


def test_millions_of_nothing_are_refused_unparsed() -> None:
    """Two bytes a picture would become dozens in memory."""
    assert not has_at_most(1296, b"\x12\x00" * 1_000_000, FORM)


def test_what_is_given_again_and_again_is_refused_unparsed() -> None:
    """The parser keeps what a later field replaces, a file and pixels by turns, in one picture."""
    picture = b"\x0a\x00\x12\x00" * 100_000
    assert not has_at_most(1296, b"\x12" + varint(len(picture)) + picture, FORM)


def test_groups_are_no_message() -> None:
    """Nobody has used them for twenty years."""
    with pytest.raises(DecodeError):
        has_at_most(3, b"\x13\x14" * 9, FORM)
