"""One raw picture a request, open loop: the rate is the client's, whatever the server does.

Rates are shares of what this client reaches in a closed loop at the seed-size service in the
same run, and the same for the empty handler; the default classifier gets shares of its own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.serving.rounds import Group, Measure
from benchmarks.serving.servers import Server
from benchmarks.serving.stage import Stage

__all__ = ["groups"]

_SHARES = (0.25, 0.5, 0.75)
_CONNECTIONS = 8
_IN_FLIGHT = 64


def groups(stage: Stage) -> list[Group]:
    """Return a group for each profile and share of its capacity."""
    body = stage.folder / "raw-1.message"
    body.write_bytes(stage.cases["raw-1"].request)
    made = []
    for profile in stage.options.profiles:
        servers = [stage.empty(), stage.service(profile), stage.service(profile, workers=2)]
        capacity = _capacity(stage, servers[1], body)
        made += [_group(stage, servers, body, share, share * capacity) for share in _SHARES]
    return made


def _capacity(stage: Stage, server: Server, body: Path) -> float:
    """Return requests a second in a closed loop, the better of two."""
    question = {"loop": "closed", "in_flight": _IN_FLIGHT, "seconds": stage.options.seconds}
    return max(float(_ask(stage, server, body, **question)["rate"]) for _ in range(2))


def _group(stage: Stage, servers: Sequence[Server], body: Path, share: float, rate: float) -> Group:
    contenders = [_contender(stage, server, body, rate) for server in servers]
    load = f"{servers[1].name.split(', ')[1]}: {rate:,.0f} a second, {share:.0%} of capacity"
    case = stage.cases["raw-1"].title
    return Group("open-loop", case, load, "p99", [servers[0].name], contenders)


def _contender(stage: Stage, server: Server, body: Path, rate: float) -> Measure:
    turn = iter(range(1_000_000))

    def measure() -> dict[str, float]:
        question = {"loop": "open", "rate": rate, "seconds": 2 * stage.options.seconds}
        return _ask(stage, server, body, seed=next(turn), **question)

    return Measure(server.name, measure)


def _ask(stage: Stage, server: Server, body: Path, **question: Any) -> dict[str, float]:
    answer: dict[str, Any] = stage.client.ask(
        address=server.address,
        path=server.path(stage.cases["raw-1"]),
        body=str(body),
        connections=_CONNECTIONS,
        **question,
    )
    server.sent += int(answer.pop("sent"))
    server.shed += int(answer.get("shed", 0))
    return answer
