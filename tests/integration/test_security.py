"""TLS, certificates that change, and tokens, with real handshakes."""

import hashlib
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from serving import probe
from serving.client import Client, Forbidden, Tls, Unauthenticated
from serving.client.cli import main
from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc
from serving.watched import FileRefused
from tests.certificates import HOST, Authority, Pair
from tests.pictures import form
from tests.serving_host import PATIENCE, Running
from tests.serving_process import serving

HEALTH = health_pb2.HealthCheckRequest(service="onehand.v1.HandwritingService")
SERVICE = "onehand.v1.HandwritingService"
SECRET, OTHER = "a-token", "another"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of its own."""
    return Authority(tmp_path / "authority")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    """A certificate for the server."""
    return authority.issue("server")


def client(running: Running, tls: Tls | None = None, **options: Any) -> Client:
    """Return a client that calls the server by the name in its certificate."""
    return Client(f"{HOST}:{running.server.port}", 5, tls=tls, **options)


def answered(running: Running, tls: Tls | None) -> bool:
    """Return whether a new connection is answered: one attempt, by a bare channel."""
    target = f"{HOST}:{running.server.port}"
    # Channels with equal credentials would share a connection, and shake hands only once.
    options = (("grpc.use_local_subchannel_pool", 1),)
    channel = (
        grpc.secure_channel(target, tls.credentials(), options)
        if tls
        else grpc.insecure_channel(target, options)
    )
    with channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        call = stub.Check.future(HEALTH, timeout=PATIENCE)
        code = call.code()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.OK


def test_tls(make_server: Callable[..., Running], authority: Authority, pair: Pair) -> None:
    """Who trusts the authority is answered, who does not or speaks plain gRPC is not."""
    running = make_server(tls_certificate=pair.certificate, tls_key=pair.key)
    stranger = Authority(authority.root.parent / "stranger")

    with client(running, Tls(authority.root)) as trusting:
        assert trusting.profiles()[0].name == "tiny"
    assert answered(running, Tls(authority.root))
    for tls in (Tls(stranger.root), Tls(), None):
        assert not answered(running, tls)


def test_mutual_tls(make_server: Callable[..., Running], authority: Authority, pair: Pair) -> None:
    """Clients must show a certificate, and one of the right authority."""
    running = make_server(
        tls_certificate=pair.certificate, tls_key=pair.key, tls_client_ca=authority.root
    )
    known = authority.issue("client")
    stranger = Authority(authority.root.parent / "stranger").issue("client")

    assert answered(running, Tls(authority.root, known.certificate, known.key))
    assert not answered(running, Tls(authority.root))
    assert not answered(running, Tls(authority.root, stranger.certificate, stranger.key))


def test_certificate_changes_without_restart(
    make_server: Callable[..., Running], authority: Authority, pair: Pair
) -> None:
    """New connections get the new certificate; half of it changes nothing; old ones go on."""
    running = make_server(tls_certificate=pair.certificate, tls_key=pair.key)
    later = Authority(authority.root.parent / "later")
    new = later.issue("server")

    with client(running, Tls(authority.root)) as old:
        old.profiles()
        shutil.copy(new.certificate, pair.certificate)
        wait_for_change(running, "certificate", "refused")
        assert answered(running, Tls(authority.root))
        shutil.copy(new.key, pair.key)
        wait_for_change(running, "certificate", "loaded")
        assert answered(running, Tls(later.root))
        assert not answered(running, Tls(authority.root))
        old.profiles()
    shown = running.metrics()

    assert shown[change("certificate", "loaded")] == 1
    assert shown[change("certificate", "refused")] == 1


def change(file: str, outcome: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return name and labels of the counter of such changes."""
    return "onehand_file_changes_total", (("file", file), ("outcome", outcome))


def wait_for_change(running: Running, file: str, outcome: str) -> None:
    """Return once the server has seen a change of a file."""
    counter = running.server.metrics.files.labels(file, outcome)
    running.wait_until(lambda: counter.value > 0)


def test_expiry_is_a_metric(
    make_server: Callable[..., Running], authority: Authority, pair: Pair
) -> None:
    """When the certificate ends can be alerted on."""
    running = make_server(tls_certificate=pair.certificate, tls_key=pair.key)

    assert running.metrics()["onehand_certificate_expiry_seconds", ()] == 4102444800


def test_bad_key_stops_the_start(
    make_server: Callable[..., Running], authority: Authority, pair: Pair
) -> None:
    """A server that could not answer a single handshake does not start."""
    with pytest.raises(FileRefused, match="is not the key of"):
        make_server(tls_certificate=pair.certificate, tls_key=authority.issue("other").key)


def test_missing_file_stops_the_process(hands: Path, pair: Pair, tmp_path: Path) -> None:
    """The start ends with exit code 1 and the name of the file that is not there."""
    missing = tmp_path / "none.pem"
    flags = ("--tls-certificate", str(pair.certificate), "--tls-key", str(missing))
    with serving("--models", str(hands), *flags) as process:
        problem = process.event("cannot serve")["problem"]
        code = process.wait()

    assert code == 1
    assert problem == f"{missing}: No such file or directory"


def test_failed_handshakes_do_not_fill_the_log(hands: Path, pair: Pair) -> None:
    """Whoever connects without TLS is sent away, and nothing is written of it."""
    flags = ("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key))
    with serving("--models", str(hands), *flags) as process:
        address = ("127.0.0.1", process.event("listening")["port"])
        with socket.create_connection(address, PATIENCE) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stranger.recv(1) == b""

    assert process.noise == []


def test_tokens_in_the_clear_are_warned_of(hands: Path, tmp_path: Path) -> None:
    """Whoever lets tokens travel without TLS to other machines is told so."""
    path = tmp_path / "tokens"
    path.write_text(line("reader", SECRET, "*"))
    flags = ("--tokens", str(path), "--host", "0.0.0.0")  # noqa: S104 - all of this machine
    with serving("--models", str(hands), *flags) as process:
        warning = process.event("tokens travel in the clear, since there is no TLS")

    assert warning["level"] == "warning"


def test_health_stays_plaintext(
    make_server: Callable[..., Running], authority: Authority, pair: Pair
) -> None:
    """Probes that speak no TLS have a port of their own, which answers nothing else."""
    running = make_server(
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=authority.root,
        health_port=0,
    )
    target = f"127.0.0.1:{running.server.health_port}"

    assert probe.main(["--target", target]) == 0
    assert probe.main(["--target", running.target]) == 1
    with grpc.insecure_channel(target) as channel:
        stub: Any = pb_grpc.HandwritingServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_probe_finds_the_health_port(
    make_server: Callable[..., Running], pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container's probe asks the health port where there is one, and says where not."""
    running = make_server(tls_certificate=pair.certificate, tls_key=pair.key, health_port=0)
    monkeypatch.setenv("ONEHAND_TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("ONEHAND_TLS_KEY", str(pair.key))
    monkeypatch.setenv("ONEHAND_PORT", str(running.server.port))

    assert probe.main([]) == 1
    monkeypatch.setenv("ONEHAND_HEALTH_PORT", str(running.server.health_port))
    assert probe.main([]) == 0


def line(name: str, token: str, *methods: str) -> str:
    """Return the line of a token."""
    return " ".join((name, hashlib.sha256(token.encode()).hexdigest(), *methods))


def reason(error: Any) -> str:
    """Return the reason in the error's details."""
    info = details_pb2.ErrorInfo()
    assert rpc_status.from_call(error).details[0].Unpack(info)
    return str(info.reason)


def test_tokens(make_server: Callable[..., Running], tmp_path: Path) -> None:
    """Without a known token nothing is answered but health; with one, what it is for."""
    path = tmp_path / "tokens"
    path.write_text(line("reader", SECRET, f"{SERVICE}/ListProfiles"))
    running = make_server(tokens=path)

    with client(running, token=SECRET) as reader:
        assert reader.profiles()[0].name == "tiny"
        with pytest.raises(Forbidden, match="reader may not call"):
            reader.classify([form()])
    for token in ("", OTHER):
        with client(running, token=token) as stranger, pytest.raises(Unauthenticated):
            stranger.profiles()
    stub: Any = health_pb2_grpc.HealthStub(running.channel)
    assert stub.Check(HEALTH, timeout=PATIENCE).status == health_pb2.HealthCheckResponse.SERVING
    assert running.handled()["Classify", "PERMISSION_DENIED"] == 1
    assert running.handled()["ListProfiles", "UNAUTHENTICATED"] == 2


def test_denials_have_details(make_server: Callable[..., Running], tmp_path: Path) -> None:
    """A program can tell the two denials apart; reflection is guarded like any service."""
    path = tmp_path / "tokens"
    path.write_text(line("reader", SECRET, f"{SERVICE}/ListProfiles"))
    running = make_server(tokens=path)
    metadata = (("authorization", f"Bearer {SECRET}"),)
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    with pytest.raises(grpc.RpcError) as unknown:
        running.stub.ListProfiles(pb.ListProfilesRequest(), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError) as forbidden:
        running.stub.Classify(pb.ClassifyRequest(), timeout=PATIENCE, metadata=metadata)
    with pytest.raises(grpc.RpcError) as reflected:
        next(reflection.ServerReflectionInfo(iter([question]), timeout=PATIENCE, metadata=metadata))

    assert reason(unknown.value) == "UNAUTHENTICATED"
    assert reason(forbidden.value) == "FORBIDDEN"
    assert reflected.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_tokens_change_without_restart(make_server: Callable[..., Running], tmp_path: Path) -> None:
    """A token that is taken out of the file is refused; a broken file changes nothing."""
    path = tmp_path / "tokens"
    path.write_text(line("old", SECRET, "*"))
    running = make_server(tokens=path)

    with client(running, token=SECRET) as old, client(running, token=OTHER) as new:
        path.write_text("broken")
        wait_for_change(running, "tokens", "refused")
        old.profiles()
        path.write_text(line("new", OTHER, "*"))
        wait_for_change(running, "tokens", "loaded")
        new.profiles()
        with pytest.raises(Unauthenticated):
            old.profiles()


def test_the_last_token_can_be_taken_back(
    make_server: Callable[..., Running], tmp_path: Path
) -> None:
    """When no line is left nobody may call anything; to start like that is a mistake."""
    path = tmp_path / "tokens"
    path.write_text(line("only", SECRET, "*"))
    running = make_server(tokens=path)

    with client(running, token=SECRET) as leaked:
        leaked.profiles()
        path.write_text("# none for now")
        wait_for_change(running, "tokens", "loaded")
        with pytest.raises(Unauthenticated):
            leaked.profiles()
    with pytest.raises(FileRefused, match="expected a line for each token, found none"):
        make_server(tokens=path)


def test_command_line(
    make_server: Callable[..., Running],
    authority: Authority,
    pair: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client's command speaks mutual TLS and sends a token from a file or variable."""
    known = authority.issue("client")
    tokens, secret = tmp_path / "tokens", tmp_path / "secret"
    tokens.write_text(line("reader", SECRET, "*"))
    secret.write_text(f"{SECRET}\n")
    running = make_server(
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=authority.root,
        tokens=tokens,
    )
    words = ["profiles", "--target", f"{HOST}:{running.server.port}", "--tls-ca"]
    words += [str(authority.root), "--tls-certificate", str(known.certificate)]

    assert main([*words]) == 2
    words += ["--tls-key", str(known.key)]
    assert main(words) == 1
    assert "authorization: Bearer" in capsys.readouterr().err
    assert main([*words, "--token-file", str(secret)]) == 0
    monkeypatch.setenv("ONEHAND_TOKEN", SECRET)
    assert main(words) == 0
    assert main([*words, "--token-file", str(tmp_path / "none")]) == 2
