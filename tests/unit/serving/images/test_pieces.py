"""Files of more pieces than any writer makes are refused before a library goes through them.

And what no pixel needs is left out, for there is no bound to what the library makes of it.
"""

import zlib

import numpy as np
import pytest
from PIL import Image

from serving.errors import BadImage
from serving.images import ImageLimits, decode
from serving.images.pieces import bare_png, check_jpeg
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
    """Chunks are looked at as far as they go."""
    assert data.startswith(bare_png(data))


def test_texts_and_profiles_of_a_png_are_left_out() -> None:
    """Each of a kilobyte unpacks to a megabyte, wherever it stands."""
    packed = zlib.compress(bytes(1 << 20))
    needless = b"".join(
        chunk(kind, b"name\0" + packed) for kind in (b"iCCP", b"zTXt", b"iTXt", b"teSt")
    )
    png = after_header(needless)

    assert bare_png(png[:-12] + needless + png[-12:]) == saved("PNG")


def test_an_animation_stays_one() -> None:
    """What tells of it is needed: one of its frames would be as good as another."""
    frames = [Image.new("L", (64, 64), shade) for shade in (0, 99)]
    with pytest.raises(BadImage, match="animation"):
        decode(pictures.saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), LIMITS)


def test_a_png_is_turned_upright() -> None:
    """By its EXIF, which may come after the pixels."""
    exif = Image.Exif()
    exif[0x0112] = 8
    png = pictures.saved(Image.new("L", (80, 40)), "PNG")
    late = png[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + png[-12:]

    assert decode(late, LIMITS).shape == (80, 40)


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


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_progressive_jpeg(mode: str) -> None:
    """Of some ten scans, and nearly twice as many with four components."""
    picture = Image.linear_gradient("L").convert(mode)

    assert decode(pictures.saved(picture, "JPEG", progressive=True), LIMITS).shape == (256, 256)


@pytest.mark.parametrize("kind", [0xC3, 0xC9, 0xCA, 0xDE])
def test_jpeg_of_a_kind_that_no_camera_writes(kind: int) -> None:
    """Coded arithmetically a scan of all pixels needs no bytes at all."""
    with pytest.raises(BadImage, match="coded by Huffman"):
        decode(saved("JPEG").replace(b"\xff\xc0", bytes([0xFF, kind]), 1), LIMITS)


def test_jpeg_of_several_frames() -> None:
    """The library makes objects for the components of each, as many as a segment has room for."""
    frame = b"\xff\xc0\0\x0b\x08\0\x40\0\x40\x01\x01\x11\0"

    with pytest.raises(BadImage, match="JPEG of one frame"):
        decode(begun(frame), LIMITS)
    with pytest.raises(BadImage, match="at most four components"):
        decode(begun(b"\xff\xc0\0\xff" + bytes(253)), LIMITS)


@pytest.mark.parametrize(("kind", "segments", "most"), [(0xDB, 1, 8192), (0xED, 17, 1 << 20)])
def test_jpeg_of_too_many_bytes_of_a_kind(kind: int, segments: int, most: int) -> None:
    """Tables, and what Photoshop adds, are taken apart bit by bit."""
    segment = bytes([0xFF, kind, 0xFF, 0xFF]) + 65_533 * b"x"

    with pytest.raises(BadImage, match=f"at most {most} bytes in segments of kind {kind:#x}"):
        decode(begun(segments * segment), LIMITS)


@pytest.mark.parametrize("between", [b"", b"\xff\xfe\0\3x", b"\xff\xff", b"\xff\x02\0\x04"])
def test_jpeg_of_too_many_scans(between: bytes) -> None:
    """Each goes over all pixels; nothing hides the next one, as nothing does from the library."""
    with pytest.raises(BadImage, match="JPEG of at most 20 scans"):
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
        decode(after_header(chunk(b"eXIf", 131_079 * b"x")), LIMITS)
    late = saved("PNG")
    with pytest.raises(BadImage, match="131072 bytes of EXIF, found 131074"):
        decode(late[:-12] + 2 * chunk(b"eXIf", 65_537 * b"x") + late[-12:], LIMITS)
    with pytest.raises(BadImage, match="131072 bytes of EXIF, found 131073"):
        decode(saved("WEBP", exif=131_073 * b"x"), LIMITS)


def test_restarts_are_no_pieces() -> None:
    """Within a scan there may be one for each block."""
    assert decode(saved("JPEG", restart_marker_blocks=1), LIMITS).shape == (64, 64)


@pytest.mark.parametrize("end", range(2, 40))
def test_what_a_jpeg_lacks_is_for_others_to_say(end: int) -> None:
    """Pieces are counted as far as they go."""
    check_jpeg(saved("JPEG")[:end])
