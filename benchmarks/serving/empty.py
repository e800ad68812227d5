"""The ceiling: a ``grpc.aio`` handler on uvloop that does nothing, bytes in and bytes out.

Run as a helper: ``python -m benchmarks.serving.empty REPLIES [--as-ours]``, where REPLIES
is JSON, case name to number of bytes in the reply. Says its port, then serves until SIGTERM.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from typing import Any

import grpc
import uvloop

from serving.scheduling import run_in_batches
from serving.settings import Settings
from serving.wakeups import EventLoop

__all__ = ["SERVICE", "main"]

SERVICE = "benchmarks.Empty"


class _Empty(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # not generic at run time
    """Answers ``/benchmarks.Empty/CASE`` with as many bytes as the case's real answer has."""

    def __init__(self, replies: Mapping[str, int]) -> None:
        self._handlers = {
            f"/{SERVICE}/{case}": grpc.unary_unary_rpc_method_handler(_answer(bytes(size)))
            for case, size in replies.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _answer(reply: bytes) -> Any:
    async def answer(_request: bytes, _context: Any) -> bytes:
        return reply

    return answer


async def _serve(replies: Mapping[str, int], listeners: int) -> None:
    options = [("grpc.so_reuseport", int(listeners > 1)), ("grpc.max_receive_message_length", -1)]
    servers = [grpc.aio.server(options=options) for _ in range(listeners)]
    port = 0
    for server in servers:
        server.add_generic_rpc_handlers((_Empty(replies),))
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    print(json.dumps({"port": port}), flush=True)
    await servers[0].wait_for_termination()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("replies", type=json.loads, help="JSON, case name to bytes in the reply")
    parser.add_argument(
        "--as-ours",
        action="store_true",
        help="with the environment, scheduling policy, event loop and listeners of the service",
    )
    options = parser.parse_args()
    if options.as_ours:
        run_in_batches()
    loops = EventLoop if options.as_ours else uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(_serve(options.replies, Settings().listeners if options.as_ours else 1))


if __name__ == "__main__":
    main()
