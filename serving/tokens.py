"""Bearer tokens: who may call which method, from a file that holds no token.

A line for each token, its parts separated by blanks; ``#`` begins a comment::

    # name   SHA-256 of the token, 64 hex digits   methods
    reader   2bb8...f301                            onehand.v1.HandwritingService/Classify
    office   90af...7e12                            onehand.v1.HandwritingService/*
    admin    c4d0...55aa                            *

A token comes as RFC 6750 has it, ``authorization: Bearer TOKEN``. A plain digest is enough, and
quick, because tokens are random and long; it would not be for passwords.
"""

import argparse
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import Forbidden, Unauthenticated
from serving.watched import FileRefused, Watched

__all__ = ["Grant", "Metadata", "Tokens", "load_grants", "main"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_METHODS = re.compile(r"\*|([A-Za-z_]\w*\.)*[A-Za-z_]\w*/(\*|[A-Za-z_]\w*)", re.ASCII)
_TOKEN_BYTES = 32

Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Grant:
    """What one token may do.

    Attributes:
        name: of the token; may be logged.
        digest: SHA-256 of the token.
        methods: ``*``, ``package.Service/*`` or ``package.Service/Method``.
    """

    name: str
    digest: bytes
    methods: tuple[str, ...]

    def allows(self, method: str) -> bool:
        """Return whether ``/package.Service/Method`` may be called."""
        service, _, _ = method[1:].rpartition("/")
        return any(allowed in ("*", f"{service}/*", method[1:]) for allowed in self.methods)


class Tokens:
    """The check that each request passes first."""

    def __init__(self, grants: Watched[tuple[Grant, ...]]) -> None:
        self._grants = grants

    def check(self, method: str, metadata: Metadata | None) -> None:
        """Return if the caller may call ``method``.

        Args:
            method: ``/package.Service/Method``.
            metadata: of the request.

        Raises:
            Unauthenticated: there is no token, or it is in no line of the file.
            Forbidden: the token is not for this method.
        """
        grant = _find(self._grants.value, _presented(metadata or ()))
        if not grant.allows(method):
            raise Forbidden(f"the token {grant.name} may not call {method[1:]}")


def load_grants(path: Path) -> tuple[Grant, ...]:
    """Read the file; none are left when the last token has been taken back.

    Raises:
        FileRefused: a line is not of the form, or a name or token is there twice; names the line.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        found = error.object[error.start]
        raise FileRefused(f"{path}: expected ASCII, found byte {found:#04x}") from error
    grants: list[Grant] = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            grants.append(_grant(words, grants, f"{path}, line {number}"))
    return tuple(grants)


def main(arguments: Sequence[str]) -> int:
    """Print a new random token and its line for the file; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m serving token",
        description="Print a new token, which is kept nowhere, and its line for --tokens.",
    )
    parser.add_argument("name", help="of the token, for the log")
    parser.add_argument(
        "methods",
        nargs="*",
        default=["*"],
        help="package.Service/Method, package.Service/* or * (default: *)",
    )
    options = parser.parse_args(arguments)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    words = [options.name, _digest(token).hex(), *options.methods]
    try:
        _grant(words, (), "token")
    except FileRefused as error:
        parser.error(str(error))
    print(f"token: {token}")
    print(f"line:  {' '.join(words)}")
    return 0


def _grant(words: Sequence[str], earlier: Sequence[Grant], place: str) -> Grant:
    if len(words) < 3:
        raise FileRefused(f"{place}: expected a name, a SHA-256 and methods, found {len(words)}")
    name, digest, *methods = words
    if not _NAME.fullmatch(name):
        raise FileRefused(f"{place}: expected a name of 1 to 64 of A-Z a-z 0-9 . _ -")
    if not _DIGEST.fullmatch(digest):
        # Not quoted: it may be the token itself.
        raise FileRefused(f"{place}: expected a SHA-256 as 64 lower-case hex digits after {name}")
    for method in methods:
        if not _METHODS.fullmatch(method):
            raise FileRefused(
                f"{place}: expected package.Service/Method, package.Service/* or *, "
                f"found {method!r}"
            )
    grant = Grant(name, bytes.fromhex(digest), tuple(methods))
    for other in earlier:
        if grant.name == other.name or grant.digest == other.digest:
            raise FileRefused(f"{place}: {name} or its token is there already, as {other.name}")
    return grant


def _presented(metadata: Metadata) -> str:
    """Return the token that the caller sent."""
    sent = [value for key, value in metadata if key == "authorization"]
    if len(sent) != 1:
        raise Unauthenticated(
            f"expected one metadata entry authorization: Bearer TOKEN, found {len(sent)}"
        )
    scheme, _, token = str(sent[0]).partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("expected authorization: Bearer TOKEN, found another form")
    return token


def _find(grants: Sequence[Grant], token: str) -> Grant:
    """Return the grant of a token, in a time that tells nothing of how near a wrong one came."""
    digest = _digest(token)
    found = [grant for grant in grants if hmac.compare_digest(grant.digest, digest)]
    if not found:
        raise Unauthenticated("the token is not known here")
    return found[0]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
