"""The processes of the serving benchmark do what they are asked, and are found out if not."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.cases import make_cases
from benchmarks.serving.h2load import H2Load, Load
from benchmarks.serving.peers import environments
from benchmarks.serving.peers.triton import triton
from benchmarks.serving.processes import BenchmarkError, helper
from benchmarks.serving.servers import empty_handler, service
from tests.pictures import form


def test_clients_and_ledger_agree(hands: Path, tmp_path: Path) -> None:
    """Each client's answers are those that the service counts, and one more is noticed."""
    case = make_cases(np.stack([form()] * 256))["raw-1"]
    body = tmp_path / "body"
    body.write_bytes(case.request)
    job = {"path": case.path, "body": str(body), "connections": 2}
    with (
        service("service", hands, tmp_path / "service.log") as server,
        helper("client", tmp_path / "client.log") as client,
    ):
        server.ask(case)
        closed = client.ask(address=server.address, loop="closed", in_flight=4, seconds=0.05, **job)
        opened = client.ask(
            address=server.address, loop="open", rate=200, seconds=0.1, seed=1, **job
        )
        server.sent += closed["sent"] + opened["sent"]
        server.check_ledger()
        assert opened["sent"] == 20 + 2
        assert 0 < closed["p50"] <= closed["p99.9"]

        server.sent += 1
        with pytest.raises(BenchmarkError, match="expected its counters to say"):
            server.check_ledger()


def test_what_a_schedule_is_refused_is_in_both_ledgers(hands: Path, tmp_path: Path) -> None:
    """An open loop does not wait, so some of it may be shed: the client says what, and how much."""
    case = make_cases(np.stack([form()] * 256))["draw-raw-256"]
    body = tmp_path / "body"
    body.write_bytes(case.request)
    with (
        service("service", hands, tmp_path / "service.log", max_in_flight=1) as server,
        helper("client", tmp_path / "client.log") as client,
    ):
        answer = client.ask(
            address=server.address, path=case.path, body=str(body), connections=2,
            loop="open", rate=400, seconds=0.2, seed=1,
        )  # fmt: skip
        server.sent += answer["sent"]
        assert 0 < answer["shed"] < answer["sent"]
        with pytest.raises(BenchmarkError, match="RESOURCE_EXHAUSTED"):
            server.check_ledger()

        server.shed += answer["shed"]
        server.check_ledger()


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_h2load_is_not_fooled_by_errors(tmp_path: Path) -> None:
    """Errors of gRPC come as HTTP 200; they are noticed by the message that they lack."""
    case = make_cases(np.stack([form()] * 256))["raw-1"]
    log = tmp_path / "empty.log"
    with empty_handler("empty", {case.name: 40}, log, as_ours=False) as server:
        contender = H2Load(server, case, Load(2, 2), 0.02, tmp_path)
        contender.warm()
        assert contender.measure()["rate"] > 0

        server.prefix = "/benchmarks.Empty/unknown"
        with pytest.raises(BenchmarkError, match="bytes of data"):
            contender.measure()


def test_the_work_alone_is_counted_in_pictures(hands: Path, tmp_path: Path) -> None:
    """The helper classifies the pictures of a file in chunks and says how many a second."""
    images = tmp_path / "images.npy"
    np.save(images, np.stack([form()] * 3))
    with helper("bare", tmp_path / "bare.log") as bare:
        answer = bare.ask(
            job="classify", models=str(hands), images=str(images), chunk=2, threads=2, seconds=0.01
        )
        assert answer["rate"] > 0
        with pytest.raises(BenchmarkError, match="unknown"):
            bare.ask(job="unknown")


def test_triton_finds_the_packages_of_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first python3 on its path is the peer's, whose NumPy its backend can read; not ours."""
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    home = tmp_path / environments.FOLDER / "triton"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    server = home / "lib" / f"python{python}" / "site-packages" / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / python / "triton_python_backend_stub"
    for file, text in (
        (home / ".ready", ""),
        (home / "bin" / "python3", ""),
        (server / "backends" / "python" / "libtriton_python.so", ""),
        (stub, ""),
        (server / "bin" / "tritonserver", "#!/bin/sh\necho it runs $(command -v python3)\n"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    with (
        pytest.raises(BenchmarkError, match=f"it runs {home / 'bin' / 'python3'}"),
        triton("Triton", 1, "seed", tmp_path / "graph.onnx", tmp_path / "started"),
    ):
        pass
