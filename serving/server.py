"""The server as a whole: built, bound, started, loaded, drained, stopped.

Health follows the standard service: ``""`` is the process and SERVING from the start, the name
of the service is SERVING while models are loaded, proven and warm. On the way down health goes
first, then there is time for balancers to notice, and only then are requests refused.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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

__all__ = ["Server", "Tell", "create_server"]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_POLL_SECONDS = 0.02
_QUIET_POLLS = 3
# For the refusals of what was cut off to reach their clients.
_CUT_SECONDS = 1.0

log = structlog.get_logger(__name__)

Tell: TypeAlias = Callable[..., Any]
"""Takes an event and facts, as a logger does."""


@dataclass
class Server:
    """A server that is bound to its ports; see ``create_server``.

    Attributes:
        port: where gRPC is answered.
        metrics_port: where Prometheus is answered; -1 = by the supervisor.
        health_port: where health alone is answered, without TLS; -1 = nowhere.
        threads: at work for requests.
    """

    settings: Settings
    port: int
    metrics_port: int
    health_port: int
    metrics: Metrics
    catalogue: Catalogue
    threads: Threads
    _services: tuple[str, ...]
    _listeners: Listeners
    _probes: HealthPort | None
    _security: Security
    _health: Health
    _admission: Admission
    _router: Router
    _tracing: Tracing | None
    _endpoint: MetricsEndpoint | None
    _tell: Tell
    _loader: Loader
    _reloader: Reloader
    _watching: "asyncio.Task[None] | None" = field(default=None, init=False)

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


def create_server(
    settings: Settings, region: Region | None = None, tell: Tell | None = None
) -> Server:
    """Build a server, bind its ports and show its metrics; call it where an event loop runs.

    Args:
        settings: the settings in force; port 0 = a free one.
        region: where a worker among several counts, whose metrics its supervisor shows; ``None``
            = the server is alone and shows its own.
        tell: is told of "listening" and "serving", with facts; ``None`` = the log.

    Raises:
        CannotBind: a port is taken, or an address is not one of this machine.
        FileRefused: the files for TLS or tokens cannot be used.
        TracingUnavailable: spans are asked for and what sends them is not installed.
    """
    metrics = Metrics(CollectorRegistry(), (region,) if region else ())
    threads = Threads.start(settings, metrics)
    catalogue = Catalogue()
    loader = Loader()
    admission = Admission(settings.max_in_flight, settings.max_queued_bytes, metrics)
    security = Security.from_settings(settings, metrics)
    tracing = open_tracing(settings)
    router = Router(
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
    services = _offer(router, settings, catalogue, threads, metrics)
    health_servicer = _offer_to_tools(router, services, with_reflection=settings.reflection)
    alone = region is None
    listeners = Listeners(settings, (router,), security.credentials, alone=alone)
    probes = None
    if settings.health_port >= 0:
        probes = HealthPort(settings, health_servicer, alone=alone)
    endpoint = None if region else _show(metrics, settings)
    return Server(
        settings=settings,
        port=listeners.port,
        metrics_port=endpoint.port if endpoint else -1,
        health_port=probes.port if probes else -1,
        metrics=metrics,
        catalogue=catalogue,
        threads=threads,
        _services=services,
        _listeners=listeners,
        _probes=probes,
        _security=security,
        _health=health_servicer,
        _admission=admission,
        _router=router,
        _tracing=tracing,
        _endpoint=endpoint,
        _tell=tell or log.info,
        _loader=loader,
        _reloader=Reloader(settings.models, settings.default_profile, loader, catalogue, metrics),
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
