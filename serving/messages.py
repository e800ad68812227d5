"""Arrays to messages: how answers look on the wire."""

from serving.fuse import fuse
from serving.inference import Variants
from serving.limits import Limits
from serving.model import Verdicts
from serving.pb import handwriting_pb2 as pb
from serving.profiles import Profile

__all__ = ["classification", "description", "published", "variants"]

_LABELS = (pb.LABEL_OWN, pb.LABEL_OTHER_WRITER, pb.LABEL_OTHER)


def classification(profile: Profile, verdicts: Verdicts) -> pb.ClassifyResponse:
    """Return the answer of Classify: a verdict for each picture, and one for all."""
    return pb.ClassifyResponse(
        profile=profile.manifest.profile,
        version=profile.manifest.version,
        results=_verdicts(verdicts),
        fused=_verdicts(fuse(verdicts, profile.manifest.decision.priors))[0],
    )


def variants(profile: Profile, made: Variants, seed: int) -> pb.GenerateVariantsResponse:
    """Return the answer of GenerateVariants."""
    return pb.GenerateVariantsResponse(
        images=made.images,
        latents=[pb.Latent(values=point) for point in made.latents.tolist()],
        profile=profile.manifest.profile,
        version=profile.manifest.version,
        seed=seed,
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


def _verdicts(verdicts: Verdicts) -> list[pb.Verdict]:
    best = verdicts.probabilities.argmax(axis=1).tolist()
    rows = zip(best, verdicts.probabilities.tolist(), verdicts.llr.tolist(), strict=True)
    return [
        pb.Verdict(label=_LABELS[top], own=own, other_writer=other_writer, other=other, llr=llr)
        for top, (own, other_writer, other), llr in rows
    ]
