"""Whatever bytes come from outside: a clear refusal, never a crash, never INTERNAL."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.robustness import framing, hostile
from benchmarks.robustness.fuzz import ALLOWED, leaks
from serving import bundle
from serving.errors import BadImage, BundleError
from serving.images import ImageLimits, decode, to_mnist_form
from serving.pb import handwriting_pb2 as pb
from tests import bundles, pictures
from tests.serving_host import PATIENCE, Host, Running

RELAXED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CLEAN = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
DRAWN = CLEAN | {grpc.StatusCode.FAILED_PRECONDITION}
METHODS = st.sampled_from(["Classify", "GenerateVariants", "ListProfiles", "GetProfile"])

numbers = st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1))
files = st.sampled_from(
    [
        pictures.file(pictures.page(40)),
        pictures.file(pictures.page(40), "JPEG"),
        pictures.file(pictures.page(40), "BMP"),
        pictures.file(pictures.page(40), "TIFF"),
        pictures.saved(Image.fromarray(pictures.page(200)), "TIFF", compression="packbits"),
        pictures.saved(Image.fromarray(pictures.page(40)), "JPEG", progressive=True),
        pictures.file(pictures.page(40), "WEBP"),
        pictures.file(pictures.form()),
    ]
)


begun = st.builds(
    bytes.__add__,
    st.sampled_from(
        [b"II*\0\x08\0\0\0\x02\0", b"MM\0*\0\0\0\x08\0\x02", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]
    ),
    st.binary(max_size=200),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture file with some bytes changed, or cut short."""
    data = bytearray(draw(files))
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=8)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


images = st.one_of(
    st.builds(pb.Image),
    st.builds(pb.Image, encoded=st.binary(max_size=64)),
    st.builds(pb.Image, encoded=damaged()),
    st.builds(pb.Image, encoded=begun),
    st.builds(
        pb.Image,
        pixels=st.builds(pb.Pixels, data=st.binary(max_size=900), height=numbers, width=numbers),
    ),
    st.builds(
        pb.Image,
        pixels=st.builds(
            pb.Pixels,
            data=st.binary(min_size=784, max_size=784),
            height=st.just(28),
            width=st.just(28),
        ),
    ),
)
floats = st.floats(width=32)
names = st.one_of(st.just(""), st.just("tiny"), st.text(max_size=20))
variants = st.builds(
    pb.GenerateVariantsRequest,
    profile=names,
    count=st.one_of(st.integers(-2, 20), st.integers(-(2**31), 2**31 - 1)),
    seed=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    format=st.integers(0, 5),
)
priors = st.builds(pb.FromPrior, temperature=floats)
arounds = st.builds(pb.AroundImage, image=images, strength=floats)
asked = st.one_of(floats, st.floats(-60, 60, width=32), st.floats(1, 6, width=32))
targets = st.one_of(
    st.none(),
    st.builds(pb.Target, value=asked, until=st.one_of(st.none(), asked)),
    st.builds(pb.Target, delta=asked, until=st.one_of(st.none(), asked)),
    st.builds(pb.Target, until=asked),
)
along = st.builds(
    pb.AlongAttributes,
    **dict.fromkeys(("thickness", "slant", "rotation", "width", "height"), targets),
)
modes = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"prior": priors}),
    st.fixed_dictionaries({"around": arounds}),
    st.fixed_dictionaries({"attributes": along}),
    st.fixed_dictionaries(
        {"attributes": st.builds(pb.AlongAttributes, slant=targets, prior=priors)}
    ),
    st.fixed_dictionaries(
        {"attributes": st.builds(pb.AlongAttributes, width=targets, around=arounds)}
    ),
    st.fixed_dictionaries(
        {"style": st.builds(pb.StyleTransfer, image=images, strength=floats, temperature=floats)}
    ),
    st.fixed_dictionaries({"between": st.builds(pb.BetweenImages, first=images, second=images)}),
)


def code_of(call: Any, request: Any) -> grpc.StatusCode:
    """Return the status of a call."""
    code: grpc.StatusCode = call.future(request, timeout=PATIENCE).code()
    return code


@RELAXED
@given(method=METHODS, payload=st.binary(max_size=200))
def test_any_bytes_as_a_message(shared_server: Running, method: str, payload: bytes) -> None:
    """Bytes that were never a message get a clean status from every method."""
    call = shared_server.channel.unary_unary(f"/onehand.v1.HandwritingService/{method}")

    assert code_of(call, payload) in CLEAN


@RELAXED
@given(profile=names, pictures_=st.lists(images, max_size=4))
def test_any_classify_request(
    shared_server: Running, profile: str, pictures_: list[pb.Image]
) -> None:
    """Whatever pictures a request holds, it is answered or cleanly refused."""
    request = pb.ClassifyRequest(profile=profile, images=pictures_)

    assert code_of(shared_server.stub.Classify, request) in CLEAN


@RELAXED
@given(request=variants, mode=modes)
def test_any_variants_request(
    shared_server: Running, request: pb.GenerateVariantsRequest, mode: dict[str, Any]
) -> None:
    """Whatever a request asks for, it is answered or cleanly refused."""
    for field, value in mode.items():
        getattr(request, field).CopyFrom(value)

    assert code_of(shared_server.stub.GenerateVariants, request) in CLEAN


@pytest.fixture(scope="module")
def strict_server(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A ready server whose profile draws no digit in half of its latent space."""
    root = tmp_path_factory.mktemp("gated")
    bundles.build(root, gated=True)
    with host.running(models=root) as running:
        yield running


within = st.floats(-30, 30, width=32)
moderate = st.one_of(
    st.builds(pb.FromPrior, temperature=st.floats(0, 3, width=32)).map(
        lambda prior: {"prior": prior}
    ),
    st.builds(
        pb.AlongAttributes,
        slant=st.builds(pb.Target, value=within, until=within),
        height=st.builds(pb.Target, delta=st.floats(-4, 4, width=32)),
        rotation=st.builds(pb.Target, value=within),
    ).map(lambda attributes: {"attributes": attributes}),
    st.builds(
        pb.StyleTransfer,
        image=st.integers(0, 9).map(lambda seed: pictures.message(pictures.form(seed))),
        temperature=st.floats(0, 3, width=32),
    ).map(lambda style: {"style": style}),
)


@RELAXED
@given(count=st.integers(1, 20), seed=st.integers(0, 2**64 - 1), mode=moderate)
def test_as_many_as_asked_or_an_error(
    strict_server: Running, count: int, seed: int, mode: dict[str, Any]
) -> None:
    """However the gate decides, there are all pictures with all that is told of them, or none."""
    request = pb.GenerateVariantsRequest(count=count, seed=seed, **mode)
    call = strict_server.stub.GenerateVariants.future(request, timeout=PATIENCE)

    assert call.code() in DRAWN
    if call.code() is grpc.StatusCode.OK:
        answer = call.result()
        assert len(answer.images) == len(answer.latents) == len(answer.attributes) == count
        assert answer.redrawn <= count


@RELAXED
@given(data=st.one_of(st.binary(max_size=200), begun, damaged()))
def test_any_bytes_as_a_picture(data: bytes) -> None:
    """Bytes become a 28 x 28 image or a BadImage."""
    try:
        form = to_mnist_form(decode(data, ImageLimits()))
    except BadImage:
        return
    assert form.shape == (28, 28)
    assert form.dtype == "uint8"


EVERY_METHOD = list(hostile.methods())
MESSAGES = st.one_of(
    *(
        st.tuples(st.just(f"/{m.containing_service.full_name}/{m.name}"), hostile.requests(m))
        for m in EVERY_METHOD
    )
)


def answered(running: Running, method: str, payload: bytes) -> None:
    """Check that bytes get a status of the table that tells nothing of the inside."""
    call = running.channel.unary_unary(method).future(payload, timeout=PATIENCE)
    told = [(call.details() or "").encode()]
    told += [v if isinstance(v, bytes) else v.encode() for _, v in call.trailing_metadata() or ()]

    assert call.code().name in ALLOWED
    assert leaks(b"\n".join(told)) == b""


@RELAXED
@given(case=MESSAGES)
def test_any_message_to_any_method(shared_server: Running, case: tuple[str, bytes]) -> None:
    """Whatever stands in whichever field of whichever request, the answer is in the table."""
    answered(shared_server, *case)


@RELAXED
@given(case=MESSAGES, chance=st.integers(0, 2**32))
def test_any_mutated_message(shared_server: Running, case: tuple[str, bytes], chance: int) -> None:
    """Bytes that were a message once get an answer of the table too."""
    method, payload = case
    answered(shared_server, method, hostile.mutate(random.Random(chance), payload))  # noqa: S311


def test_any_frames(shared_server: Running) -> None:
    """What is no HTTP/2 is cut off or refused, tells nothing, and harms nobody else."""
    port, draw = shared_server.server.port, random.Random(0)  # noqa: S311

    async def attack() -> list[bytes]:
        cases = [framing.case(draw) for _ in range(200)]
        return await asyncio.gather(*(framing.exchange(port, case) for case in cases))

    answers = asyncio.run(attack())

    assert [leaks(answer) for answer in answers] == [b""] * len(answers)
    good = pb.ClassifyRequest(images=[pictures.message(pictures.form())])
    assert code_of(shared_server.stub.Classify, good) is grpc.StatusCode.OK


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)
FIELDS = json.loads(bundle.encode_manifest(bundles.manifest()))


@RELAXED
@given(raw=st.one_of(st.binary(), JSON.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_as_a_manifest(raw: bytes) -> None:
    """Bytes that are no manifest are a BundleError that names the file."""
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.parse_manifest(raw, "here")


@RELAXED
@given(field=st.sampled_from(sorted(FIELDS)), value=JSON)
def test_any_value_of_a_manifest(tmp_path: Path, field: str, value: Any) -> None:
    """Any value in any field is a BundleError, for the version no longer fits."""
    folder = bundles.build(tmp_path)
    path = folder / bundle.MANIFEST
    whole = path.read_bytes()
    content = json.loads(whole)
    if content[field] == value and type(content[field]) is type(value):
        return
    path.write_text(json.dumps(content | {field: value}))

    with pytest.raises(BundleError):
        bundle.load(folder)

    path.write_bytes(whole)


def test_deeply_nested_manifest() -> None:
    """A manifest of a hundred thousand brackets is a BundleError as well."""
    with pytest.raises(BundleError):
        bundle.parse_manifest(b"[" * 100_000, "here")
