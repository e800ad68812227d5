"""Words of the command line that ask for an attribute."""

import argparse

import pytest

from serving.client import By, To
from serving.client.asked import asked


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("3.2", To(3.2)),
        ("0", To(0)),
        ("=-10", To(-10)),
        ("=+10", To(10)),
        ("=3", To(3)),
        ("+0.5", By(0.5)),
        ("-.5", By(-0.5)),
        ("2..5", To(2, 5)),
        ("2.5..5.", To(2.5, 5)),
        ("=-20..20", To(-20, 20)),
        ("-20..+20", By(-20, 20)),
        ("+0..10", By(0, 10)),
    ],
)
def test_words(word: str, meaning: To | By) -> None:
    """A sign makes a change, unless the word begins with "="; two dots make a range."""
    assert asked(word) == meaning


@pytest.mark.parametrize(
    "word", ["", "=", "..", "1..", "..1", "1e3", "nan", "1,5", "+-1", "1..2..3"]
)
def test_other_words(word: str) -> None:
    """Whatever is no such word is refused with examples."""
    with pytest.raises(argparse.ArgumentTypeError, match="expected a value"):
        asked(word)
