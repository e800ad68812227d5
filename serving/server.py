"""The server as a whole: built, bound, started, loaded, drained, stopped.

Health follows the standard service: ``""`` is the process and SERVING from the start, the name
of the service is SERVING while models are loaded, proven and warm. On the way down health goes
first, then there is time for balancers to notice, and only then are requests refused.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from serving.admission import Admission
from serving.catalogue import Catalogue
from serving.endpoint import MetricsEndpoint, expose_metrics
from serving.health import Health
from serving.inference import Inference
from serving.limits import Limits
from serving.listeners import Listeners
from serving.loader import Loader
from serving.metrics import Metrics
from serving.oip import service as oip
from serving.pictures import PictureReader
from serving.ports import HealthPort
from serving.processes import show_process
from serving.reload import Reloader
from serving.rpc import Router
from serving.security import Security
from serving.service import SERVICE_NAME, HandwritingService
from serving.settings import Settings
from serving.slots import Region
from serving.threads import Threads
from serving.tracing import Tracing, open_tracing
from serving.watched import keep_watching

__all__ = ["Server", "Tell"]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_POLL_SECONDS = 0.02
_QUIET_POLLS = 3
# For the refusals of what was cut off to reach their clients.
_CUT_SECONDS = 1.0

log = structlog.get_logger(__name__)

Tell: TypeAlias = Callable[..., Any]
"""Takes an event and facts, as a logger does."""


class Server:
    """A server that is bound to its ports.

    Attributes:
        settings: in force.
        port: where gRPC is answered.
        metrics_port: where Prometheus is answered; -1 = by the supervisor.
        health_port: where health alone is answered, without TLS; -1 = nowhere.
        metrics: where it counts.
        catalogue: the profiles in force; none before ``load``.
        threads: at work for requests.
    """

    def __init__(
        self, settings: Settings, region: Region | None = None, tell: Tell | None = None
    ) -> None:
        """Build it, bind its ports and show its metrics; call it where an event loop runs.

        Args:
            settings: the settings in force; port 0 = a free one.
            region: where a worker among several counts, whose metrics its supervisor shows;
                ``None`` = the server is alone and shows its own.
            tell: is told of "listening" and "serving", with facts; ``None`` = the log.

        Raises:
            CannotBind: a port is taken, or an address is not one of this machine.
            FileRefused: the files for TLS or tokens cannot be used.
            TracingUnavailable: spans are asked for and what sends them is not installed.
        """
        self.settings = settings
        self._tell = tell or log.info
        alone = region is None
        # Who works, and who may ask.
        self.metrics = metrics = Metrics(CollectorRegistry(), (region,) if region else ())
        self.threads = Threads.start(settings, metrics)
        self.catalogue = Catalogue()
        self._loader = Loader()
        self._admission = Admission(settings.max_in_flight, settings.max_queued_bytes, metrics)
        self._security = Security.from_settings(settings, metrics)
        self._tracing = open_tracing(settings)
        # What is answered,
        self._router = _router(settings, self._admission, metrics, self._security, self._tracing)
        self._services = _offer(self._router, settings, self.catalogue, self.threads, metrics)
        self._health = _offer_to_tools(
            self._router, self._services, with_reflection=settings.reflection
        )
        # and where.
        self._listeners = Listeners(
            settings, (self._router,), self._security.credentials, alone=alone
        )
        self._probes = (
            HealthPort(settings, self._health, alone=alone) if settings.health_port >= 0 else None
        )
        self._endpoint = _show(metrics, settings) if alone else None
        self.port = self._listeners.port
        self.metrics_port = self._endpoint.port if self._endpoint else -1
        self.health_port = self._probes.port if self._probes else -1
        # What goes on beside it once it is started.
        self._reloader = Reloader(
            settings.models, settings.default_profile, self._loader, self.catalogue, metrics
        )
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer from now on: health and reflection, and the service once models are loaded."""
        for service in self._services:
            self._health.set(service, _SERVING if self.catalogue.ready else _NOT_SERVING)
        await self._listeners.start()
        if self._probes:
            await self._probes.start()
        self._watching = asyncio.create_task(keep_watching(self._security.files))
        self._tell(
            "listening",
            port=self.port,
            metrics_port=self.metrics_port,
            health_port=self.health_port,
            tls=self._security.credentials is not None,
        )

    async def load(self) -> None:
        """Load every profile, go healthy, and look for other versions from now on.

        Raises:
            BundleError: a bundle breaks its contract, or there is none.
            ModelFault: a model does.
        """
        settings = self.settings
        profiles = await self._loader.load_all(settings.models, settings.default_profile)
        self.catalogue.publish(profiles)
        self.metrics.show_profiles(profiles.all())
        self.metrics.ready.set(1)
        for service in self._services:
            self._health.set(service, _SERVING)
        self._reloader.start(settings.reload_seconds)
        self._tell("serving", profiles=len(profiles.all()))

    def reload(self) -> None:
        """Look for other versions of profiles now."""
        self._reloader.ask()

    async def drain(self, hurry: asyncio.Event) -> None:
        """Go unhealthy, and keep answering until balancers must have noticed.

        Args:
            hurry: set to end the wait at once.
        """
        self._say_goodbye()
        log.info("draining", seconds=self.settings.drain_delay)
        waiting = asyncio.ensure_future(hurry.wait())
        await asyncio.wait((waiting,), timeout=self.settings.drain_delay)
        waiting.cancel()

    async def stop(self, grace: float) -> None:
        """Refuse new requests, let running ones finish within ``grace`` seconds, and close.

        Returns as soon as the last request is done.
        """
        self._say_goodbye()
        self._router.close_streams()
        end = time.monotonic() + grace
        # gRPC drops what has arrived and not yet come to a handler when it is told to stop, so
        # it is told only when nothing is left: first by itself, then because no more is taken.
        await self._settle(grace / 4)
        self.catalogue.retire("the server is stopping")
        await self._settle(end - time.monotonic())
        self._router.cut_off()
        await self._listeners.stop(_CUT_SECONDS)
        if self._probes:
            self._health.close()  # the router has ended the watches of the other port
            await self._probes.stop(_CUT_SECONDS)
        if self._watching:
            self._watching.cancel()
        self._loader.close()
        await asyncio.to_thread(self.threads.close)
        if self._tracing:
            await asyncio.to_thread(self._tracing.close)
        if self._endpoint:
            await asyncio.to_thread(self._endpoint.close)
        log.info("stopped")

    def _say_goodbye(self) -> None:
        """Tell everybody who asks that the service is not ready any more."""
        self._reloader.stop()
        self._health.retire()
        self.catalogue.drain()
        self.metrics.ready.set(0)

    async def _settle(self, seconds: float) -> None:
        """Wait until nothing has been in work or on its way, but no longer than ``seconds``."""
        end = time.monotonic() + seconds
        quiet = 0
        while quiet < _QUIET_POLLS and time.monotonic() < end:
            await asyncio.sleep(_POLL_SECONDS)
            quiet = quiet + 1 if self._admission.idle else 0


def _router(
    settings: Settings,
    admission: Admission,
    metrics: Metrics,
    security: Security,
    tracing: Tracing | None,
) -> Router:
    """Return what all calls pass, without methods."""
    return Router(
        admission,
        metrics,
        open_to_all=(health.SERVICE_NAME,),
        unlimited=(reflection.SERVICE_NAME, *oip.PROBES),
        max_streams=settings.max_connections,
        max_sending=settings.max_seconds,
        authorize=security.authorize,
        tracing=tracing,
        log_each=settings.log_level == "debug",
    )


def _offer(
    router: Router,
    settings: Settings,
    catalogue: Catalogue,
    threads: Threads,
    metrics: Metrics,
) -> tuple[str, ...]:
    """Answer at ``router`` for the profiles of the catalogue; return the services' names."""
    limits = Limits.from_settings(settings)
    inference = Inference(threads.computing, threads.decoding, metrics, settings.max_wait)
    HandwritingService(
        catalogue=catalogue,
        limits=limits,
        max_seconds=settings.max_seconds,
        pictures=PictureReader(limits.image, threads.reading, threads.decoding, metrics),
        inference=inference,
        metrics=metrics,
    ).register(router)
    if not settings.open_inference:
        return (SERVICE_NAME,)
    oip.OpenInferenceService(catalogue, limits, settings.max_seconds, inference, metrics).register(
        router
    )
    return SERVICE_NAME, oip.SERVICE_NAME


def _offer_to_tools(router: Router, services: Sequence[str], *, with_reflection: bool) -> Health:
    """Answer what probes and command-line tools ask; return what is told of the health."""
    servicer = Health()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, router)
    if with_reflection:
        names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            reflection.aio.ReflectionServicer(names),  # type: ignore[attr-defined]
            router,
        )
    return servicer


def _show(metrics: Metrics, settings: Settings) -> MetricsEndpoint:
    """Show the metrics of a server that is one process."""
    metrics.workers.set(1)
    show_process(metrics.registry)
    return expose_metrics(settings.metrics_host, settings.metrics_port, metrics.registry)
