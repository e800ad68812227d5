"""The ceiling: a ``grpc.aio`` handler on uvloop that does nothing, bytes in and bytes out.

Run as a helper: ``python -m benchmarks.serving.empty REPLIES [--batch-policy]``, where REPLIES
is JSON, case name to number of bytes in the reply. Says its port, then serves until SIGTERM.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

import grpc
import uvloop

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


async def _serve(replies: Mapping[str, int]) -> None:
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((_Empty(replies),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"port": port}), flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("replies", type=json.loads, help="JSON, case name to bytes in the reply")
    parser.add_argument(
        "--batch-policy", action="store_true", help="run as SCHED_BATCH, as the service does"
    )
    options = parser.parse_args()
    if options.batch_policy:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options.replies))


if __name__ == "__main__":
    main()
