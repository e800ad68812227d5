"""The bytes on the wire, which callers of other languages depend on."""

import pytest

from serving.pb import handwriting_pb2 as pb

FROZEN = [
    (
        pb.ClassifyRequest(
            profile="p",
            images=[
                pb.Image(encoded=b"\x01"),
                pb.Image(pixels=pb.Pixels(data=b"\x02", height=28, width=29)),
            ],
        ),
        "0a017012030a0101120912070a0102101c181d",
    ),
    (
        pb.GenerateVariantsRequest(
            profile="p",
            count=3,
            seed=0,
            around=pb.AroundImage(image=pb.Image(encoded=b"\x01"), strength=0),
            format=pb.IMAGE_FORMAT_RAW,
        ),
        "0a0170100318002a0a0a030a010115000000003802",
    ),
    (
        pb.ClassifyResponse(
            profile="p",
            version="v",
            results=[pb.Verdict(label=pb.LABEL_OTHER, own=0.5, llr=-1)],
            digest="d",
        ),
        "0a01701201761a0c0803150000003f2d000080bf2a0164",
    ),
    (
        pb.GenerateVariantsResponse(
            images=[b"\x01"],
            latents=[pb.Latent(values=[0.5])],
            profile="p",
            version="v",
            seed=7,
            digest="d",
        ),
        "0a010112060a040000003f1a01702201762807320164",
    ),
]


@pytest.mark.parametrize(("message", "wire"), FROZEN, ids=lambda value: type(value).__name__)
def test_wire_bytes(message: pb.ClassifyRequest, wire: str) -> None:
    """Field numbers and types are what they were."""
    assert message.SerializeToString(deterministic=True).hex() == wire
    assert type(message).FromString(bytes.fromhex(wire)) == message


def test_unset_differs_from_zero() -> None:
    """A seed, temperature or strength of 0 is not the same as none."""
    assert not pb.GenerateVariantsRequest().HasField("seed")
    assert pb.GenerateVariantsRequest(seed=0).HasField("seed")
    assert pb.FromPrior(temperature=0).HasField("temperature")
    assert not pb.AroundImage().HasField("strength")
