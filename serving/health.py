"""The standard health service: a status for each service, asked for or watched.

The library's own servicer tells a watcher while it holds the lock that every change needs, so one
client that takes no bytes keeps all others from hearing, and the server from going down. Here
each watch waits for its own client alone.
"""

import asyncio
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.call import Context

__all__ = ["Health", "Status"]

Status: TypeAlias = "health_pb2.HealthCheckResponse.ServingStatus.ValueType"


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """What the process says of its services; used from the event loop only.

    The name ``""`` stands for the process (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
    """

    def __init__(self) -> None:
        self._status: dict[str, Status] = {"": health_pb2.HealthCheckResponse.SERVING}
        self._changed = asyncio.Event()
        self._over = False
        self._closed = False

    def set(self, service: str, status: Status) -> None:
        """Say ``status`` of a service from now on, unless all is over."""
        if not self._over:
            self._status[service] = status
            self._wake()

    def retire(self) -> None:
        """Say NOT_SERVING of every service from now on, whatever is set later."""
        self._over = True
        for service in self._status:
            self._status[service] = health_pb2.HealthCheckResponse.NOT_SERVING
        self._wake()

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        self._wake()

    async def Check(  # noqa: N802 - named by the .proto file
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Say the status of a service; NOT_FOUND if there is no such service."""
        status = self._status.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> None:
        """Say the status of a service now and whenever it is another one, until either side goes.

        What changes while the client is being told is not lost, but only the last of it is told.
        """
        service, told = request.service, None
        while not self._closed:
            changed = self._changed
            status = self._status.get(service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            await changed.wait()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
