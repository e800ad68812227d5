"""Bytes to grey pixels."""

import importlib
import struct
import threading

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from serving.images import BadImage, ImageLimits, decode
from tests import pictures
from tests.pictures import saved

LIMITS = ImageLimits()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG", "WEBP"])
def test_formats(kind: str) -> None:
    """Every format on the list gives the same picture, up to what its compression loses."""
    page = pictures.page(128)
    options = {"lossless": True} if kind == "WEBP" else {}

    grey = decode(saved(Image.fromarray(page), kind, **options), LIMITS)

    assert grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - page).mean() < 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_colour_modes(mode: str) -> None:
    """Ink stays dark and paper light whatever the pixels are made of."""
    page = Image.fromarray(pictures.page(64))
    if mode == "I;16":
        page = Image.fromarray(np.asarray(page).astype(np.uint16) * 257)
    else:
        page = page.convert(mode)

    grey = decode(saved(page, "TIFF" if mode == "CMYK" else "PNG"), LIMITS)

    assert grey[32, 32] < 100
    assert grey[2, 2] > 180


def test_transparent_paper() -> None:
    """Dark ink on a transparent ground is laid on white, light ink on black."""
    for ink, ground in ((0, 255), (255, 0)):
        picture = Image.new("RGBA", (40, 40), (ink, ink, ink, 0))
        picture.paste((ink, ink, ink, 255), (15, 5, 25, 35))

        grey = decode(saved(picture, "PNG"), LIMITS)

        assert grey[20, 20] == ink
        assert grey[2, 2] == ground


def test_exif_rotation() -> None:
    """A picture taken with the camera on its side comes back upright."""
    picture = Image.new("L", (80, 40), 255)
    exif = Image.Exif()
    exif[0x0112] = 6

    assert decode(saved(picture, "JPEG", exif=exif), LIMITS).shape == (80, 40)


def test_large_jpeg_is_read_at_reduced_size() -> None:
    """A picture of 20 megapixels is accepted, and no more of it is decoded than is needed."""
    picture = Image.new("L", (5000, 4000), 255)

    assert decode(saved(picture, "JPEG"), LIMITS).shape == (2000, 2500)


def gif() -> bytes:
    frames = [Image.new("L", (40, 40), shade) for shade in (0, 255)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def animated_png() -> bytes:
    frames = [Image.new("L", (40, 40), shade) for shade in (0, 255)]
    return saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def pages() -> bytes:
    sheets = [Image.new("L", (40, 40), shade) for shade in (0, 255)]
    return saved(sheets[0], "TIFF", save_all=True, append_images=sheets[1:])


def packed_by_runs() -> bytes:
    """Return a BMP of one run a row."""
    rows = 40 * b"\x28\xff\0\0" + b"\0\1"
    sizes = struct.pack("<IiiHHIIiiII", 40, 40, 40, 1, 8, 1, len(rows), 0, 0, 256, 0)
    start = 14 + len(sizes) + 1024
    head = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start)
    return head + sizes + bytes(1024) + rows


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "found 0 bytes"),
        (b"this is text, whatever its name says", "starts with b'this is '"),
        (pictures.file(pictures.page())[:90], "damaged or cut short"),
        (pictures.bomb(), "more pixels than are accepted"),
        (saved(Image.new("L", (1, 1)), "PNG"), "at least 28 pixels, found 1 x 1"),
        (saved(Image.new("L", (6000, 5000)), "PNG"), "found 6000 x 5000 = 30000000"),
        (gif(), "PNG, JPEG, WebP, BMP or TIFF"),
        (animated_png(), "one frame"),
        (packed_by_runs(), "packed by runs; save it as PNG"),
        (pages(), "one frame"),
    ],
)
def test_bad_files(data: bytes, problem: str) -> None:
    """Each kind of unusable file is refused with what was expected and what was found."""
    with pytest.raises(BadImage, match=problem):
        decode(data, LIMITS)


def test_pages_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A TIFF of 16 MiB has room for 400,000 pages; to walk through them takes minutes."""

    def count(_picture: Image.Image) -> int:
        raise AssertionError("the pages are counted")

    monkeypatch.setattr(TiffImageFile, "n_frames", property(count))
    sheet = saved(Image.new("L", (40, 40), 255), "TIFF")

    assert decode(sheet, LIMITS).shape == (40, 40)
    with pytest.raises(BadImage, match="one frame"):
        decode(pages(), LIMITS)


def test_length_comes_first() -> None:
    """A file that is too long is refused by its length alone."""
    with pytest.raises(BadImage, match="at most 10 bytes, found 11"):
        decode(b"x" * 11, ImageLimits(max_encoded_bytes=10))


def test_webp_without_loss_is_unpacked_one_at_a_time() -> None:
    """It may take as much again as its pixels; with loss it does not, and does not wait."""
    picture = Image.linear_gradient("L").convert("RGB")
    careful = threading.Thread(target=decode, args=(saved(picture, "WEBP", lossless=True), LIMITS))
    with importlib.import_module("serving.images.decode")._BY_ONE:
        careful.start()
        assert decode(saved(picture, "WEBP"), LIMITS).shape == (256, 256)
        careful.join(0.05)
        assert careful.is_alive()
    careful.join(60)
    assert not careful.is_alive()
