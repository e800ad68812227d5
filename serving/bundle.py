"""The bundle: the only thing that crosses from training to serving.

A bundle is one folder, ``<root>/<profile>/<version>/``::

    manifest.json     what the bundle is, and the SHA-256 of every other file
    classifier.onnx   images -> probabilities, llr
    encoder.onnx      images, noise -> latent, mean, log_variance, own
    screen.onnx       latent -> doubt
    decoder.onnx      latent -> pixels, attributes
    steer.onnx        pixels, matrix, pen -> steered, steered_attributes
    golden.npz        inputs, and the outputs that the training framework computed for them
    report/           pictures for people; never read by the server, not part of the contract

and ``<root>/<profile>/CURRENT`` names the version to serve, in one line. The version is derived
from the content, so equal versions hold equal bytes and no byte can change unnoticed.

The reader owns the format: ``training.export`` imports this module to write. Nothing here knows
of onnxruntime, and nothing is executed or unpickled. Every file is read once, checked against
its hash and handed on as bytes, so that what was verified is what is used.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from serving import files
from serving.errors import BundleError

SCHEMA_VERSION = 4
MANIFEST = "manifest.json"
CURRENT = "CURRENT"
REPORT = "report"
CLASSIFIER = "classifier.onnx"
ENCODER = "encoder.onnx"
SCREEN = "screen.onnx"
DECODER = "decoder.onnx"
STEER = "steer.onnx"
GOLDEN = "golden.npz"
GRAPHS = (CLASSIFIER, ENCODER, SCREEN, DECODER, STEER)
FILES = (*GRAPHS, GOLDEN)
LABELS = ("own", "other_writer", "other")

# Where a file system keeps what a check of it found (Filesystem Hierarchy Standard 3.0).
_OF_VOLUME = "lost+found"

MAX_FILE_BYTES = 64 * 1024 * 1024
PROFILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
VERSION_NAME = re.compile(r"[0-9a-f]{12}")


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the manifest's parts: immutable, every key required, unknown keys refused."""


class FileEntry(Contract, frozen=True):
    """Size and SHA-256 (lower-case hex) of one file of the bundle."""

    bytes: int
    sha256: str


class Tensor(Contract, frozen=True):
    """One input or output of a graph; ``-1`` in the shape is the batch."""

    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int, ...]
    meaning: str


class Graph(Contract, frozen=True):
    """What goes into and comes out of one ONNX file, in order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Decision(Contract, frozen=True):
    """How probabilities become a label: the largest one, for these class priors."""

    rule: Literal["argmax"]
    priors: tuple[float, float, float]


class Gate(Contract, frozen=True):
    """What is drawn may be given out, and what not; stricter than the decision on pictures.

    Attributes:
        doubt: latent points whose doubt, which the screen tells, is above this are in doubt: others
            are taken, or the classifier is asked; 0 to 1, 1 = none.
        other: a picture is refused that the classifier holds for something else than the digit with
            more than this probability; 0 to 1, 1 = none.
    """

    doubt: float
    other: float


class Enrolment(Contract, frozen=True):
    """How the profile was made."""

    images: int
    recipe: str
    seed: int
    config_sha256: str


class Producer(Contract, frozen=True):
    """Versions of what wrote the bundle."""

    onehand: str
    torch: str
    onnx: str
    onnxruntime: str
    numpy: str
    opset: int
    ir_version: int


class Parity(Contract, frozen=True):
    """Largest differences between torch and onnxruntime, seen at export.

    Absolute, but relative to values beyond 1 (attributes: beyond 1,000).
    """

    tolerance: float
    batches: tuple[int, ...]
    classifier: float
    encoder: float
    screen: float
    decoder: float
    steer: float
    label_flips: int


class Metric(Contract, frozen=True):
    """A figure measured when the profile was made, over ``n`` pictures."""

    value: float
    n: int
    meaning: str


class Manifest(Contract, frozen=True):
    """Everything the server must know of a bundle before it trusts it."""

    schema_version: int
    profile: str
    version: str
    digit: int
    labels: tuple[str, str, str]
    latent_size: int
    graphs: dict[str, Graph]
    decision: Decision
    gate: Gate
    enrolment: Enrolment
    producer: Producer
    parity: Parity
    metrics: dict[str, Metric]
    golden_tolerance: float
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        folder: where it was read from, as it was given.
        manifest: the parsed manifest.
        digest: SHA-256 of the manifest's bytes, lower-case hex.
        contents: verified bytes by file name, one entry for each of ``FILES``.
        created: seconds since 1970 at which the manifest was written to this disk.
    """

    folder: Path
    manifest: Manifest
    digest: str
    contents: Mapping[str, bytes]
    created: float


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as readable JSON; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=2)


def derive_version(manifest: Manifest) -> str:
    """Return the version that belongs to this content: 12 hex digits over all but the version."""
    unversioned = msgspec.structs.replace(manifest, version="")
    return hashlib.sha256(encode_manifest(unversioned)).hexdigest()[:12]


def describe_files(contents: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """Return size and hash of each file."""
    return {
        name: FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in sorted(contents.items())
    }


def save(
    manifest: Manifest,
    contents: Mapping[str, bytes],
    root: Path,
    report: Mapping[str, bytes] = MappingProxyType({}),
) -> Path:
    """Write a bundle under ``root`` and point ``CURRENT`` at it; all or nothing.

    The folder is filled under a hidden temporary name and renamed into place, so no reader ever
    sees half of it. A bundle of this version that is already there is verified and kept, with
    this report, whose files are then replaced one by one.

    Args:
        manifest: complete but for ``version`` and ``files``, which are set here.
        contents: bytes by file name, one entry for each of ``FILES``.
        root: folder of all profiles; made if missing.
        report: bytes by name of files for people, which are there before the version is in force.

    Returns:
        The bundle's folder.

    Raises:
        BundleError: a name is not allowed, a file is missing or unknown, or what is on disk
            under this very version is not what it claims to be.
        OSError: something cannot be written; nothing new is in force.
    """
    if set(contents) != set(FILES):
        raise BundleError(f"contents: expected {sorted(FILES)}, found {sorted(contents)}")
    check_profile_name(manifest.profile)
    manifest = msgspec.structs.replace(manifest, files=describe_files(contents))
    manifest = msgspec.structs.replace(manifest, version=derive_version(manifest))
    whole = {**contents, MANIFEST: encode_manifest(manifest)}
    home = root / manifest.profile
    root.mkdir(parents=True, exist_ok=True)
    add = partial(_add_version, version=manifest.version, contents=whole, report=report)
    # At one go: a profile without CURRENT would stop every server that starts meanwhile.
    if not _make(home, add):
        add(home)
    return home / manifest.version


def load(folder: Path) -> Bundle:
    """Read and verify one bundle.

    Raises:
        BundleError: names the file, in ``folder`` as it was given, and key, what was expected and
            what was found. Refused are: a missing, additional, oversized or changed file, a link
            or anything else that is not a plain file, a manifest with a missing or unknown key or
            of an unknown schema version, a folder that is not named after the manifest's profile
            and version, and whatever this process may not read.
    """
    with _readable(str(folder)):
        if not folder.is_dir() or folder.is_symlink():
            raise BundleError(f"{folder}: expected the folder of a bundle, found none")
        raw = _read_plain(folder / MANIFEST)
        # Before the files: of another schema, they are others.
        manifest = parse_manifest(raw, str(folder))
        _check_listing(folder)
        _check_identity(manifest, folder)
        contents = {name: _read_verified(folder / name, manifest.files[name]) for name in FILES}
        return Bundle(
            folder=folder,
            manifest=manifest,
            digest=hashlib.sha256(raw).hexdigest(),
            contents=contents,
            created=(folder / MANIFEST).stat().st_mtime,
        )


def discover(root: Path) -> dict[str, Path]:
    """Return the folder to serve for each profile under ``root``, by profile name.

    Raises:
        BundleError: ``root`` is not a folder or cannot be read, or a profile has no usable
            ``CURRENT``.
    """
    return {home.name: current(home) for home in homes(root)}


def homes(root: Path) -> list[Path]:
    """Return the folder of each profile under ``root``, whatever it holds, sorted by name.

    Folders whose names begin with a dot are none, nor is what the root of a volume holds.

    Raises:
        BundleError: ``root`` is not a folder, or cannot be read.
    """
    with _readable(f"models: {str(root)!r}"):
        if not root.is_dir():
            raise BundleError(f"models: expected a folder of profiles, found none at {str(root)!r}")
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    return [path for path in folders if path.name != _OF_VOLUME and path.name[0] != "."]


def current(home: Path) -> Path:
    """Return the folder of the version that ``home/CURRENT`` names.

    Raises:
        BundleError: the file is missing or does not hold a version, or the version is not there,
            or cannot be read.
    """
    check_profile_name(home.name, f"{home.parent}: profile")
    with _readable(str(home)):
        version = _read_plain(home / CURRENT, limit=64).decode("ascii", "replace").strip()
        if not VERSION_NAME.fullmatch(version):
            raise BundleError(f"{home / CURRENT}: expected 12 hex digits, found {version!r}")
        if not (home / version).is_dir():
            raise BundleError(f"{home / CURRENT}: names version {version}, which is not there")
        return home / version


def named(path: Path) -> Path:
    """Return the folder of the version in force if ``path`` is a profile's, else ``path``.

    Either is absolute and has a name. Whether a bundle is there is for ``load`` to say.

    Raises:
        BundleError: it is the folder of a profile that has no usable ``CURRENT``.
    """
    folder = Path(os.path.normpath(path.absolute()))  # so that "." and ".." have names to check
    return current(folder) if (folder / CURRENT).exists() else folder


def check_profile_name(name: str, where: str = "profile") -> None:
    """Raise BundleError unless ``name`` is safe as a folder, a label and an identifier.

    Args:
        name: to be checked.
        where: what the name is of, for the error.
    """
    if not PROFILE_NAME.fullmatch(name):
        raise BundleError(
            f"{where}: expected 1 to 63 of a-z, 0-9, '-' and '_', starting with a letter or "
            f"digit; found {name!r}"
        )


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """Parse manifest bytes strictly; ``where`` names the bundle in errors."""
    try:
        header = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's own, and what is no UTF-8
        raise BundleError(f"{where}/{MANIFEST}: not valid JSON: {error}") from error
    found = header.get("schema_version") if isinstance(header, dict) else None
    if found != SCHEMA_VERSION:
        raise BundleError(
            f"{where}/{MANIFEST}: schema_version: expected {SCHEMA_VERSION}, found {found!r}; "
            "enrol again with the training package that belongs to this server"
        )
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{where}/{MANIFEST}: {error}") from error


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    """Refuse what the system will not let us read, a mount of another user's, say."""
    try:
        yield
    except OSError as error:
        raise BundleError(f"{where}: cannot be read: {error.strerror}") from error


def _check_listing(folder: Path) -> None:
    expected = {MANIFEST, *FILES}
    found = {entry.name for entry in os.scandir(folder)} - {REPORT}
    for name in sorted(expected - found):
        raise BundleError(f"{folder / name}: expected a file, found none")
    for name in sorted(found - expected):
        raise BundleError(
            f"{folder / name}: not part of a bundle; expected only {sorted(expected)}"
        )


def _check_identity(manifest: Manifest, folder: Path) -> None:
    where = folder / MANIFEST
    checks = (
        ("version", derive_version(manifest), manifest.version),
        ("version", folder.name, manifest.version),
        ("profile", folder.resolve().parent.name, manifest.profile),
        ("labels", LABELS, manifest.labels),
        ("files", sorted(FILES), sorted(manifest.files)),
        ("graphs", sorted(GRAPHS), sorted(manifest.graphs)),
    )
    for key, expected, found in checks:
        if expected != found:
            raise BundleError(f"{where}: {key}: expected {expected!r}, found {found!r}")
    priors = manifest.decision.priors
    if not (min(priors) > 0 and abs(sum(priors) - 1) < 1e-6):
        raise BundleError(
            f"{where}: decision.priors: expected a sum of 1, each above 0, found {priors}"
        )
    for name, bound in (("doubt", manifest.gate.doubt), ("other", manifest.gate.other)):
        if not 0 <= bound <= 1:
            raise BundleError(f"{where}: gate.{name}: expected 0 to 1, found {bound}")
    if not 0 <= manifest.digit <= 9:
        raise BundleError(f"{where}: digit: expected 0 to 9, found {manifest.digit}")


def _read_verified(path: Path, entry: FileEntry) -> bytes:
    data = _read_plain(path)
    if len(data) != entry.bytes:
        raise BundleError(f"{path}: expected {entry.bytes} bytes, found {len(data)}")
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != entry.sha256:
        raise BundleError(f"{path}: SHA-256: expected {entry.sha256}, found {sha256}")
    return data


def _read_plain(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a file that must be a plain one; O_NOFOLLOW closes the gap between check and read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        kind = "a link" if path.is_symlink() else error.strerror
        raise BundleError(f"{path}: expected a plain file, found: {kind}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: expected a plain file, found something else")
        if status.st_size > limit:
            raise BundleError(f"{path}: expected at most {limit} bytes, found {status.st_size}")
        return file.read(limit)


def _add_version(
    home: Path, version: str, contents: Mapping[str, bytes], report: Mapping[str, bytes]
) -> None:
    def fill(folder: Path) -> None:
        for name, data in contents.items():
            files.write_synced(folder / name, data)
        _add_report(folder, report)

    target = home / version
    if not _make(target, fill):
        load(target)
        _add_report(target, report)
    files.replace_file(home / CURRENT, f"{version}\n".encode())


def _add_report(folder: Path, report: Mapping[str, bytes]) -> None:
    if report:
        (folder / REPORT).mkdir(exist_ok=True)
    for name, data in report.items():
        files.replace_file(folder / REPORT / name, data)


def _make(target: Path, fill: Callable[[Path], None]) -> bool:
    """Make a folder that is there whole or not at all; return False if there is one already.

    It is filled under a hidden name. Whatever stops that, Ctrl-C included, leaves nothing behind.
    """
    if target.exists():
        return False
    with tempfile.TemporaryDirectory(
        prefix=".partial-", dir=target.parent, ignore_cleanup_errors=True
    ) as name:
        staging = Path(name)
        fill(staging)
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            return False  # somebody else made it meanwhile
    return True
