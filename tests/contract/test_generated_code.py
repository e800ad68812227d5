"""The generated code belongs to the protos."""

import shutil
from pathlib import Path

from tests.generated_code import ROOT, stale_files


def test_generated_code_is_current() -> None:
    """What is committed is what the pinned generator makes."""
    assert stale_files(ROOT / "serving/pb") == []


def test_the_check_can_fail(tmp_path: Path) -> None:
    """A byte changed by hand and a missing file are both found."""
    copy = Path(shutil.copytree(ROOT / "serving/pb", tmp_path / "pb"))
    (copy / "handwriting_pb2.pyi").unlink()
    with (copy / "handwriting_pb2.py").open("a") as file:
        file.write("\n")

    assert stale_files(copy) == ["handwriting_pb2.py", "handwriting_pb2.pyi"]
