"""The servicer of the Open Inference Protocol: profiles as models.

Where the standard leaves a choice: an empty version is the one in force, an empty name is a model
that is not there, and asking whether an unknown model is ready is an error rather than a no.
"""

import grpc

import serving
from serving.call import Context
from serving.catalogue import Catalogue
from serving.deadline import Deadline
from serving.errors import InvalidRequest, NotReady, UnknownProfile, UnknownVersion
from serving.inference import Inference
from serving.limits import Limits
from serving.metrics import Metrics
from serving.oip import tensors
from serving.oip.usual import usual_request
from serving.pb import open_inference_pb2 as pb
from serving.pb import open_inference_pb2_grpc as pb_grpc
from serving.profiles import Profile
from serving.rpc import Router

__all__ = ["PROBES", "SERVICE_NAME", "OpenInferenceService"]

SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
PROBES = tuple(f"/{SERVICE_NAME}/{name}" for name in ("ServerLive", "ServerReady", "ModelReady"))
"""Methods by which balancers and orchestrators look after a server: they must answer when busy."""


class OpenInferenceService(pb_grpc.GRPCInferenceServiceServicer):
    """Answers for the profiles of the catalogue, by the models that our own service uses."""

    def __init__(
        self,
        catalogue: Catalogue,
        limits: Limits,
        max_seconds: float,
        inference: Inference,
        metrics: Metrics,
    ) -> None:
        self._catalogue = catalogue
        self._max_images = limits.max_images
        self._max_seconds = max_seconds
        self._inference = inference
        self._inferred = metrics.batch_size.labels("ModelInfer")

    def register(self, router: Router) -> None:
        """Answer the protocol's methods at ``router``."""
        pb_grpc.add_GRPCInferenceServiceServicer_to_server(self, router)  # type: ignore[no-untyped-call]
        infer = grpc.unary_unary_rpc_method_handler(self.ModelInfer)
        router.add_registered_method_handlers(SERVICE_NAME, {"ModelInfer": infer})

    async def ServerLive(  # noqa: N802 - named by the .proto file
        self, _request: pb.ServerLiveRequest, _context: Context
    ) -> pb.ServerLiveResponse:
        """Say that the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, _request: pb.ServerReadyRequest, _context: Context
    ) -> pb.ServerReadyResponse:
        """Say whether there is anything to answer from, and callers may keep coming."""
        return pb.ServerReadyResponse(ready=self._catalogue.ready)

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, _context: Context
    ) -> pb.ModelReadyResponse:
        """Say the same of one model."""
        try:
            self._find(request.name, request.version)
        except NotReady:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._catalogue.ready)

    async def ServerMetadata(  # noqa: N802
        self, _request: pb.ServerMetadataRequest, _context: Context
    ) -> pb.ServerMetadataResponse:
        """Describe the server."""
        return pb.ServerMetadataResponse(
            name="onehand", version=serving.__version__, extensions=["model_configuration"]
        )

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, _context: Context
    ) -> pb.ModelMetadataResponse:
        """Describe one model."""
        return tensors.describe(self._find(request.name, request.version))

    async def ModelConfig(  # noqa: N802
        self, request: pb.ModelConfigRequest, _context: Context
    ) -> pb.ModelConfigResponse:
        """Describe one model in Triton's own terms."""
        profile = self._find(request.name, request.version)
        return tensors.configuration(profile, self._max_images)

    async def ModelInfer(  # noqa: N802
        self, raw: bytes, context: Context
    ) -> bytes:
        """Classify the images of a tensor.

        ``ModelInferRequest`` in and ``ModelInferResponse`` out, as on the wire.
        """
        deadline = Deadline.after(context.time_remaining(), self._max_seconds)
        usual = usual_request(raw, self._max_images)
        if usual:
            profile = self._find(usual.model, usual.version)
            asked, images = usual.asked, usual.images
        else:
            request = self._parsed(raw)
            profile = self._find(request.model_name, request.model_version)
            asked = tensors.read_asked(request, self._max_images)
            images = tensors.read_images(request, asked)
        verdicts = await self._inference.classify(profile.model, images, deadline)
        self._inferred.observe(len(images))
        return tensors.write_verdicts(asked, profile, verdicts)

    def _parsed(self, raw: bytes) -> pb.ModelInferRequest:
        """Return the message, if it is no larger than one that can be answered.

        A parsed field may take dozens of times what it takes on the wire.

        Raises:
            InvalidRequest: it is larger.
        """
        most = tensors.most_bytes(self._max_images)
        if len(raw) > most:
            problem = f"expected at most {most} bytes of request, found {len(raw)}"
            raise InvalidRequest([("inputs", problem)])
        return pb.ModelInferRequest.FromString(raw)

    def _find(self, name: str, version: str) -> Profile:
        """Return the profile of this name, which has no default here, and of this version.

        Raises:
            NotReady: nothing is published.
            UnknownProfile: there is no such profile.
            UnknownVersion: it is there in another version.
        """
        if not name:
            raise UnknownProfile("", [other.manifest.profile for other in self._catalogue.all()])
        profile = self._catalogue.find(name)
        if version not in {"", profile.manifest.version}:
            raise UnknownVersion(name, version, profile.manifest.version)
        return profile
