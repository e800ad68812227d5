"""Several gRPC servers on one port, seen from outside: one server."""

from collections.abc import Callable

import grpc
import pytest

from serving.claim import CannotBind
from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc
from tests.serving_host import PATIENCE, Running

_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


def test_every_connection_is_answered(make_server: Callable[..., Running]) -> None:
    """Whichever listener a connection falls to, it is answered, and counted in one place."""
    running = make_server(listeners=4)

    for _ in range(16):
        with grpc.insecure_channel(running.target, options=_OWN_CONNECTION) as channel:
            stub = pb_grpc.HandwritingServiceStub(channel)  # type: ignore[no-untyped-call]
            assert stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE).profiles

    assert running.handled() == {("ListProfiles", "OK"): 16}


def test_no_second_server_on_the_port(make_server: Callable[..., Running]) -> None:
    """Listeners share their port with one another and with nobody else."""
    running = make_server(listeners=4)

    with pytest.raises(CannotBind, match="taken"):
        make_server(port=running.server.port)
