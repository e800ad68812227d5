"""The servicer: what a request may ask for, and who answers it.

Errors leave by ``raise``; nothing here knows of status codes.
"""

import secrets
from typing import Any

import grpc

from serving import messages, modes
from serving.call import Context
from serving.catalogue import Catalogue
from serving.deadline import Deadline
from serving.drawing import SPAN_ROWS
from serving.errors import InvalidRequest
from serving.images import are_mnist_form
from serving.inference import Encoding, Inference
from serving.limits import Limits
from serving.metrics import Metrics
from serving.pb import handwriting_pb2 as pb
from serving.pictures import PictureReader, as_images
from serving.plans import Between, Plan
from serving.profiles import Profile
from serving.rpc import Router
from serving.wire import has_at_most, usual_request

__all__ = ["SERVICE_NAME", "HandwritingService"]

SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["HandwritingService"].full_name

# A picture, its pixels, and what they are: the most fields that there are for one.
_PICTURE_FIELDS = 5
# Room for the profile and for fields of a later version beside the pictures.
_OTHER_FIELDS = 16
# Twice what a request for variants has that says everything it can.
_VARIANTS_FIELDS = 64


_PNG = Encoding(messages.png_pictures, rows=64)
_RAW = Encoding(messages.raw_pictures, rows=SPAN_ROWS)
_ENCODINGS = {
    pb.IMAGE_FORMAT_UNSPECIFIED: _PNG,
    pb.IMAGE_FORMAT_PNG: _PNG,
    pb.IMAGE_FORMAT_RAW: _RAW,
}


class HandwritingService:
    """Answers for the profiles of the catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        limits: Limits,
        max_seconds: float,
        pictures: PictureReader,
        inference: Inference,
        metrics: Metrics,
    ) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._max_seconds = max_seconds
        self._pictures = pictures
        self._inference = inference
        self._classified = metrics.batch_size.labels("Classify")
        self._generated = metrics.batch_size.labels("GenerateVariants")

    def register(self, router: Router) -> None:
        """Answer the service's methods at ``router``.

        Not by the generated function: ``Classify`` takes and answers bytes, ``GenerateVariants``
        answers them.
        """
        methods: dict[str, tuple[Any, Any, Any]] = {
            "ListProfiles": (self.ListProfiles, pb.ListProfilesRequest, pb.ListProfilesResponse),
            "GetProfile": (self.GetProfile, pb.GetProfileRequest, pb.GetProfileResponse),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                answer,
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
            for name, (answer, request, response) in methods.items()
        }
        handlers["Classify"] = grpc.unary_unary_rpc_method_handler(self.Classify)
        handlers["GenerateVariants"] = grpc.unary_unary_rpc_method_handler(self.GenerateVariants)
        router.add_registered_method_handlers(SERVICE_NAME, handlers)

    async def Classify(  # noqa: N802 - named by the .proto file
        self, raw: bytes, context: Context
    ) -> bytes:
        """Say of each picture whose hand it is in.

        ``ClassifyRequest`` in and ``ClassifyResponse`` out, as on the wire.
        """
        deadline = self._deadline(context)
        usual = usual_request(raw, self._limits.max_images)
        if usual and are_mnist_form(usual.pixels):
            profile = self._catalogue.find(usual.profile)
            images = as_images(usual.pixels)
        else:
            request = self._parsed(raw)
            profile = self._catalogue.find(request.profile)
            self._check_images(len(request.images))
            images = await self._pictures.read("images", request.images, deadline)
        verdicts = await self._inference.classify(profile.model, images, deadline)
        self._classified.observe(len(images))
        return messages.classification(profile, verdicts)

    async def GenerateVariants(  # noqa: N802
        self, raw: bytes, context: Context
    ) -> bytes:
        """Draw new pictures in the enrolled hand.

        ``GenerateVariantsRequest`` in and ``GenerateVariantsResponse`` out, as on the wire.
        """
        deadline = self._deadline(context)
        request = self._asked(raw)
        profile = self._catalogue.find(request.profile)
        self._check_variants(request)
        seed = request.seed if request.HasField("seed") else secrets.randbits(64)
        plan = await self._plan(request, profile, seed, deadline)
        made = await self._inference.generate(
            profile.model, plan, request.count, _ENCODINGS[request.format], deadline
        )
        self._generated.observe(request.count)
        return messages.variants(profile, made, seed)

    async def ListProfiles(  # noqa: N802
        self, _request: pb.ListProfilesRequest, _context: Context
    ) -> pb.ListProfilesResponse:
        """Describe every profile."""
        return pb.ListProfilesResponse(
            profiles=[messages.description(profile) for profile in self._catalogue.all()]
        )

    async def GetProfile(  # noqa: N802
        self, request: pb.GetProfileRequest, _context: Context
    ) -> pb.GetProfileResponse:
        """Describe one profile and the limits."""
        return pb.GetProfileResponse(
            profile=messages.description(self._catalogue.find(request.profile)),
            limits=messages.published(self._limits),
        )

    def _deadline(self, context: Context) -> Deadline:
        return Deadline.after(context.time_remaining(), self._max_seconds)

    def _parsed(self, raw: bytes) -> pb.ClassifyRequest:
        most = self._limits.max_images
        fields = _PICTURE_FIELDS * most + _OTHER_FIELDS
        if not has_at_most(fields, raw, pb.ClassifyRequest):
            problem = f"expected 1 to {most} pictures and each given once, found more"
            raise InvalidRequest([("images", problem)])
        return pb.ClassifyRequest.FromString(raw)

    def _asked(self, raw: bytes) -> pb.GenerateVariantsRequest:
        if not has_at_most(_VARIANTS_FIELDS, raw, pb.GenerateVariantsRequest):
            problem = f"expected at most {_VARIANTS_FIELDS} fields, each given once, found more"
            raise InvalidRequest([("request", problem)])
        return pb.GenerateVariantsRequest.FromString(raw)

    def _check_images(self, count: int) -> None:
        most = self._limits.max_images
        if not 1 <= count <= most:
            raise InvalidRequest([("images", f"expected 1 to {most} pictures, found {count}")])

    def _check_variants(self, request: pb.GenerateVariantsRequest) -> None:
        limits = self._limits
        violations = modes.violations(request, limits)
        if not 1 <= request.count <= limits.max_count:
            violations.append(("count", f"expected 1 to {limits.max_count}, found {request.count}"))
        if request.format not in _ENCODINGS:
            violations.append(
                ("format", f"expected a value of ImageFormat, found {request.format}")
            )
        if violations:
            raise InvalidRequest(violations)

    async def _plan(
        self,
        request: pb.GenerateVariantsRequest,
        profile: Profile,
        seed: int,
        deadline: Deadline,
    ) -> Plan:
        """Return where the pictures shall lie.

        Given pictures are read and encoded for it, and the way between two is laid.
        """
        sources = modes.pictures(request)
        if not sources:
            return modes.plan(request, seed, None)
        images = await self._pictures.read_named(sources, deadline)
        given = await self._inference.encode(profile.model, images, deadline)
        plan = modes.plan(request, seed, given)
        if isinstance(plan, Between):
            return await self._inference.lay(profile.model, images, plan, deadline)
        return plan
