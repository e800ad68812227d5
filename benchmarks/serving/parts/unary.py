"""One raw picture a request, closed loop: against the empty handler, and against the work alone.

The latency of ``session.run`` is measured twice: in a hot loop, which no server can have, and
once after each half millisecond of idleness, which is about how often one client in flight calls.
"""

from benchmarks.serving.h2load import Load
from benchmarks.serving.rounds import Contender, Group, Measure
from benchmarks.serving.servers import Server
from benchmarks.serving.stage import Stage

__all__ = ["LOADS", "groups"]

LOADS = (Load(1, 1), Load(8, 1), Load(8, 8))
_PAUSE = 500e-6


def groups(stage: Stage) -> list[Group]:
    """Return a group for each load, and one for the latency that a Python client sees."""
    case = stage.cases["raw-1"]
    servers = [stage.empty(), stage.empty(as_ours=True)]
    servers += [
        stage.service(profile, workers=workers)
        for profile in stage.options.profiles
        for workers in (1, 2)
    ]
    references = [server.name for server in servers[:2]]
    by_load = []
    for load in LOADS:
        contenders: list[Contender] = [stage.shooting(server, case, load) for server in servers]
        if load.in_flight == 1:
            contenders += _alone(stage)
        headline = "p50" if load.in_flight == 1 else "rate"
        by_load.append(Group("unary", case.title, str(load), headline, references, contenders))
    inside = [_inside(stage, server) for server in servers]
    title = "1 in flight, grpc.aio client"
    return [*by_load, Group("unary", case.title, title, "p50", references, inside)]


def _alone(stage: Stage) -> list[Measure]:
    return [
        stage.alone(
            f"session.run, {profile}, {how}",
            "latency",
            profile,
            images=stage.images_file(1),
            pause=pause,
            seconds=stage.options.seconds / 2,
        )
        for profile in stage.options.profiles
        for how, pause in (("hot", 0), ("idle between", _PAUSE))
    ]


def _inside(stage: Stage, server: Server) -> Measure:
    case = stage.cases["raw-1"]
    body = stage.folder / "raw-1.message"
    body.write_bytes(case.request)

    def measure() -> dict[str, float]:
        answer = stage.client.ask(
            address=server.address,
            path=server.path(case),
            body=str(body),
            connections=1,
            loop="closed",
            in_flight=1,
            seconds=stage.options.seconds,
        )
        server.sent += answer.pop("sent")
        figures: dict[str, float] = answer
        return figures

    return Measure(server.name, measure)
