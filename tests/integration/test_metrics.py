"""Metrics read over HTTP tell what the clients saw, to the last request."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc

from serving.pb import handwriting_pb2 as pb
from tests import pictures
from tests.serving_host import PATIENCE, Running

GOOD = pictures.message(pictures.form())
PAGE = pictures.encoded(pictures.file(pictures.page()))


def ledger(running: Running, calls: list[tuple[str, Any]]) -> Counter[tuple[str, str]]:
    """Make the calls and return what came of each, by method and code."""
    seen: Counter[tuple[str, str]] = Counter()
    for method, request in calls:
        answer = getattr(running.stub, method).future(request, timeout=PATIENCE)
        seen[method, answer.code().name] += 1
    return seen


def test_counts_equal_what_clients_saw(make_server: Callable[..., Running]) -> None:
    """Each call is counted once with the client's own status, good ones and bad ones alike."""
    running = make_server()
    calls: list[tuple[str, Any]] = [
        *[("Classify", pb.ClassifyRequest(images=[GOOD, PAGE]))] * 3,
        ("Classify", pb.ClassifyRequest()),
        ("Classify", pb.ClassifyRequest(profile="nobody", images=[GOOD])),
        ("GenerateVariants", pb.GenerateVariantsRequest(count=100)),
        *[("GenerateVariants", pb.GenerateVariantsRequest())] * 2,
        ("ListProfiles", pb.ListProfilesRequest()),
        ("GetProfile", pb.GetProfileRequest(profile="nobody")),
    ]

    seen = ledger(running, calls)
    metrics = running.metrics()

    assert running.handled() == seen
    started = sum(v for (name, _), v in metrics.items() if name == "grpc_server_started_total")
    timed = sum(v for (n, _), v in metrics.items() if n == "grpc_server_handling_seconds_count")
    assert started == timed == len(calls)


def test_every_stage_is_timed(make_server: Callable[..., Running]) -> None:
    """Pictures to decode and pictures to make leave their mark on every stage."""
    running = make_server()
    ledger(
        running,
        [
            ("Classify", pb.ClassifyRequest(images=[PAGE])),
            ("GenerateVariants", pb.GenerateVariantsRequest(count=3)),
        ],
    )

    metrics = running.metrics()

    for stage in ("queue", "decode", "normalise", "infer", "encode"):
        assert metrics["onehand_stage_seconds_count", (("stage", stage),)] >= 1
    for method, size in (("Classify", 1), ("GenerateVariants", 3)):
        assert metrics["onehand_batch_size_sum", (("method", method),)] == size


def test_names_from_callers_are_not_labels(make_server: Callable[..., Running]) -> None:
    """However many methods a caller invents, they are one series."""
    running = make_server()
    for number in range(5):
        call = running.channel.unary_unary(f"/invented/Method{number}").future(b"", PATIENCE)
        assert call.code() is grpc.StatusCode.UNIMPLEMENTED

    assert running.handled() == {("unknown", "UNIMPLEMENTED"): 5}
    assert not any("nvented" in str(labels) for _, labels in running.metrics())


def test_model_and_process_are_shown(shared_server: Running) -> None:
    """The digest that is served, the threads and the process are among the metrics."""
    profile = shared_server.stub.GetProfile(pb.GetProfileRequest(), timeout=PATIENCE).profile

    metrics = shared_server.metrics()

    labels = (("digest", profile.digest), ("profile", "tiny"), ("version", profile.version))
    assert metrics["onehand_model_info", labels] == 1
    assert metrics["onehand_profiles_loaded", ()] == 1
    assert metrics["onehand_threads", (("kind", "inference"),)] >= 1
    assert ("onehand_cpu_quota_cores", ()) in metrics
    assert metrics["process_resident_memory_bytes", ()] > 0


def test_only_what_was_done_counts_as_pictures(make_server: Callable[..., Running]) -> None:
    """Pictures of calls that came to nothing are no pictures a second."""
    running = make_server(inference_threads=1)

    with running.held(running.server.threads.computing, 1):
        request = pb.ClassifyRequest(images=[GOOD])
        call = running.stub.Classify.future(request, timeout=0.1)
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        running.wait_until(lambda: running.in_work() == 0)

    assert running.metrics()["onehand_batch_size_sum", (("method", "Classify"),)] == 0
