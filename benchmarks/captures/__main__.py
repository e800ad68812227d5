"""``python -m benchmarks.captures``: the same answers however a picture was taken?"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.published import published

_HERE = Path(__file__).parent
_FOLDERS = ("mnist", "qmnist", "omniglot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Score what was not scored yet, write and print the tables; return 0, or 1 for an error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    options = parser.parse_args(given)
    options.command = f"{parser.prog} {shlex.join(published(given, _FOLDERS))}"
    # Heavy imports wait until the words are known to be good, so that --help answers at once.
    from benchmarks.captures import study  # noqa: PLC0415
    from training.errors import TrainingError  # noqa: PLC0415

    try:
        print(study.run(options))
    except TrainingError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.captures",
        description="Score enrolments with pictures that were taken in other ways, and with "
        "pictures of anything else. Stopped, it can be gone on with.",
    )
    for name, what in (
        ("mnist", "folder of the official MNIST training files"),
        ("qmnist", "folder of qmnist-train-labels-idx2-int"),
        ("omniglot", "folder of images_background_small1.zip and ...small2.zip"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what, metavar="DIR")
    parser.add_argument(
        "--fold",
        choices=("development", "validation"),
        default="development",
        help="whose writers; validation for a final figure only (default: %(default)s)",
    )
    parser.add_argument(
        "--writers", type=int, default=0, help="the first so many of the fold (default: all)"
    )
    parser.add_argument(
        "--enrolments", type=int, default=3, help="of each writer (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    parser.add_argument(
        "--kept",
        type=Path,
        default=Path("runs/captures"),
        help="folder where scores are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=_HERE / "results",
        help="folder of the tables (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
