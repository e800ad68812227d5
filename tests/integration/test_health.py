"""The standard services: health before, during and after, and reflection."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving import probe
from serving.pb import handwriting_pb2 as pb
from tests import deaf, pictures
from tests.serving_host import PATIENCE, Running

SERVICE = "onehand.v1.HandwritingService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def check(running: Running, service: str) -> int:
    """Return the health of a service."""
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = running.health.Check(request, timeout=PATIENCE).status
    return status


def started(running: Running, method: str) -> float:
    """Return how many calls of a method there have been."""
    return sum(
        value
        for (name, labels), value in running.metrics().items()
        if name == "grpc_server_started_total" and ("grpc_method", method) in labels
    )


def test_health_follows_the_models(make_server: Callable[..., Running]) -> None:
    """The process is healthy at once, the service when its models are loaded, none in a drain."""
    running = make_server(load=False)
    before = check(running, ""), check(running, SERVICE)
    running.host.run(running.server.load())
    loaded = check(running, ""), check(running, SERVICE)
    running.host.run(running.server.drain(asyncio.Event()))
    draining = check(running, ""), check(running, SERVICE)

    assert before == (SERVING, NOT_SERVING)
    assert loaded == (SERVING, SERVING)
    assert draining == (NOT_SERVING, NOT_SERVING)


def test_ready_gauge_follows_too(make_server: Callable[..., Running]) -> None:
    """The metric tells the same as health."""
    running = make_server(load=False)
    before = running.metrics()["onehand_ready", ()]
    running.host.run(running.server.load())
    loaded = running.metrics()["onehand_ready", ()]
    running.host.run(running.server.drain(asyncio.Event()))

    assert (before, loaded, running.metrics()["onehand_ready", ()]) == (0, 1, 0)


def test_watch_sees_each_change(make_server: Callable[..., Running]) -> None:
    """A watcher is told of every change, and let go when the server stops."""
    running = make_server(load=False)
    answers = running.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=PATIENCE)
    seen = [next(answers).status]
    running.host.run(running.server.load())
    seen.append(next(answers).status)
    running.host.run(running.server.drain(asyncio.Event()))
    seen.append(next(answers).status)
    running.host.run(running.server.stop(PATIENCE))
    with pytest.raises(grpc.RpcError) as end:
        next(answers)

    assert seen == [NOT_SERVING, SERVING, NOT_SERVING]
    assert end.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_watch_of_the_health_port_ends_with_the_server(
    make_server: Callable[..., Running],
) -> None:
    """It holds the end up no longer than one of the other port."""
    running = make_server(health_port=0)
    with grpc.insecure_channel(f"127.0.0.1:{running.server.health_port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answers = stub.Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        first = next(answers).status
        running.host.run(running.server.stop(PATIENCE))
        last = next(answers).status
        with pytest.raises(grpc.RpcError) as end:
            next(answers)

    assert (first, last) == (SERVING, NOT_SERVING)
    assert end.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_watcher_that_takes_nothing_holds_nobody_up(make_server: Callable[..., Running]) -> None:
    """The others hear of every change, and the server comes up and goes down."""
    running = make_server(load=False)
    question = health_pb2.HealthCheckRequest(service=SERVICE)
    with deaf.asking(running.target, "/grpc.health.v1.Health/Watch", question.SerializeToString()):
        running.wait_until(lambda: started(running, "Watch") == 1)
        answers = running.health.Watch(question, timeout=PATIENCE)
        seen = [next(answers).status]
        running.host.run(running.server.load())
        seen.append(next(answers).status)
        running.host.run(running.server.drain(asyncio.Event()))
        seen.append(next(answers).status)

    assert seen == [NOT_SERVING, SERVING, NOT_SERVING]


@pytest.mark.parametrize("port", ["main", "health"])
def test_a_service_with_an_endless_name_is_not_watched(
    make_server: Callable[..., Running], port: str
) -> None:
    """A watch keeps its request for as long as it lasts."""
    running = make_server(health_port=0)
    target = running.target if port == "main" else f"127.0.0.1:{running.server.health_port}"
    question = health_pb2.HealthCheckRequest(service="x" * 5000)

    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as caught:
        next(health_pb2_grpc.HealthStub(channel).Watch(question, timeout=PATIENCE))

    codes = {"main": grpc.StatusCode.INVALID_ARGUMENT, "health": grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert caught.value.code() is codes[port]


def test_unknown_service_has_no_health(shared_server: Running) -> None:
    """Asked for a service that is not there, Check says NOT_FOUND."""
    with pytest.raises(grpc.RpcError) as caught:
        check(shared_server, "no.such.Service")

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_probe(shared_server: Running, make_server: Callable[..., Running]) -> None:
    """The probe's exit code is 0 for a ready server, 1 for one that is not or is not there."""
    loading = make_server(load=False)

    assert probe.main(["--target", shared_server.target]) == 0
    assert probe.main(["--target", loading.target]) == 1
    assert probe.main(["--target", loading.target, "--service", ""]) == 0
    assert probe.main(["--target", "127.0.0.1:1"]) == 1


def listed(running: Running) -> set[str]:
    """Return the services that reflection lists."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(stub.ServerReflectionInfo(iter([question]), timeout=PATIENCE))
    return {service.name for service in answer.list_services_response.service}


def test_reflection_lists_the_service(shared_server: Running) -> None:
    """Tools can ask which services there are, health included."""
    assert {SERVICE, "grpc.health.v1.Health"} <= listed(shared_server)


def test_reflection_can_be_switched_off(make_server: Callable[..., Running]) -> None:
    """Without reflection the question itself is unknown."""
    running = make_server(reflection=False)

    with pytest.raises(grpc.RpcError) as caught:
        listed(running)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_what_outlasts_the_grace_is_cut_off(make_server: Callable[..., Running]) -> None:
    """Requests that are not done in time are cut off, and counted as their clients see them."""
    running = make_server()
    page = pictures.encoded(pictures.file(pictures.page()))
    registry = running.server.metrics.registry

    with running.held(running.server.threads.reading, 1):
        call = running.stub.Classify.future(pb.ClassifyRequest(images=[page]), timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        stopping = running.host.begin(running.server.stop(0.2))
        code = call.code()
    stopping.result(PATIENCE)

    labels = {
        "grpc_type": "unary",
        "grpc_service": SERVICE,
        "grpc_method": "Classify",
        "grpc_code": code.name,
    }
    assert code is grpc.StatusCode.UNAVAILABLE
    assert registry.get_sample_value("grpc_server_handled_total", labels) == 1


def test_stopping_server_refuses_politely(make_server: Callable[..., Running]) -> None:
    """While the last requests finish, new ones are UNAVAILABLE and told to come back."""
    running = make_server()
    page = pictures.encoded(pictures.file(pictures.page()))
    request = pb.ClassifyRequest(images=[page])

    with running.held(running.server.threads.reading, 1):
        first = running.stub.Classify.future(request, timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        running.server.catalogue.retire("the server is stopping")
        late = running.stub.Classify.future(request, timeout=PATIENCE)
        code = late.code()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert len(first.result().results) == 1
