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
        pb.GenerateVariantsRequest(
            count=3,
            attributes=pb.AlongAttributes(
                thickness=pb.Target(value=0.5, until=2),
                slant=pb.Target(delta=-1),
                rotation=pb.Target(value=0),
                width=pb.Target(),
                height=pb.Target(delta=0),
                prior=pb.FromPrior(temperature=1),
            ),
        ),
        "1003422a0a0a0d0000003f1d00000040120515000080bf1a050d0000000022002a05150000000032050d0000803f",
    ),
    (
        pb.GenerateVariantsRequest(
            style=pb.StyleTransfer(image=pb.Image(encoded=b"\x01"), strength=0, temperature=1)
        ),
        "4a0f0a030a010115000000001d0000803f",
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
            attributes=[pb.Attributes(thickness=1, slant=2, rotation=4, width=8, height=16)],
            redrawn=1,
        ),
        (
            "0a010112060a040000003f1a01702201762807320164"
            "3a190d0000803f15000000401d0000804025000000412d000080414001"
        ),
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
    assert not pb.StyleTransfer().HasField("strength")
    assert pb.Target(delta=0).WhichOneof("goal") == "delta"
    assert pb.Target().WhichOneof("goal") is None
    assert not pb.Target().HasField("until")
