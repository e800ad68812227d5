"""A connection to the service: one method for each RPC, a deadline on every call."""

import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar, get_args

import grpc
import numpy as np
from numpy.typing import NDArray

from serving.client.answers import (
    ATTRIBUTES,
    Classification,
    Limits,
    Profile,
    Variants,
    Verdict,
)
from serving.client.failures import CallFailed, Overloaded, failure
from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc

__all__ = [
    "Along",
    "Around",
    "Between",
    "By",
    "Client",
    "InStyle",
    "Mode",
    "Picture",
    "Prior",
    "Tls",
    "To",
]

Picture: TypeAlias = "bytes | NDArray[np.uint8]"
"""The bytes of a picture file, or grey pixels of shape (h, w)."""

Request = TypeVar("Request")
Response = TypeVar("Response")

MAX_SECONDS = 60
"""After which gRPC ends a call, whatever its deadline: so says the file of ``_SERVICE_CONFIG``."""

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

# With it gRPC itself avoids servers that are not healthy, and retries what no server has seen or
# a stopping one has refused. Shedding is retried in ``Client._call`` instead: the same code also
# means a message that is too large, and that does not get smaller by waiting.
_SERVICE_CONFIG = "service_config.json"


@dataclass(frozen=True)
class Tls:
    """How to speak TLS; files are PEM.

    Attributes:
        ca: authorities to trust; ``None`` = the public ones that gRPC knows.
        certificate: to show to a server that asks for one, with ``key``; ``None`` = none.
        key: of the certificate.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files.

        Raises:
            OSError: one cannot be read.
            ValueError: one holds nothing of its kind; names it.
        """
        ca, key, certificate = (
            path.read_bytes() if path else None for path in (self.ca, self.key, self.certificate)
        )
        _check_certificates(self.ca, ca)
        _check_certificates(self.certificate, certificate)
        if key is not None and b"PRIVATE KEY-----" not in key:
            raise ValueError(f"{self.key}: expected a key in PEM, found none")
        return grpc.ssl_channel_credentials(ca, key, certificate)


@dataclass(frozen=True)
class Prior:
    """Pictures from the prior; the temperature is 0 to 3."""

    temperature: float = 1.0


@dataclass(frozen=True)
class Around:
    """Pictures around a given one; the strength is 0 to 5."""

    image: Picture
    strength: float = 1.0


@dataclass(frozen=True)
class Between:
    """Pictures on the way from one given picture to another."""

    first: Picture
    second: Picture


@dataclass(frozen=True)
class To:
    """An attribute becomes ``value``; with ``until``, evenly more from picture to picture."""

    value: float
    until: float | None = None


@dataclass(frozen=True)
class By:
    """An attribute changes by ``delta``; with ``until``, evenly more from picture to picture."""

    delta: float
    until: float | None = None


@dataclass(frozen=True)
class Along:
    """Pictures of ``base`` changed to measure, in pixels and degrees; ``None`` = as it is."""

    thickness: To | By | None = None
    slant: To | By | None = None
    rotation: To | By | None = None
    width: To | By | None = None
    height: To | By | None = None
    base: Prior | Around = Prior()


@dataclass(frozen=True)
class InStyle:
    """A given picture's form in the enrolled hand; strength 0 to 1, temperature 0 to 3."""

    image: Picture
    strength: float = 1.0
    temperature: float = 0.0


Mode: TypeAlias = Prior | Around | Between | Along | InStyle
"""Where variants come from."""


class Client:
    """A client of one server; may be shared by threads, and closes with its ``with`` block.

    Every method raises a ``CallFailed`` when there is no answer, and a ``TypeError`` for what is no
    picture, no mode and no attribute.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        timeout: float = 30.0,
        *,
        tls: Tls | None = None,
        token: str = "",
    ) -> None:
        """Connect lazily.

        Args:
            target: HOST:PORT; ``dns:///HOST:PORT`` spreads calls over every address of the host.
            timeout: seconds that a call may take, retries included; ``MAX_SECONDS`` at most.
            tls: ``None`` = without.
            token: bearer token to send with each call, readable on the way without TLS; empty =
                none.

        Raises:
            OSError: a file for TLS cannot be read.
            ValueError: a file for TLS holds nothing of its kind; or the timeout is none, not above
                0, or above ``MAX_SECONDS``.
        """
        if timeout is None or not 0 < timeout <= MAX_SECONDS:
            raise ValueError(f"timeout: expected seconds, 0 to {MAX_SECONDS}, found {timeout!r}")
        self._target = target
        self._timeout = timeout
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channel = _channel(target, tls)
        self._stub: Any = pb_grpc.HandwritingServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def classify(self, pictures: Sequence[Picture], profile: str = "") -> Classification:
        """Return whose hand each picture is in; empty ``profile`` = the default one."""
        if isinstance(pictures, bytes | str):
            raise TypeError(f"expected a list of pictures, found {type(pictures).__name__}")
        request = pb.ClassifyRequest(profile=profile, images=map(_image, pictures))
        answer = self._call(self._stub.Classify, request)
        return Classification(
            profile=answer.profile,
            version=answer.version,
            results=tuple(map(Verdict.from_message, answer.results)),
            fused=Verdict.from_message(answer.fused),
            digest=answer.digest,
        )

    def variants(
        self,
        count: int,
        mode: Mode | None = None,
        seed: int | None = None,
        profile: str = "",
    ) -> Variants:
        """Return new pictures in the enrolled hand.

        Args:
            count: how many.
            mode: where from; ``None`` = the prior at temperature 1.
            seed: 0 to 2**64 - 1; ``None`` = the server draws one.
            profile: empty = the default one.
        """
        request = pb.GenerateVariantsRequest(
            profile=profile, count=count, seed=seed, format=pb.IMAGE_FORMAT_RAW, **_mode(mode)
        )
        answer = self._call(self._stub.GenerateVariants, request)
        pixels = np.frombuffer(b"".join(answer.images), dtype=np.uint8)
        return Variants(
            images=pixels.reshape(-1, 28, 28),
            latents=np.array([latent.values for latent in answer.latents], dtype=np.float32),
            attributes=np.array(
                [[getattr(found, name) for name in ATTRIBUTES] for found in answer.attributes],
                dtype=np.float32,
            ),
            redrawn=answer.redrawn,
            profile=answer.profile,
            version=answer.version,
            seed=answer.seed,
            digest=answer.digest,
        )

    def profiles(self) -> tuple[Profile, ...]:
        """Return every profile that is loaded, sorted by name."""
        answer = self._call(self._stub.ListProfiles, pb.ListProfilesRequest())
        return tuple(map(Profile.from_message, answer.profiles))

    def profile(self, name: str = "") -> tuple[Profile, Limits]:
        """Return one profile, empty = the default one, and the limits of the server."""
        answer = self._call(self._stub.GetProfile, pb.GetProfileRequest(profile=name))
        return Profile.from_message(answer.profile), Limits.from_message(answer.limits)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> "Client":
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def _call(self, rpc: Callable[..., Response], request: Request) -> Response:
        """Call, and call again when the server sheds load and says when to come back."""
        end = time.monotonic() + self._timeout
        while True:
            try:
                left = max(0.0, end - time.monotonic())
                return rpc(request, timeout=left, metadata=self._metadata)
            except grpc.RpcError as error:
                failed = failure(error, self._target)
            wait = _wait(failed)
            if wait is None or time.monotonic() + wait >= end:
                raise failed
            time.sleep(wait)


def _channel(target: str, tls: Tls | None) -> grpc.Channel:
    config = resources.files("serving.client").joinpath(_SERVICE_CONFIG).read_text("utf-8")
    options = (
        ("grpc.service_config", config),
        # Without it a request of more than 256 KiB, such as a photograph, is never tried again.
        ("grpc.per_rpc_retry_buffer_size", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    )
    if tls:
        return grpc.secure_channel(target, tls.credentials(), options=options)
    return grpc.insecure_channel(target, options=options)


def _check_certificates(path: Path | None, content: bytes | None) -> None:
    """Raise ValueError if a file holds no certificate: gRPC would say that no server answers."""
    if content is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # What is no ASCII lies between the certificates, such as the name of an authority.
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"{path}: expected a certificate in PEM, found none") from error


def _wait(failed: CallFailed) -> float | None:
    """Return seconds until a retry, spread so that shed clients do not come back as one."""
    if not isinstance(failed, Overloaded) or failed.retry_after is None:
        return None
    return failed.retry_after * random.uniform(1, 2)  # noqa: S311 - no secret


def _image(picture: Picture) -> pb.Image:
    if isinstance(picture, bytes):
        return pb.Image(encoded=picture)
    if not isinstance(picture, np.ndarray):
        raise TypeError(
            "expected the bytes of a picture file, as path.read_bytes() returns them, or grey "
            f"pixels, found {type(picture).__name__}"
        )
    if picture.dtype != np.uint8 or picture.ndim != 2:
        raise TypeError(
            f"expected pixels as uint8 of shape (height, width), found {picture.dtype} of shape "
            f"{picture.shape}"
        )
    height, width = picture.shape
    return pb.Image(pixels=pb.Pixels(data=picture.tobytes(), height=height, width=width))


def _mode(mode: Mode | None) -> dict[str, Any]:
    match mode:
        case None:
            return {}
        case Prior(temperature):
            return {"prior": pb.FromPrior(temperature=temperature)}
        case Around(image, strength):
            return {"around": pb.AroundImage(image=_image(image), strength=strength)}
        case Between(first, second):
            return {"between": pb.BetweenImages(first=_image(first), second=_image(second))}
        case InStyle(image, strength, temperature):
            style = pb.StyleTransfer(
                image=_image(image), strength=strength, temperature=temperature
            )
            return {"style": style}
        case Along():
            asked: dict[str, Any] = {
                name: _target(name, getattr(mode, name)) for name in ATTRIBUTES
            }
            return {"attributes": pb.AlongAttributes(**asked, **_mode(mode.base))}
        case _:
            expected = ", ".join(kind.__name__ for kind in get_args(Mode))
            raise TypeError(f"mode: expected one of {expected}, found {mode!r}")


def _target(name: str, asked: To | By | None) -> pb.Target | None:
    match asked:
        case None:
            return None
        case To(value, until):
            return pb.Target(value=value, until=until)
        case By(delta, until):
            return pb.Target(delta=delta, until=until)
        case _:
            raise TypeError(
                f"{name}: expected To, By or None, found {asked!r}; write To(3.2) for a value, "
                "By(0.5) for a change"
            )
