"""The attributes that pictures can be given, what they are measured in, and from where."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """Of one attribute, in words.

    Attributes:
        asked: for whoever asks for values of it.
        measured: for whoever reads what a picture measures.
    """

    asked: str
    measured: str


UNITS = {
    "thickness": Unit("pixels of stroke width", "pixels: width of the stroke"),
    "slant": Unit("degrees to the right", "degrees, positive = leaning to the right"),
    "rotation": Unit(
        "degrees counter-clockwise",
        "degrees counter-clockwise, against the same picture unturned",
    ),
    "width": Unit("pixels", "pixels, before turning and without the slant"),
    "height": Unit("pixels", "pixels, before turning"),
}
"""By name, in the order of ``serving.steering.NAMES``."""
