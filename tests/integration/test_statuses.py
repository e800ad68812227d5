"""Every status that the service can answer with, each with its details, from a real server."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from serving import batching
from serving.errors import ModelFault
from serving.pb import handwriting_pb2 as pb
from serving.wire import varint
from tests import bundles, deaf, pictures
from tests.serving_host import PATIENCE, Running

HEALTH = health_pb2.HealthCheckRequest(service="onehand.v1.HandwritingService")
GOOD = pictures.message(pictures.form())


def failed(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the error of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **({"timeout": PATIENCE} | options))
    return caught.value


def detail(error: Any, kind: type[Message]) -> Any:
    """Return the error's detail of one kind."""
    for packed in rpc_status.from_call(error).details:
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            packed.Unpack(found)
            return found
    raise AssertionError(f"no {kind.DESCRIPTOR.name} among the details")


def violations(error: Any) -> dict[str, str]:
    """Return the violations by field, of an error that must be INVALID_ARGUMENT."""
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail(error, details_pb2.ErrorInfo).reason == "INVALID_REQUEST"
    found = detail(error, details_pb2.BadRequest).field_violations
    return {violation.field: violation.description for violation in found}


@pytest.fixture(autouse=True)
def healthy_afterwards(shared_server: Running) -> Any:
    """Whatever was sent, the service answers the next request."""
    yield
    answer = shared_server.stub.Classify(pb.ClassifyRequest(images=[GOOD]), timeout=PATIENCE)
    assert len(answer.results) == 1


def test_classify_answers_each_picture_in_order(shared_server: Running) -> None:
    """One verdict for each picture, probabilities that sum to 1, and one for all."""
    images = [pictures.message(pictures.form(seed)) for seed in range(3)]
    images.append(pictures.encoded(pictures.file(pictures.page())))

    answer = shared_server.stub.Classify(pb.ClassifyRequest(images=images), timeout=PATIENCE)

    assert answer.profile == "tiny"
    assert len(answer.results) == 4
    for verdict in (*answer.results, answer.fused):
        assert verdict.own + verdict.other_writer + verdict.other == pytest.approx(1, abs=1e-6)
        assert verdict.label != pb.LABEL_UNSPECIFIED
    assert answer.fused.llr == pytest.approx(sum(v.llr for v in answer.results), rel=1e-5)


def test_one_picture_fuses_to_itself(shared_server: Running) -> None:
    """With one picture the fused verdict is that picture's."""
    answer = shared_server.stub.Classify(pb.ClassifyRequest(images=[GOOD]), timeout=PATIENCE)

    assert answer.fused == answer.results[0]


def test_same_seed_gives_same_bytes(shared_server: Running) -> None:
    """A request repeated with the seed of its answer gives the same pictures."""
    call = shared_server.stub.GenerateVariants
    first = call(pb.GenerateVariantsRequest(count=70), timeout=PATIENCE)

    second = call(pb.GenerateVariantsRequest(count=70, seed=first.seed), timeout=PATIENCE)

    assert first == second
    assert len(set(first.images)) == 70


@pytest.mark.parametrize(
    "mode",
    [
        {"prior": pb.FromPrior(temperature=0)},
        {"around": pb.AroundImage(image=GOOD, strength=0)},
        {"style": pb.StyleTransfer(image=GOOD)},
        {
            "attributes": pb.AlongAttributes(
                slant=pb.Target(value=10), prior=pb.FromPrior(temperature=0)
            )
        },
    ],
)
def test_no_noise_gives_one_picture(shared_server: Running, mode: dict[str, Any]) -> None:
    """A mode without noise gives the same picture every time."""
    request = pb.GenerateVariantsRequest(count=5, **mode)

    answer = shared_server.stub.GenerateVariants(request, timeout=PATIENCE)

    assert len(set(answer.images)) == 1


def test_between_has_both_ends_and_the_middle(shared_server: Running) -> None:
    """The way between two pictures begins and ends with these, at where they would be redrawn."""
    forms = pictures.form(1), pictures.form(2)
    first, second = map(pictures.message, forms)
    between = {"between": pb.BetweenImages(first=first, second=second)}

    way = generated(shared_server, 3, format=pb.IMAGE_FORMAT_RAW, **between)
    middle = generated(shared_server, 1, format=pb.IMAGE_FORMAT_RAW, **between)

    for place, form, image in ((0, forms[0], first), (2, forms[1], second)):
        end = generated(shared_server, 1, around=pb.AroundImage(image=image, strength=0))
        assert way.images[place] == form.tobytes()
        assert way.latents[place] == end.latents[0]
    assert way.images[1] == middle.images[0]


def generated(running: Running, count: int, **fields: Any) -> Any:
    """Return an answer of GenerateVariants, always with the same seed."""
    request = pb.GenerateVariantsRequest(count=count, seed=1, **fields)
    return running.stub.GenerateVariants(request, timeout=PATIENCE)


def along(**fields: Any) -> dict[str, Any]:
    """Return the mode that asks for attributes."""
    return {"attributes": pb.AlongAttributes(**fields)}


MODES: list[dict[str, Any]] = [
    {},
    {"prior": pb.FromPrior(temperature=2)},
    {"around": pb.AroundImage(image=GOOD)},
    {"between": pb.BetweenImages(first=GOOD, second=pictures.message(pictures.form(1)))},
    {"style": pb.StyleTransfer(image=GOOD, strength=0.5, temperature=1)},
    along(slant=pb.Target(value=10), rotation=pb.Target(delta=5)),
    along(height=pb.Target(delta=-2), around=pb.AroundImage(image=GOOD, strength=0.5)),
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: next(iter(mode), "none"))
@pytest.mark.parametrize("form", [pb.IMAGE_FORMAT_RAW, pb.IMAGE_FORMAT_PNG])
def test_every_mode_tells_of_each_picture(
    shared_server: Running, mode: dict[str, Any], form: pb.ImageFormat
) -> None:
    """Each picture has its latent point and what it measures; fewer are the first of many."""
    many = generated(shared_server, 70, format=form, **mode)

    assert len(many.images) == len(many.latents) == len(many.attributes) == 70
    assert all(len(latent.values) == 4 for latent in many.latents)
    assert all(9 < one.height < 26 and one.thickness > 1 for one in many.attributes)
    assert many.redrawn == 0
    if "between" not in mode:
        few = generated(shared_server, 3, format=form, **mode)
        assert (few.images, few.latents) == (many.images[:3], many.latents[:3])
        assert few.attributes == many.attributes[:3]


def test_attributes_are_what_was_asked(shared_server: Running) -> None:
    """A value is met, a change is added to what the picture was, and the rest stays."""
    plain = generated(shared_server, 20).attributes
    mode = along(
        thickness=pb.Target(value=2.5),
        slant=pb.Target(value=-10, until=9),
        rotation=pb.Target(value=30),
        width=pb.Target(delta=2),
    )

    changed = generated(shared_server, 20, **mode)

    for place, (was, found) in enumerate(zip(plain, changed.attributes, strict=True)):
        assert found.thickness == pytest.approx(2.5, abs=0.1)
        assert found.slant == pytest.approx(place - 10, abs=0.6)
        assert found.rotation == 30
        assert found.width == pytest.approx(was.width + 2, abs=0.25)
        assert found.height == pytest.approx(was.height, abs=0.25)


def test_style_goes_from_reconstruction_to_the_hand(shared_server: Running) -> None:
    """Strength 0 is the picture's reconstruction, and another strength is another picture."""
    still = generated(shared_server, 1, around=pb.AroundImage(image=GOOD, strength=0))
    none, half, all_ = (
        generated(shared_server, 1, style=pb.StyleTransfer(image=GOOD, strength=strength))
        for strength in (0, 0.5, 1)
    )

    assert none.images == still.images
    assert none.latents != half.latents != all_.latents
    assert generated(shared_server, 1, style=pb.StyleTransfer(image=GOOD)).latents == all_.latents


@pytest.mark.parametrize(
    ("mode", "field", "problem"),
    [
        (along(), "attributes", "at least one of thickness, slant, rotation, width, height"),
        (along(slant=pb.Target()), "attributes.slant", "value or delta, found neither"),
        (along(slant=pb.Target(until=1)), "attributes.slant", "value or delta, found neither"),
        (along(thickness=pb.Target(value=0.9)), "attributes.thickness.value", "1 to 6, found 0.9"),
        (along(thickness=pb.Target(delta=-6)), "attributes.thickness.delta", "-5 to 5, found -6"),
        (along(slant=pb.Target(value=61)), "attributes.slant.value", "-60 to 60, found 61"),
        (along(rotation=pb.Target(value=-181)), "attributes.rotation.value", "-180 to 180"),
        (along(width=pb.Target(value=5, until=27)), "attributes.width.until", "4 to 26, found 27"),
        (along(width=pb.Target(delta=5, until=-23)), "attributes.width.until", "-22 to 22"),
        (along(height=pb.Target(value=float("nan"))), "attributes.height.value", "found nan"),
        (along(height=pb.Target(delta=float("inf"))), "attributes.height.delta", "found inf"),
        (
            along(slant=pb.Target(delta=1), prior=pb.FromPrior(temperature=4)),
            "attributes.prior.temperature",
            "0 to 3",
        ),
        (
            along(slant=pb.Target(delta=1), around=pb.AroundImage(image=GOOD, strength=6)),
            "attributes.around.strength",
            "0 to 5",
        ),
        (
            along(slant=pb.Target(delta=1), around=pb.AroundImage()),
            "attributes.around.image",
            "encoded or pixels, found neither",
        ),
        ({"style": pb.StyleTransfer(image=GOOD, strength=1.5)}, "style.strength", "0 to 1"),
        ({"style": pb.StyleTransfer(image=GOOD, temperature=-1)}, "style.temperature", "0 to 3"),
        ({"style": pb.StyleTransfer()}, "style.image", "encoded or pixels, found neither"),
    ],
)
def test_what_a_mode_may_not_ask(
    shared_server: Running, mode: dict[str, Any], field: str, problem: str
) -> None:
    """What is out of range, not clear or missing is refused by its field."""
    request = pb.GenerateVariantsRequest(count=1, **mode)

    found = violations(failed(shared_server.stub.GenerateVariants, request))

    assert list(found) == [field]
    assert problem in found[field]


def test_pictures_that_are_not_the_digit(
    make_server: Callable[..., Running], tmp_path: Path
) -> None:
    """They are drawn anew, which is told and counted; without chance the request is refused."""
    bundles.build(tmp_path, gated=True)
    running = make_server(models=tmp_path)

    answer = generated(running, 100)
    again = generated(running, 100)
    sure = along(slant=pb.Target(delta=1), prior=pb.FromPrior(temperature=0))
    assert len(generated(running, 5, **sure).images) == 5
    candidates = (pictures.message(pictures.form(seed)) for seed in range(40))
    other = next(image for image in candidates if is_refused(running, image))
    mode = pb.AroundImage(image=other, strength=0)
    error = failed(running.stub.GenerateVariants, pb.GenerateVariantsRequest(count=7, around=mode))

    assert answer == again
    assert 30 < answer.redrawn < 70
    assert len(answer.images) == len(set(answer.images)) == 100
    assert running.metrics()["onehand_redrawn_total", ()] >= 2 * answer.redrawn
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert detail(error, details_pb2.ErrorInfo).reason == "CANNOT_DRAW"
    (violation,) = detail(error, details_pb2.PreconditionFailure).violations
    assert violation.subject == "around"
    assert "each of the 7 pictures 1 to 7, found 7" in violation.description
    assert running.handled()["GenerateVariants", "FAILED_PRECONDITION"] > 0


def is_refused(running: Running, image: pb.Image) -> bool:
    """Return whether what is drawn around an image without noise is not the digit."""
    mode = pb.AroundImage(image=image, strength=0)
    request = pb.GenerateVariantsRequest(count=1, around=mode)
    code = running.stub.GenerateVariants.future(request, timeout=PATIENCE).code()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION}
    return bool(code is grpc.StatusCode.FAILED_PRECONDITION)


def test_raw_pictures_are_784_bytes(shared_server: Running) -> None:
    """The raw format is rows of pixels; the other one is PNG."""
    call = shared_server.stub.GenerateVariants
    request = pb.GenerateVariantsRequest(count=1, seed=1, format=pb.IMAGE_FORMAT_RAW)

    raw = call(request, timeout=PATIENCE).images[0]
    png = call(pb.GenerateVariantsRequest(count=1, seed=1), timeout=PATIENCE).images[0]

    assert len(raw) == 784
    assert png.startswith(b"\x89PNG")


def test_profiles_are_described(shared_server: Running) -> None:
    """The list and the single description agree, and limits are published."""
    listed = shared_server.stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE)
    single = shared_server.stub.GetProfile(pb.GetProfileRequest(), timeout=PATIENCE)

    assert list(listed.profiles) == [single.profile]
    assert single.profile.name == "tiny"
    assert len(single.profile.digest) == 64
    assert single.limits.max_images == 256
    assert single.limits.max_count == 1000
    assert single.limits.thickness == pb.Range(least=1, most=6)
    assert single.limits.rotation == pb.Range(least=-180, most=180)


@pytest.mark.parametrize("call", ["Classify", "GenerateVariants", "GetProfile"])
def test_unknown_profile(shared_server: Running, call: str) -> None:
    """A profile that is not there is NOT_FOUND, named as a resource."""
    kinds = {
        "Classify": pb.ClassifyRequest(profile="nobody", images=[GOOD]),
        "GenerateVariants": pb.GenerateVariantsRequest(profile="nobody", count=1),
        "GetProfile": pb.GetProfileRequest(profile="nobody"),
    }

    error = failed(getattr(shared_server.stub, call), kinds[call])

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert detail(error, details_pb2.ResourceInfo).resource_name == "nobody"


@pytest.mark.parametrize("count", [0, 257])
def test_number_of_images(shared_server: Running, count: int) -> None:
    """No pictures, or too many, are refused by the field's name and the range."""
    error = failed(shared_server.stub.Classify, pb.ClassifyRequest(images=[GOOD] * count))

    assert violations(error) == {"images": f"expected 1 to 256 pictures, found {count}"}


@pytest.mark.parametrize("count", [0, -1, 1001, 2**31 - 1])
def test_number_of_variants(shared_server: Running, count: int) -> None:
    """A count of none, less than none, or too many is refused."""
    error = failed(shared_server.stub.GenerateVariants, pb.GenerateVariantsRequest(count=count))

    assert violations(error) == {"count": f"expected 1 to 1000, found {count}"}


@pytest.mark.parametrize("value", [-0.1, 5.5, float("nan"), float("inf"), float("-inf")])
def test_strength_out_of_range(shared_server: Running, value: float) -> None:
    """A strength or temperature that is no number in its range is refused."""
    around = pb.AroundImage(image=GOOD, strength=value)
    error = failed(
        shared_server.stub.GenerateVariants, pb.GenerateVariantsRequest(count=1, around=around)
    )
    assert list(violations(error)) == ["around.strength"]

    prior = pb.FromPrior(temperature=value)
    error = failed(
        shared_server.stub.GenerateVariants, pb.GenerateVariantsRequest(count=1, prior=prior)
    )
    assert list(violations(error)) == ["prior.temperature"]


def test_unknown_format(shared_server: Running) -> None:
    """An enum value that the contract does not have is refused, not guessed at."""
    error = failed(
        shared_server.stub.GenerateVariants, pb.GenerateVariantsRequest(count=0, format=99)
    )

    assert set(violations(error)) == {"count", "format"}


@pytest.mark.parametrize(
    ("image", "field"),
    [
        (pb.Image(), ""),
        (pictures.encoded(b""), ".encoded"),
        (pictures.encoded(b"this is text"), ".encoded"),
        (pictures.encoded(pictures.file(pictures.page())[:60]), ".encoded"),
        (pictures.encoded(pictures.bomb()), ".encoded"),
        (pictures.encoded(pictures.animation()), ".encoded"),
        (pictures.encoded(pictures.file(pictures.page()[:1, :1])), ".encoded"),
        (pictures.encoded(pictures.file(pictures.page() * 0)), ".encoded"),
        (pictures.encoded(pictures.file(pictures.page() * 0 + 255)), ".encoded"),
        (pictures.message(pictures.form() * 0), ".pixels"),
        (pb.Image(pixels=pb.Pixels(data=b"\0" * 784, height=28, width=27)), ".pixels.width"),
        (pb.Image(pixels=pb.Pixels(data=b"\0" * 783, height=28, width=28)), ".pixels.data"),
        (pb.Image(pixels=pb.Pixels(data=b"", height=2**32 - 1, width=2**32 - 1)), ".pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_picture(shared_server: Running, image: pb.Image, field: str) -> None:
    """A picture that cannot be used is refused by its index and its kind of source."""
    error = failed(shared_server.stub.Classify, pb.ClassifyRequest(images=[GOOD, image]))

    assert list(violations(error)) == [f"images[1]{field}"]


def test_every_bad_picture_is_named(shared_server: Running) -> None:
    """Bad pictures among good ones are all reported, those found early and those found late."""
    bad = {1: pb.Image(), 3: pictures.encoded(b"text"), 4: pictures.encoded(b"")}
    images = [bad.get(place, GOOD) for place in range(6)]

    error = failed(shared_server.stub.Classify, pb.ClassifyRequest(images=images))

    assert set(violations(error)) == {"images[1]", "images[3].encoded", "images[4].encoded"}


def test_many_bad_pictures_fit_the_trailer(shared_server: Running) -> None:
    """Even when every picture is bad, each index is told within what a client accepts."""
    images = [pictures.encoded(b"\0" * 8)] * 256

    error = failed(shared_server.stub.Classify, pb.ClassifyRequest(images=images))

    listed = violations(error)
    rest = listed.pop("images")
    assert f"{256 - len(listed)} more are refused: {len(listed)}-255" == rest
    assert sum(len(key) + len(value) for key, value in error.trailing_metadata()) < 8192


def test_bad_pictures_of_a_mode_are_named(shared_server: Running) -> None:
    """Pictures to start from are checked like those to classify."""
    between = pb.BetweenImages(first=pb.Image(), second=pictures.encoded(b"text"))

    error = failed(
        shared_server.stub.GenerateVariants, pb.GenerateVariantsRequest(count=2, between=between)
    )

    assert set(violations(error)) == {"between.first", "between.second.encoded"}


def test_malformed_message(shared_server: Running) -> None:
    """Bytes that are no message are INVALID_ARGUMENT, not a fault of the server."""
    call = shared_server.channel.unary_unary("/onehand.v1.HandwritingService/Classify")

    error = failed(call, b"\xff\xff")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail(error, details_pb2.ErrorInfo).reason == "MALFORMED_MESSAGE"


def test_message_of_countless_fields(shared_server: Running) -> None:
    """A message that would grow to many times its size is refused before it is parsed."""
    service = "/onehand.v1.HandwritingService"
    classify = shared_server.channel.unary_unary(f"{service}/Classify")
    generate = shared_server.channel.unary_unary(f"{service}/GenerateVariants")
    describe = shared_server.channel.unary_unary(f"{service}/GetProfile")
    infer = shared_server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    picture = b"\x0a\x00\x12\x00" * 1_000_000  # a file and pixels by turns

    for call, raw, field in (
        (classify, b"\x12\x00" * 1_000_000, "images"),
        (classify, b"\x12" + varint(len(picture)) + picture, "images"),
        (generate, b"\x42\x00\x32\x00" * 1_000_000, "request"),  # modes by turns
        (infer, b"\x0a\x06sample" + b"\x2a\x00" * 1_000_000, "inputs"),
        (describe, b"\x0a\x00" * 1_000_000, "request"),
    ):
        error = failed(call, raw)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert detail(error, details_pb2.BadRequest).field_violations[0].field == field


def test_streams_are_bounded(make_server: Callable[..., Running]) -> None:
    """Watches need no place among the requests, but there is an end to them too."""
    running = make_server(max_connections=2, listeners=1)
    watches = [running.health.Watch(HEALTH, timeout=PATIENCE) for _ in range(2)]
    assert all(next(watch).status for watch in watches)

    with pytest.raises(grpc.RpcError) as caught:
        next(running.health.Watch(HEALTH, timeout=PATIENCE))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert running.metrics()["onehand_rejected_total", (("reason", "streams"),)] == 1
    for watch in watches:
        watch.cancel()


def test_unknown_method(shared_server: Running) -> None:
    """A method that no service has is UNIMPLEMENTED."""
    error = failed(shared_server.channel.unary_unary("/no.such/Method"), b"")

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert detail(error, details_pb2.ErrorInfo).reason == "UNKNOWN_METHOD"


def test_message_over_the_limit(make_server: Callable[..., Running]) -> None:
    """A message that is too large is refused without the advice to come back."""
    running = make_server(max_message_bytes=2048, max_queued_bytes=4096)

    error = failed(
        running.stub.Classify, pb.ClassifyRequest(images=[pictures.encoded(b"\0" * 4000)])
    )

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rpc_status.from_call(error) is None


def test_not_ready(make_server: Callable[..., Running]) -> None:
    """Before the models are loaded the service is UNAVAILABLE and says when to come back."""
    running = make_server(load=False)

    error = failed(running.stub.ListProfiles, pb.ListProfilesRequest())

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert detail(error, details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1000
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"max_in_flight": 1}, "requests"), ({"max_queued_bytes": 2500}, "bytes")],
)
def test_shed(make_server: Callable[..., Running], settings: dict[str, int], reason: str) -> None:
    """What is more than may be in work is refused at once, while health goes on to answer."""
    running = make_server(**settings)
    request = pb.ClassifyRequest(images=[pictures.encoded(pictures.file(pictures.page(512)))])
    assert request.ByteSize() > 1250

    with running.held(running.server.threads.reading, 1):
        first = running.stub.Classify.future(request, timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        error = failed(running.stub.Classify, request)
        health = running.health.Check(HEALTH, timeout=PATIENCE)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail(error, details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 100
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "100"
    assert health.status == health.SERVING
    assert len(first.result().results) == 1
    assert running.metrics()["onehand_rejected_total", (("reason", reason),)] == 1
    assert running.in_work() == 0


def test_shed_by_wait(make_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures whose turn would come too late are refused at once, however few requests wait."""
    monkeypatch.setattr(batching, "_SHORT_SECONDS", 0)  # the tiny model would never let any wait
    running = make_server(inference_threads=1, max_wait=1e-6)
    page = pb.ClassifyRequest(images=[GOOD] * 256)
    for _ in range(3):  # so that the server knows what a picture costs
        running.stub.Classify(page, timeout=PATIENCE)

    with running.held(running.server.threads.computing, 1):
        waiting = running.stub.Classify.future(page, timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        error = failed(running.stub.Classify, page)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail(error, details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 0
    assert len(waiting.result().results) == 256
    assert running.metrics()["onehand_rejected_total", (("reason", "wait"),)] == 1


def test_expired_deadline(make_server: Callable[..., Running]) -> None:
    """A request whose time is up before its turn is counted as such, and never decoded."""
    running = make_server()
    request = pb.ClassifyRequest(images=[pictures.encoded(pictures.file(pictures.page()))])

    with running.held(running.server.threads.reading, 1):
        error = failed(running.stub.Classify, request, timeout=0.2)
        running.wait_until(lambda: running.in_work() == 0)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert running.handled() == {("Classify", "DEADLINE_EXCEEDED"): 1}
    assert running.metrics()["onehand_stage_seconds_count", (("stage", "decode"),)] == 0


def test_own_time_limit(make_server: Callable[..., Running]) -> None:
    """A caller without a deadline gets the server's, with the reason in the details."""
    running = make_server(max_seconds=0.001)
    request = pb.ClassifyRequest(images=[pictures.encoded(pictures.file(pictures.page()))])

    with running.held(running.server.threads.reading, 1):
        call = running.stub.Classify.future(request)
        running.wait_until(lambda: running.in_work() == 1)
    error = call.exception(PATIENCE)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert detail(error, details_pb2.ErrorInfo).reason == "DEADLINE_EXPIRED"


def test_cancelled(make_server: Callable[..., Running]) -> None:
    """A cancelled request is counted as cancelled and harms nobody beside it."""
    running = make_server()
    request = pb.ClassifyRequest(images=[pictures.encoded(pictures.file(pictures.page()))])

    with running.held(running.server.threads.reading, 1):
        calls = [running.stub.Classify.future(request, timeout=PATIENCE) for _ in range(4)]
        running.wait_until(lambda: running.in_work() == 4)
        calls[1].cancel()
        running.wait_until(lambda: running.in_work() == 3)

    for place in (0, 2, 3):
        assert len(calls[place].result().results) == 1
    assert running.handled() == {("Classify", "OK"): 3, ("Classify", "CANCELLED"): 1}


def test_model_fault(make_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers nonsense is INTERNAL, with a reason."""
    running = make_server()
    model = running.server.catalogue.find("").model
    monkeypatch.setattr(model, "classify", _raise(ModelFault("llr: expected finite numbers")))

    error = failed(running.stub.Classify, pb.ClassifyRequest(images=[GOOD]))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert detail(error, details_pb2.ErrorInfo).reason == "MODEL_OUTPUT_INVALID"


def test_bug(
    make_server: Callable[..., Running],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An exception that nobody foresaw tells the client a request id and nothing else."""
    running = make_server()
    model = running.server.catalogue.find("").model
    monkeypatch.setattr(model, "classify", _raise(ZeroDivisionError("/secret/path")))

    error = failed(
        running.stub.Classify,
        pb.ClassifyRequest(images=[GOOD]),
        metadata=(("x-request-id", "my-id.1"),),
    )

    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert detail(error, details_pb2.RequestInfo).request_id == "my-id.1"
    assert "secret" not in str(error.trailing_metadata())


def test_cancellation_of_our_own(
    make_server: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CancelledError that no client caused is a bug, and does not leave the client waiting."""
    running = make_server()
    model = running.server.catalogue.find("").model
    monkeypatch.setattr(model, "classify", _raise(asyncio.CancelledError()))

    error = failed(running.stub.Classify, pb.ClassifyRequest(images=[GOOD]))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert running.handled() == {("Classify", "INTERNAL"): 1}


def _raise(error: BaseException) -> Callable[..., Any]:
    def act(*arguments: Any) -> Any:
        raise error

    return act


def test_request_id_comes_back(shared_server: Running) -> None:
    """A failure gives the caller's request id back if it is safe to log, else a new one."""
    for sent, safe in (("trace-7", True), ("x" * 65, False), ("two words", False)):
        with pytest.raises(grpc.RpcError) as caught:
            shared_server.stub.GetProfile(
                pb.GetProfileRequest(profile="nobody"),
                metadata=(("x-request-id", sent),),
                timeout=PATIENCE,
            )
        back = dict(caught.value.trailing_metadata())["x-request-id"]
        assert (back == sent) == safe
        assert back


def test_waves_of_overload_end_with_nothing_in_work(make_server: Callable[..., Running]) -> None:
    """After three waves of ten times what is admitted, each call is counted and none is left."""
    running = make_server(max_in_flight=2)
    request = pb.ClassifyRequest(images=[pictures.encoded(pictures.file(pictures.page()))])
    codes: list[str] = []
    lock = threading.Lock()

    def call() -> None:
        answer = running.stub.Classify.future(request, timeout=PATIENCE)
        with lock:
            codes.append(answer.code().name)

    for _ in range(3):
        threads = [threading.Thread(target=call) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)

    assert len(codes) == 60
    assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED"}
    assert running.handled() == {
        ("Classify", code): codes.count(code) for code in sorted(set(codes))
    }
    assert running.in_work() == 0


@pytest.mark.parametrize("count", [11, 200])
def test_an_answer_that_is_not_taken_counts_until_it_is(
    make_server: Callable[..., Running], count: int
) -> None:
    """Answers that wait for their clients are bytes in work like any other, and have an end."""
    running = make_server(max_seconds=1)
    request = pb.GenerateVariantsRequest(count=count, format=pb.IMAGE_FORMAT_RAW)
    method = "/onehand.v1.HandwritingService/GenerateVariants"
    queued = running.server.metrics.queued_bytes

    with deaf.asking(running.target, method, request.SerializeToString()):
        running.wait_until(lambda: running.handled().get(("GenerateVariants", "OK")) == 1)
        waiting = queued.value
        running.wait_until(lambda: queued.value == 0)

    assert waiting > count * 784
    assert running.in_work() == 0


def test_an_answer_that_is_never_taken_is_let_go(make_server: Callable[..., Running]) -> None:
    """Its call is ended, or it would be kept, uncounted, for as long as the connection lasts."""
    running = make_server(max_seconds=1, listeners=1)
    request = pb.GenerateVariantsRequest(count=200, format=pb.IMAGE_FORMAT_RAW)
    method = "/onehand.v1.HandwritingService/GenerateVariants"

    with ExitStack() as stack:
        asked = [
            stack.enter_context(deaf.asking(running.target, method, request.SerializeToString()))
            for _ in range(8)
        ]
        # gRPC keeps the last calls that each of its loops took.
        running.wait_until(lambda: sum(client.is_reset() for client in asked) >= 4)

    assert running.in_work() == 0


def test_a_slow_client_gets_its_answer_though_the_server_stops(
    make_server: Callable[..., Running],
) -> None:
    """What is on its way when the server is told to stop arrives within the grace."""
    running = make_server()
    request = pb.GenerateVariantsRequest(count=1000, format=pb.IMAGE_FORMAT_RAW)
    method = "/onehand.v1.HandwritingService/GenerateVariants"

    with deaf.asking(running.target, method, request.SerializeToString()) as client:
        running.wait_until(lambda: running.handled().get(("GenerateVariants", "OK")) == 1)
        stopped = running.host.begin(running.server.stop(grace=PATIENCE))
        time.sleep(1.5)  # longer than what has failed is given to be told
        received = client.listen()
        stopped.result(PATIENCE)

    assert received > 1000 * 784
