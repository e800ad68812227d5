"""Data sets as others read them, and as they survive being stopped."""

import csv
import fcntl
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.artists import HAND, NoSpace, Scribbler, Unsendable
from training.data import load_mnist, read_idx
from training.dataset import order as orders
from training.dataset import room
from training.dataset.errors import DatasetError
from training.dataset.make import make
from training.dataset.order import BLOCK, PART, Order
from training.dataset.parts import Part
from training.dataset.png import Png
from training.dataset.workers import Task, in_order

COUNT = 2 * BLOCK + 100
SHARE = Fraction("0.1")
VALIDATION = COUNT // 10


def order(**changes: Any) -> Order:
    asked = {"count": COUNT, "format": "idx", "seed": 7, "validation": SHARE}
    return Order(HAND, **{**asked, **changes})


def expected(asked: Order) -> Any:
    """Return all pictures of an order, drawn at once."""
    return Scribbler().open(asked)(range(asked.count))


def is_kept_apart(count: int) -> np.ndarray:
    """Return, by another way, which rows are for validation: every tenth."""
    return np.arange(1, count + 1) % 10 == 0


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("gzip", [False, True])
def test_idx(tmp_path: Path, gzip: bool) -> None:
    """A reader of MNIST reads all pictures and labels, in order, compressed or not."""
    made = make(order(gzip=gzip), Scribbler(), tmp_path / "set")

    suffix = ".gz" if gzip else ""
    digits = load_mnist(made)
    kept_apart = is_kept_apart(COUNT)
    drawn = expected(order())
    assert (made / f"train-images-idx3-ubyte{suffix}").exists()
    assert np.array_equal(digits.images, drawn.images[~kept_apart])
    assert digits.labels.tolist() == [2] * (COUNT - VALIDATION)
    assert np.array_equal(
        read_idx(made / f"t10k-images-idx3-ubyte{suffix}"), drawn.images[kept_apart]
    )
    assert read_idx(made / f"t10k-labels-idx1-ubyte{suffix}").tolist() == [2] * VALIDATION


def test_npz(tmp_path: Path) -> None:
    """Shards are read by numpy without unpickling, and each row is what was drawn for it."""
    made = make(order(format="npz"), Scribbler(), tmp_path / "set")

    drawn = expected(order())
    seen = {}
    for split in ("train", "validation"):
        shards = sorted((made / split).iterdir())
        assert len(shards) == 3
        for path in shards:
            with np.load(path, allow_pickle=False) as shard:
                rows = shard["rows"]
                assert np.array_equal(shard["x"], drawn.images[rows])
                assert np.array_equal(shard["latents"], drawn.latents[rows])
                assert np.array_equal(shard["attributes"], drawn.attributes[rows])
                assert set(shard["y"].tolist()) == {2}
                assert len(shard["y"]) == len(rows) <= BLOCK
                seen.setdefault(split, []).extend(rows.tolist())
    assert seen["train"] == np.flatnonzero(~is_kept_apart(COUNT)).tolist()
    assert seen["validation"] == np.flatnonzero(is_kept_apart(COUNT)).tolist()


def test_png(tmp_path: Path) -> None:
    """Class folders as loaders walk them, and a table that names every picture."""
    made = make(order(format="png", count=300), Scribbler(), tmp_path / "set")

    drawn = expected(order(count=300))
    with (made / "labels.csv").open() as file:
        table = {line["file"]: line for line in csv.DictReader(file)}
    for split, count in (("train", 270), ("validation", 30)):
        # torchvision's ImageFolder: classes are the folders of the root, pictures all below them.
        classes = [entry.name for entry in os.scandir(made / split)]
        found = [
            Path(at) / name
            for at, _, names in sorted(os.walk(made / split / "2"))
            for name in sorted(names)
        ]
        assert classes == ["2"]
        assert len(found) == count
        for path in found:
            line = table.pop(path.relative_to(made).as_posix())
            row = int(line["row"])
            with Image.open(path) as picture:
                assert picture.format == "PNG"
                assert picture.mode == "L"
                assert np.array_equal(np.asarray(picture), drawn.images[row])
            assert path.stem == f"{row:09}"
            assert (line["split"], line["label"], line["seed"]) == (split, "2", "7")
            names = ("thickness", "slant", "rotation", "width", "height")
            measured = [float(line[name]) for name in names]
            assert measured == pytest.approx(drawn.attributes[row].tolist(), abs=5e-5)
    assert table == {}


def test_png_folders_stay_small(tmp_path: Path) -> None:
    """Ten thousand pictures a folder, not one more."""
    rows = np.arange(9_990, 10_010)
    drawn = expected(order(count=20))
    part = Part("train", 2, rows, drawn.images, drawn.latents, drawn.attributes)

    Png().write(part, order(format="png"), tmp_path)

    sizes = {path.name: len(list(path.iterdir())) for path in (tmp_path / "train/2").iterdir()}
    assert sizes == {"00000": 10, "00001": 10}


@pytest.mark.parametrize(("form", "count"), [("idx", COUNT), ("npz", COUNT), ("png", 300)])
def test_processes_change_no_byte(tmp_path: Path, form: str, count: int) -> None:
    """Two processes and one make the same set, to the byte, manifest and all."""
    asked = order(format=form, count=count)
    one = make(asked, Scribbler(), tmp_path / "one")
    two = make(asked, Scribbler(), tmp_path / "two", processes=2)

    assert contents(one) == contents(two)
    assert left_over(tmp_path) == ["one", "two"]


@pytest.mark.parametrize("processes", [1, 2])
def test_progress_within_a_block(tmp_path: Path, processes: int) -> None:
    """A block may take minutes: what is drawn of it is told long before it is done."""
    told: list[int] = []
    asked = order(count=BLOCK + 100)
    written = in_order(Task(asked, Scribbler(), tmp_path), range(2), processes, told.append)

    next(written)
    before = len(told)
    next(written)
    written.close()

    assert before >= BLOCK // PART
    assert sum(told) == asked.count
    assert max(told) == PART


def test_a_larger_set_begins_with_the_smaller_one(tmp_path: Path) -> None:
    """More pictures of the same seed are the same pictures, split for split, and more."""
    small = load_mnist(make(order(count=BLOCK - 5), Scribbler(), tmp_path / "small"))
    large = load_mnist(make(order(), Scribbler(), tmp_path / "large"))
    other = load_mnist(make(order(seed=8), Scribbler(), tmp_path / "other"))

    assert np.array_equal(large.images[: len(small)], small.images)
    assert not np.array_equal(other.images, large.images)


@pytest.mark.parametrize("form", ["idx", "npz"])
def test_manifest(tmp_path: Path, form: str) -> None:
    """The hashes cover every file, and the manifest the hashes."""
    made = make(order(format=form), Scribbler(), tmp_path / "set")

    manifest = json.loads((made / "dataset.json").read_bytes())
    found = contents(made)
    lines = found["SHA256SUMS"].decode().splitlines()
    listed = {name: sha256 for sha256, name in (line.split("  ") for line in lines)}
    assert manifest["checksums"]["sha256"] == hashlib.sha256(found["SHA256SUMS"]).hexdigest()
    assert set(found) == {*listed, "SHA256SUMS", "dataset.json"}
    for name, sha256 in listed.items():
        assert hashlib.sha256(found[name]).hexdigest() == sha256
    assert (manifest["profile"], manifest["version"]) == (HAND.profile, HAND.version)
    assert manifest["digest"] == HAND.digest
    assert manifest["splits"] == {"train": COUNT - VALIDATION, "validation": VALIDATION}
    assert manifest["redrawn"] == len(range(0, COUNT, 7))
    assert "drawn by a model" in manifest["synthetic"]
    assert manifest["command"].startswith(
        f"python -m training dataset MODELS/tiny/0123456789ab --count {COUNT} "
    )
    for pattern in manifest["files"]:
        assert list(made.glob(pattern))


@pytest.mark.parametrize("form", ["idx", "npz", "png"])
def test_going_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A run that was stopped goes on where it was, and ends as if it never had been."""
    monkeypatch.setattr(orders, "BLOCK", 64)
    asked = order(format=form, count=150)
    whole = make(asked, Scribbler(), tmp_path / "whole")
    out = tmp_path / "set"

    with pytest.raises(KeyboardInterrupt):
        make(asked, Scribbler(stop=70), out)
    assert left_over(tmp_path) == ["set.partial", "whole"]
    # The first block is done: who is asked for it again stops.
    make(asked, Scribbler(stop=10), out)

    assert contents(out) == contents(whole)
    assert left_over(tmp_path) == ["set", "whole"]


def test_half_a_block_is_made_anew(tmp_path: Path) -> None:
    """What a killed process wrote after its last note is cut off."""
    whole = make(order(gzip=True), Scribbler(), tmp_path / "whole")
    out = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt):
        make(order(gzip=True), Scribbler(stop=BLOCK + 10), out)
    for path in (tmp_path / "set.partial" / "set").iterdir():
        with path.open("ab") as file:
            file.write(b"half a block")

    make(order(gzip=True), Scribbler(), out)

    assert contents(out) == contents(whole)


def test_a_stop_before_anything_is_done(tmp_path: Path) -> None:
    """Nothing is left of a set of which nothing is finished."""
    with pytest.raises(KeyboardInterrupt):
        make(order(), Scribbler(stop=5), tmp_path / "set")

    assert left_over(tmp_path) == []


@pytest.mark.parametrize("what", ["file", "set"])
def test_nothing_is_overwritten(tmp_path: Path, what: str) -> None:
    """A place that is taken is refused and stays as it is."""
    out = tmp_path / "set"
    if what == "file":
        out.write_text("precious")
    else:
        make(order(count=20), Scribbler(), out)
    before = contents(tmp_path)

    with pytest.raises(DatasetError, match="something there; it is left as it is"):
        make(order(count=20), Scribbler(), out)

    assert contents(tmp_path) == before


def test_a_volume_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished set is moved to its place, and nothing can be moved onto a mounted volume."""
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)

    with pytest.raises(DatasetError, match="a volume is mounted; choose a folder in it"):
        make(order(count=20), Scribbler(), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_a_place(tmp_path: Path) -> None:
    """A folder made beforehand may be named."""
    (tmp_path / "set").mkdir()

    made = make(order(count=20), Scribbler(), tmp_path / "set")

    assert len(load_mnist(made)) == 18


def test_another_order_does_not_go_on(tmp_path: Path) -> None:
    """An unfinished set is only gone on with by the order that it was begun for."""
    with pytest.raises(KeyboardInterrupt):
        make(order(), Scribbler(stop=BLOCK + 10), tmp_path / "set")
    before = contents(tmp_path)

    with pytest.raises(DatasetError, match="another unfinished set: seed 7, not 8; ask for"):
        make(order(seed=8), Scribbler(), tmp_path / "set")

    assert contents(tmp_path) == before


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder that only has the name of an unfinished set is not touched."""
    (tmp_path / "set.partial").mkdir()
    (tmp_path / "set.partial" / "thesis.tex").write_text("precious")

    with pytest.raises(DatasetError, match="expected an unfinished set or nothing"):
        make(order(), Scribbler(), tmp_path / "set")

    assert contents(tmp_path) == {"set.partial/thesis.tex": b"precious"}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[" * 100_000, b'{"blocks": 3}', b"\xff", b'{"order": {"\xff": 1}}']
)
def test_damaged_progress(tmp_path: Path, data: bytes) -> None:
    """Progress that cannot be read is an error that says what to do."""
    with pytest.raises(KeyboardInterrupt):
        make(order(), Scribbler(stop=BLOCK + 10), tmp_path / "set")
    (tmp_path / "set.partial" / "progress.json").write_bytes(data)

    with pytest.raises(DatasetError, match="and start anew"):
        make(order(), Scribbler(), tmp_path / "set")


def test_one_at_a_time(tmp_path: Path) -> None:
    """Two processes do not work on one set."""
    home = tmp_path / "set.partial"
    home.mkdir()
    with (home / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(DatasetError, match="another process"):
            make(order(count=20), Scribbler(), tmp_path / "set")


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    """A drawing process that ends without a word is reported, and the set can be gone on with."""
    asked = order(count=5 * BLOCK)

    with pytest.raises(DatasetError, match="drawing process was ended"):
        make(asked, Scribbler(stop=4 * BLOCK, fault=None), tmp_path / "set", processes=2)
    assert left_over(tmp_path) == ["set.partial"]
    made = make(asked, Scribbler(stop=0), tmp_path / "set")

    assert len(load_mnist(made)) == 5 * BLOCK - 5 * BLOCK // 10


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("fault", [DatasetError, Unsendable])
def test_a_model_that_fails(tmp_path: Path, processes: int, fault: type[Exception]) -> None:
    """What a model raises is told, wherever it is raised, and nothing is left behind."""
    with pytest.raises(DatasetError, match=r"stopped('\))?$"):
        make(order(), Scribbler(stop=1, fault=fault), tmp_path / "set", processes)

    assert left_over(tmp_path) == []
    assert multiprocessing.active_children() == []  # which would go on writing there


_SLOW = """
import sys, time
from pathlib import Path
from tests.artists import HAND, Scribbler
from training.dataset.make import make
from training.dataset.order import Order

class Sleeper(Scribbler):
    def open(self, order):
        Path(sys.argv[1], "begun").touch()
        time.sleep(600)

if __name__ == "__main__":
    try:
        make(Order(HAND, 10_000), Sleeper(), Path(sys.argv[1], "set"), processes=2)
    except KeyboardInterrupt:
        sys.exit(130)
elif sys.argv[2] == "importing":
    Path(sys.argv[1], "begun").touch()
    time.sleep(5)
"""


@pytest.mark.parametrize("when", ["importing", "drawing"])
def test_ctrl_c_does_not_wait(tmp_path: Path, when: str) -> None:
    """Processes that take minutes for a block end at once, without a word or a trace."""
    script = tmp_path / "slow.py"
    script.write_text(_SLOW)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), when],
        stderr=subprocess.PIPE,
        start_new_session=True,  # which a terminal's Ctrl-C reaches as a whole
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    end = time.monotonic() + 30
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < end
        time.sleep(0.05)

    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in said
    assert left_over(tmp_path) == ["begun", "slow.py"]


def test_an_empty_unfinished_set(tmp_path: Path) -> None:
    """Who is stopped just after making the folder can give the same command again."""
    (tmp_path / "set.partial").mkdir()

    make(order(count=20), Scribbler(), tmp_path / "set")

    assert left_over(tmp_path) == ["set"]


@pytest.mark.parametrize(("form", "scarce"), [("idx", "bytes"), ("png", "bytes"), ("png", "files")])
def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, scarce: str
) -> None:
    """A set that does not fit is refused before anything is drawn."""
    disk = list(os.statvfs(tmp_path))
    disk[4 if scarce == "bytes" else 7] = 3  # f_bavail, f_favail
    disk[5] = 1000
    monkeypatch.setattr(room.os, "statvfs", lambda _: os.statvfs_result(disk))

    with pytest.raises(DatasetError, match=r"free; ask|room for 3; take"):
        make(order(format=form), Scribbler(stop=0, fault=AssertionError), tmp_path / "set")

    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("pictures", "blocks", "told"),
    [
        (2, 0, "take about 1.6 KiB, found 0 bytes free"),
        (1, 1, "take about 785 bytes, found 512 bytes free"),
        (6 * 512, 6 * 785 - 1, "take about 2.3 MiB, found 2.2 MiB free"),
        (3 * 2**21, 2**20, "take about 4.6 GiB, found 512 MiB free"),
        (2**50, 2**40, "take about 803,840 TiB, found 512 TiB free"),
    ],
)
def test_room_is_told_in_units_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, blocks: int, told: str
) -> None:
    """Nothing that is there is told as none, and what is lacking never as the same."""
    disk = list(os.statvfs(tmp_path))
    disk[1], disk[4] = 512, blocks  # f_frsize, f_bavail
    monkeypatch.setattr(room.os, "statvfs", lambda _: os.statvfs_result(disk))

    with pytest.raises(DatasetError) as refusal:
        room.check_room(order(), pictures, tmp_path)

    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("row", "advice"),
    [(1, "nothing is finished yet"), (BLOCK + 1, "what is finished is kept, and the same command")],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_fills_up(tmp_path: Path, processes: int, row: int, advice: str) -> None:
    """What is said to be kept is there."""
    artist = Scribbler(stop=row, fault=NoSpace)

    with pytest.raises(DatasetError, match=f"set: No space left on device; {advice}"):
        make(order(), artist, tmp_path / "set", processes)

    assert left_over(tmp_path) == (["set.partial"] if row > BLOCK else [])


def test_a_place_where_nothing_can_be(tmp_path: Path) -> None:
    """Nothing is said to be kept where nothing could be written."""
    (tmp_path / "file").touch()

    with pytest.raises(DatasetError, match=r"set\.partial: Not a directory; nothing is finished"):
        make(order(count=20), Scribbler(), tmp_path / "file" / "set")


def test_memory_does_not_grow_with_the_set(tmp_path: Path) -> None:
    """Three times the pictures take no more memory."""
    peaks = []
    for blocks in (2, 2, 6):  # the first one warms up
        tracemalloc.start()
        make(order(count=blocks * BLOCK), Scribbler(), tmp_path / f"{len(peaks)}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[2] < 1.1 * peaks[1]
