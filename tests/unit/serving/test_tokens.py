"""Bearer tokens: the file, and who may do what."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from serving import tokens
from serving.errors import Forbidden, Unauthenticated
from serving.tokens import Tokens, load_grants
from serving.watched import FileRefused, Watched

CLASSIFY = "/onehand.v1.HandwritingService/Classify"
VARIANTS = "/onehand.v1.HandwritingService/GenerateVariants"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
A, B = (hashlib.sha256(word.encode()).hexdigest() for word in "ab")


def checked(path: Path, *lines: str) -> Tokens:
    """Return the tokens of a file of these lines."""
    path.write_text("\n".join(lines))
    return Tokens(Watched("tokens", [path], lambda: load_grants(path), lambda *_: None))


def bearer(token: str) -> Sequence[tuple[str, str | bytes]]:
    """Return the metadata that carries a token."""
    return (("user-agent", "test"), ("authorization", f"Bearer {token}"))


def test_each_token_has_its_methods(tmp_path: Path) -> None:
    """A token may call what its line names, one method, a service, or everything."""
    allowed = checked(
        tmp_path / "tokens",
        "# comment",
        f"one {A} onehand.v1.HandwritingService/Classify  # the rest is not for it",
        "",
        f"two\t{B} onehand.v1.HandwritingService/*",
        f"all {hashlib.sha256(b'c').hexdigest()} *",
    )
    may = {
        (token, method)
        for token in "abc"
        for method in (CLASSIFY, VARIANTS, REFLECTION)
        if not refused(allowed, method, token)
    }

    assert may == {
        ("a", CLASSIFY),
        ("b", CLASSIFY),
        ("b", VARIANTS),
        ("c", CLASSIFY),
        ("c", VARIANTS),
        ("c", REFLECTION),
    }


def refused(allowed: Tokens, method: str, token: str) -> bool:
    """Return whether a known token may not call a method."""
    try:
        allowed.check(method, bearer(token))
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        (),
        (("authorization", "Bearer b"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer"),),
        (("authorization", "Basic a"),),
        (("authorization", "a"),),
        (("authorization", "Bearer a a"),),
        (("authorization", f"Bearer {A}"),),
        (("authorization", "Bearer a"), ("authorization", "Bearer a")),
        (("authorization", "Bearer \udcff"),),
    ],
)
def test_without_a_known_token(
    tmp_path: Path, metadata: Sequence[tuple[str, str | bytes]] | None
) -> None:
    """No token, another one, another form, and two at once are all unauthenticated."""
    allowed = checked(tmp_path / "tokens", f"one {A} *")

    with pytest.raises(Unauthenticated):
        allowed.check(CLASSIFY, metadata)
    allowed.check(CLASSIFY, (("authorization", "bearer a"),))


def test_secrets_are_not_quoted(tmp_path: Path) -> None:
    """Neither a wrong token nor a token in the place of its hash appears in a message."""
    path = tmp_path / "tokens"
    with pytest.raises(Unauthenticated) as unknown:
        checked(path, f"one {A} *").check(CLASSIFY, bearer("my-secret"))
    with pytest.raises(FileRefused) as misplaced:
        checked(path, "one my-secret *")

    assert "my-secret" not in str(unknown.value) + str(misplaced.value)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([f"one {A}"], "line 1: expected a name, a SHA-256 and methods, found 2"),
        (["", f"o/e {A} *"], "line 2: expected a name"),
        ([f"one {A.upper()} *"], "line 1: expected a SHA-256"),
        ([f"one {A[1:]} *"], "line 1: expected a SHA-256"),
        ([f"one {A} Classify"], r"line 1: expected package.Service/Method.*found 'Classify'"),
        ([f"one {A} /onehand.v1.S/M"], "line 1: expected package.Service/Method"),
        ([f"one {A} onehand.*"], "line 1: expected package.Service/Method"),
        ([f"one {A} *", f"one {B} *"], "line 2: one or its token is there already, as one"),
        ([f"one {A} *", f"two {A} *"], "line 2: two or its token is there already, as one"),
        (["één"], "expected ASCII, found byte 0xc3"),
    ],
)
def test_strict_file(tmp_path: Path, lines: list[str], problem: str) -> None:
    """Whatever is not of the form is refused with its line."""
    with pytest.raises(FileRefused, match=problem):
        checked(tmp_path / "tokens", *lines)


def test_new_token_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints a token and the line that admits it, another one each time."""
    assert tokens.main(["reader", CLASSIFY[1:]]) == 0
    token, line = (text.split(maxsplit=1)[1] for text in capsys.readouterr().out.splitlines())
    allowed = checked(tmp_path / "tokens", line)
    tokens.main(["reader"])

    allowed.check(CLASSIFY, bearer(token))
    assert refused(allowed, VARIANTS, token)
    assert token not in line
    assert token not in capsys.readouterr().out


def test_bad_name_is_usage() -> None:
    """A name that the file could not hold is wrong usage."""
    with pytest.raises(SystemExit) as caught:
        tokens.main(["two words"])

    assert caught.value.code == 2
