"""Certificates of authorities that nobody trusts, in files, for tests of TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trustme

HOST = "localhost"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, each in a PEM file."""

    certificate: Path
    key: Path


class Authority:
    """An authority that signs anything."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.root = folder / "root.pem"
        self.root.write_bytes(self._ca.cert_pem.bytes())

    def issue(self, name: str, expiry: datetime = datetime(2100, 1, 1, tzinfo=UTC)) -> Pair:
        """Write a certificate for this machine, in files of this name."""
        issued = self._ca.issue_cert(
            HOST, "127.0.0.1", not_after=expiry, key_type=trustme.KeyType.ECDSA
        )
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}-key.pem")
        pair.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        pair.key.write_bytes(issued.private_key_pem.bytes())
        return pair
