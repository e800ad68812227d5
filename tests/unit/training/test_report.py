"""The report: one page that asks nothing of anybody, and says what it cannot show."""

import dataclasses
import errno
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from serving import bundle
from serving.bundle import LABELS
from tests import bundles
from tests.unit.training.test_record import make_record, save
from training import report
from training.record import Record, Tests
from training.record_file import RecordError

HOSTILE = "<script>alert(1)</script>\"'><img src=http://example.org/x>"
VOID = {"img", "meta", "link", "br"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and that it waits for its end."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that ends itself."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Match an end with the last tag that waits for one."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note what a reader reads."""
        self.text += data

    def ids(self) -> set[str]:
        """Return the places that links can lead to."""
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def make(root: Path, shown: Record | None = None, **changes: object) -> Path:
    """Save a tiny bundle with its record and return its folder."""
    folder = bundles.build(root, **changes)  # type: ignore[arg-type]
    save(shown or make_record(), folder)
    return folder


def read(folder: Path, benchmark: Path | None = None) -> Page:
    """Render the report and parse it."""
    return Page(report.render(folder, benchmark).read_text())


def test_the_page_names_what_it_shows(tmp_path: Path) -> None:
    """Profile, digit, recipe and version are in the title and on the page."""
    folder = make(tmp_path)

    path = report.render(folder)
    text = path.read_text()

    assert path == folder / "report" / "index.html"
    assert f"<title>tiny · digit 2 · linear · {folder.name}</title>" in text
    assert {"input", "augment", "vae", "rebuilt", "samples", "cnn", "layers", "tests"} <= (
        Page(text).ids()
    )
    assert {"map", "units", "directions", "ways"} <= Page(text).ids()


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    """Every source is inline data, every link stays on the page, and nothing is a script."""
    folder = make(tmp_path)
    page = read(folder)
    text = (folder / "report" / "index.html").read_text()

    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#"))
    assert not re.search(r"https?:|@import|url\(", text)
    assert {a["href"][1:] for t, a in page.tags if t == "a"} <= page.ids()


def test_every_picture_has_a_text_for_those_who_cannot_see_it(tmp_path: Path) -> None:
    """Images have alt texts, drawings have labels."""
    page = read(make(tmp_path))

    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")


def test_hovering_over_a_variation_tells_what_was_drawn(tmp_path: Path) -> None:
    """The title of a variation holds its parameters."""
    page = read(make(tmp_path))

    titles = [attributes.get("title", "") for _, attributes in page.tags]
    assert "variation 4: rotation 3, blur 0.5" in titles


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    """Markup in a recipe, a metric, a setting or the benchmark is shown, never obeyed."""
    shown = dataclasses.replace(
        make_record(),
        config={HOSTILE: {HOSTILE: HOSTILE}},
        augmentations=({HOSTILE: 1.0},) * 12,
        seconds={HOSTILE: 1.0},
        vae_history={HOSTILE: (1.0, 2.0)},
    )
    folder = make(
        tmp_path,
        shown,
        enrolment=bundle.Enrolment(1, HOSTILE, 0, "0" * 64),
        metrics={HOSTILE: bundle.Metric(0.5, 3, HOSTILE)},
    )
    row = {"name": HOSTILE, "enrolled": 1, "trials": {HOSTILE: HOSTILE}}
    benchmark = tmp_path / "benchmark.json"
    benchmark.write_text(
        json.dumps({"command": HOSTILE, "recipe": HOSTILE, "digit": 2, "rows": [row]})
    )

    page = read(folder, benchmark)

    assert page.text.count(HOSTILE) >= 8
    assert "script" not in {tag for tag, _ in page.tags}
    assert all(a["src"].startswith("data:") for tag, a in page.tags if tag == "img")


def test_equal_records_give_equal_pages(tmp_path: Path) -> None:
    """Neither the time nor the place gets onto the page."""
    first = report.render(make(tmp_path / "a")).read_bytes()
    second = report.render(make(tmp_path / "b")).read_bytes()

    assert first == second


def test_stages_that_the_recipe_skips_are_left_out_and_named(tmp_path: Path) -> None:
    """Without VAE and CNN their sections are gone, and the page says why."""
    full = make_record()
    bare = Record(full.pictures, full.forms, tests=full.tests)

    page = read(make(tmp_path, bare))

    assert not {"augment", "vae", "rebuilt", "samples", "cnn", "layers"} & page.ids()
    assert not {"map", "units", "directions", "ways"} & page.ids()
    assert {"input", "tests", "benchmark", "bundle"} <= page.ids()
    for clause in ("augments nothing", "trains no VAE", "trains no CNN", "no feature maps"):
        assert clause in page.text


def test_a_full_recipe_misses_nothing(tmp_path: Path) -> None:
    """The note on skipped stages appears only where a stage is skipped."""
    assert "leaves some sections out" not in read(make(tmp_path)).text


def test_an_autoencoder_of_other_writers_is_owned_up_to(tmp_path: Path) -> None:
    """Where none is trained at enrolment, its curves are missing and nothing else is."""
    page = read(make(tmp_path, dataclasses.replace(make_record(), vae_history={})))

    assert "trains no VAE of its own" in page.text
    assert "vae" not in page.ids()
    assert {"samples", "rebuilt", "map", "units", "directions", "ways"} <= page.ids()


def test_figures_of_the_latent_space_come_with_words(tmp_path: Path) -> None:
    """What a figure means is said beside it: coverage, units, R2 and the size of steps."""
    text = read(make(tmp_path)).text

    for part in (
        "Samples reach 75",
        "their 5th neighbour",
        "3 of them are active",
        "R² 0.50: a straight line steers the larger part",
        "R² 2.50: it can be steered",
        "largest step 0.50 times the mean: no jump",
        "t-SNE, perplexity 5 · shown above",
        "3 · taken",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("variances", "words"),
    [
        ((0, 0, 0, 0), "None of them is active"),
        ((1, 0, 0, 0), "1 of them is active: from variation to variation it has"),
        ((1, 1, 1, 1), "4 of them are active"),
    ],
)
def test_active_units_are_counted_in_words(
    tmp_path: Path, variances: tuple[int, ...], words: str
) -> None:
    """The sentence fits none, one and all; of the others it speaks only where there are others."""
    full = make_record()
    assert full.latent is not None
    latent = dataclasses.replace(full.latent, variances=np.array(variances, np.float32))

    text = read(make(tmp_path, dataclasses.replace(full, latent=latent))).text

    assert words in text
    assert ("The others" in text) is (words.startswith("1"))


def test_coverage_is_held_against_what_chance_allows() -> None:
    """Two times nine images of one source reach 99 %; a half of that leaves something out."""
    latent = make_record().latent
    assert latent is not None
    full = dataclasses.replace(latent, counts=(0, 9, 9), coverage=0.95)
    few = dataclasses.replace(full, coverage=0.5)

    assert "one source would reach 99" in report._reach(full)
    assert "lie wherever variations do" in report._reach(full)
    assert "spread 1.5 times as widely" in report._reach(few)
    assert "leave out a part" in report._reach(dataclasses.replace(few, spread=0.9))


def judged(answers: str, shown: Record) -> Record:
    """Return the record with tests of truth own, other writer, other, answered by index."""
    truth = tuple(label for label in LABELS for _ in range(len(answers) // 3))
    chosen = np.eye(3, dtype=np.float32)[[int(answer) for answer in answers]]
    images = np.random.default_rng(1).integers(0, 256, (len(answers), 28, 28), dtype=np.uint8)
    tests = Tests(images, truth, chosen, np.zeros(len(answers), np.float32))
    return dataclasses.replace(shown, tests=tests)


@pytest.mark.parametrize(
    ("answers", "headline", "advice"),
    [
        ("001122", "names 6 of 6 test pictures right", "No mistake among so few"),
        ("021122", "2s by this writer 1 of 2", "weakest on 2s by this writer"),
        ("121122", "2s by this writer 0 of 2", "wrong on all of 2s by this writer"),
        ("000201222", "2s by other writers 1 of 3", "wrong on most of 2s by other writers"),
    ],
)
def test_the_headline_counts_right_verdicts(
    tmp_path: Path, answers: str, headline: str, advice: str
) -> None:
    """The page opens with how often the model was right, and where it is at its worst."""
    text = read(make(tmp_path, judged(answers, make_record()))).text

    assert headline in text
    assert advice in text


def test_a_test_on_the_enrolment_picture_is_marked_as_one(tmp_path: Path) -> None:
    """Recognising the very picture that was enrolled is not sold as recognising the writer."""
    full = make_record()
    tests = Tests(full.forms, ("own",), np.array([[0.1, 0.8, 0.1]], np.float32), full.tests.llr[:1])

    text = read(make(tmp_path, dataclasses.replace(full, tests=tests))).text

    assert "the enrolment picture 0 of 1" in text
    assert "does not even recognise what it was enrolled with" in text
    assert "is an enrolment picture" in text


def test_right_and_wrong_differ_in_words(tmp_path: Path) -> None:
    """Nobody has to tell red from green."""
    text = read(make(tmp_path, judged("011122", make_record()))).text

    assert text.count("✗ wrong") == 1
    assert text.count("✓ right") == 5


def test_benchmark_figures_are_shown_with_their_command(tmp_path: Path) -> None:
    """Figures come with intervals and a note; a figure that a system lacks is a dash."""
    benchmark = tmp_path / "benchmark.json"
    row = {
        "name": "pixel cosine",
        "enrolled": 1,
        "auc": [0.83, 0.8, 0.86],
        "own": None,
        "ece": [0.012, 0.01, 0.02],
        "reliability": [
            {"confidence": 0.6, "accuracy": 0.5, "share": 0.25},
            {"confidence": 0.9, "accuracy": 0.95, "share": 0.75},
        ],
        "trials": {"genuine": 240},
    }
    benchmark.write_text(
        json.dumps(
            {"command": "evaluate --it", "recipe": "seed", "digit": 2, "rows": [row], "more": 1}
        )
    )

    text = read(make(tmp_path), benchmark).text
    thin = "\N{NARROW NO-BREAK SPACE}"

    for part in (
        "pixel cosine",
        "0.830",
        "0.80\N{EN DASH}0.86",
        "\N{EN DASH}",
        "240 genuine",
        "0.012",
        f"25{thin}% of the verdicts: 60{thin}% sure, 50{thin}% right",
        "evaluate --it",
    ):
        assert part in text
    assert "same form" in text


def test_without_a_benchmark_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    """The command is on the page, for the profile's own recipe and digit."""
    command = "python -m training evaluate --mnist DIR --qmnist DIR --recipe linear --digit 2"
    assert command in read(make(tmp_path)).text


def test_a_benchmark_of_another_digit_is_refused(tmp_path: Path) -> None:
    """Figures of 7s say nothing of a hand's 2s."""
    benchmark = tmp_path / "sevens.json"
    benchmark.write_text(
        json.dumps({"command": "evaluate", "recipe": "seed", "digit": 7, "rows": []})
    )

    with pytest.raises(report.ReportError, match=r"benchmark of a 2, .* found that of a 7; make"):
        report.render(make(tmp_path), benchmark)


def test_a_page_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was to be is said, and that the bundle has nothing to do with it."""
    folder = make(tmp_path)

    def refuse(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "replace_file", refuse)

    with pytest.raises(report.ReportError) as refusal:
        report.render(folder)

    assert str(refusal.value) == (
        f"{folder / 'report' / 'index.html'}: cannot be written: No space left on device; see to "
        f"that, and draw the report with `python -m training report {folder}`"
    )


def test_a_profile_stands_for_its_version_in_force(tmp_path: Path) -> None:
    """Who names the profile's folder means what the server would serve."""
    folder = make(tmp_path)
    (folder.parent / bundle.CURRENT).write_text(folder.name)

    assert report.render(folder.parent) == report.render(folder)


@pytest.mark.parametrize(
    "content", [b"{", b'{"rows": []}', b'{"rows": [{"auc": [1]}]}', b'{"command": "\xff"}']
)
def test_a_damaged_benchmark_is_named(tmp_path: Path, content: bytes) -> None:
    """It is an error with the file's path and the command to make it."""
    benchmark = tmp_path / "benchmark.json"
    benchmark.write_bytes(content)

    with pytest.raises(report.ReportError, match=r"benchmark\.json.*python -m training evaluate"):
        report.render(make(tmp_path), benchmark)


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "No such file or directory"), ("", "Is a directory")]
)
def test_a_benchmark_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    """Once, and the reason is said in words."""
    benchmark = tmp_path / "figures" / name
    (tmp_path / "figures").mkdir()

    with pytest.raises(report.ReportError) as refusal:
        report.render(make(tmp_path), benchmark)

    start = f"{benchmark}: cannot be read: {reason}; make it with `python -m training evaluate"
    assert str(refusal.value).startswith(start)


def test_a_bundle_without_a_record_says_what_is_missing(tmp_path: Path) -> None:
    """The error names the file and what to run, and no page is written."""
    folder = bundles.build(tmp_path)

    with pytest.raises(RecordError, match=r"record\.json.*python -m training enroll"):
        report.render(folder)

    assert not (folder / "report").exists()


def test_a_changed_bundle_has_no_report(tmp_path: Path) -> None:
    """The hashes on the page are true because they were checked for it."""
    folder = make(tmp_path)
    with open(folder / bundle.DECODER, "ab") as file:
        file.write(b"x")

    with pytest.raises(bundle.BundleError, match=r"decoder\.onnx"):
        report.render(folder)


def test_the_bundle_still_serves_beside_its_report(tmp_path: Path) -> None:
    """The report is no part of the contract."""
    folder = make(tmp_path)
    report.render(folder)

    assert bundle.load(folder).manifest.profile == "tiny"


def test_a_bundle_can_be_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the bundle's folder, ``.`` is the bundle."""
    monkeypatch.chdir(make(tmp_path))

    assert report.render(Path()).is_file()


@pytest.mark.parametrize(("stage", "told"), [("metric", True), ("cnn", False)])
def test_a_pretrained_network_is_owned_up_to(tmp_path: Path, stage: str, told: bool) -> None:
    """The page says so when the network below the classifier may have met the test pictures."""
    enrolled = Tests(
        make_record().forms[:1],
        ("own",),
        np.full((1, 3), 1 / 3, np.float32),
        np.zeros(1, np.float32),
    )
    shown = dataclasses.replace(make_record(), config={stage: {"samples": 1.0}}, tests=enrolled)

    assert ("may have met these" in read(make(tmp_path, shown)).text) is told
