"""The short way of reading a request agrees with the generated parser, or stands aside."""

from hypothesis import given
from hypothesis import strategies as st

from serving.pb import handwriting_pb2 as pb
from serving.wire import single_picture


def request(profile: str, data: bytes, height: int = 28, width: int = 28) -> bytes:
    """Return a request of one picture as on the wire."""
    pixels = pb.Pixels(data=data, height=height, width=width)
    return pb.ClassifyRequest(profile=profile, images=[pb.Image(pixels=pixels)]).SerializeToString()


@given(st.text(st.characters(codec="ascii"), max_size=127), st.binary(min_size=784, max_size=784))
def test_usual_request_is_recognised(profile: str, data: bytes) -> None:
    """Any pixels and any usual profile name are read without the parser."""
    assert single_picture(request(profile, data)) == (profile, data)


def test_other_requests_are_left_to_the_parser() -> None:
    """Other sizes, more pictures, other fields and long or foreign names are not."""
    data = bytes(784)
    two = pb.ClassifyRequest.FromString(request("", data))
    two.images.add().CopyFrom(two.images[0])
    for raw in (
        b"",
        request("", data[:-1]),
        request("", data, 14, 56),
        request("x" * 128, data),
        request("ümlaut", data),
        two.SerializeToString(),
        request("", data) + b"\x0a\x01x",
        pb.ClassifyRequest(images=[pb.Image(encoded=data)]).SerializeToString(),
    ):
        assert single_picture(raw) is None


@given(st.data())
def test_recognised_only_if_the_parser_agrees(draw: st.DataObject) -> None:
    """However a request is mangled, the two ways never differ in what they read."""
    raw = bytearray(request("sample", bytes(784)))
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, 20) | st.integers(len(raw) - 8, len(raw) - 1))
        raw[at] = draw.draw(st.integers(0, 255))
    found = single_picture(bytes(raw))
    if found is not None:
        parsed = pb.ClassifyRequest.FromString(bytes(raw))
        assert len(parsed.images) == 1
        pixels = parsed.images[0].pixels
        assert (parsed.profile, pixels.data) == found
        assert pixels.height == pixels.width == 28
