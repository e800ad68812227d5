"""TLS: certificate and key from files, proven before they are used, replaced without restart.

The proof is a rehearsal: a handshake in memory, against a client that trusts this certificate
and nothing else. It fails for a key of another certificate, and for one that has expired, as it
would for a real client. gRPC itself speaks TLS 1.2 and 1.3 and nothing older.
"""

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from serving.watched import FileRefused, Watched, read

__all__ = ["Certificate", "TlsFiles", "server_credentials"]

# Of a handshake; more than either version of TLS needs.
_FLIGHTS = 4


@dataclass(frozen=True)
class Certificate:
    """A certificate that works with its key.

    Attributes:
        configuration: what gRPC takes.
        expiry: when it ends, in seconds since 1970.
    """

    configuration: grpc.ServerCertificateConfiguration
    expiry: float


@dataclass(frozen=True)
class TlsFiles:
    """Where the parts are, all of them PEM.

    Attributes:
        certificate: of the server, followed by those that lead to its root.
        key: of the certificate, not encrypted.
        client_ca: clients must show a certificate signed by one of these; ``None`` = none needed.
    """

    certificate: Path
    key: Path
    client_ca: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files that there are."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path)

    def load(self) -> Certificate:
        """Read and prove the files.

        Raises:
            FileRefused: one is missing or no PEM, or they do not work together; names it.
        """
        expiry = _rehearse(self.certificate, self.key)
        if self.client_ca:
            _trusting(self.client_ca)
        configuration = grpc.ssl_server_certificate_configuration(
            [(read(self.key), read(self.certificate))],
            read(self.client_ca) if self.client_ca else None,
        )
        return Certificate(configuration, expiry)


def server_credentials(
    certificate: Watched[Certificate], *, mutual: bool
) -> grpc.ServerCredentials:
    """Return credentials that give each new connection the certificate in force.

    Args:
        certificate: with a ``client_ca`` if ``mutual``.
        mutual: whether clients must show a certificate.
    """
    given = certificate.value

    def newer() -> grpc.ServerCertificateConfiguration | None:
        """Return what changed since the last call; gRPC calls this for each handshake."""
        nonlocal given
        if certificate.value is given:
            return None
        given = certificate.value
        return given.configuration

    return grpc.dynamic_ssl_server_credentials(
        given.configuration,
        newer,  # type: ignore[arg-type]  # the stubs do not know None, which is "no change"
        mutual,
    )


def _rehearse(certificate: Path, key: Path) -> float:
    """Return the expiry of a certificate with which a handshake succeeds."""
    visitor = _trusting(certificate)
    host = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, so that an encrypted key fails instead of asking the terminal.
        host.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise FileRefused(f"{key}: is not the key of {certificate}") from error
        raise FileRefused(f"{key}: is no usable key, unencrypted and PEM") from error
    except OSError as error:
        raise FileRefused(f"{key}: {error.strerror}") from error
    try:
        shown = _handshake(visitor, host)
    except ssl.SSLCertVerificationError as error:
        raise FileRefused(f"{certificate}: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise FileRefused(f"{certificate}: no handshake succeeds: {error.reason}") from error
    return ssl.cert_time_to_seconds(shown)


def _trusting(roots: Path) -> ssl.SSLContext:
    """Return a client that trusts the certificates of a file, be they roots or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # which names clients use is not known here
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=roots)
    except ssl.SSLError as error:
        raise FileRefused(f"{roots}: holds no certificate in PEM") from error
    except OSError as error:
        raise FileRefused(f"{roots}: {error.strerror}") from error
    return context


def _handshake(visitor: ssl.SSLContext, host: ssl.SSLContext) -> str:
    """Let the two shake hands in memory; return when the certificate of the host ends."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = visitor.wrap_bio(outward, inward)
    server = host.wrap_bio(inward, outward, server_side=True)
    for _ in range(_FLIGHTS):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    certificate = client.getpeercert()
    if not certificate:
        raise ssl.SSLError("expected a finished handshake")
    return str(certificate["notAfter"])
