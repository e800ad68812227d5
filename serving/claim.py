"""A port held for several workers, and for nobody else.

With ``SO_REUSEPORT`` the kernel spreads connections over all sockets that listen on a port. It
asks each of them for consent, but not whether they belong together: two servers started on one
port by mistake would share its connections and nobody would notice. A claim prevents that. It is
a socket that never accepts anything, but stands in the way of every other one that does not ask
for ``SO_REUSEPORT`` itself: of a single server, and of another claim.

What the kernel cannot be made to refuse is a foreign program of the same user that asks for
``SO_REUSEPORT`` on this very port.
"""

import errno
import socket
from collections.abc import Iterator
from socket import SO_REUSEADDR, SOL_SOCKET
from typing import Any

from serving.errors import OnehandError

__all__ = ["CannotBind", "Claim", "written"]


class CannotBind(OnehandError):
    """An address that is taken, or that this machine does not have."""


class Claim:
    """A port on every address that a host name stands for; held until closed.

    Attributes:
        port: which.
    """

    def __init__(self, host: str, port: int, purpose: str = "gRPC") -> None:
        """Claim the port.

        Args:
            host: name or address.
            port: 0 = a free one.
            purpose: of the port, for errors.

        Raises:
            CannotBind: another socket listens there, or the address is not one of this machine.
        """
        self.port = port
        self._purpose = purpose
        self._sockets: list[socket.socket] = []
        problem = ""
        for family, address in _addresses(host):
            try:
                self._sockets.append(_hold(family, (address[0], self.port, *address[2:])))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    self._refuse(host, "the port is taken")
                problem = str(error.strerror)  # of a name's addresses, one that is ours will do
                continue
            self.port = self._sockets[-1].getsockname()[1]
        if not self._sockets:
            self._refuse(host, problem or "the name stands for no address")

    def close(self) -> None:
        """Give the port up."""
        for held in self._sockets:
            held.close()

    def _refuse(self, host: str, problem: str) -> None:
        self.close()
        address = written(host, self.port)
        raise CannotBind(f"{self._purpose}: cannot listen on {address}: {problem}")


def written(host: str, port: int) -> str:
    """Return an address as people and gRPC write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return
    for family, _, _, _, address in found:
        yield family, address


def _hold(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    """Return a socket that holds an address for those who ask for ``SO_REUSEPORT``."""
    # Only who listens finds out whether somebody else does. SO_REUSEADDR lets the connections
    # pass that a server before us has closed a moment ago.
    with socket.socket(family, socket.SOCK_STREAM) as first:
        first.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        first.bind(address)
        first.listen(1)
        # From now on a socket that shares may stand beside it, and the first can go.
        first.setsockopt(SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held = socket.socket(family, socket.SOCK_STREAM)
        try:
            held.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            held.setsockopt(SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(first.getsockname())
            # Without it, nobody can bind here any more by SO_REUSEADDR alone.
            held.setsockopt(SOL_SOCKET, SO_REUSEADDR, 0)
        except OSError:
            held.close()
            raise
    return held
