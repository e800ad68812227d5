"""What is sent: requests as bytes, and how their answers are judged.

Payloads are written once, before anything is measured. A call that must be answered carries the
answer that the same server gave when it was at rest.
"""

import io
from dataclasses import dataclass, replace
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from serving.pb import handwriting_pb2 as pb

__all__ = [
    "SERVICE",
    "Call",
    "around",
    "between",
    "classify",
    "described",
    "good_calls",
    "learn",
    "page",
    "pixels",
    "prior",
    "right",
    "stroke",
    "two",
]

SERVICE = "/onehand.v1.HandwritingService/"
_OK = frozenset({"OK"})
# Matrix kernels round differently for different numbers of rows, and the server classifies
# pictures of several requests in one run.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Call:
    """A request, ready to send.

    Attributes:
        name: for reports.
        method: full name.
        payload: the message's bytes.
        codes: the statuses that it may end with.
        answers: the responses that are right, as bytes; empty = not known, or never the same.
        timeout: seconds.
    """

    name: str
    method: str
    payload: bytes
    codes: frozenset[str] = _OK
    answers: tuple[bytes, ...] = ()
    timeout: float = 60.0


def stroke(seed: int) -> NDArray[np.uint8]:
    """Return a picture in MNIST form, white on black, that depends on the seed."""
    draw = np.random.default_rng(seed)
    image = np.zeros((28, 28), dtype=np.uint8)
    top, left = draw.integers(4, 10, 2)
    image[top : top + 14, left : left + 4] = draw.integers(128, 256, (14, 4))
    return image


def two(shift: int = 0) -> NDArray[np.uint8]:
    """Return a 2 in MNIST form, white on black, whose foot ends ``shift`` pixels further left."""
    picture = Image.new("L", (28, 28))
    line = [(8, 10), (11, 6), (16, 6), (18, 10), (14, 16), (8, 21), (20 - shift, 21)]
    ImageDraw.Draw(picture).line(line, fill=255, width=3, joint="curve")
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.5)))


def page(side: int = 96, kind: str = "PNG") -> bytes:
    """Return the file of a page with one stroke of dark ink."""
    image = np.full((side, side), 235, dtype=np.uint8)
    image[side // 4 : side * 3 // 4, side // 2 - side // 16 : side // 2 + side // 16] = 30
    return _file(image, kind)


def pixels(image: NDArray[np.uint8]) -> pb.Image:
    """Return grey pixels as a message."""
    height, width = image.shape
    return pb.Image(pixels=pb.Pixels(data=image.tobytes(), height=height, width=width))


def classify(name: str, *images: pb.Image, profile: str = "") -> Call:
    """Return a call of Classify."""
    request = pb.ClassifyRequest(profile=profile, images=images)
    return Call(name, SERVICE + "Classify", request.SerializeToString())


def prior(count: int, seed: int = 7) -> Call:
    """Return a call of GenerateVariants from the prior, as PNG files."""
    request = pb.GenerateVariantsRequest(count=count, seed=seed, prior=pb.FromPrior(temperature=1))
    return Call(f"prior {count}", SERVICE + "GenerateVariants", request.SerializeToString())


def around(count: int, seed: int = 7) -> Call:
    """Return a call of GenerateVariants around a picture, as raw pixels."""
    request = pb.GenerateVariantsRequest(
        count=count,
        seed=seed,
        around=pb.AroundImage(image=pixels(two()), strength=0.5),
        format=pb.IMAGE_FORMAT_RAW,
    )
    return Call(f"around {count}", SERVICE + "GenerateVariants", request.SerializeToString())


def between(count: int) -> Call:
    """Return a call of GenerateVariants between two pictures, one of them a file."""
    request = pb.GenerateVariantsRequest(
        count=count,
        seed=7,
        between=pb.BetweenImages(
            first=pixels(two()), second=pb.Image(encoded=_file(two(3), "PNG"))
        ),
    )
    return Call(f"between {count}", SERVICE + "GenerateVariants", request.SerializeToString())


def described() -> tuple[Call, Call]:
    """Return the calls that ask what is loaded."""
    return (
        Call("list", SERVICE + "ListProfiles", pb.ListProfilesRequest().SerializeToString()),
        Call("get", SERVICE + "GetProfile", pb.GetProfileRequest().SerializeToString()),
    )


def good_calls() -> tuple[Call, ...]:
    """Return one of each kind of request that must be answered."""
    return (
        *(classify("raw", pixels(stroke(seed))) for seed in range(8)),
        classify("PNG", pb.Image(encoded=page())),
        classify("JPEG", pb.Image(encoded=page(64, "JPEG"))),
        classify("batch of 32", *(pixels(stroke(seed)) for seed in range(32))),
        classify("mixed batch", pixels(stroke(3)), pb.Image(encoded=page()), pixels(stroke(4))),
        prior(20),
        around(20),
        between(5),
        *described(),
    )


def learn(target: str, calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Return the calls with one more right answer: what the server says now, at rest.

    Raises:
        grpc.RpcError: a call that must be answered was not.
    """
    with grpc.insecure_channel(target) as channel:
        return tuple(
            replace(call, answers=(*call.answers, _ask(channel, call)))
            if "OK" in call.codes
            else call
            for call in calls
        )


def _ask(channel: grpc.Channel, call: Call) -> bytes:
    answer: bytes = channel.unary_unary(call.method, None, None)(call.payload, timeout=30)
    return answer


def right(call: Call, answer: bytes) -> bool:
    """Return whether this answer says what it must say."""
    if not call.answers or answer in call.answers:
        return True
    try:
        return any(_same(call, answer, expected) for expected in call.answers)
    except DecodeError:
        return False


def _same(call: Call, found: bytes, expected: bytes) -> bool:
    """Compare as messages: map entries have no order, and probabilities have a tolerance."""
    match call.method.removeprefix(SERVICE):
        case "Classify":
            return _alike(
                pb.ClassifyResponse.FromString(found), pb.ClassifyResponse.FromString(expected)
            )
        case "ListProfiles":
            kind: Any = pb.ListProfilesResponse
        case "GetProfile":
            kind = pb.GetProfileResponse
        case _:
            return False
    return bool(kind.FromString(found) == kind.FromString(expected))


def _alike(found: pb.ClassifyResponse, expected: pb.ClassifyResponse) -> bool:
    pairs = zip((*found.results, found.fused), (*expected.results, expected.fused), strict=False)
    return (
        (found.profile, found.version) == (expected.profile, expected.version)
        and len(found.results) == len(expected.results)
        and all(
            f.label == e.label
            and np.allclose(
                (f.own, f.other_writer, f.other), (e.own, e.other_writer, e.other), atol=_TOLERANCE
            )
            and abs(f.llr - e.llr) <= _TOLERANCE * max(1.0, abs(e.llr))
            for f, e in pairs
        )
    )


def _file(image: NDArray[np.uint8], kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind)
    return buffer.getvalue()
