"""A claimed port: shared by those who ask for it, taken for everybody else."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from serving.claim import CannotBind, Claim

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SO_REUSEPORT"), reason="needs a system with SO_REUSEPORT"
)


def listener(port: int, *, shared: bool, host: str = "127.0.0.1") -> socket.socket:
    """Return a socket that listens like gRPC's."""
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        found.bind((host, port))
        found.listen()
    except OSError:
        found.close()
        raise
    return found


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "localhost"])  # noqa: S104 - bound for a moment
def claim(request: pytest.FixtureRequest) -> Iterator[Claim]:
    """A claim of a free port."""
    with closing(Claim(request.param, 0)) as claim:
        yield claim


def test_only_sharers_may_listen(claim: Claim) -> None:
    """Before, between and after the workers' sockets, no other server and no claim gets in."""

    def nobody_else() -> None:
        with pytest.raises(OSError, match="in use"):
            listener(claim.port, shared=False)
        with pytest.raises(CannotBind, match=f"{claim.port}: the port is taken"):
            Claim("127.0.0.1", claim.port)

    nobody_else()
    with listener(claim.port, shared=True), listener(claim.port, shared=True):
        nobody_else()
    nobody_else()


def test_the_claim_itself_takes_no_connections(claim: Claim) -> None:
    """Every connection goes to one that listens; without any, there is none."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", claim.port))
    with listener(claim.port, shared=True) as worker:
        worker.settimeout(60)
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", claim.port)):
                worker.accept()[0].close()


def test_a_taken_port_cannot_be_claimed() -> None:
    """Whoever listens there already, alone or sharing, is not joined."""
    for shared in (False, True):
        with listener(0, shared=shared) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(CannotBind, match=f"127.0.0.1:{port}: the port is taken"):
                Claim("127.0.0.1", port)


def test_recent_connections_do_not_matter() -> None:
    """A server that has closed its connections a moment ago can be followed at once."""
    with listener(0, shared=False) as before:
        port = before.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            before.accept()[0].close()  # the server's end goes first and leaves a trace
            assert client.recv(1) == b""

    Claim("127.0.0.1", port).close()


def test_foreign_addresses_are_named() -> None:
    """An address that is not of this machine is refused with the reason."""
    with pytest.raises(CannotBind, match=r"192\.0\.2\.1:50051: Cannot assign"):
        Claim("192.0.2.1", 50051)
    with pytest.raises(CannotBind, match="stands for no address"):
        Claim("no-such-host.invalid", 50051)
