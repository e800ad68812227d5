"""The inside client: ``grpc.aio`` in a process of its own, closed loop and open loop.

Run as a helper. What a Python caller sees, its own cost included; ``h2load`` costs less and is
the measure of the server. Bodies are sent and answers received as bytes.

uvloop and asyncio's epoll wake on whole milliseconds, too coarse for a schedule; ``select`` takes
microseconds, and a client has few sockets.
"""

import asyncio
import itertools
import json
import selectors
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.serving.processes import answer_lines
from benchmarks.serving.ratios import percentiles
from benchmarks.serving.schedule import arrivals

__all__ = ["main"]


class _Client:
    """Calls one method with one body, over one or more connections."""

    def __init__(self, address: str, path: str, body: bytes, connections: int) -> None:
        self._body = body
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channels = [
            grpc.aio.insecure_channel(address, options=options) for _ in range(connections)
        ]
        self._calls = [channel.unary_unary(path, None, None) for channel in self._channels]

    async def open(self) -> None:
        """Connect, and prove that the call is answered with OK."""
        for call in self._calls:
            await call(self._body, wait_for_ready=True, timeout=30)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close(None)

    async def closed_loop(self, in_flight: int, seconds: float) -> dict[str, Any]:
        """Keep so many calls in flight; latency from the call's start."""
        latencies: list[float] = []
        begin = time.perf_counter()

        async def caller(call: Any) -> None:
            start = time.perf_counter()
            while start - begin < seconds:
                await call(self._body)
                end = time.perf_counter()
                latencies.append((end - start) * 1e6)
                start = end

        calls = itertools.islice(itertools.cycle(self._calls), in_flight)
        await asyncio.gather(*(caller(call) for call in calls))
        elapsed = time.perf_counter() - begin
        return {"rate": len(latencies) / elapsed, "sent": len(latencies)} | percentiles(latencies)

    async def open_loop(self, rate: float, seconds: float, seed: int) -> dict[str, Any]:
        """Start each call when it is due; latency from then, so lateness of anybody counts."""
        due = arrivals(rate, seconds, seed)
        latencies = np.zeros(len(due))
        lags = np.zeros(len(due))
        shed = np.zeros(len(due), dtype=bool)
        begin = time.perf_counter()

        async def caller(place: int, call: Any) -> None:
            scheduled = begin + due[place]
            lags[place] = (time.perf_counter() - scheduled) * 1e6
            try:
                await call(self._body)
            except grpc.aio.AioRpcError as error:
                # A schedule does not wait for anybody, so a burst may be more than is admitted.
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                shed[place] = True
            latencies[place] = (time.perf_counter() - scheduled) * 1e6

        async with asyncio.TaskGroup() as tasks:
            for place, call in zip(range(len(due)), itertools.cycle(self._calls), strict=False):
                wait = begin + due[place] - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                tasks.create_task(caller(place, call))
        elapsed = time.perf_counter() - begin
        lag = percentiles(lags)
        return {
            "rate": len(due) / elapsed,
            "sent": len(due),
            "shed": int(shed.sum()),
            "client lag p50": lag["p50"],
            "client lag p99": lag["p99"],
        } | percentiles(latencies[~shed])


async def _answer(job: dict[str, Any]) -> dict[str, Any]:
    client = _Client(
        job["address"], job["path"], Path(job["body"]).read_bytes(), job["connections"]
    )
    try:
        await client.open()
        if job["loop"] == "closed":
            answer = await client.closed_loop(job["in_flight"], job["seconds"])
        else:
            answer = await client.open_loop(job["rate"], job["seconds"], job["seed"])
        return answer | {"sent": answer["sent"] + job["connections"]}
    finally:
        await client.close()


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """Answer questions until there are no more."""
    with asyncio.Runner(loop_factory=_loop) as runner:
        for question in answer_lines(sys.stdin):
            print(json.dumps(runner.run(_answer(question))), flush=True)


if __name__ == "__main__":
    main()
