"""What is wrong with the pictures of an enrolment, all at once."""

from pathlib import Path

import numpy as np
import pytest

from serving.images import BadImage
from tests.enrolments import SAMPLES
from training.__main__ import main
from training.pictures import read_all

TWO, AGAIN = SAMPLES / "two.jpg", SAMPLES / "two-again.jpg"


def test_pictures_come_with_their_forms() -> None:
    """In the order in which they are given."""
    read = read_all([TWO, AGAIN], 2)

    assert [picture.path for picture in read] == [TWO, AGAIN]
    assert all(picture.grey.ndim == 2 for picture in read)
    assert all(picture.form.shape == (28, 28) for picture in read)
    assert not np.array_equal(read[0].form, read[1].form)


def test_all_that_cannot_be_used_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has five bad pictures learns of five, each with its reason, and asks once."""
    text, copy = tmp_path / "text.png", tmp_path / "copy.jpg"
    text.write_text("not a picture")
    copy.write_bytes(TWO.read_bytes())
    missing = tmp_path / "missing.png"
    given = [text, TWO, missing, copy]

    assert main(["enroll", *map(str, given), "--profile", "a", "--digit", "7"]) == 1

    lines = capsys.readouterr().err.splitlines()
    reasons = [
        f"{text}: expected a PNG",
        f"{missing}: ",
        f"{copy}: expected another picture than {TWO}",
        f"{TWO}: expected a 7, found a picture that looks like a 2",
        f"{copy}: expected a 7, found a picture that looks like a 2",
    ]
    for line, reason in zip(lines, reasons, strict=True):
        assert line.startswith(f"python -m training enroll: {reason}")


def test_none_that_can_be_used(tmp_path: Path) -> None:
    """Where no picture is left to be compared or looked at, all are named as well."""
    paths = [tmp_path / "one.png", tmp_path / "two.png"]

    with pytest.raises(BadImage) as refusal:
        read_all(paths, 2)

    assert [line.partition(":")[0] for line in str(refusal.value).splitlines()] == [
        *map(str, paths)
    ]
