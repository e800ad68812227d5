"""Draws the bundled sample: a "2" with a felt pen on paper, photographed by a window.

It is nobody's handwriting and nobody's photograph, so it is free to ship. The pen follows a
smooth path through a few points, its width and ink change along the way, the paper has fibres
and the light falls off to one side. ``hand`` moves the points a little, as a hand does.

    python -m training.samples.draw
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.interpolate import CubicSpline

# Where the pen goes, in units of the digit's height, x to the right and y down.
_PATH = np.array(
    [
        (0.13, 0.25), (0.24, 0.07), (0.46, 0.02), (0.62, 0.17), (0.58, 0.38), (0.40, 0.62),
        (0.20, 0.83), (0.05, 0.955), (0.15, 0.90), (0.33, 0.93), (0.52, 0.985), (0.72, 0.93),
    ]
)  # fmt: skip
_SIZE = (900, 720)


def draw(random: np.random.Generator, hand: float) -> Image.Image:
    """Return a photograph-like picture; ``hand`` is the spread of the points in digit heights."""
    x, y, width = _pen(random, hand)
    ink = _stroke(x, y, width)
    rows, columns = np.mgrid[0 : _SIZE[0], 0 : _SIZE[1]] / max(_SIZE)
    light = 0.95 - 0.38 * columns - 0.12 * rows
    grain = np.asarray(
        Image.fromarray(random.normal(128, 40, _SIZE).clip(0, 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(1.5)
        )
    )
    paper = light * (1 + (grain / 255 - 0.5) * 0.12)
    blots = 0.85 + 0.1 * random.random(_SIZE)
    grey = paper * (1 - 0.86 * ink * blots)
    tint = (
        np.array([1.0, 0.975, 0.92]) * (1 - ink[..., None])
        + np.array([0.8, 0.85, 1.0]) * ink[..., None]
    )
    noise = random.normal(0, 0.012, (*_SIZE, 3))
    photograph = np.clip(grey[..., None] * tint + noise, 0, 1)
    return Image.fromarray(np.rint(photograph * 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(1.0)
    )


def _pen(
    random: np.random.Generator, hand: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    points = _PATH + random.normal(0, hand, _PATH.shape)
    along = np.linspace(0, len(points) - 1, 1200)
    x, y = CubicSpline(np.arange(len(points)), points)(along).T
    height = 0.55 * _SIZE[0]
    pressure = 1 + 0.18 * np.sin(along / len(points) * 7 + random.uniform(0, 6))
    return x * height + 0.24 * _SIZE[1], y * height + 0.22 * _SIZE[0], 19 * pressure


def _stroke(
    x: NDArray[np.float64], y: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much ink lies on each pixel, 0 to 1."""
    rows, columns = np.mgrid[0 : _SIZE[0], 0 : _SIZE[1]]
    depth = np.full(_SIZE, -np.inf)
    for px, py, radius in zip(x, y, width, strict=True):
        top, left = max(int(py) - 40, 0), max(int(px) - 40, 0)
        window = np.s_[top : int(py) + 41, left : int(px) + 41]
        distance = np.hypot(rows[window] - py, columns[window] - px)
        depth[window] = np.maximum(depth[window], radius - distance)
    return np.clip(depth / 2 + 0.5, 0, 1)


def main() -> None:
    """Write ``two.jpg``, which is enrolled, and ``two-again.jpg`` by the same hand."""
    folder = Path(__file__).parent
    random = np.random.default_rng(7)
    draw(random, 0.0).save(folder / "two.jpg", quality=88)
    draw(random, 0.012).save(folder / "two-again.jpg", quality=88)


if __name__ == "__main__":
    main()
