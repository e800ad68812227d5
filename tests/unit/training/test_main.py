"""The command line of training: what it answers, and how it ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving import bundle
from tests import bundles
from tests.enrolments import SAMPLES
from tests.unit.training.test_record import make_record, save
from training import pipeline, report
from training.__main__ import main


@pytest.fixture
def enrolled(tmp_path: Path) -> Path:
    """A tiny bundle with its record."""
    folder = bundles.build(tmp_path, "sample")
    save(make_record(), folder)
    return folder


def test_where_nothing_can_be_written_is_known_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not after all the work; the folder is named."""
    monkeypatch.delattr(pipeline, "learn")
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "exported"

    assert main(["enroll", str(SAMPLES / "two.jpg"), "--profile", "a", "--out", str(out)]) == 1
    assert f"{out}: Not a directory" in capsys.readouterr().err


def told_of(folder: Path, output: int) -> subprocess.CompletedProcess[str]:
    """Enrol at the command line what lies there, with this as standard output, in a process."""
    code = (
        "import sys; from training import data, pipeline\n"
        "from training.__main__ import main\n"
        "data.load_background = lambda mnist: None\n"
        "pipeline.enrol = lambda pictures, **how: pictures[0]\n"
        "sys.exit(main(['enroll', sys.argv[1], '--profile', 'sample']))"
    )
    (folder / bundle.REPORT / report.PAGE).unlink(missing_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_a_bundle_whose_name_nobody_reads(enrolled: Path) -> None:
    """It is in force all the same: where it is and its report are told elsewhere."""
    reading, writing = os.pipe()
    os.close(reading)

    done = told_of(enrolled, writing)
    os.close(writing)

    page = enrolled / bundle.REPORT / report.PAGE
    assert page.exists()
    assert done.returncode == 141
    assert done.stderr.splitlines() == [
        f"{enrolled} is in force; standard output does not take its name",
        f"report: {page}",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_bundle_whose_name_cannot_be_written(enrolled: Path) -> None:
    """The same, and the reason is told."""
    with open("/dev/full", "w") as full:
        done = told_of(enrolled, full.fileno())

    assert (enrolled / bundle.REPORT / report.PAGE).exists()
    assert done.returncode == 1
    assert f"{enrolled} is in force" in done.stderr
    assert done.stderr.endswith("python -m training enroll: No space left on device\n")


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "--mnist", "M", "--qmnist", "Q", "--enrolments", "0"],
        ["evaluate", "--mnist", "M", "--qmnist", "Q", "--pictures", "0"],
        ["evaluate", "--mnist", "M", "--qmnist", "Q", "--writers", "-1"],
        ["dataset", "a", "--out", "x", "--count", "60k"],
    ],
)
def test_numbers_that_cannot_be_are_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was expected and what was found is said before any work."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert re.search("expected a whole number, [01] or more, found", capsys.readouterr().err)


@pytest.mark.parametrize("seed", ["-1", "x", str(2**64)])
def test_a_seed_that_no_generator_takes(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused as it is elsewhere."""
    with pytest.raises(SystemExit):
        main(["enroll", "x.png", "--profile", "a", "--seed", seed])

    assert f"expected 0 to 2**64 - 1, found '{seed}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["enroll", "nowhere.png", "--profile", "a"],
            "enroll: nowhere.png: cannot be read: No such",
        ),
        (["enroll", str(SAMPLES / "two.jpg"), "--profile", "../a"], "profile: expected"),
        (["report", "nowhere"], "expected the folder of a bundle"),
        (["enroll", "x.png", "--profile", "a", "--mnist", "nowhere"], "train-images-idx3-ubyte"),
    ],
)
def test_the_command_line_explains(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake on the command line ends with status 1 and one line that says what is wrong."""
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert problem in message
    assert "Traceback" not in message


@pytest.mark.parametrize("verb", [[], ["enroll"], ["evaluate"], ["report"], ["pretrain"]])
def test_help(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb explains itself."""
    with pytest.raises(SystemExit) as ended:
        main([*verb, "--help"])

    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out
