"""``python -m benchmarks.variants``: are generated variants worth having?"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.published import published

_HERE = Path(__file__).parent
_FOLDERS = ("mnist", "qmnist")
_EPILOG = """\
examples:
  python -m benchmarks.variants judge --mnist MNIST --qmnist QMNIST
  python -m benchmarks.variants run --mnist MNIST --qmnist QMNIST --writers 8
  python -m benchmarks.variants run --mnist MNIST --qmnist QMNIST --fold validation --writers 50
  python -m benchmarks.variants bytes --models exported
  python -m benchmarks.variants memory --models exported
  python -m benchmarks.variants sheet --mnist MNIST --qmnist QMNIST --out runs/variants/sheet.png
  python -m benchmarks.variants sheet --out docs/variants.png

Anything but a final figure is looked at on development writers, which is what run does unless
told otherwise.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, or 1 for an error that is explained."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser()
    options = parser.parse_args(given)
    if options.verb == "sheet" and (options.mnist is None) != (options.qmnist is None):
        parser.error("sheet: --mnist and --qmnist belong together")
    options.command = f"{parser.prog} {shlex.join(published(given, _FOLDERS))}"
    # Heavy imports wait until a verb is known, so that --help answers at once.
    import torch  # noqa: PLC0415

    from benchmarks.variants import commands  # noqa: PLC0415
    from serving.errors import BundleError  # noqa: PLC0415
    from serving.images import BadImage  # noqa: PLC0415
    from training.errors import TrainingError  # noqa: PLC0415

    torch.set_num_threads(1)
    try:
        commands.VERBS[options.verb](options)
    except (BadImage, BundleError, TrainingError) as error:
        print(f"{parser.prog} {options.verb}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants",
        description="Judge generated variants by networks that no generator learned from.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in (
        ("judge", "train the judges, about 20 minutes on one core"),
        ("run", "study writers one by one, then write the tables; stopped, it can be gone on with"),
        ("bytes", "row 8: ask real servers for the same variants, and compare their bytes"),
        ("memory", "row 9: ask real servers for ever more variants, and watch their memory"),
        ("sheet", "real, augmented and generated pictures side by side, as a PNG"),
    ):
        verb = verbs.add_parser(name, help=text, description=text)
        _FLAGS[name](verb)
    return parser


def _add_judge(verb: argparse.ArgumentParser) -> None:
    _add_data(verb, required=True)
    _add_judges(verb)
    verb.add_argument("--steps", type=int, help="of each training at most, for a trial (all)")


def _add_run(verb: argparse.ArgumentParser) -> None:
    _add_data(verb, required=True)
    _add_judges(verb)
    _add_fold(verb)
    verb.add_argument("--seed", type=int, default=0, help="source of all chance (0)")
    verb.add_argument(
        "--runs",
        type=Path,
        default=Path("runs/variants"),
        metavar="DIR",
        help="where each writer's figures are kept; what is there is not computed again",
    )
    verb.add_argument(
        "--others-only",
        action="store_true",
        help="stop before what depends on the shipped generator, and write no tables",
    )
    _add_results(verb)


def _add_bytes(verb: argparse.ArgumentParser) -> None:
    _add_models(verb)
    verb.add_argument("--count", type=int, default=1000, help="variants of each request (1000)")
    _add_results(verb)


def _add_memory(verb: argparse.ArgumentParser) -> None:
    _add_models(verb)
    _add_results(verb)


def _add_sheet(verb: argparse.ArgumentParser) -> None:
    _add_data(verb, required=False)
    _add_fold(verb)
    verb.add_argument("--seed", type=int, default=0, help="source of all chance (0)")
    verb.add_argument("--out", type=Path, required=True, metavar="PNG", help="the sheet")


def _add_data(verb: argparse.ArgumentParser, *, required: bool) -> None:
    without = "" if required else "; without it, the project's own sample picture"
    verb.add_argument(
        "--mnist",
        type=Path,
        metavar="DIR",
        required=required,
        help=f"folder of MNIST's official training files{without}",
    )
    verb.add_argument(
        "--qmnist",
        type=Path,
        metavar="DIR",
        required=required,
        help="folder of QMNIST's label file, which names the writers",
    )


def _add_models(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--models", type=Path, default=Path("exported"), metavar="DIR")


def _add_judges(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--judges",
        type=Path,
        default=Path("runs/variants/judges"),
        metavar="DIR",
        help="folder of the judges (runs/variants/judges)",
    )


def _add_fold(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--fold",
        choices=("development", "validation"),
        default="development",
        help="whose pictures (development)",
    )
    verb.add_argument(
        "--writers", type=int, default=0, metavar="N", help="the first N (0 = all; a sheet: 6)"
    )


def _add_results(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--results",
        type=Path,
        default=_HERE / "results",
        metavar="DIR",
        help="folder of the tables",
    )


_FLAGS = {
    "judge": _add_judge,
    "run": _add_run,
    "bytes": _add_bytes,
    "memory": _add_memory,
    "sheet": _add_sheet,
}


if __name__ == "__main__":
    sys.exit(main())
