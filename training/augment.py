"""One picture to many: what a pen, a hand and a scanner could have done differently.

Each variation goes, on a canvas much finer than MNIST's 28 x 28, through uneven edges, a thinner
or thicker pen, rotation and translation, brightness and contrast, and blur. The drawn parameters
come back beside each image, so that a picture can be explained and drawn again.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from scipy import ndimage

from serving.images import BadImage
from serving.images.mnist_form import SIDE, centre_in_form
from training.config import AugmentConfig, Range

Mask = NDArray[np.bool_]

_DRAWS = 50
"""How often a variation is drawn before the form is given up."""


@dataclass(frozen=True)
class Drawn:
    """The parameters of one variation; units as in ``AugmentConfig``.

    ``kernel`` is positive for dilation, negative for erosion, 0 for neither.
    """

    edge_left: float
    edge_right: float
    edge_top: float
    edge_bottom: float
    kernel: int
    rotation: float
    shift_x: float
    shift_y: float
    brightness: float
    contrast: float
    blur: float

    def as_dict(self) -> dict[str, float]:
        """Return the parameters by name."""
        return {name: float(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Variations:
    """Variations and what was drawn for each.

    Attributes:
        images: uint8 (n, 28, 28).
        drawn: n sets of parameters.
    """

    images: NDArray[np.uint8]
    drawn: tuple[Drawn, ...]


def augment(
    forms: NDArray[np.uint8], config: AugmentConfig, random: np.random.Generator
) -> Variations:
    """Return ``config.count`` variations of the forms, taken in turn.

    Args:
        forms: uint8 (k, 28, 28), MNIST form.
        config: ranges.
        random: the only source of chance.
    """
    images, drawn = [], []
    for index in range(config.count):
        image, parameters = vary(forms[index % len(forms)], config, random)
        images.append(image)
        drawn.append(parameters)
    return Variations(np.stack(images), tuple(drawn))


def vary(
    form: NDArray[np.uint8], config: AugmentConfig, random: np.random.Generator
) -> tuple[NDArray[np.uint8], Drawn]:
    """Return one variation of a form (28, 28) and its parameters.

    A draw whose ink vanishes altogether is drawn again; the erosion of a hair stroke can do that.

    Raises:
        BadImage: it vanishes in every draw.
    """
    for _ in range(_DRAWS):
        drawn = draw(config, random)
        image = apply(form, drawn, config, random)
        try:
            return (centre_in_form(image) if config.mnist_form else image), drawn
        except BadImage:
            continue
    raise BadImage(
        f"expected strokes that a thinner pen leaves something of, found none left in {_DRAWS} "
        "variations of a picture"
    )


def draw(config: AugmentConfig, random: np.random.Generator) -> Drawn:
    """Return one set of parameters."""

    def uniform(span: Range) -> float:
        return float(random.uniform(span.low, span.high))

    sign = 1 if random.random() < 0.5 else -1
    return Drawn(
        edge_left=uniform(config.edge_cleared),
        edge_right=uniform(config.edge_filled),
        edge_top=uniform(config.edge_cleared),
        edge_bottom=uniform(config.edge_filled),
        kernel=sign * int(random.choice(config.kernels)) if config.kernels else 0,
        rotation=uniform(config.rotation),
        shift_x=uniform(config.translation),
        shift_y=uniform(config.translation),
        brightness=uniform(config.brightness),
        contrast=uniform(config.contrast),
        blur=uniform(config.blur) if random.random() < config.blur_probability else 0.0,
    )


def apply(
    form: NDArray[np.uint8], drawn: Drawn, config: AugmentConfig, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the form (28, 28) varied by the drawn parameters; uint8 (28, 28).

    ``random`` decides which pixels of the edges are touched.
    """
    height, width = config.canvas
    canvas = Image.fromarray(form).resize((width, height), Image.Resampling.LANCZOS)
    ink = np.asarray(canvas) > 127
    ink = change_pen(roughen_edges(ink, drawn, config.edge_touched, random), drawn.kernel)
    picture = Image.fromarray(ink.astype(np.uint8) * 255)
    picture = picture.rotate(
        drawn.rotation,
        resample=Image.Resampling.BILINEAR,
        translate=(round(drawn.shift_x), round(drawn.shift_y)),
    )
    picture = ImageEnhance.Brightness(picture).enhance(drawn.brightness)
    picture = ImageEnhance.Contrast(picture).enhance(drawn.contrast)
    if drawn.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(drawn.blur))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.uint8)


def roughen_edges(ink: Mask, drawn: Drawn, touched: float, random: np.random.Generator) -> Mask:
    """Clear edge pixels to the left and top, fill them to the right and bottom.

    The edge is the ink without its 3 x 3 erosion.

    Args:
        ink: (h, w).
        drawn: probabilities for the four halves.
        touched: probability that an edge pixel is considered at all.
        random: decides pixel by pixel.
    """
    height, width = ink.shape
    square = np.ones((3, 3), dtype=np.bool_)
    edge = ink ^ ndimage.binary_erosion(ink, square)
    edge &= random.random(ink.shape) < touched
    result = ink.copy()
    rows, columns = np.indices(ink.shape)
    for half, probability, value in (
        (columns < width // 2, drawn.edge_left, False),
        (columns >= width // 2, drawn.edge_right, True),
        (rows < height // 2, drawn.edge_top, False),
        (rows >= height // 2, drawn.edge_bottom, True),
    ):
        result[edge & half & (random.random(ink.shape) < probability)] = value
    return result


def change_pen(ink: Mask, kernel: int) -> Mask:
    """Return the ink (h, w) dilated (kernel > 0) or eroded (kernel < 0) by a square."""
    if kernel == 0:
        return ink
    square = np.ones((abs(kernel), abs(kernel)), dtype=np.bool_)
    operation = ndimage.binary_dilation if kernel > 0 else ndimage.binary_erosion
    changed: Mask = operation(ink, square)
    return changed
