"""Files of more pieces than any writer makes are refused before a library goes through them."""

import numpy as np
import pytest
from PIL import Image

from serving.errors import BadImage
from serving.images import ImageLimits, decode
from serving.images.pieces import check_jpeg, check_png
from tests import pictures
from tests.pictures import chunk

LIMITS = ImageLimits()
MANY = 70_000
SCAN = b"\xff\xda"


def saved(kind: str, **options: object) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    return pictures.saved(Image.fromarray(noise), kind, **options)


def after_header(data: bytes) -> bytes:
    """Return what comes after the first chunk of a PNG, and these pieces before it."""
    png = saved("PNG")
    return png[:33] + data + png[33:]


def begun(data: bytes) -> bytes:
    """Return a JPEG with something behind its first two bytes."""
    jpeg = saved("JPEG")
    return jpeg[:2] + data + jpeg[2:]


def scanned_again(times: int, between: bytes = b"") -> bytes:
    """Return a JPEG whose last scan comes once more, so many times, each with this before it."""
    jpeg = saved("JPEG", progressive=True)
    last, end = jpeg[jpeg.rindex(SCAN) : -2], jpeg[-2:]
    return jpeg[:-2] + times * (between + last) + end


def test_png() -> None:
    """Thousands of chunks are usual, tens of thousands are not."""
    assert decode(after_header(1000 * chunk(b"tEXt", b"a\0b")), LIMITS).shape == (64, 64)
    with pytest.raises(BadImage, match="PNG of at most 65536 chunks"):
        decode(after_header(MANY * chunk(b"teSt", b"")), LIMITS)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG\r\n\x1a\n", after_header(b"\xff\xff\xff\xffteSt"), saved("PNG") + bytes(9)],
)
def test_what_a_png_lacks_is_for_others_to_say(data: bytes) -> None:
    """Chunks are counted as far as they go."""
    check_png(data)


@pytest.mark.parametrize(
    "pieces",
    [
        MANY * b"\xff\xe1\0\2",
        MANY * b"\xff\xd0",
        MANY * b"\xff\xd9",
        MANY * b"x",
        2 * (b"\xff\xf0\xff\xff" + 65_533 * b"x"),
    ],
    ids=["segments", "restarts", "ends", "between", "of no meaning"],
)
def test_jpeg_of_too_many_pieces(pieces: bytes) -> None:
    """The library goes through all that comes before the pixels bit by bit."""
    with pytest.raises(BadImage, match="JPEG of at most 65536 segments"):
        decode(begun(pieces), LIMITS)


def test_progressive_jpeg() -> None:
    """Some ten scans are usual."""
    assert decode(saved("JPEG", progressive=True), LIMITS).shape == (64, 64)


@pytest.mark.parametrize("between", [b"", b"\xff\xfe\0\3x", b"\xff\xff", b"\xff\x02\0\x04"])
def test_jpeg_of_too_many_scans(between: bytes) -> None:
    """Each goes over all pixels; nothing hides the next one, as nothing does from the library."""
    with pytest.raises(BadImage, match="JPEG of at most 64 scans"):
        check_jpeg(scanned_again(100, between))


def test_what_looks_like_a_scan_and_is_none() -> None:
    """A camera's preview, and the film behind a "motion photo", may hold these bytes by chance."""
    preview = 100 * (b"\xff\xe2\0\6" + 2 * SCAN)

    jpeg = begun(preview) + 1000 * SCAN

    assert decode(jpeg, LIMITS).shape == (64, 64)


def test_exif() -> None:
    """It may be as long as one segment; libraries join several, and take all numbers apart."""
    segment = b"\xff\xe1\xff\xffExif\0\0" + 65_527 * b"x"

    assert decode(begun(segment), LIMITS).shape == (64, 64)
    with pytest.raises(BadImage, match="131072 bytes of EXIF, found 196605"):
        check_jpeg(begun(3 * segment))
    with pytest.raises(BadImage, match="131072 bytes of EXIF, found 131079"):
        decode(after_header(chunk(b"eXIf", 131_073 * b"x")), LIMITS)
    with pytest.raises(BadImage, match="131072 bytes of EXIF, found 131073"):
        decode(saved("WEBP", exif=131_073 * b"x"), LIMITS)


def test_restarts_are_no_pieces() -> None:
    """Within a scan there may be one for each block."""
    assert decode(saved("JPEG", restart_marker_blocks=1), LIMITS).shape == (64, 64)


@pytest.mark.parametrize("end", range(2, 40))
def test_what_a_jpeg_lacks_is_for_others_to_say(end: int) -> None:
    """Pieces are counted as far as they go."""
    check_jpeg(saved("JPEG")[:end])
