"""What the service answers, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from serving.pb import handwriting_pb2 as pb

__all__ = ["ATTRIBUTES", "Classification", "Label", "Limits", "Profile", "Variants", "Verdict"]


ATTRIBUTES = tuple(field.name for field in pb.Attributes.DESCRIPTOR.fields)
"""The attributes of a picture: thickness, slant, rotation, width and height."""


class Label(Enum):
    """What a picture is taken for."""

    OWN = "own"
    OTHER_WRITER = "other_writer"
    OTHER = "other"


_LABELS = {
    pb.LABEL_OWN: Label.OWN,
    pb.LABEL_OTHER_WRITER: Label.OTHER_WRITER,
    pb.LABEL_OTHER: Label.OTHER,
}


@dataclass(frozen=True)
class Verdict:
    """What is said of one picture, or of several taken as one hand.

    Attributes:
        label: the most probable of the three.
        own: probability of the enrolled hand.
        other_writer: probability of the same digit by somebody else.
        other: probability of anything else.
        llr: natural-log likelihood ratio of own against other writer.
    """

    label: Label
    own: float
    other_writer: float
    other: float
    llr: float

    @classmethod
    def from_message(cls, message: pb.Verdict) -> "Verdict":
        """Return the verdict that the message holds."""
        return cls(
            label=_LABELS[message.label],
            own=message.own,
            other_writer=message.other_writer,
            other=message.other,
            llr=message.llr,
        )


@dataclass(frozen=True)
class Classification:
    """The answer of ``classify``.

    Attributes:
        profile: that answered.
        version: of the profile.
        results: one for each picture, in their order.
        fused: one for all of them.
        digest: SHA-256 of the profile's manifest, lower-case hex.
    """

    profile: str
    version: str
    results: tuple[Verdict, ...]
    fused: Verdict
    digest: str


@dataclass(frozen=True)
class Variants:
    """The answer of ``variants``.

    Attributes:
        images: shape (n, 28, 28), white ink on black.
        latents: shape (n, z).
        attributes: shape (n, 5), in the order of ``ATTRIBUTES``: pixels and degrees, measured
            before the picture was turned.
        redrawn: how many pictures were drawn more than once, because the classifier doubted
            that they are the digit.
        profile: that answered.
        version: of the profile.
        seed: that gives the same pictures again.
        digest: SHA-256 of the profile's manifest, lower-case hex.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]
    redrawn: int
    profile: str
    version: str
    seed: int
    digest: str


@dataclass(frozen=True)
class Profile:
    """An enrolled hand; the fields are those of the message ``Profile``."""

    name: str
    version: str
    digit: int
    digest: str
    created_unix: int
    recipe: str
    enrolment_images: int
    latent_size: int
    metrics: Mapping[str, float]

    @classmethod
    def from_message(cls, message: pb.Profile) -> "Profile":
        """Return the profile that the message describes."""
        return cls(
            name=message.name,
            version=message.version,
            digit=message.digit,
            digest=message.digest,
            created_unix=message.created_unix,
            recipe=message.recipe,
            enrolment_images=message.enrolment_images,
            latent_size=message.latent_size,
            metrics=dict(message.metrics),
        )


@dataclass(frozen=True)
class Limits:
    """What the server takes; the fields are those of the message ``Limits``.

    Attributes:
        attributes: least and greatest value that may be asked for, by name.
    """

    max_images: int
    max_encoded_bytes: int
    max_pixels: int
    min_side: int
    max_count: int
    max_temperature: float
    max_strength: float
    max_style_strength: float
    max_message_bytes: int
    attributes: Mapping[str, tuple[float, float]]

    @classmethod
    def from_message(cls, message: pb.Limits) -> "Limits":
        """Return the limits that the message holds."""
        return cls(
            max_images=message.max_images,
            max_encoded_bytes=message.max_encoded_bytes,
            max_pixels=message.max_pixels,
            min_side=message.min_side,
            max_count=message.max_count,
            max_temperature=message.max_temperature,
            max_strength=message.max_strength,
            max_style_strength=message.max_style_strength,
            max_message_bytes=message.max_message_bytes,
            attributes={
                name: (getattr(message, name).least, getattr(message, name).most)
                for name in ATTRIBUTES
            },
        )
