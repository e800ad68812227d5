"""What is asked for, from trials to the table."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from serving.files import replace_file
from training.config import RECIPES
from training.errors import DataError
from training.evaluate.corpus import load_background, load_corpus
from training.evaluate.kept import decided_by, keep_scores
from training.evaluate.scoring import PIXEL_COSINE, Answer, Job, enrol_nobody, score_trial
from training.evaluate.summary import Row, summarise
from training.evaluate.table import format_table
from training.side_by_side import run_all
from training.trials import Trial, WriterDigits, draw_trials

_RESULTS = "results.json"


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured, with what, and where it is kept.

    Attributes:
        mnist: folder of MNIST's official training files.
        qmnist: folder of QMNIST's label file, which names the writers.
        recipes: what is measured, baselines among them; empty = all.
        digit: whose writers are to be told apart.
        writers: the first so many validation writers; 0 = all.
        enrolments: of each writer, at most.
        pictures: of an enrolment; each number is measured.
        background: other people's digits, ``bundled`` or ``mnist``.
        out: folder of scores and results; what is there is not computed again.
        seed: of all chance.
    """

    mnist: Path
    qmnist: Path
    recipes: tuple[str, ...]
    digit: int
    writers: int
    enrolments: int
    pictures: tuple[int, ...]
    background: str
    out: Path
    seed: int

    def command(self) -> str:
        """Return the command that measures the same; its two data folders are the reader's."""
        return "python -m training evaluate " + " ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield "--mnist MNIST --qmnist QMNIST"
        for name in ("digit", "writers", "enrolments", "background", "seed"):
            yield f"--{name} {getattr(self, name)}"
        yield "--pictures " + " ".join(map(str, self.pictures))
        for name in self.recipes:
            yield f"--recipe {name}"


def run(config: BenchmarkConfig) -> str:
    """Score what was not scored yet, write ``results.json``, and return the table to show.

    Raises:
        DataError: a file of the data is missing or damaged, or nobody has so many pictures.
    """
    corpus = load_corpus(config.mnist, config.qmnist)
    names = config.recipes or (PIXEL_COSINE, *RECIPES)
    drawn = {pictures: draw(corpus, pictures, config) for pictures in config.pictures}
    rows = []
    for name in names:
        for pictures, trials in drawn.items():
            jobs = [_job(name, trial, config) for trial in trials]
            _score_missing(jobs, config, f"{name}, {pictures} enrolled")
            rows.append(summarise(name, pictures, jobs))
    path = _write_results(names, rows, config)
    return f"{format_table(rows)}\n\n{config.command()}\n{path}"


def draw(corpus: WriterDigits, pictures: int, config: BenchmarkConfig) -> list[Trial]:
    """Return the trials with so many enrolled pictures.

    Raises:
        DataError: there are none.
    """
    trials = draw_trials(
        corpus, config.digit, pictures, config.enrolments, config.writers, config.seed
    )
    if not trials:
        raise DataError(
            f"--pictures {pictures}: expected validation writers with {pictures + 1} pictures of a "
            f"{config.digit} or more, found none; ask for fewer"
        )
    return trials


def _job(name: str, trial: Trial, config: BenchmarkConfig) -> Job:
    home = config.out / f"{name}-{decided_by(name)}-{config.background}"
    parts = (
        f"digit{config.digit}", f"seed{config.seed}", f"enrolled{len(trial.enrolled)}",
        f"writer{trial.writer}", f"turn{trial.turn}",
    )  # fmt: skip
    return Job(name, config.digit, trial, config.seed, home / ("-".join(parts) + ".npz"))


def _score_missing(jobs: Sequence[Job], config: BenchmarkConfig, title: str) -> None:
    missing = [job for job in jobs if not job.path.exists()]
    if not missing:
        return
    missing[0].path.parent.mkdir(parents=True, exist_ok=True)
    run_all(
        _score_and_keep,
        [(job, config) for job in missing],
        of=len(jobs),
        title=title,
        unit="enrolment",
    )


def _score_and_keep(job: Job, config: BenchmarkConfig) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    corpus = load_corpus(config.mnist, config.qmnist)
    background = load_background(config.mnist, config.qmnist, config.background)
    nobody = _nobody(job.recipe, config) if job.recipe in RECIPES else None
    keep_scores(job.path, score_trial(job, corpus, background, nobody))


@cache
def _nobody(recipe: str, config: BenchmarkConfig) -> Answer:
    """Enrol nobody once for all trials."""
    background = load_background(config.mnist, config.qmnist, config.background)
    return enrol_nobody(recipe, config.digit, config.seed, background)


def _write_results(names: Sequence[str], rows: Sequence[Row], config: BenchmarkConfig) -> Path:
    document = {
        "command": config.command(),
        "recipe": ", ".join(names),
        "digit": config.digit,
        "rows": [row.as_dict() for row in rows],
    }
    path = config.out / _RESULTS
    config.out.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(document, indent=1).encode() + b"\n")
    return path
