"""Certificate files, good and bad."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving import tls
from serving.tls import TlsFiles
from serving.watched import FileRefused
from tests.certificates import Authority

ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of its own."""
    return Authority(tmp_path)


def test_expiry_is_read(authority: Authority) -> None:
    """A pair that works tells when its certificate ends."""
    expiry = datetime(2090, 5, 17, 12, tzinfo=UTC)
    pair = authority.issue("server", expiry)

    loaded = TlsFiles(pair.certificate, pair.key, authority.root).load()

    assert loaded.expiry == expiry.timestamp()


def test_key_of_another_certificate(authority: Authority) -> None:
    """A key that does not belong to the certificate is refused by name."""
    pair, other = authority.issue("server"), authority.issue("other")

    with pytest.raises(FileRefused, match=r"other-key\.pem: is not the key of .*server\.pem"):
        TlsFiles(pair.certificate, other.key, None).load()


def test_expired(authority: Authority) -> None:
    """A certificate that has expired is refused."""
    pair = authority.issue("server", datetime(2020, 1, 1, tzinfo=UTC))

    with pytest.raises(FileRefused, match=r"server\.pem: certificate has expired"):
        TlsFiles(pair.certificate, pair.key, None).load()


@pytest.mark.parametrize("part", ["certificate", "key", "client_ca"])
def test_missing_and_unreadable_files(authority: Authority, part: str) -> None:
    """Each file that is missing, empty or of another form is refused by name."""
    pair = authority.issue("server")
    files = {"certificate": pair.certificate, "key": pair.key, "client_ca": authority.root}
    bad = files[part]
    good = bad.read_bytes()

    for content in (None, b"", good[: len(good) // 2], b"\x00\xff", ENCRYPTED.encode()):
        bad.unlink(missing_ok=True)
        if content is not None:
            bad.write_bytes(content)
        with pytest.raises(FileRefused, match=f"^{bad}: "):
            TlsFiles(**files).load()


@pytest.mark.parametrize("part", ["certificate", "key", "client_ca"])
def test_file_that_goes_after_the_proof(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """A file that is being replaced when it is read again is refused by name like any other."""
    pair = authority.issue("server")
    files = {"certificate": pair.certificate, "key": pair.key, "client_ca": authority.root}
    prove = tls._trusting

    def prove_and_remove(roots: Path) -> object:
        context = prove(roots)
        if roots == authority.root:  # the last one that is proven
            files[part].unlink()
        return context

    monkeypatch.setattr(tls, "_trusting", prove_and_remove)

    with pytest.raises(FileRefused, match=f"^{files[part]}: No such file"):
        TlsFiles(**files).load()
