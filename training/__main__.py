"""The command line of training: ``python -m training VERB``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.options import make_parser

if TYPE_CHECKING:
    from training.trials import WriterDigits

# What shells report of those that a closed pipe ends.
_READER_GONE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, 1 for an error that is explained, 130 after Ctrl-C.

    It is 141, as shells have it, if whoever read the output has gone: what was asked for is done.
    """
    parser = make_parser()
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
    from training.dataset.units import UNITS  # noqa: PLC0415

    bundled = artist.find(options.profile, options.models)
    asked = {name: getattr(options, name) for name in UNITS}
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


if __name__ == "__main__":
    sys.exit(main())
