"""Load from processes of their own, so that client and server share nothing but the machine.

*Closed loop*: a fixed number of callers, each waiting for its answer before it calls again; this
finds the capacity. *Open loop*: arrivals fixed in advance, a Poisson process of fixed seed, that
come whether or not the server keeps up; latency runs from the moment at which the call was due,
so a slow answer cannot hide the calls behind it (coordinated omission).
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import numpy as np
import uvloop
from numpy.typing import NDArray

from benchmarks.robustness.calls import Call, right
from benchmarks.robustness.ledger import Ledger

__all__ = ["Load", "Outcome", "capacity", "clients", "drive", "merge", "start"]

# Trailers of which every refusal of the service carries at least one.
_OURS = {"x-request-id", "grpc-retry-pushback-ms"}
_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


@dataclass(frozen=True)
class Load:
    """What one client process does.

    Attributes:
        target: address or addresses.
        calls: sent in an order drawn by the seed.
        seconds: for how long calls are begun.
        rate: arrivals a second; 0 = closed loop.
        callers: of the closed loop.
        connections: TCP connections to spread the calls over.
        seed: of the arrivals and of the order.
        service_config: of the client, as JSON; empty = gRPC's own, without retries.
        weights: how often each call is drawn; empty = all alike.
    """

    target: str
    calls: tuple[Call, ...]
    seconds: float
    rate: float = 0.0
    callers: int = 16
    connections: int = 1
    seed: int = 0
    service_config: str = ""
    weights: tuple[float, ...] = ()


@dataclass
class Outcome:
    """What a client process saw.

    Attributes:
        ledger: every call.
        accepted: milliseconds from due time to answer, of the calls answered OK.
        shed: the same of the calls refused with RESOURCE_EXHAUSTED.
        lag: milliseconds by which calls were begun later than due: the client's own fault.
    """

    ledger: Ledger = field(default_factory=Ledger)
    accepted: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)


def merge(outcomes: list[Outcome]) -> Outcome:
    """Return the outcomes of several clients as one."""
    whole = Outcome()
    for one in outcomes:
        whole.ledger.add(one.ledger)
        whole.accepted += one.accepted
        whole.shed += one.shed
        whole.lag += one.lag
    return whole


@contextmanager
def clients(count: int) -> Iterator[ProcessPoolExecutor]:
    """Have processes to call from for the length of a block; spawned, for gRPC does not fork."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        for ready in [pool.submit(time.sleep, 0.2) for _ in range(count)]:
            ready.result()
        yield pool


def start(pool: ProcessPoolExecutor, load: Load, count: int) -> "list[Future[Outcome]]":
    """Begin a load, its rate and callers divided among ``count`` clients."""
    return [
        pool.submit(
            drive,
            replace(
                load,
                rate=load.rate / count,
                callers=max(1, load.callers // count),
                seed=load.seed * 1000 + number,
            ),
        )
        for number in range(count)
    ]


def capacity(pool: ProcessPoolExecutor, load: Load, count: int) -> tuple[float, Outcome]:
    """Return the answers a second of a closed loop, and what else it saw."""
    outcome = merge([future.result() for future in start(pool, replace(load, rate=0.0), count)])
    return outcome.ledger.count("OK") / load.seconds, outcome


def drive(load: Load) -> Outcome:
    """Run one client to its end; to be called in a process of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(load))


async def _drive(load: Load) -> Outcome:
    options: tuple[tuple[str, Any], ...] = (*_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
    if load.service_config:
        options += (("grpc.service_config", load.service_config),)
    else:
        options += (("grpc.enable_retries", 0),)
    channels = [
        grpc.aio.insecure_channel(load.target, options=options) for _ in range(load.connections)
    ]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    client = _Client(channels)
    draw = np.random.default_rng(load.seed)
    if load.rate:
        await _open_loop(client, load, draw)
    else:
        await _closed_loop(client, load, draw)
    for channel in channels:
        await channel.close()
    return client.outcome


async def _closed_loop(client: "_Client", load: Load, draw: np.random.Generator) -> None:
    end = time.perf_counter() + load.seconds

    async def caller(order: NDArray[np.int64]) -> None:
        turn = 0
        while (now := time.perf_counter()) < end:
            await client.send(load.calls[order[turn % len(order)]], now)
            turn += 1

    orders = [_order(load, 10_000, draw) for _ in range(load.callers)]
    await asyncio.gather(*map(caller, orders))


async def _open_loop(client: "_Client", load: Load, draw: np.random.Generator) -> None:
    count = int(load.rate * load.seconds * 1.2) + 100
    due = np.cumsum(draw.exponential(1 / load.rate, count))
    due = due[due < load.seconds]
    order = _order(load, len(due), draw)
    tasks: set[asyncio.Task[None]] = set()
    begin = time.perf_counter() + 0.05
    turn = 0
    while turn < len(due):
        now = time.perf_counter() - begin
        while turn < len(due) and due[turn] <= now:
            task = asyncio.create_task(client.send(load.calls[order[turn]], begin + due[turn]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            turn += 1
        if turn < len(due):
            await asyncio.sleep(max(0.0, begin + due[turn] - time.perf_counter()))
    await asyncio.gather(*tasks)


def _order(load: Load, count: int, draw: np.random.Generator) -> NDArray[np.int64]:
    weights = np.array(load.weights or (1,) * len(load.calls), dtype=float)
    return draw.choice(len(load.calls), count, p=weights / weights.sum())


class _Client:
    """Sends calls over some channels and books each."""

    def __init__(self, channels: list[grpc.aio.Channel]) -> None:
        self.outcome = Outcome()
        self._channels = channels
        self._methods: dict[tuple[int, str], Any] = {}
        self._turn = 0

    async def send(self, call: Call, due: float) -> None:
        outcome, ledger = self.outcome, self.outcome.ledger
        ledger.sent += 1
        begun = time.perf_counter()
        sent = self._method(call.method)(call.payload, timeout=call.timeout)
        try:
            answer = await sent
        except grpc.aio.AioRpcError as error:
            self._refused(call, error, (time.perf_counter() - due) * 1000)
        else:
            ledger.answered[call.method, "OK"] += 1
            outcome.accepted.append((time.perf_counter() - due) * 1000)
            if "OK" not in call.codes:
                ledger.unexpected[f"{call.name}: OK"] += 1
            elif not right(call, answer):
                ledger.wrong += 1
        outcome.lag.append((begun - due) * 1000)

    def _refused(self, call: Call, error: grpc.aio.AioRpcError, elapsed: float) -> None:
        ledger, code = self.outcome.ledger, error.code().name
        trailers: dict[str, Any] = dict(tuple(error.trailing_metadata() or ()))  # type: ignore[arg-type]
        answered = bool(_OURS & trailers.keys())
        (ledger.answered if answered else ledger.below)[call.method, code] += 1
        if code == "RESOURCE_EXHAUSTED" and answered:
            self.outcome.shed.append(elapsed)
            advice = trailers.get("grpc-status-details-bin", b"")
            if b"google.rpc.RetryInfo" not in advice or "grpc-retry-pushback-ms" not in trailers:
                ledger.unadvised += 1
        if code not in call.codes:
            ledger.unexpected[f"{call.name}: {code}: {error.details()}"[:300]] += 1

    def _method(self, name: str) -> Any:
        self._turn = (self._turn + 1) % len(self._channels)
        key = (self._turn, name)
        if key not in self._methods:
            self._methods[key] = self._channels[self._turn].unary_unary(name)
        return self._methods[key]
