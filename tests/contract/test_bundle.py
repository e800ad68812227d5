"""No byte of a bundle can change, and no file come or go, without a refusal that names it."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from serving import bundle, files
from serving.errors import BundleError
from serving.model import Model
from serving.profiles import Profiles, load_profile
from tests import bundles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a bundle to tamper with."""
    return bundles.build(tmp_path)


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_untouched_bundle_loads(folder: Path) -> None:
    """A bundle as it was written is verified, proven and warm."""
    profile = load_profile(folder)

    assert profile.manifest.version == folder.name
    assert profile.model.golden_difference <= profile.manifest.golden_tolerance


def test_a_new_profile_is_there_at_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts while a profile is written does not see it, or sees it whole."""
    seen: list[dict[str, Path]] = []
    written = files.write_synced

    def look(path: Path, data: bytes) -> None:
        written(path, data)
        seen.append(bundle.discover(tmp_path))

    monkeypatch.setattr(files, "write_synced", look)

    folder = bundles.build(tmp_path, "first")

    assert seen == [{}] * (len(bundle.FILES) + 2)
    assert bundle.discover(tmp_path) == {"first": folder}


PAGES = {"record.json": b"{}", "page.html": b"<p>"}


@pytest.mark.parametrize("seed", [None, 0, 1], ids=["nothing", "the same", "another"])
def test_a_report_comes_with_its_version(tmp_path: Path, seed: int | None) -> None:
    """Whichever version was there before, and it makes no other version of it."""
    if seed is not None:
        bundles.build(tmp_path, seed=seed)

    folder = bundle.save(bundles.manifest(), bundles.files(), tmp_path, PAGES)

    assert bundle.current(tmp_path / "tiny") == folder
    assert {path.name: path.read_bytes() for path in (folder / "report").iterdir()} == PAGES
    assert bundle.load(folder).manifest.version == bundles.build(tmp_path / "bare").name


@pytest.mark.parametrize("name", [bundle.DECODER, bundle.MANIFEST, "page.html", bundle.CURRENT])
@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_what_cannot_be_written_whole_is_not_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stop: BaseException
) -> None:
    """Whichever file it is, one of the report too: what was served before is served on."""
    old, new = tmp_path / "old", tmp_path / "new"
    before = bundles.build(old, seed=1)
    written = files.write_synced

    def stop_at(path: Path, data: bytes) -> None:
        if path.name in (name, f".partial-{name}-{os.getpid()}"):
            raise stop
        written(path, data)

    monkeypatch.setattr(files, "write_synced", stop_at)
    for root in (old, new):
        with pytest.raises(type(stop)):
            bundle.save(bundles.manifest(), bundles.files(), root, PAGES)

    assert bundle.discover(old) == {"tiny": before}
    assert list(new.iterdir()) == []


@pytest.mark.parametrize("seed", [0, 1], ids=["the same", "another"])
def test_whoever_is_quicker_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Of two first enrolments side by side the later one finds the profile there, and goes on."""
    written = files.write_synced
    others: list[Path] = []

    def be_overtaken(path: Path, data: bytes) -> None:
        written(path, data)
        if path.name == bundle.MANIFEST and not others:
            others.append(tmp_path)  # so that it happens once
            others.append(bundles.build(tmp_path, seed=seed))

    monkeypatch.setattr(files, "write_synced", be_overtaken)

    folder = bundle.save(bundles.manifest(), bundles.files(), tmp_path, PAGES)

    home = tmp_path / "tiny"
    assert bundle.current(home) == folder
    assert sorted(home.iterdir()) == sorted({folder, others[1], home / bundle.CURRENT})
    assert all(bundle.load(each) for each in {folder, others[1]})
    assert (folder / "report" / "page.html").read_bytes() == PAGES["page.html"]
    assert list(tmp_path.iterdir()) == [home]


def test_what_a_killed_writer_left_is_in_nobodys_way(tmp_path: Path) -> None:
    """A container's process has the same number after each start."""
    (tmp_path / f".partial-CURRENT-{os.getpid()}").write_bytes(b"half")

    files.replace_file(tmp_path / "CURRENT", b"whole")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"CURRENT": b"whole"}


def test_equal_content_is_equal_version(tmp_path: Path) -> None:
    """The same content gives the same version and the same bytes, another content another."""
    first, same = bundles.build(tmp_path / "a"), bundles.build(tmp_path / "b")
    other = bundles.build(tmp_path / "c", seed=1)

    assert first.name == same.name != other.name
    for file in first.iterdir():
        assert file.read_bytes() == (same / file.name).read_bytes()


@pytest.mark.parametrize("name", bundle.FILES)
@pytest.mark.parametrize("place", [0, -1, "middle"])
def test_flipped_bit(folder: Path, name: str, place: int | str) -> None:
    """One changed bit anywhere in a file is found and the file named."""
    path = folder / name
    flip(path, path.stat().st_size // 2 if place == "middle" else int(place))

    with pytest.raises(BundleError, match=f"{name}: SHA-256: expected"):
        load_profile(folder)


@pytest.mark.parametrize("bit", [0, 7])
def test_flipped_bit_of_the_manifest(folder: Path, bit: int) -> None:
    """One changed bit anywhere in the manifest is found: it breaks the text, form or version."""
    path = folder / bundle.MANIFEST
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        flip(path, place, bit)
        if _same_json(path.read_bytes(), whole):
            continue
        with pytest.raises(BundleError, match=bundle.MANIFEST):
            bundle.load(folder)
        path.write_bytes(whole)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize("name", [*bundle.FILES, bundle.MANIFEST])
def test_missing_file(folder: Path, name: str) -> None:
    """A missing file is named."""
    (folder / name).unlink()

    with pytest.raises(BundleError, match=f"{name}: expected a (plain )?file, found"):
        bundle.load(folder)


def test_extra_file(folder: Path) -> None:
    """A file that does not belong there is named."""
    (folder / "extra.bin").write_bytes(b"")

    with pytest.raises(BundleError, match=r"extra\.bin: not part of a bundle"):
        bundle.load(folder)


@pytest.mark.parametrize("name", [*bundle.FILES, bundle.MANIFEST])
def test_link(folder: Path, tmp_path: Path, name: str) -> None:
    """A link is refused even to the very same bytes."""
    moved = tmp_path / "moved"
    (folder / name).rename(moved)
    (folder / name).symlink_to(moved)

    with pytest.raises(BundleError, match=f"{name}: expected a plain file, found: a link"):
        bundle.load(folder)


def test_link_to_the_folder(folder: Path) -> None:
    """A bundle's folder may not be a link either."""
    link = folder.with_name("0" * 12)
    link.symlink_to(folder, target_is_directory=True)

    with pytest.raises(BundleError, match="expected the folder of a bundle"):
        bundle.load(link)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest as JSON."""
    path = folder / bundle.MANIFEST
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m.update(schema_version=3), "schema_version: expected 4, found 3; enrol again"),
        (lambda m: m.pop("schema_version"), "schema_version: expected 4, found None"),
        (lambda m: m.update(surprise=1), "unknown field `surprise`"),
        (lambda m: m.pop("digit"), "missing required field `digit`"),
        (lambda m: m["files"]["golden.npz"].pop("sha256"), "missing required field `sha256`"),
        (lambda m: m["gate"].pop("doubt"), "missing required field `doubt`"),
        (lambda m: m["gate"].pop("other"), "missing required field `other`"),
        (lambda m: m["parity"].pop("screen"), "missing required field `screen`"),
        (lambda m: m.update(digit="2"), "Expected `int`, got `str`"),
        (lambda m: m.update(digit=3), "version: expected"),
        (lambda m: m.update(profile="else"), "version: expected"),
    ],
)
def test_changed_manifest(
    folder: Path, change: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    """A manifest with an unknown, missing or changed key says what was expected."""
    edit(folder, change)

    with pytest.raises(BundleError) as caught:
        bundle.load(folder)

    assert bundle.MANIFEST in str(caught.value)
    assert problem in str(caught.value)


def test_moved_bundle(folder: Path, tmp_path: Path) -> None:
    """A bundle in the folder of another profile is refused."""
    other = tmp_path / "somebody"
    shutil.copytree(folder, other / folder.name)

    with pytest.raises(BundleError, match="profile: expected 'somebody', found 'tiny'"):
        bundle.load(other / folder.name)


def test_bundle_of_an_older_schema(folder: Path) -> None:
    """A bundle of another schema says first what is to be done, and not which file is missing."""
    edit(folder, lambda manifest: manifest.update(schema_version=3))
    (folder / bundle.SCREEN).unlink()

    with pytest.raises(BundleError, match="schema_version: expected 4, found 3; enrol again"):
        bundle.load(folder)


@pytest.mark.parametrize("content", ["", "latest", "../tiny", "0" * 12])
def test_bad_current(folder: Path, content: str) -> None:
    """A CURRENT that names no version of the profile is refused."""
    (folder.parent / bundle.CURRENT).write_text(content)

    with pytest.raises(BundleError, match="tiny/CURRENT"):
        bundle.discover(folder.parents[1])


def test_what_is_no_profile_s_folder(folder: Path) -> None:
    """What a volume and a mount hold beside the profiles is passed over."""
    root = folder.parents[1]
    for name in ("lost+found", "..data", ".git"):
        (root / name).mkdir()

    assert bundle.discover(root) == {"tiny": folder}


def consistent(root: Path, **changes: Any) -> Path:
    """Save a bundle that is consistent in itself, whatever it holds."""
    return bundles.build(root, **changes)


def test_golden_vectors_that_differ(tmp_path: Path) -> None:
    """A graph that does not compute what training computed is refused, with the difference."""

    def spoil(arrays: bundles.Arrays) -> None:
        arrays["llr"][2] += 0.01

    folder = consistent(tmp_path, change_golden=spoil)

    with pytest.raises(BundleError, match=r"golden\.npz: llr: expected to be met within 0\.0001"):
        load_profile(folder)


@pytest.mark.parametrize("name", ["own", "attributes", "doubt", "steered", "steered_attributes"])
def test_every_output_is_proven(tmp_path: Path, name: str) -> None:
    """Each output of each graph is compared, and named if it differs."""

    def spoil(arrays: bundles.Arrays) -> None:
        arrays[name][-1] += 1 + np.abs(arrays[name][-1])

    with pytest.raises(BundleError, match=rf"golden\.npz: {name}: expected to be met"):
        load_profile(consistent(tmp_path, change_golden=spoil))


@pytest.mark.parametrize("bound", ["doubt", "other"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_gate_that_is_no_probability(tmp_path: Path, bound: str, value: float) -> None:
    """What bounds a probability is 0 to 1."""
    gate = bundle.Gate(**{"doubt": 0.5, "other": 0.5, bound: value})
    with pytest.raises(BundleError, match=rf"gate\.{bound}: expected 0 to 1, found"):
        bundle.load(consistent(tmp_path, gate=gate))


def test_golden_vectors_that_are_not_numbers(tmp_path: Path) -> None:
    """NaN is a difference."""

    def spoil(arrays: bundles.Arrays) -> None:
        arrays["drawn"][0, 0, 0] = np.nan

    with pytest.raises(BundleError, match="drawn"):
        load_profile(consistent(tmp_path, change_golden=spoil))


@pytest.mark.parametrize(
    "golden",
    [
        b"",
        b"PK\x03\x04 no archive",
        bundles.pack({"images": np.zeros((1, 28, 28), np.uint8)}),
        bundles.pack({"images": np.array([{"a": 1}], dtype=object)}),
    ],
    ids=["empty", "damaged", "incomplete", "pickled"],
)
def test_golden_file_of_another_form(tmp_path: Path, golden: bytes) -> None:
    """What is no complete set of plain arrays is refused; a pickled object is never opened."""
    folder = consistent(tmp_path, contents={bundle.GOLDEN: golden})

    with pytest.raises(BundleError, match=r"golden\.npz: expected"):
        load_profile(folder)


def test_graph_that_is_none(tmp_path: Path) -> None:
    """Bytes that are no graph are refused by the file's name."""
    folder = consistent(tmp_path, contents={bundle.DECODER: b"\x08\x01 no graph"})

    with pytest.raises(BundleError, match=r"decoder\.onnx: expected a graph"):
        load_profile(folder)


def test_graph_of_another_form(tmp_path: Path) -> None:
    """A graph in the place of another is refused by what it takes."""
    files = bundles.files()
    folder = consistent(tmp_path, contents={bundle.CLASSIFIER: files[bundle.DECODER]})

    with pytest.raises(BundleError, match=r"classifier\.onnx: inputs: expected"):
        load_profile(folder)


def test_manifest_of_another_form(tmp_path: Path) -> None:
    """A manifest that describes other graphs than the service runs is refused."""
    with pytest.raises(BundleError, match="manifest's inputs: expected"):
        load_profile(consistent(tmp_path, latent_size=5))


def test_model_is_loaded_from_the_verified_bytes(folder: Path) -> None:
    """What was verified is what is used, even if the disk changes in between."""
    verified = bundle.load(folder)
    for file in folder.iterdir():
        file.unlink()

    assert Model(verified).latent_size == bundles.LATENT_SIZE


def test_default_profile(tmp_path: Path) -> None:
    """The only profile is the default; of several, only the one that is set."""
    one = load_profile(bundles.build(tmp_path, "one"))
    two = load_profile(bundles.build(tmp_path, "two", seed=1))

    assert Profiles({"one": one}).find("") is one
    assert Profiles({"two": two, "one": one}, "two").find("") is two
    assert Profiles({"two": two, "one": one}).all() == (one, two)
    with pytest.raises(BundleError, match="default profile"):
        Profiles({"one": one}, "two")


def test_manifest_survives_a_round_trip() -> None:
    """Writing and parsing a manifest gives it back."""
    manifest = bundles.manifest()

    assert bundle.parse_manifest(bundle.encode_manifest(manifest), "here") == manifest
    assert msgspec.structs.replace(manifest, digit=3) != manifest


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda folder: (folder / bundle.ENCODER).unlink(), bundle.ENCODER),
        (lambda folder: (folder / "extra.bin").touch(), "extra.bin"),
        (lambda folder: os.truncate(folder / bundle.DECODER, 9), bundle.DECODER),
        (lambda folder: flip(folder / bundle.STEER, 9), bundle.STEER),
        (lambda folder: (folder / bundle.MANIFEST).unlink(), bundle.MANIFEST),
        (lambda folder: (folder / bundle.MANIFEST).write_text("{"), bundle.MANIFEST),
        (lambda folder: edit(folder, lambda m: m.update(digit=3)), bundle.MANIFEST),
        (lambda folder: edit(folder, lambda m: m.pop("digit")), bundle.MANIFEST),
        (lambda folder: edit(folder, lambda m: m.update(schema_version=3)), bundle.MANIFEST),
        (lambda folder: (folder.parent / bundle.CURRENT).write_text("?"), "../CURRENT"),
        (lambda folder: (folder.parent / bundle.CURRENT).unlink(), "../CURRENT"),
        (shutil.rmtree, "../CURRENT"),
    ],
)
def test_what_is_wrong_is_named_as_the_folder_was_given(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], object],
    where: str,
) -> None:
    """Of bundles in many folders that one is told, by a path that the operator can use."""
    monkeypatch.chdir(tmp_path)
    folder = bundles.build(Path("here/hands"))
    spoil(folder)

    with pytest.raises(BundleError) as refusal:
        bundle.load(bundle.discover(Path("here/hands"))["tiny"])

    assert str(refusal.value).startswith(f"{os.path.normpath(folder / where)}: ")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"contents": {bundle.GOLDEN: b""}}, bundle.GOLDEN),
        ({"contents": {bundle.GOLDEN: bundles.pack({})}}, bundle.GOLDEN),
        ({"change_golden": lambda arrays: arrays["llr"].fill(9)}, bundle.GOLDEN),
        ({"contents": {bundle.DECODER: b"no graph"}}, bundle.DECODER),
        ({"latent_size": 5}, bundle.ENCODER),
    ],
)
def test_so_is_what_cannot_be_proven(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    """A graph and the golden vectors are named in the folder that they came from, too."""
    folder = bundles.build(tmp_path, **changes)

    with pytest.raises(BundleError) as refusal:
        load_profile(folder)

    assert str(refusal.value).startswith(f"{folder / name}: ")


def test_so_is_the_folder_of_a_name_that_is_none(tmp_path: Path) -> None:
    """Which of the models folders it lies in is said as well."""
    (tmp_path / "Alice").mkdir()

    with pytest.raises(BundleError) as refusal:
        bundle.discover(tmp_path)

    assert str(refusal.value).startswith(f"{tmp_path}: profile: expected 1 to 63 of a-z")


def test_unreadable_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this process may not read is refused at each level, by name."""
    home, root = folder.parent, folder.parent.parent

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for owner, function, read, name in (
        (os, "scandir", lambda: bundle.load(folder), folder),
        (Path, "is_dir", lambda: bundle.load(folder), folder),
        (Path, "is_dir", lambda: bundle.current(home), home),
        (Path, "is_dir", lambda: bundle.discover(root), f"models: '{root}'"),
        (Path, "iterdir", lambda: bundle.discover(root), f"models: '{root}'"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(owner, function, refuse)
            with pytest.raises(BundleError) as refusal:
                read()
        assert str(refusal.value) == f"{name}: cannot be read: Permission denied"
