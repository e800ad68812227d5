"""Reload without a restart, as clients see it: other versions appear while requests run."""

import gc
import shutil
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from serving import bundle, files
from serving.bundle import CLASSIFIER, CURRENT, MANIFEST
from serving.pb import handwriting_pb2 as pb
from tests import bundles, pictures
from tests.serving_host import PATIENCE, Host, Running
from tests.serving_process import serving

GOOD = pictures.message(pictures.form())
REFUSED = ("onehand_reload_refused", ())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of profiles that a test may change, with one in it."""
    bundles.build(tmp_path, seed=0)
    return tmp_path


@pytest.fixture
def running(host: Host, models: Path) -> Iterator[Running]:
    """A server that looks at that folder all the time."""
    with host.running(models=models, reload_seconds=0.01) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    patience = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < patience, "waited in vain"
        time.sleep(0.01)


def version(running: Running, profile: str = "") -> str:
    """Return the version that answers for the profile."""
    request = pb.GetProfileRequest(profile=profile)
    answer = running.stub.GetProfile(request, timeout=PATIENCE)
    return str(answer.profile.version)


def reloads(running: Running, outcome: str) -> float:
    """Return how often that came of a change."""
    return running.metrics()["onehand_reloads_total", (("outcome", outcome),)]


def point(models: Path, version: str, profile: str = "tiny") -> None:
    """Make the profile ask for a version."""
    files.replace_file(models / profile / CURRENT, f"{version}\n".encode())


def test_swap_under_requests(models: Path, running: Running) -> None:
    """No request fails while versions come and go, and each is answered by one whole version."""
    versions = {}
    answers: list[Any] = []
    ending = threading.Event()

    def ask() -> None:
        request = pb.ClassifyRequest(images=[GOOD] * 3)
        while not ending.is_set():
            answers.append(running.stub.Classify(request, timeout=PATIENCE))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for seed in range(1, 6):
            folder = bundles.build(models, seed=seed)
            until(lambda name=folder.name: any(answer.version == name for answer in answers))
            alone = running.stub.Classify(pb.ClassifyRequest(images=[GOOD]), timeout=PATIENCE)
            versions[folder.name] = (bundle.load(folder).digest, alone.results[0].llr)
    finally:
        ending.set()
        for client in clients:
            client.join(PATIENCE)

    assert {code for _, code in running.handled()} == {"OK"}
    assert {answer.version for answer in answers} >= set(versions)
    for answer in answers:
        if answer.version in versions:
            digest, llr = versions[answer.version]
            assert answer.digest == digest
            assert [verdict.llr for verdict in answer.results] == pytest.approx([llr] * 3, abs=1e-4)


def test_request_in_work_ends_on_its_version(models: Path, running: Running) -> None:
    """A request that has begun is answered by the version that it found, after the swap too."""
    first = version(running)
    threads = int(running.metrics()["onehand_threads", (("kind", "inference"),)])
    request = pb.GenerateVariantsRequest(count=2, seed=1)
    with running.held(running.server.threads.computing, threads):
        waiting = running.stub.GenerateVariants.future(request, timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        second = bundles.build(models, seed=1).name
        until(lambda: version(running) == second)
    late = running.stub.GenerateVariants(request, timeout=PATIENCE)

    assert waiting.result().version == first
    assert late.version == second
    assert late.images != waiting.result().images


def test_old_model_is_freed(models: Path, running: Running) -> None:
    """Whatever the requests went through, nothing keeps a model that is no longer in force."""
    model = weakref.ref(running.server.catalogue.all()[0].model)
    running.stub.Classify(pb.ClassifyRequest(images=[GOOD]), timeout=PATIENCE)
    running.stub.GenerateVariants(pb.GenerateVariantsRequest(count=2), timeout=PATIENCE)
    second = bundles.build(models, seed=1).name
    until(lambda: version(running) == second)

    until(lambda: gc.collect() >= 0 and model() is None)


def test_corrupt_version_is_refused(models: Path, running: Running) -> None:
    """A changed byte: the old version serves on, healthy, and the metrics tell."""
    first = version(running)
    # Made elsewhere and spoilt before it is pointed to, or it would be served before it is bad.
    made = bundles.build(models / ".elsewhere", seed=1)
    with (made / CLASSIFIER).open("r+b") as file:
        file.write(b"\0\0")
    made.rename(models / "tiny" / made.name)
    point(models, made.name)
    until(lambda: running.metrics()[REFUSED] == 1)
    still = running.stub.Classify(pb.ClassifyRequest(images=[GOOD]), timeout=PATIENCE)
    health = running.health.Check(
        health_pb2.HealthCheckRequest(service="onehand.v1.HandwritingService"), timeout=PATIENCE
    )
    counted = reloads(running, "refused")
    point(models, first)
    until(lambda: running.metrics()[REFUSED] == 0)

    assert still.version == first
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert counted == reloads(running, "refused") == 1
    assert reloads(running, "loaded") == 0


def test_roll_back(models: Path, running: Running) -> None:
    """Pointing CURRENT back serves the version before; the metrics name what is in force."""
    first = version(running)
    second = bundles.build(models, seed=1).name
    until(lambda: version(running) == second)
    point(models, first)
    until(lambda: version(running) == first)

    shown = [dict(labels) for name, labels in running.metrics() if name == "onehand_model_info"]

    assert [labels["version"] for labels in shown] == [first]
    assert reloads(running, "loaded") == 2


def test_removed_profile_is_unknown(models: Path, running: Running) -> None:
    """A profile is found from the moment that it is loaded until its folder is gone."""
    bundles.build(models, "second", seed=1)
    until(lambda: running.metrics()["onehand_profiles_loaded", ()] == 2)
    found = version(running, "second")
    shutil.rmtree(models / "second")
    until(lambda: reloads(running, "removed") == 1)

    call = running.stub.GetProfile.future(pb.GetProfileRequest(profile="second"), timeout=PATIENCE)

    assert len(found) == 12
    assert call.code() is grpc.StatusCode.NOT_FOUND
    assert running.metrics()["onehand_profiles_loaded", ()] == 1
    assert len(version(running)) == 12


def test_slow_copy_does_no_harm(models: Path, running: Running, tmp_path: Path) -> None:
    """Announced before it is there and written in pieces, a version is served once it is whole."""
    first = version(running)
    made = bundles.build(models / ".elsewhere", seed=1)
    point(models, made.name)
    target = models / "tiny" / made.name
    target.mkdir()
    for name in (MANIFEST, *bundle.FILES):
        data = (made / name).read_bytes()
        with (target / name).open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            refused = reloads(running, "refused")
            assert version(running) == first
            until(lambda refused=refused: reloads(running, "refused") >= max(refused, 1))
            file.write(data[len(data) // 2 :])
    until(lambda: version(running) == made.name)
    until(lambda: running.metrics()[REFUSED] == 0)

    assert {code for _, code in running.handled()} == {"OK"}


def test_hangup_looks_at_once(models: Path) -> None:
    """SIGHUP is the way to reload where the server does not look by itself."""
    with serving("--models", str(models), "--reload-seconds", "0") as process:
        process.event("serving")
        second = bundles.build(models, seed=1)
        process.signal(signal.SIGHUP)
        line = process.event("profile in force")
        process.signal()
        process.signal()
        code = process.wait()

    assert line["version"] == second.name
    assert code == 0
