"""What the verbs do."""

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from benchmarks.variants import identity, memory, report, sheet
from benchmarks.variants.judges import FILES, JudgeConfig, load_judges, train_judges
from benchmarks.variants.measures import NEIGHBOURS
from benchmarks.variants.population import Population, Subject, gather, subjects
from benchmarks.variants.study import Record, study_others, study_shipped
from serving.files import replace_file
from training import archives, base, data, generator, stroke
from training.config import DEFAULT, RECIPES, SEED
from training.side_by_side import run_all
from training.trials import FOLD_NAMES, WriterDigits

_DIGIT = 2
_OTHERS, _SHIPPED = "others", "shipped"
# Folders of MNIST, QMNIST and the judges; the fold.
_Where = tuple[Path, Path, Path, str]
# A neighbourhood takes k other pictures beside the one it is of.
_LEAST = NEIGHBOURS + 1


def judge(options: argparse.Namespace) -> None:
    """Train the judges and print what they are worth."""
    config = JudgeConfig()
    if options.steps is not None:
        steps = options.steps
        config = replace(config, digit_steps=steps, hand_steps=steps, veiled_steps=steps)
    figures = train_judges(_corpus(options.mnist, options.qmnist), config, options.judges)
    print(json.dumps(figures, indent=1))


def run(options: argparse.Namespace) -> None:
    """Study every writer that was not studied yet, then write and print the tables.

    What the shipped generator is held against comes first, and is kept when that changes.
    """
    corpus = _corpus(options.mnist, options.qmnist)
    chosen = subjects(corpus, _DIGIT, FOLD_NAMES[options.fold], _LEAST, options.writers)
    folders = _folders(options)
    for part, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        _study_missing(part, chosen, folders, options)
        if options.others_only:
            return
    records = {
        subject.writer: {
            name: figure
            for folder in folders.values()
            for name, figure in json.loads(_record(folder, subject).read_text("utf-8")).items()
        }
        for subject in chosen
    }
    print(report.write(records, options))


def compare_bytes(options: argparse.Namespace) -> None:
    """Ask servers that run differently for the same variants, and write what differed."""
    print(identity.write(options.models, options.count, options.results, options.command))


def watch_memory(options: argparse.Namespace) -> None:
    """Ask servers for ever more variants, and write what they held meanwhile."""
    print(memory.write(options.models, options.results, options.command))


def draw_sheet(options: argparse.Namespace) -> None:
    """Draw the contact sheet of a few writers, or of the project's own sample."""
    if options.mnist is None:
        hands = sheet.sample()
    else:
        corpus = _corpus(options.mnist, options.qmnist)
        chosen = subjects(corpus, _DIGIT, FOLD_NAMES[options.fold], _LEAST, options.writers or 6)
        hands = [sheet.Hand(subject.form, subject.real) for subject in chosen]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.draw(hands, _DIGIT, options.seed).save(options.out)
    print(options.out)


VERBS: dict[str, Callable[[argparse.Namespace], None]] = {
    "judge": judge,
    "run": run,
    "bytes": compare_bytes,
    "memory": watch_memory,
    "sheet": draw_sheet,
}


def _study_missing(
    part: str, chosen: list[Subject], folders: dict[str, Path], options: argparse.Namespace
) -> None:
    missing = [subject for subject in chosen if not _record(folders[part], subject).exists()]
    where = (options.mnist, options.qmnist, options.judges, options.fold)
    run_all(
        _PARTS[part],
        [(subject, folders, options.seed, *where) for subject in missing],
        of=len(chosen),
        title=part,
        unit="writer",
    )


def _study_others(subject: Subject, folders: dict[str, Path], seed: int, *where: *_Where) -> None:
    torch.set_num_threads(1)
    record, pictures = study_others(subject, _population(*where), seed)
    archives.write_arrays(_pictures(folders[_OTHERS], subject), pictures)
    _keep(record, folders[_OTHERS], subject)


def _study_shipped(subject: Subject, folders: dict[str, Path], seed: int, *where: *_Where) -> None:
    torch.set_num_threads(1)
    others = archives.read_arrays(_pictures(folders[_OTHERS], subject).read_bytes())
    record = study_shipped(subject, _population(*where), seed, others)
    _keep(record, folders[_SHIPPED], subject)


_PARTS = {_OTHERS: _study_others, _SHIPPED: _study_shipped}


def _keep(record: Record, folder: Path, subject: Subject) -> None:
    replace_file(_record(folder, subject), json.dumps(record, indent=1).encode() + b"\n")


@cache
def _population(mnist: Path, qmnist: Path, judges: Path, fold: str) -> Population:
    return gather(_corpus(mnist, qmnist), load_judges(judges), _DIGIT, FOLD_NAMES[fold])


@cache
def _corpus(mnist: Path, qmnist: Path) -> WriterDigits:
    digits = data.load_mnist(mnist)
    return WriterDigits(digits, data.load_writers(qmnist, digits))


def _folders(options: argparse.Namespace) -> dict[str, Path]:
    """Return where each part's figures are kept, by all but the code that decides them."""
    load_judges(options.judges)  # or say how to make them
    digit, hand, veiled = (options.judges / file for file in FILES)
    judged = _bytes(digit, hand)
    shipped = _bytes(base.HERE / base.WEIGHTS, base.HERE / base.CALIBRATION,
                     generator.HERE / generator.WEIGHTS,
                     stroke.HERE / stroke.WEIGHTS)  # fmt: skip
    decided = {
        _OTHERS: judged + f"{SEED.augment}{SEED.vae}{RECIPES[DEFAULT].augment}".encode(),
        _SHIPPED: judged + _bytes(veiled) + shipped + RECIPES[DEFAULT].sha256().encode(),
    }
    return {
        part: options.runs
        / f"{options.fold}-{part}-{hashlib.sha256(content).hexdigest()[:8]}-seed{options.seed}"
        for part, content in decided.items()
    }


def _bytes(*paths: Path) -> bytes:
    return b"".join(path.read_bytes() for path in paths)


def _record(folder: Path, subject: Subject) -> Path:
    return folder / f"writer{subject.writer}.json"


def _pictures(folder: Path, subject: Subject) -> Path:
    return folder / f"writer{subject.writer}.npz"
