"""Ten thousand callers who leave, among others who stay and must not notice.

Callers leave at random moments: before the request is sent, on its way, in the queue, in work,
and while the answer travels. What client and server *can* agree on is therefore looked at call by
call: each carries a request id, which the server logs at level debug with the code that it counts.

- *agreed*: both say the same.
- *crossed*: the server had answered OK when the caller gave up; each is right about its end.
- *unseen*: the caller gave up before the request came to a handler; no counter can know of it.

Nothing else may happen. Then, code by code, the server's counters must equal the client's ledger
less the unseen and with the crossed ones as OK.
"""

import argparse
import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import uvloop

from benchmarks.robustness.calls import (
    Call,
    around,
    between,
    classify,
    learn,
    page,
    pixels,
    prior,
    right,
    stroke,
)
from benchmarks.robustness.instance import Instance, serving
from benchmarks.robustness.load import clients
from benchmarks.robustness.report import Report
from serving.pb import handwriting_pb2 as pb

__all__ = ["add_flags", "run"]

_CALLERS = 16
_AT_ONCE = 0.05
_UNSEEN = "-"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument(
        "--disturbed", type=int, default=10_000, help="calls that are given up (default 10000)"
    )


@dataclass(frozen=True)
class _Sent:
    """What the client knows of one call.

    Attributes:
        kind: ``good``, ``cancelled`` or ``expired``.
        code: name of the status that the client saw.
        right: whether an answer was what it must be.
    """

    kind: str
    code: str
    right: bool


@dataclass
class _Books:
    """Calls by request id."""

    calls: dict[str, _Sent] = field(default_factory=dict)


def run(flags: argparse.Namespace, report: Report) -> None:
    """Send good calls and as many that are given up, then compare call by call."""
    options = ("--drain-delay", "0", "--log-level", "debug", *flags.serving)
    with serving(*options) as server, clients(1) as pool:
        calls = learn(server.target, _calls())
        sent = pool.submit(_storm, server.target, calls, flags.disturbed).result().calls
        server.settle()
        _judge(report, sent, server, len(calls))


def _calls() -> tuple[Call, ...]:
    return (
        *(classify(f"raw {seed}", pixels(stroke(seed))) for seed in range(6)),
        classify("PNG", pb.Image(encoded=page())),
        classify("batch of 8", *(pixels(stroke(seed)) for seed in range(8))),
        prior(5),
        around(3),
        between(2),
    )


def _storm(target: str, calls: tuple[Call, ...], disturbed: int) -> _Books:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send_all(target, calls, disturbed))


async def _send_all(target: str, calls: tuple[Call, ...], disturbed: int) -> _Books:
    books, draw = _Books(), np.random.default_rng(0)
    kinds = ["good"] * disturbed + ["cancelled", "expired"] * (disturbed // 2)
    draw.shuffle(kinds)
    turns = iter(enumerate(kinds))
    async with grpc.aio.insecure_channel(target, (("grpc.enable_retries", 0),)) as channel:
        methods = {call.method: channel.unary_unary(call.method) for call in calls}

        typical = dict.fromkeys((call.name for call in calls), 0.02)

        async def caller() -> None:
            for number, kind in turns:
                call = calls[draw.integers(len(calls))]
                name = f"{kind}-{number}"
                # Some leave at once, the rest at any moment up to twice what an answer takes.
                longest = 2 * typical[call.name] if draw.random() > _AT_ONCE else 0.0
                patience = float(draw.uniform(0, longest))
                begun = time.perf_counter()
                books.calls[name] = await _send(methods[call.method], call, kind, name, patience)
                if kind == "good":
                    taken = time.perf_counter() - begun
                    typical[call.name] += 0.1 * (taken - typical[call.name])

        await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return books


async def _send(method: Any, call: Call, kind: str, name: str, patience: float) -> _Sent:
    timeout = patience if kind == "expired" else call.timeout
    sent = method(call.payload, timeout=timeout, metadata=(("x-request-id", name),))
    if kind == "cancelled":
        asyncio.get_running_loop().call_later(patience, sent.cancel)
    try:
        answer = await sent
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return _Sent(kind, (await sent.code()).name, right=False)
    return _Sent(kind, "OK", right(call, answer))


def _judge(report: Report, sent: dict[str, _Sent], server: Instance, learnt: int) -> None:
    logged = Counter(
        (line["request_id"], line["code"]) for line in server.log() if line.get("event") == "rpc"
    )
    counted = dict(logged.keys())
    good = [name for name, call in sent.items() if call.kind == "good"]
    bad = [n for n in good if sent[n].code != "OK" or not sent[n].right or counted.get(n) != "OK"]
    report.check(
        not bad,
        "every good call is answered right, and counted as OK",
        f"{len(good) - len(bad)} of {len(good)}"
        + "".join(f"; {n}: {sent[n]}, server {counted.get(n)}" for n in bad[:3]),
    )
    pairs = Counter(
        (call.kind, call.code, counted.get(name, _UNSEEN)) for name, call in sent.items()
    )
    report.figures["calls"] = [
        {"kind": kind, "client": ours, "server": theirs, "calls": number}
        for (kind, ours, theirs), number in sorted(pairs.items())
    ]
    strange = {
        f"{kind}: client {ours}, server {theirs}": number
        for (kind, ours, theirs), number in pairs.items()
        if not _explained(kind, ours, theirs)
    }
    report.check(
        not strange,
        "every call given up is agreed on, or crossed its answer, or never came to a handler",
        strange or _summary(pairs),
    )
    _compare(report, pairs, logged, server, learnt)


def _explained(kind: str, ours: str, theirs: str) -> bool:
    """Return whether this may be: what the client saw, and what the server counted."""
    if ours == theirs:
        return (
            ours == "OK" or {"cancelled": "CANCELLED", "expired": "DEADLINE_EXCEEDED"}[kind] == ours
        )
    gave_up = {"good": "", "cancelled": "CANCELLED", "expired": "DEADLINE_EXCEEDED"}[kind]
    return ours == gave_up and theirs in ("OK", _UNSEEN)


def _summary(pairs: Counter[tuple[str, str, str]]) -> str:
    disturbed = {key: n for key, n in pairs.items() if key[0] != "good"}
    agreed = sum(n for (_, ours, theirs), n in disturbed.items() if ours == theirs)
    unseen = sum(n for (_, _, theirs), n in disturbed.items() if theirs == _UNSEEN)
    crossed = sum(disturbed.values()) - agreed - unseen
    return f"{agreed} agreed, {crossed} crossed, {unseen} unseen"


def _compare(
    report: Report,
    pairs: Counter[tuple[str, str, str]],
    logged: Counter[tuple[str, str]],
    server: Instance,
    learnt: int,
) -> None:
    ledger: Counter[str] = Counter(OK=learnt)
    for (_, ours, theirs), number in pairs.items():
        if theirs != _UNSEEN:
            ledger["OK" if theirs == "OK" else ours] += number
    counters: Counter[str] = Counter()
    for (method, code), number in server.handled().items():
        if not method.startswith("/grpc."):
            counters[code] += number
    report.check(
        ledger == counters,
        "client's ledger (crossed as OK, without the unseen) = server's counters, code by code",
        f"client {dict(ledger)}, server {dict(counters)}",
    )
    started = server.total("grpc_server_started_total")
    ended = server.total("grpc_server_handled_total")
    twice = [key for key, number in logged.items() if number > 1]
    report.check(
        started == ended and not twice,
        "every RPC that began has ended, and was counted once",
        f"{started:.0f} begun, {ended:.0f} ended, {len(twice)} twice",
    )
    errors = server.errors()
    report.check(not errors, "no fault in the server's log", errors[:3] or "none")
