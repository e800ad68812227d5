"""Who may connect and what they may call: TLS and tokens as the settings ask for them."""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog

from serving.instruments import Counter
from serving.metrics import Metrics
from serving.settings import Settings
from serving.tls import Certificate, TlsFiles, server_credentials
from serving.tokens import Grant, Metadata, Tokens, load_grants
from serving.watched import FileRefused, Watched

__all__ = ["Security"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Security:
    """What guards a server.

    Attributes:
        credentials: makes those of a gRPC server, each its own; ``None`` = no TLS.
        authorize: given full method name and metadata, raises if the caller may not call it;
            ``None`` = everybody may call everything.
        files: to be watched for changes.
    """

    credentials: Callable[[], grpc.ServerCredentials] | None
    authorize: Callable[[str, Metadata], None] | None
    files: Sequence[Watched[Any]]

    @classmethod
    def from_settings(cls, settings: Settings, metrics: Metrics) -> "Security":
        """Read the files that the settings name.

        Raises:
            FileRefused: one cannot be used.
        """
        certificate = _certificate(settings, metrics)
        grants = _grants(settings, metrics)
        if grants and not certificate and not _loopback(settings.host):
            log.warning("tokens travel in the clear, since there is no TLS", host=settings.host)
        mutual = settings.tls_client_ca is not None
        return cls(
            credentials=partial(server_credentials, certificate, mutual=mutual)
            if certificate
            else None,
            authorize=Tokens(grants).check if grants else None,
            files=[watched for watched in (certificate, grants) if watched],
        )


def _certificate(settings: Settings, metrics: Metrics) -> Watched[Certificate] | None:
    if not (settings.tls_certificate and settings.tls_key):
        return None
    files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    changes = _changes("certificate", metrics)

    def note(outcome: str, certificate: Certificate) -> None:
        changes[outcome].inc()
        metrics.certificate_expiry.set(certificate.expiry)

    certificate = Watched("certificate", files.paths, files.load, note)
    metrics.certificate_expiry.set(certificate.value.expiry)
    return certificate


def _grants(settings: Settings, metrics: Metrics) -> Watched[tuple[Grant, ...]] | None:
    path = settings.tokens
    if not path:
        return None
    changes = _changes("tokens", metrics)
    grants = Watched(
        "tokens", (path,), lambda: load_grants(path), lambda outcome, _: changes[outcome].inc()
    )
    if not grants.value:  # later on it means that all have been taken back
        raise FileRefused(f"{path}: expected a line for each token, found none")
    return grants


def _changes(file: str, metrics: Metrics) -> dict[str, Counter]:
    """Return the counter of each outcome, shown as 0 from now on."""
    return {outcome: metrics.files.labels(file, outcome) for outcome in ("loaded", "refused")}


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
