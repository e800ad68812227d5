"""A bundle that draws data sets: the service's own pictures, from the command line to the files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import bundle, drawing
from serving.errors import BundleError
from serving.model import Model
from serving.plans import Plan, Prior
from serving.steering import NAMES
from tests import bundles
from training.__main__ import main
from training.dataset import artist
from training.dataset.artist import find
from training.dataset.errors import DatasetError
from training.dataset.make import make
from training.dataset.order import BLOCK, Order, Span


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile that draws every other picture anew, and one that draws them all at once."""
    root = tmp_path_factory.mktemp("models")
    bundles.build(root, gated=True)
    bundles.build(root, "quick")
    return root


def shards(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a split, put together."""
    loaded = [np.load(path, allow_pickle=False) for path in sorted(folder.iterdir())]
    return {name: np.concatenate([shard[name] for shard in loaded]) for name in loaded[0].files}


def run(models: Path, out: Path, *options: str, profile: str = "tiny") -> int:
    where = ("--models", str(models), "--out", str(out))
    return main(["dataset", profile, *where, "--format", "npz", *options])


def test_what_the_service_draws(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row i is picture i of the service, gate and all, in whatever pieces it is drawn."""
    out = tmp_path / "set"
    options = ("--count", "300", "--seed", "7", "--temperature", "0.8")

    assert run(models, out, *options) == 0

    assert capsys.readouterr().out == f"{out}\n"
    found = shards(out / "train")
    model = Model(bundle.load(bundle.current(models / "tiny")))
    plan = Prior(0.8, 7)
    for rows in (range(3), range(100, 121), range(300)):
        drawn = drawing.draw(model, plan, rows)
        assert np.array_equal(found["x"][rows], drawn.images)
        assert np.array_equal(found["latents"][rows], drawn.latents)
        assert np.array_equal(found["attributes"][rows], drawn.attributes)

    manifest = json.loads((out / "dataset.json").read_bytes())
    assert manifest["redrawn"] == drawn.redrawn > 100


@pytest.mark.parametrize(
    "options", [("--count", str(BLOCK + 40)), ("--count", "60", "--slant", "-20", "20")]
)
def test_processes_change_no_byte(models: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The models of two processes draw what one draws, changed to measure or not."""
    assert run(models, tmp_path / "one", *options, profile="quick") == 0
    assert run(models, tmp_path / "two", *options, "--workers", "2", profile="quick") == 0

    one, two = (sorted((tmp_path / name).rglob("*")) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    for first, second in zip(one, two, strict=True):
        assert first.is_dir() or first.read_bytes() == second.read_bytes()


def test_the_command_makes_the_set_again(models: Path, tmp_path: Path) -> None:
    """Given the folders, wherever the bundle was and however it was named: to the byte."""
    one, two = tmp_path / "one", tmp_path / "two"
    options = ("--count", "40", "--seed", "7", "--validation", "0.1", "--thickness", "2", "3")
    folder = bundle.current(models / "tiny")
    assert run(Path("nowhere"), one, *options, profile=str(folder)) == 0

    command = json.loads((one / "dataset.json").read_bytes())["command"]
    words = command.replace("MODELS/", f"{models}/").replace("DIR", str(two)).split()
    assert words[:3] == ["python", "-m", "training"]
    assert main(words[3:]) == 0

    for file in ("dataset.json", "SHA256SUMS"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_spans_are_filled(models: Path, tmp_path: Path) -> None:
    """Pictures have the attributes that they were given, all over the spans."""
    options = ("--count", "300", "--rotation", "-30", "30")

    assert run(models, tmp_path / "set", *options, profile="quick") == 0

    found = shards(tmp_path / "set" / "train")
    rotation = found["attributes"][:, NAMES.index("rotation")]
    counts, _ = np.histogram(rotation, bins=3, range=(-30, 30))
    assert counts.sum() == 300
    assert counts.min() > 60
    artist = find("quick", models)
    unturned = artist.open(Order(artist.hand(), 300))(range(300))
    assert np.array_equal(found["latents"], unturned.latents)
    assert not np.array_equal(found["x"], unturned.images)


def test_a_folder_will_do(models: Path) -> None:
    """A bundle can be named by its folder instead of its profile."""
    folder = bundle.current(models / "tiny")

    assert find(str(folder), Path("nowhere")).hand() == find("tiny", models).hand()


def test_the_folder_of_a_profile_will_do(models: Path) -> None:
    """Its version in force is meant, as where the profile is named."""
    assert find(str(models / "tiny"), Path("nowhere")) == find("tiny", models)


@pytest.mark.parametrize("folder", [".", ".."])
def test_this_folder_will_do(models: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """So it can from within, and so can its profile's."""
    monkeypatch.chdir(bundle.current(models / "tiny"))

    assert find(folder, Path("nowhere")).open(Order(find("tiny", models).hand(), 1))(range(1))


def test_an_unknown_profile(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is neither is refused with those that there are, and without a trace."""
    with pytest.raises(
        BundleError, match=r"expected one of .* \(quick, tiny\) or the folder of a bundle"
    ):
        find("tin", models)

    assert main(["dataset", "tin", "--count", "1", "--out", "x", "--models", str(models)]) == 1
    assert "found 'tin'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spans", "advice"),
    [
        ((), "ask for another --temperature"),
        (
            (Span("thickness", 2, 4), Span("slant", -20, 20)),
            "ask for a narrower --thickness and --slant, or another --temperature",
        ),
    ],
)
def test_a_picture_that_cannot_be_drawn(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spans: tuple[Span, ...],
    advice: str,
) -> None:
    """When the attempts at one are spent, there is no set: which row it is, and what to change."""
    artist = find("tiny", models)
    monkeypatch.setattr(drawing, "ATTEMPTS", 0)

    with pytest.raises(DatasetError, match=rf"^row \d+: .* its classifier doubts.*; {advice}"):
        make(Order(artist.hand(), 50, spans=spans), artist, tmp_path / "set")

    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_was_replaced(models: Path, tmp_path: Path) -> None:
    """A set is of one bundle, whatever happens to its folder meanwhile."""
    asked = Order(find("tiny", models).hand(), 10)
    other = find(str(bundles.build(tmp_path, seed=1)), models)

    with pytest.raises(DatasetError, match="the bundle was replaced meanwhile"):
        make(asked, other, tmp_path / "set")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--count", "0"), "expected a whole number, 1 or more, found '0'"),
        (("--count", "9", "--validation", "1/0"), "expected a share like 0.1, found '1/0'"),
        (("--count", "9", "--slant", "4"), "expected 2 arguments"),
        (("--count", "9", "--format", "gif"), "invalid choice: 'gif'"),
    ],
)
def test_wrong_usage(
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    problem: str,
) -> None:
    """The command line says what it expected."""
    with pytest.raises(SystemExit):
        run(models, tmp_path / "set", *options)

    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spent", "left"),
    [(0, "nothing is kept, for the first block of 4096"), (1, "what is finished is kept")],
)
def test_ctrl_c_says_what_is_left(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spent: int,
    left: str,
) -> None:
    """Nothing is said to be kept before a block is."""

    def stop(asked: Model, plan: Plan, rows: range) -> drawing.Drawn:
        if rows.start >= spent * BLOCK:
            raise KeyboardInterrupt
        return drawing.draw(asked, plan, rows)

    monkeypatch.setattr(artist, "draw", stop)

    assert run(models, tmp_path / "set", "--count", str(2 * BLOCK), profile="quick") == 130

    assert f"stopped; {left}" in capsys.readouterr().err
    assert (tmp_path / "set.partial").exists() == bool(spent)


def test_every_attribute_has_its_option(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line can ask for all that the service can, and passes it on by name."""
    for name in NAMES:
        assert run(models, tmp_path / "set", "--count", "2", f"--{name}", "900", "901") == 1
        assert f"{name}: expected two values" in capsys.readouterr().err
