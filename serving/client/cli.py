"""The client on the command line: tables for people, with ``--json`` one object a line."""

import argparse
import csv
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from serving.client.answers import ATTRIBUTES, Variants, Verdict
from serving.client.asked import asked
from serving.client.connection import (
    MAX_SECONDS,
    Along,
    Around,
    Between,
    Client,
    InStyle,
    Mode,
    Prior,
    Tls,
)
from serving.client.failures import CallFailed, DeadlineExceeded, InvalidRequest, Unavailable
from serving.client.sheet import contact_sheet
from serving.images import encode_png

__all__ = ["main"]

_EPILOG = """\
examples:
  python -m serving.client profiles
  python -m serving.client classify two.png three.jpg
  python -m serving.client classify --json scans/*.png | jq .own
  python -m serving.client variants --count 100 --seed 7 --out more
  python -m serving.client variants --count 25 --mode around --image two.png --strength 0.5
  python -m serving.client variants --count 9 --mode between --image two.png --image two-b.png
  python -m serving.client variants --help

exit code: 0 answered, 1 refused by the server, 2 wrong usage or a file that cannot be read or
written, 3 no answer (no server there, not ready, or not in time), 130 after Ctrl-C, 141 whoever
read the output has gone
"""


_VARIANTS_EPILOG = """\
attributes: thickness, width and height in pixels, slant and rotation in degrees; those not asked
for stay as they are
  3.2        each picture has 3.2
  +0.5 -0.5  each picture has so much more, or less, than it would by itself
  =-10       each picture has -10; only with "=" is a number with a sign no change
  2..5       the first picture has 2, the last one 5, those between evenly more; in the same way
             -20..+20 to change by, and =-20..20
write --slant=-20..+20 and --slant==-20..20, or a shell or this program may take the sign for
something else

examples:
  python -m serving.client variants --count 50 --thickness 3.2 --slant +5
  python -m serving.client variants --count 9 --temperature 0 --slant==-20..20
  python -m serving.client variants --count 9 --mode around --image two.png --width 8..16
  python -m serving.client variants --count 20 --style somebody.png --temperature 0.3

beside the pictures, attributes.csv says what each of them measures
"""


# What shells report of those that a closed pipe ends.
_READER_GONE = 141

_TOKEN = re.compile(r"[!-~]+")


class _Usage(Exception):
    """The command line asks for something that cannot be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may be no text; it is given back as it came, as ``ls`` does.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        options = _parser().parse_args(arguments)
    except SystemExit:  # after --help, which is output like any other
        _drop_output()
        raise
    try:
        code = _run(options)
        sys.stdout.flush()  # what cannot be written is told here, where it has a code
    except KeyboardInterrupt:
        return _fail("\nstopped", 130)
    except BrokenPipeError:
        _drop_output()
        return _READER_GONE
    except OSError as error:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 2)
    return code


def _run(options: argparse.Namespace) -> int:
    try:
        with _connect(options) as client:
            options.command(client, options)
    except _Usage as error:
        return _fail(str(error), 2)
    except (Unavailable, DeadlineExceeded) as error:
        return _fail(str(error), 3)
    except CallFailed as error:
        return _fail(_explain(error, _sent(options)), 1)
    return 0


def _drop_output() -> None:
    """Let go of output that cannot be written: Python would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _connect(options: argparse.Namespace) -> Client:
    tls = Tls(options.tls_ca, options.tls_certificate, options.tls_key)
    if (tls.certificate is None) != (tls.key is None):
        raise _Usage("--tls-certificate and --tls-key: expected both or none, found one")
    token = _token(options.token_file)
    try:
        return Client(
            options.target,
            options.timeout,
            tls=tls if options.tls or tls != Tls() else None,
            token=token,
        )
    except ValueError as error:
        raise _Usage(str(error)) from error


def _token(file: Path | None) -> str:
    """Return the token to send, empty = none.

    What no header of a call can hold is refused here, unquoted: it may be a part of the token.
    """
    try:
        token = file.read_text("utf-8").strip() if file else ""
    except UnicodeDecodeError as error:
        raise _Usage(f"{file}: expected a token as text, found other bytes") from error
    where = str(file) if token else "ONEHAND_TOKEN"
    token = token or os.environ.get("ONEHAND_TOKEN", "").strip()
    if len(token.split()) > 1:
        raise _Usage(f"{where}: expected a token, one word, found {len(token.split())}")
    if token and not _TOKEN.fullmatch(token):
        raise _Usage(f"{where}: expected a token of printable ASCII, found other characters")
    return token


def _classify(client: Client, options: argparse.Namespace) -> None:
    files = [path.read_bytes() for path in options.images]
    answer = client.classify(files, options.profile)
    rows = [(str(path), v) for path, v in zip(options.images, answer.results, strict=True)]
    if options.json:
        shared = {name: getattr(answer, name) for name in ("profile", "version", "digest")}
        for name, verdict in rows:
            of_all = {"all_together": _plain(answer.fused)}
            _print_json({"image": name} | _plain(verdict) | of_all | shared)
        return
    if len(rows) > 1:
        rows.append(("all together", answer.fused))
    cells = [(name, v.label.value, *_figures(v)) for name, v in rows]
    _print_table(("image", "label", "own", "other writer", "other", "llr"), cells)
    print(f"profile {answer.profile}, version {answer.version}")


def _variants(client: Client, options: argparse.Namespace) -> None:
    mode = _mode(options)
    out: Path = options.out
    _make_folder(out)  # first: where nothing can be written, nothing need be drawn
    answer = client.variants(options.count, mode, options.seed, options.profile)
    paths = [out / f"{place:04}.png" for place in range(len(answer.images))]
    for path, image in zip(paths, answer.images, strict=True):
        path.write_bytes(encode_png(image))
    sheet = out / "sheet.png"
    sheet.write_bytes(encode_png(contact_sheet(answer.images)))
    measured = [dict(zip(ATTRIBUTES, row, strict=True)) for row in answer.attributes.tolist()]
    _write_table(out / "attributes.csv", paths, measured)
    older = set(out.glob("[0-9][0-9][0-9][0-9].png")) - set(paths)
    if older:
        _note(
            f"{out} also holds {len(older)} pictures of an earlier answer, from {min(older).name}"
        )
    if options.json:
        shared = {name: getattr(answer, name) for name in ("profile", "version", "seed", "redrawn")}
        for path, latent, attributes in zip(paths, answer.latents.tolist(), measured, strict=True):
            of_this = {"image": str(path), "latent": latent, "attributes": attributes}
            _print_json(shared | of_this)
        return
    print(f"{len(paths)} pictures in {out}, all of them on {sheet}{_redrawn(answer)}")
    print(f"profile {answer.profile}, version {answer.version}, seed {answer.seed}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise _Usage(f"{folder}: expected a folder, found a file") from error


def _write_table(target: Path, paths: Sequence[Path], rows: Sequence[dict[str, float]]) -> None:
    with open(target, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", *ATTRIBUTES))
        for path, row in zip(paths, rows, strict=True):
            table.writerow((path.name, *(f"{value:.3f}" for value in row.values())))


def _redrawn(answer: Variants) -> str:
    return f"; {answer.redrawn} drawn anew to be the digit" if answer.redrawn else ""


def _profiles(client: Client, options: argparse.Namespace) -> None:
    profiles = client.profiles()
    if options.json:
        for profile in profiles:
            _print_json(dataclasses.asdict(profile))
        return
    cells = [
        (p.name, p.version, str(p.digit), p.recipe, str(p.enrolment_images), str(p.latent_size))
        for p in profiles
    ]
    _print_table(("profile", "version", "digit", "recipe", "enrolled from", "latent size"), cells)


def _mode(options: argparse.Namespace) -> Mode:
    targets = {name: target for name in ATTRIBUTES if (target := getattr(options, name))}
    if options.style:
        if targets or options.images or options.mode:
            raise _Usage("--style: expected no attributes, --mode and --image beside it, found one")
        return InStyle(
            options.style.read_bytes(), _or(options.strength, 1), _or(options.temperature, 0)
        )
    base = _base(options)
    if not targets:
        return base
    if isinstance(base, Between):
        raise _Usage("--mode between: expected no attributes beside it, found one")
    return Along(**targets, base=base)


def _base(options: argparse.Namespace) -> Prior | Around | Between:
    mode = options.mode or "prior"
    pictures = [path.read_bytes() for path in options.images]
    for option, value, of in (
        ("temperature", options.temperature, "prior"),
        ("strength", options.strength, "around"),
    ):
        if value is not None and mode != of:
            raise _Usage(
                f"--{option}: expected --mode {of} or --style beside it, found --mode {mode}"
            )
    needed = {"prior": 0, "around": 1, "between": 2}[mode]
    if len(pictures) != needed:
        raise _Usage(f"--mode {mode} takes {needed} --image, found {len(pictures)}")
    if mode == "around":
        return Around(pictures[0], _or(options.strength, 1))
    if mode == "between":
        return Between(*pictures)
    return Prior(_or(options.temperature, 1))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _sent(options: argparse.Namespace) -> list[Path]:
    """Return the picture files that a command sends, in the order of their fields."""
    style = getattr(options, "style", None)
    return [style] if style else getattr(options, "images", [])


def _explain(error: CallFailed, paths: Sequence[Path]) -> str:
    """Return the error with file names in the place of the fields that they were sent in."""
    lines = [str(error)]
    if isinstance(error, InvalidRequest) and error.violations:
        lines = [f"{_named(v.field, paths)}: {v.problem}" for v in error.violations]
    if error.request_id:
        lines.append(f"(request id {error.request_id})")
    return "\n".join(lines)


def _named(field: str, paths: Sequence[Path]) -> str:
    """Return the file that was sent in ``field``, or the field itself if none was."""
    sent_in = {f"images[{place}].encoded": str(path) for place, path in enumerate(paths)}
    first = ("around.image", "attributes.around.image", "style.image", "between.first")
    for fields, path in zip((first, ("between.second",)), paths, strict=False):
        sent_in |= {f"{field}.encoded": str(path) for field in fields}
    return sent_in.get(field, field)


def _figures(verdict: Verdict) -> tuple[str, ...]:
    shares = (verdict.own, verdict.other_writer, verdict.other)
    return (*(f"{share:.4f}" for share in shares), f"{verdict.llr:+.3f}")


def _plain(verdict: Verdict) -> dict[str, Any]:
    return dataclasses.asdict(verdict) | {"label": verdict.label.value}


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _fail(message: str, code: int) -> int:
    _note(message)
    return code


def _note(message: str) -> None:
    print(message, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--target",
        type=_host,
        default="127.0.0.1:50051",
        metavar="HOST:PORT",
        help="(default: %(default)s)",
    )
    shared.add_argument(
        "--timeout",
        type=_seconds,
        default=30.0,
        help=f"seconds for the call, {MAX_SECONDS} at most (default: %(default)s)",
    )
    shared.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_security(shared)
    of_a_hand = argparse.ArgumentParser(add_help=False, parents=[shared])
    of_a_hand.add_argument(
        "--profile", type=_text, default="", help="empty = the default profile of the server"
    )
    parser = argparse.ArgumentParser(
        prog="python -m serving.client",
        description="Ask a onehand server whose hand a picture is in, or for more in that hand.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_classify(commands.add_parser("classify", parents=[of_a_hand], help="whose hand is it"))
    variants = commands.add_parser(
        "variants",
        parents=[of_a_hand],
        help="write more like it",
        epilog=_VARIANTS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_variants(variants)
    listing = commands.add_parser("profiles", parents=[shared], help="which hands are served")
    listing.set_defaults(command=_profiles)
    return parser


def _add_security(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tls", action="store_true", help="speak TLS, trusting public authorities")
    parser.add_argument(
        "--tls-ca", type=Path, metavar="PATH", help="speak TLS, trusting those of this PEM file"
    )
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="PATH", help="PEM file to show to the server"
    )
    parser.add_argument(
        "--tls-key", type=Path, metavar="PATH", help="PEM file of that certificate's key"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="PATH",
        help="file that holds the token to send; absent = the variable ONEHAND_TOKEN, if set",
    )


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="picture file")
    parser.set_defaults(command=_classify)


def _add_variants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--count", type=_whole(-(2**31), 2**31 - 1), required=True, help="number of pictures"
    )
    parser.add_argument(
        "--seed", type=_whole(0, 2**64 - 1), help="same seed, same pictures; absent = any"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("variants"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--mode",
        choices=("prior", "around", "between"),
        help="anywhere, around one --image, or between two (default: prior)",
    )
    parser.add_argument(
        "--image",
        dest="images",
        type=Path,
        action="append",
        default=[],
        help="picture file for --mode around and between",
    )
    parser.add_argument(
        "--style", type=Path, metavar="PICTURE", help="picture file: its form in the enrolled hand"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        help="of --mode prior or --style, 0 to 3 (default: 1 or, with --style, 0)",
    )
    parser.add_argument(
        "--strength",
        type=float,
        help="of --mode around, 0 to 5, or of --style, 0 to 1 (default: 1)",
    )
    for name in ATTRIBUTES:
        unit = "degrees" if name in {"slant", "rotation"} else "pixels"
        parser.add_argument(
            f"--{name}", type=asked, metavar="VALUE", help=f"{unit}; how to ask is told below"
        )
    parser.set_defaults(command=_variants)


def _text(word: str) -> str:
    """Return a word as it is; its bytes may be no text, and then no message can hold it."""
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, found {word!r}") from error
    return word


def _host(word: str) -> str:
    """Return a target as it is; without a host gRPC cannot so much as try to connect."""
    if not word.rpartition("/")[2].strip():
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, found {word!r}")
    return _text(word)


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of numbers that fit the field of the message."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            problem = f"expected a whole number, {low} to {high}, found {text!r}"
            raise argparse.ArgumentTypeError(problem)
        return number

    return read


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = None
    if seconds is None or not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 to {MAX_SECONDS}, found {text!r}")
    return seconds
