"""What a request may ask for, in one value: enforced by ``service``, published by GetProfile."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.images import ImageLimits
from serving.settings import Settings
from serving.steering import RANGES, Range

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one request.

    Attributes:
        image: of each picture.
        max_images: pictures to classify.
        max_count: pictures to generate.
        max_temperature: factor on the noise of the prior; least is 0.
        max_strength: factor on the deviation around a picture; least is 0.
        max_message_bytes: of the request.
        max_style_strength: how far a style is taken over; least is 0.
        attributes: what they may be asked to be, by name.
    """

    image: ImageLimits
    max_images: int
    max_count: int
    max_message_bytes: int
    max_temperature: float = 3.0
    max_strength: float = 5.0
    max_style_strength: float = 1.0
    attributes: Mapping[str, Range] = field(default_factory=lambda: RANGES)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        """Return the limits that the settings ask for."""
        return cls(
            image=ImageLimits(
                max_encoded_bytes=settings.max_encoded_bytes, max_pixels=settings.max_pixels
            ),
            max_images=settings.max_images,
            max_count=settings.max_count,
            max_message_bytes=settings.max_message_bytes,
        )
