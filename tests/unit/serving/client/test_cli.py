"""What the command line refuses before it connects, and how it ends when it is stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.client import Client
from serving.client.cli import main
from tests.certificates import Authority

NOBODY = "127.0.0.1:1"


def test_ctrl_c_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stops a call gets no stack trace, and the code that shells know."""

    def stop(client: Client) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "profiles", stop)

    assert main(["profiles", "--target", NOBODY]) == 130
    assert capsys.readouterr().err == "\nstopped\n"


LISTED = (
    "import sys; from serving.client import cli, Client, Profile\n"
    "name = sys.argv.pop()\n"
    "profile = Profile(name, '1', 2, 'digest', 0, 'default', 1, 4, {})\n"
    "Client.profiles = lambda client: (profile,) * 2\n"
    "sys.exit(cli.main())"
)


def in_a_process(
    output: int, *words: str, name: str = "hand", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command that lists two profiles of this name, with this as standard output."""
    return subprocess.run(
        [sys.executable, "-c", LISTED, *words, name],
        stdout=output,
        stderr=subprocess.PIPE,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("words", "code"), [(["profiles", "--json"], 141), (["--help"], 0)])
def test_a_reader_that_has_gone_is_no_error(words: list[str], code: int, unbuffered: str) -> None:
    """As in ``... --json | head -1``: nothing is told, and the code is that of a closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)

    done = in_a_process(writing, *words, PYTHONUNBUFFERED=unbuffered)
    os.close(writing)

    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_told(unbuffered: str) -> None:
    """A full disk is one sentence, where success was claimed or Python complained at its end."""
    with open("/dev/full", "w") as full:
        done = in_a_process(full.fileno(), "profiles", PYTHONUNBUFFERED=unbuffered)

    assert (done.returncode, done.stderr) == (2, b"No space left on device\n")


def test_names_that_are_no_text_are_given_back() -> None:
    """A file of an old disk has such a name; what came of its picture is told all the same."""
    done = in_a_process(
        subprocess.PIPE, "profiles", name=os.fsdecode(b"\xff"), PYTHONIOENCODING="utf-8:strict"
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[1].startswith(b"\xff")


@pytest.mark.parametrize("option", ["--profile", "--target"])
def test_words_that_are_no_text(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 fit into no message: wrong usage."""
    with pytest.raises(SystemExit) as usage:
        main(["classify", "two.png", option, os.fsdecode(b"\xff\xfe")])

    assert usage.value.code == 2
    assert f"argument {option}: expected text in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["", " ", "dns:///"])
def test_target_without_a_host(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nowhere to connect to is wrong usage, as an unset variable of a script makes it."""
    with pytest.raises(SystemExit) as usage:
        main(["profiles", "--target", target])

    assert usage.value.code == 2
    assert f"argument --target: expected HOST:PORT, found {target!r}" in capsys.readouterr().err


def test_token_file_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and not shown."""
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")

    assert main(["profiles", "--target", NOBODY, "--token-file", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: expected a token as text, found other bytes\n"


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("a secret", "expected a token, one word, found 2"),
        ("secret\nother\n", "expected a token, one word, found 2"),
        ("se\u00f1ret", "expected a token of printable ASCII, found other characters"),
        ("se\x7fret", "expected a token of printable ASCII, found other characters"),
    ],
)
def test_tokens_that_cannot_be_sent(
    token: str,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are refused without being shown, be they in a file or in the variable."""
    file = tmp_path / "token"
    file.write_text(token, "utf-8")
    words = ["profiles", "--target", NOBODY]

    assert main([*words, "--token-file", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: {problem}\n"
    monkeypatch.setenv("ONEHAND_TOKEN", token)
    assert main(words) == 2
    assert capsys.readouterr().err == f"ONEHAND_TOKEN: {problem}\n"


def test_files_for_tls_that_hold_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named: gRPC would only say that no server answers."""
    pair = Authority(tmp_path / "authority").issue("client")
    text = tmp_path / "text.md"
    words = ["profiles", "--target", NOBODY, "--tls-certificate"]

    for content in (b"", b"# not PEM"):
        text.write_bytes(content)
        for options, kind in (
            ([str(pair.certificate), "--tls-key", str(pair.key), "--tls-ca"], "certificate"),
            ([str(pair.certificate), "--tls-key"], "key"),
        ):
            assert main([*words, *options, str(text)]) == 2
            assert f"{text}: expected a {kind} in PEM, found none" in capsys.readouterr().err
        assert main([*words, str(text), "--tls-key", str(pair.key)]) == 2
        assert f"{text}: expected a certificate in PEM, found none" in capsys.readouterr().err
    text.write_bytes("# Autorit\u00e0\n".encode() + pair.certificate.read_bytes())
    assert (
        main([*words, str(pair.certificate), "--tls-key", str(pair.key), "--tls-ca", str(text)])
        == 3
    )


def test_files_that_are_not_there_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of a person: no number of the system's, and no quotes."""
    none = tmp_path / "none"
    for words in (
        ["classify", str(none)],
        ["profiles", "--token-file", str(none)],
        ["profiles", "--tls-ca", str(none)],
    ):
        assert main([*words, "--target", NOBODY]) == 2
        assert capsys.readouterr().err == f"{none}: No such file or directory\n"


def test_where_no_picture_can_be_written_is_known_before_any_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the folder's place is told at once, and stays as it is."""
    monkeypatch.delattr(Client, "variants")
    file = tmp_path / "README.md"
    file.write_text("read me")
    words = ["variants", "--count", "1", "--target", NOBODY, "--out"]

    assert main([*words, str(file)]) == 2
    assert capsys.readouterr().err == f"{file}: expected a folder, found a file\n"
    assert main([*words, str(file / "more")]) == 2
    assert capsys.readouterr().err == f"{file / 'more'}: Not a directory\n"
    assert file.read_text() == "read me"
