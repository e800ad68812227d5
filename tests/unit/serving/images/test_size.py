"""What a file claims of its size, whoever wrote it."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serving.images import claimed_size
from tests import pictures


def written(kind: str, **options: object) -> bytes:
    """Return a file of 40 x 30 pixels, in colour."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(buffer, format=kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "file",
    [
        written("PNG"),
        written("JPEG"),
        written("JPEG", progressive=True),
        written("JPEG", exif=b"Exif\0\0" + bytes(5000), comment=b"by hand"),
    ],
    ids=["PNG", "JPEG", "progressive JPEG", "JPEG with more before its frame"],
)
def test_the_size_is_that_of_the_picture(file: bytes) -> None:
    """Width first, as the imaging library has it."""
    assert claimed_size(file) == Image.open(io.BytesIO(file)).size == (40, 30)


@pytest.mark.parametrize(
    "file",
    [b"", written("WEBP"), written("BMP"), written("PNG")[:20], written("JPEG")[:100]],
    ids=["nothing", "WebP", "BMP", "a cut PNG", "a cut JPEG"],
)
def test_others_do_not_say(file: bytes) -> None:
    """Not known is not small."""
    assert claimed_size(file) is None


def test_endless_segments_are_not_followed() -> None:
    """A file that is all headers would keep the event loop for seconds."""
    endless = b"\xff\xd8" + b"\xff\xe0\x00\x02" * 1000 + written("JPEG")[2:]

    assert claimed_size(endless) is None


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Whatever comes, it is an answer and no error."""
    for file in (data, written("PNG")[:8] + data, written("JPEG")[:4] + data, pictures.bomb()):
        size = claimed_size(file)
        assert size is None or len(size) == 2
