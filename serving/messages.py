"""Arrays to messages: how answers look on the wire."""

from functools import lru_cache
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.drawing import Drawn
from serving.fuse import fuse
from serving.images import PIXELS, encode_png
from serving.inference import Variants
from serving.limits import Limits
from serving.model import Verdicts
from serving.pb import handwriting_pb2 as pb
from serving.profiles import Profile
from serving.wire import varint

__all__ = ["classification", "description", "png_pictures", "published", "raw_pictures", "variants"]

# A ``Verdict``: five tags, each with its value; and its tag and length as one of ``results`` and
# as ``fused``.
_VERDICT = Struct("<BBBfBfBfBf")
_RESULT = bytes([0x1A, _VERDICT.size])
_FUSED = bytes([0x22, _VERDICT.size])
# The same for many at once.
_RESULTS = np.dtype(
    [("head", "u1", (3,)), ("label", "u1"), ("numbers", [("tag", "u1"), ("value", "<f4")], (4,))]
)
# Tags of the fields of a ``GenerateVariantsResponse`` of which there is one for each picture, of
# the values of a ``Latent`` and of the five of an ``Attributes``.
_IMAGE, _LATENT, _ATTRIBUTES = 0x0A, 0x12, 0x3A
_VALUES = 0x0A
_ATTRIBUTE_TAGS = (0x0D, 0x15, 0x1D, 0x25, 0x2D)
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
    if len(verdicts.llr) == 1:  # most requests, and ten times faster than with arrays
        verdict = _verdict(verdicts)
        return head + _RESULT + verdict + _FUSED + verdict
    fused = _verdict(fuse(verdicts, manifest.decision.priors))
    return b"".join([head, _results(verdicts), _FUSED, fused])


def variants(profile: Profile, made: Variants, seed: int) -> bytes:
    """Return the answer of GenerateVariants as on the wire, of pieces that are so already."""
    head = pb.GenerateVariantsResponse(
        profile=profile.manifest.profile,
        version=profile.manifest.version,
        seed=seed,
        digest=profile.digest,
        redrawn=made.redrawn,
    )
    return b"".join([head.SerializeToString(), *made.pieces])


def raw_pictures(drawn: Drawn) -> bytes:
    """Return the part of a ``GenerateVariantsResponse`` that tells of these pictures, as pixels.

    Written by hand, and for all pictures at once: what is told of one has the same length as what
    is told of any other, so a thousand of them are a few copies.
    """
    told = _told(drawn, with_pixels=True)
    told["pixels"] = drawn.images.reshape(len(told), -1)
    return told.tobytes()


def png_pictures(drawn: Drawn) -> bytes:
    """Return the same with the pictures as PNG files."""
    files = map(encode_png, drawn.images)
    entries = [part for file in files for part in (_head(_IMAGE, len(file)), file)]
    return b"".join([*entries, _told(drawn, with_pixels=False).tobytes()])


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
        max_style_strength=limits.max_style_strength,
        **{
            name: pb.Range(least=bounds.least, most=bounds.most)
            for name, bounds in limits.attributes.items()
        },
    )


@lru_cache(maxsize=4096)
def _answered_by(profile: str, version: str, digest: str) -> bytes:
    return pb.ClassifyResponse(profile=profile, version=version, digest=digest).SerializeToString()


def _verdict(verdicts: Verdicts) -> bytes:
    """Return the only verdict as a ``Verdict`` on the wire."""
    (row,), (llr,) = verdicts.probabilities.tolist(), verdicts.llr.tolist()
    label = _LABELS[row.index(max(row))]
    return _VERDICT.pack(0x08, label, 0x15, row[0], 0x1D, row[1], 0x25, row[2], 0x2D, llr)


def _results(verdicts: Verdicts) -> bytes:
    """Return the verdicts as the field ``results`` on the wire."""
    results = np.empty(len(verdicts.llr), _RESULTS)
    results["head"] = [*_RESULT, 0x08]
    results["label"] = np.take(_LABELS, verdicts.probabilities.argmax(axis=1))
    results["numbers"]["tag"] = (0x15, 0x1D, 0x25, 0x2D)
    results["numbers"]["value"][:, :3] = verdicts.probabilities
    results["numbers"]["value"][:, 3] = verdicts.llr
    return results.tobytes()


def _told(drawn: Drawn, *, with_pixels: bool) -> NDArray[np.void]:
    """Return what the wire has of each picture; the pixels are still to be filled in."""
    told = np.repeat(_blank(drawn.latents.shape[1], with_pixels), len(drawn.images))
    told["latent"] = drawn.latents
    told["attributes"]["value"] = drawn.attributes
    return told


@lru_cache(maxsize=64)
def _blank(size: int, with_pixels: bool) -> NDArray[np.void]:
    """Return what the wire has of any picture, with zeros for values; shape (1,).

    Args:
        size: dimensions of the latent space.
        with_pixels: whether the picture is among it.
    """
    values = _head(_VALUES, 4 * size)
    attribute = np.dtype([("tag", "u1"), ("value", "<f4")])
    attributes = len(_ATTRIBUTE_TAGS) * attribute.itemsize
    heads = {
        "pixels": _head(_IMAGE, PIXELS),
        "latent": _head(_LATENT, len(values) + 4 * size) + values,
        "attributes": _head(_ATTRIBUTES, attributes),
    }
    kinds = {
        "pixels": ("u1", (PIXELS,)),
        "latent": ("<f4", (size,)),
        "attributes": (attribute, (len(_ATTRIBUTE_TAGS),)),
    }
    if not with_pixels:
        del heads["pixels"]
    layout: list[Any] = []
    for name, head in heads.items():
        layout += [(f"{name} head", "u1", (len(head),)), (name, *kinds[name])]
    blank = np.zeros(1, layout)
    for name, head in heads.items():
        blank[f"{name} head"] = list(head)
    blank["attributes"]["tag"] = _ATTRIBUTE_TAGS
    return blank


def _head(tag: int, length: int) -> bytes:
    """Return the tag of a field and the length of its content."""
    return bytes([tag]) + varint(length)
