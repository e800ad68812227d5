"""Arrays to messages: how answers look on the wire."""

from functools import lru_cache
from struct import Struct

from serving.fuse import fuse
from serving.inference import Variants
from serving.limits import Limits
from serving.model import Verdicts
from serving.pb import handwriting_pb2 as pb
from serving.profiles import Profile

__all__ = ["classification", "description", "published", "variants"]

# Tag and length of a verdict in the fields ``results`` and ``fused``.
_VERDICT = Struct("<BBBfBfBfBf")
_RESULT = bytes([0x1A, _VERDICT.size])
_FUSED = bytes([0x22, _VERDICT.size])
_LABELS = (pb.LABEL_OWN, pb.LABEL_OTHER_WRITER, pb.LABEL_OTHER)


def classification(profile: Profile, verdicts: Verdicts) -> bytes:
    """Return the answer of Classify as on the wire: a verdict for each picture, one for all.

    Written by hand, at a quarter of the time of the generated classes: this message is most of
    what the server says, and its verdicts all have one length. A message's fields may come in
    any number of pieces (https://protobuf.dev/programming-guides/encoding/), so those that are
    the same in every answer are written once.
    """
    manifest = profile.manifest
    head = _answered_by(manifest.profile, manifest.version, profile.digest)
    results = _encoded(verdicts)
    if len(results) == 1:  # most requests
        return head + _RESULT + results[0] + _FUSED + results[0]
    fused = _encoded(fuse(verdicts, manifest.decision.priors))
    return b"".join([head, *(_RESULT + result for result in results), _FUSED, *fused])


def variants(profile: Profile, made: Variants, seed: int) -> pb.GenerateVariantsResponse:
    """Return the answer of GenerateVariants."""
    return pb.GenerateVariantsResponse(
        images=made.images,
        latents=[pb.Latent(values=point) for point in made.latents.tolist()],
        profile=profile.manifest.profile,
        version=profile.manifest.version,
        seed=seed,
        digest=profile.digest,
    )


def description(profile: Profile) -> pb.Profile:
    """Return what GetProfile and ListProfiles say of a profile."""
    manifest = profile.manifest
    return pb.Profile(
        name=manifest.profile,
        version=manifest.version,
        digit=manifest.digit,
        digest=profile.digest,
        created_unix=int(profile.created),
        recipe=manifest.enrolment.recipe,
        enrolment_images=manifest.enrolment.images,
        latent_size=manifest.latent_size,
        metrics={name: metric.value for name, metric in manifest.metrics.items()},
    )


def published(limits: Limits) -> pb.Limits:
    """Return the limits as GetProfile publishes them."""
    return pb.Limits(
        max_images=limits.max_images,
        max_encoded_bytes=limits.image.max_encoded_bytes,
        max_pixels=limits.image.max_pixels,
        min_side=limits.image.min_side,
        max_count=limits.max_count,
        max_temperature=limits.max_temperature,
        max_strength=limits.max_strength,
        max_message_bytes=limits.max_message_bytes,
    )


@lru_cache(maxsize=4096)
def _answered_by(profile: str, version: str, digest: str) -> bytes:
    return pb.ClassifyResponse(profile=profile, version=version, digest=digest).SerializeToString()


def _encoded(verdicts: Verdicts) -> list[bytes]:
    """Return each verdict as the bytes of a ``Verdict``: five tags, each with its value."""
    rows = zip(verdicts.probabilities.tolist(), verdicts.llr.tolist(), strict=True)
    return [
        _VERDICT.pack(
            0x08, _LABELS[row.index(max(row))], 0x15, row[0], 0x1D, row[1], 0x25, row[2], 0x2D, llr
        )
        for row, llr in rows
    ]
