"""What happens to connections: their number, age, idleness, pings, and what is lost by it."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from serving.client import Client
from serving.pb import handwriting_pb2 as pb
from serving.pb.handwriting_pb2_grpc import HandwritingServiceStub
from serving.settings import Settings
from tests.pictures import form, page
from tests.serving_host import PATIENCE, Running

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
MAX_STREAMS, MAX_HEADERS = 3, 6
ENHANCE_YOUR_CALM = 11


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return an HTTP/2 frame of the whole connection (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, 0) + payload


@dataclass
class Wire:
    """An HTTP/2 connection without a client behind it."""

    socket: socket.socket

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield kind and payload of each frame until the server closes."""
        with self.socket.makefile("rb") as stream:
            while len(head := stream.read(9)) == 9:
                yield head[3], stream.read(int.from_bytes(head[:3], "big"))

    def first(self, kind: int) -> bytes:
        """Return the payload of the first frame of a kind."""
        return next(payload for found, payload in self.frames() if found == kind)


@contextmanager
def wire(running: Running) -> Iterator[Wire]:
    """Connect and introduce ourselves."""
    address = ("127.0.0.1", running.server.port)
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(PREFACE + frame(SETTINGS))
        yield Wire(connection)


def ended(payload: bytes) -> tuple[int, bytes]:
    """Return error code and words of a GOAWAY frame."""
    return int.from_bytes(payload[4:8], "big"), payload[8:]


def test_limits_are_announced(make_server: Callable[..., Running]) -> None:
    """A client is told at once how many streams and, at the most, how much metadata are taken."""
    running = make_server(max_streams=7, max_metadata_bytes=2048)

    with wire(running) as connection:
        payload = connection.first(SETTINGS)
    announced = dict(struct.iter_unpack(">HI", payload))

    assert announced[MAX_STREAMS] == 7
    assert announced[MAX_HEADERS] == 2 * 2048


def test_too_much_metadata(make_server: Callable[..., Running]) -> None:
    """Metadata beyond twice the limit is refused for certain, and hurts nobody else."""
    running = make_server(max_metadata_bytes=2048)
    call = running.stub.ListProfiles

    with pytest.raises(grpc.RpcError) as caught:
        call(pb.ListProfilesRequest(), timeout=PATIENCE, metadata=(("long", "x" * 5000),))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call(pb.ListProfilesRequest(), timeout=PATIENCE).profiles[0].name == "tiny"


def test_a_busy_connection_is_answered_by_admission(make_server: Callable[..., Running]) -> None:
    """As many calls at once on one connection as may be in work are not refused by gRPC itself.

    Its refusals name no time to come back, and no metric knows of them.
    """
    running = make_server()
    pixels = pb.Pixels(data=form().tobytes(), height=28, width=28)
    request = pb.ClassifyRequest(images=[pb.Image(pixels=pixels)])
    at_once = Settings().max_in_flight

    async def codes() -> set[grpc.StatusCode]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.server.port}") as channel:
            classify = HandwritingServiceStub(channel).Classify

            async def caller() -> set[grpc.StatusCode]:
                return {await _code(classify(request, timeout=PATIENCE)) for _ in range(20)}

            return set().union(*await asyncio.gather(*(caller() for _ in range(at_once))))

    assert asyncio.run(codes()) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}


async def _code(call: grpc.aio.UnaryUnaryCall) -> grpc.StatusCode:  # type: ignore[type-arg]
    return await call.code()


def test_no_more_connections_than_allowed(make_server: Callable[..., Running]) -> None:
    """One too many is closed as it comes, and there is room again when another has gone."""
    running = make_server(max_connections=2, listeners=1)

    with wire(running) as first, wire(running) as second:
        assert first.first(SETTINGS)
        assert second.first(SETTINGS)
        assert not answered(running)
    while not answered(running):  # the server learns of the two ends a little later
        pass


def answered(running: Running) -> bool:
    """Return whether a new connection is spoken to."""
    try:
        with wire(running) as connection:
            return bool(list(zip(range(1), connection.frames(), strict=False)))
    except ConnectionError:
        return False


def test_idle_connection_is_closed(make_server: Callable[..., Running]) -> None:
    """A connection without requests is ended, and the client told why."""
    running = make_server(max_connection_idle=0.05)

    with wire(running) as connection:
        assert ended(connection.first(GOAWAY))[1] == b"connection idle"


def test_too_many_pings(make_server: Callable[..., Running]) -> None:
    """A client that pings without pause is told off and sent away."""
    running = make_server()

    with wire(running) as connection:
        connection.first(SETTINGS)
        connection.socket.sendall(8 * frame(PING, bytes(8)))
        assert ended(connection.first(GOAWAY)) == (ENHANCE_YOUR_CALM, b"too_many_pings")


def test_age_fails_nobody(make_server: Callable[..., Running]) -> None:
    """Clients connect anew again and again, and every request is answered without a retry."""
    running = make_server(max_connection_age=0.2)
    states: list[grpc.ChannelConnectivity] = []
    options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
    request = pb.GenerateVariantsRequest(count=200, seed=1)
    with grpc.insecure_channel(running.target, options) as channel:
        channel.subscribe(states.append)
        call = channel.unary_unary(
            "/onehand.v1.HandwritingService/GenerateVariants",
            pb.GenerateVariantsRequest.SerializeToString,
            pb.GenerateVariantsResponse.FromString,
        )
        codes = set()
        while states.count(grpc.ChannelConnectivity.READY) < 4:
            calls = [call.future(request, timeout=PATIENCE) for _ in range(8)]
            codes |= {one.code() for one in calls}

    assert codes == {grpc.StatusCode.OK}


@pytest.mark.parametrize("picture", [form(), page(600)], ids=["small", "large"])
def test_rolling_restart_loses_nothing(
    make_server: Callable[..., Running], picture: NDArray[np.uint8]
) -> None:
    """With the published service config, a server that leaves takes no request with it."""
    leaving, staying = make_server(), make_server()
    target = f"ipv4:{leaving.target},{staying.target}"
    left = threading.Event()
    problems: list[Exception] = []
    answers: list[int] = []

    def ask(client: Client) -> None:
        more = 20
        while more:
            more -= left.is_set()
            try:
                answers.append(len(client.classify([picture]).results))
            except Exception as problem:  # noqa: BLE001 - whatever it is, it is what we look for
                problems.append(problem)

    with Client(target, PATIENCE) as client:
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        leaving.wait_until(lambda: len(answers) > 100)
        leaving.stop()
        left.set()
        for thread in threads:
            thread.join(PATIENCE)

    assert problems == []
    assert set(answers) == {1}
    assert leaving.server.metrics.in_flight.value == staying.server.metrics.in_flight.value == 0
    assert staying.handled()["Classify", "OK"] >= 160
