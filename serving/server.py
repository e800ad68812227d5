"""The server as a whole: built, bound, started, loaded, drained, stopped.

Health follows the standard service: ``""`` is the process and SERVING from the start, the name
of the service is SERVING while models are loaded, proven and warm. On the way down health goes
first, then there is time for balancers to notice, and only then are requests refused.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from serving.admission import Admission
from serving.catalogue import Catalogue
from serving.cpu import cpu_budget
from serving.inference import Inference
from serving.interceptors import Interceptor
from serving.limits import Limits
from serving.metrics import Metrics
from serving.pb import handwriting_pb2 as pb
from serving.pb import handwriting_pb2_grpc as pb_grpc
from serving.pictures import PictureReader
from serving.ports import MetricsEndpoint, bind_grpc, expose_metrics
from serving.profiles import Profile, load_profiles
from serving.service import SERVICE_NAME, HandwritingService
from serving.settings import Settings
from serving.workers import Workers

__all__ = ["Server", "create_server"]

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_POLL_SECONDS = 0.02
_QUIET_POLLS = 3
# For the refusals of what was cut off to reach their clients.
_CUT_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass
class Server:
    """A server that is bound to its ports; see ``create_server``.

    Attributes:
        port: where gRPC is answered.
        metrics_port: where Prometheus is answered.
        decoding: threads that read pictures.
        computing: threads that run models.
    """

    settings: Settings
    port: int
    metrics_port: int
    metrics: Metrics
    catalogue: Catalogue
    decoding: Workers
    computing: Workers
    _grpc: grpc.aio.Server
    _health: Any  # health.aio.HealthServicer, which the stubs do not know
    _admission: Admission
    _interceptor: Interceptor
    _endpoint: MetricsEndpoint

    async def start(self) -> None:
        """Answer health and reflection from now on; the service itself is not ready yet."""
        await self._health.set(SERVICE_NAME, _NOT_SERVING)
        await self._grpc.start()
        log.info("listening", port=self.port, metrics_port=self.metrics_port)

    async def load(self) -> None:
        """Load every profile and go healthy.

        Raises:
            BundleError: a bundle breaks its contract, or there is none.
            ModelFault: a model does.
        """
        settings = self.settings
        profiles = await load_profiles(settings.models, settings.default_profile, self._show)
        self.catalogue.publish(profiles)
        self.metrics.ready.set(1)
        await self._health.set(SERVICE_NAME, _SERVING)
        log.info("serving", profiles=len(profiles.all()))

    async def drain(self, hurry: asyncio.Event) -> None:
        """Go unhealthy, and keep answering until balancers must have noticed.

        Args:
            hurry: set to end the wait at once.
        """
        await self._health.enter_graceful_shutdown()
        self.metrics.ready.set(0)
        log.info("draining", seconds=self.settings.drain_delay)
        waiting = asyncio.ensure_future(hurry.wait())
        await asyncio.wait((waiting,), timeout=self.settings.drain_delay)
        waiting.cancel()

    async def stop(self, grace: float) -> None:
        """Refuse new requests, let running ones finish within ``grace`` seconds, and close.

        Returns as soon as the last request is done.
        """
        await self._health.enter_graceful_shutdown()
        self.metrics.ready.set(0)
        self._interceptor.close_streams()
        end = time.monotonic() + grace
        # gRPC drops what has arrived and not yet come to a handler when it is told to stop, so
        # it is told only when nothing is left: first by itself, then because no more is taken.
        await self._settle(grace / 4)
        self.catalogue.retire("the server is stopping")
        await self._settle(end - time.monotonic())
        self._interceptor.cut_off()
        await self._grpc.stop(_CUT_SECONDS)
        await asyncio.to_thread(self.decoding.close)
        await asyncio.to_thread(self.computing.close)
        await asyncio.to_thread(self._endpoint.close)
        log.info("stopped")

    async def _settle(self, seconds: float) -> None:
        """Wait until nothing has been in work for a moment, but no longer than ``seconds``."""
        end = time.monotonic() + seconds
        quiet = 0
        while quiet < _QUIET_POLLS and time.monotonic() < end:
            await asyncio.sleep(_POLL_SECONDS)
            quiet = quiet + 1 if self._admission.idle else 0

    def _show(self, profile: Profile) -> None:
        self.metrics.show_profile(profile)
        log.info(
            "profile loaded",
            profile=profile.manifest.profile,
            version=profile.manifest.version,
            digest=profile.digest,
            golden_difference=profile.model.golden_difference,
            inline_images=profile.model.inline_images,
        )


def create_server(settings: Settings, registry: CollectorRegistry | None = None) -> Server:
    """Build a server, bind its ports and show its metrics; call it where an event loop runs.

    Args:
        settings: the settings in force; port 0 = a free one.
        registry: for the metrics; a new one if ``None``.

    Raises:
        CannotBind: a port is taken, or an address is not one of this machine.
    """
    metrics = Metrics(registry or CollectorRegistry())
    for method in pb.DESCRIPTOR.services_by_name["HandwritingService"].methods:
        metrics.rpc("unary", SERVICE_NAME, method.name)  # so that each is shown before it is used
    budget = cpu_budget()
    decode_threads = settings.decode_threads or budget.cores
    inference_threads = settings.inference_threads or budget.cores
    metrics.show_budget(budget, decode=decode_threads, inference=inference_threads)
    log.info(
        "threads",
        affinity=budget.affinity,
        quota=budget.quota,
        decode=decode_threads,
        inference=inference_threads,
    )
    decoding = Workers("decoding", decode_threads, metrics.stage["queue"])
    computing = Workers("inference", inference_threads, metrics.stage["queue"])
    limits = Limits.from_settings(settings)
    catalogue = Catalogue()
    service = HandwritingService(
        catalogue=catalogue,
        limits=limits,
        max_seconds=settings.max_seconds,
        pictures=PictureReader(limits.image, decoding, metrics),
        inference=Inference(computing, metrics),
        metrics=metrics,
    )
    admission = Admission(settings.max_in_flight, settings.max_queued_bytes, metrics)
    interceptor = Interceptor(admission, metrics)
    health_servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
    server = grpc.aio.server(interceptors=(interceptor,), options=_options(settings))
    pb_grpc.add_HandwritingServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if settings.reflection:
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    port = bind_grpc(server, settings.host, settings.port)
    endpoint = expose_metrics(settings.metrics_host, settings.metrics_port, metrics.registry)
    return Server(
        settings=settings,
        port=port,
        metrics_port=endpoint.port,
        metrics=metrics,
        catalogue=catalogue,
        decoding=decoding,
        computing=computing,
        _grpc=server,
        _health=health_servicer,
        _admission=admission,
        _interceptor=interceptor,
        _endpoint=endpoint,
    )


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        # Two servers on one port would share its connections and nobody would notice.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Answers are bounded by max_count; cutting one off here would be found out too late.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.absolute_max_metadata_size", 32 * 1024),
        ("grpc.max_concurrent_streams", 1024),
        # Find dead peers within a minute and a half; let live ones ping every ten seconds.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]
