"""Draws the picture at the top of the README from a bundle and its record.

python docs/picture.py exported/sample/VERSION docs/onehand.png
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from serving import bundle
from training import record

INK, SOFT, PAPER = (28, 30, 36), (110, 114, 124), (250, 249, 246)
SIZE = (1520, 400)
TOP, HEIGHT = 84, 240


def main(folder: Path, target: Path) -> None:
    """Draw the bundle in ``folder`` into the file ``target``."""
    shown = record.load(folder)
    manifest = bundle.load(folder).manifest
    sheet = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(sheet)
    photograph = Image.fromarray(shown.pictures[0])
    photograph.thumbnail((HEIGHT, HEIGHT))
    columns = (
        ("one picture", photograph),
        ("MNIST form", _grid(shown.forms[:1], 1, HEIGHT)),
        ("100 variations", _grid(shown.augmented, 5, HEIGHT)),
        ("a VAE learns the hand", _grid(shown.samples, 5, HEIGHT)),
    )
    left = 30
    for title, picture in columns:
        draw.text((left, 40), title, INK, font=_font(20))
        sheet.paste(picture, (left, TOP))
        left += picture.width + 22
        _arrow(draw, left, TOP + HEIGHT // 2)
        left += 52
    lines = [
        ("a CNN answers", INK, 20),
        (f"your {manifest.digit}", (20, 120, 90), 30),
        (f"somebody else's {manifest.digit}", (170, 95, 20), 30),
        ("anything else", SOFT, 30),
        ("ONNX \u00b7 gRPC \u00b7 Prometheus", SOFT, 18),
    ]
    for (text, colour, size), top in zip(lines, (40, 100, 155, 210, 300), strict=True):
        draw.text((left, top), text, colour, font=_font(size))
    sheet.save(target, optimize=True)


def _arrow(draw: ImageDraw.ImageDraw, left: int, middle: int) -> None:
    draw.line([(left, middle), (left + 28, middle)], fill=SOFT, width=3)
    draw.line(
        [(left + 18, middle - 9), (left + 29, middle), (left + 18, middle + 9)], SOFT, width=3
    )


def _grid(images: NDArray[np.uint8], side: int, height: int) -> Image.Image:
    chosen = images[: side * side]
    rows = [np.hstack(list(chosen[start : start + side])) for start in range(0, len(chosen), side)]
    return Image.fromarray(np.vstack(rows)).resize((height, height), Image.Resampling.NEAREST)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
