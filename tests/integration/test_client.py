"""The typed client and its command line against a real server."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving.client import (
    ATTRIBUTES,
    Along,
    Around,
    Between,
    By,
    CannotDraw,
    Client,
    DeadlineExceeded,
    InStyle,
    InvalidRequest,
    Label,
    Mode,
    Overloaded,
    Prior,
    To,
    Unavailable,
    UnknownProfile,
    Violation,
)
from serving.client.cli import main
from serving.images import ImageLimits, decode
from serving.pb import handwriting_pb2 as pb
from tests import bundles, pictures
from tests.serving_host import PATIENCE, Running


@pytest.fixture
def client(shared_server: Running) -> Client:
    """A client of the shared server."""
    return Client(shared_server.target, timeout=PATIENCE)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture file."""
    path = tmp_path / "two.png"
    path.write_bytes(pictures.file(pictures.page()))
    return path


def test_classify_takes_files_and_pixels(client: Client) -> None:
    """Files and arrays may be mixed, and answers are plain values."""
    answer = client.classify([pictures.file(pictures.page()), pictures.form()])

    assert len(answer.results) == 2
    assert isinstance(answer.fused.label, Label)
    assert answer.profile == "tiny"


@pytest.mark.parametrize(
    "mode",
    [
        None,
        Prior(0.5),
        Around(pictures.form(), 0.5),
        Between(pictures.form(1), pictures.file(pictures.page())),
        InStyle(pictures.form(), 0.5, 0.5),
        Along(slant=To(5, until=10), height=By(-1)),
        Along(rotation=By(5), base=Around(pictures.form(), 0.5)),
    ],
)
def test_variants_of_every_mode(client: Client, mode: Mode | None) -> None:
    """Every mode gives pictures, their latents, and the seed to get them again."""
    answer = client.variants(5, mode, seed=3)

    again = client.variants(5, mode, seed=answer.seed)

    assert answer.images.shape == (5, 28, 28)
    assert answer.latents.shape == (5, 4)
    assert answer.attributes.shape == (5, 5)
    assert answer.redrawn == 0
    assert answer.seed == 3
    assert np.array_equal(answer.images, again.images)


def test_what_is_no_picture_and_no_mode(client: Client) -> None:
    """A caller's mistake is told in a caller's words, before anything is sent."""
    for pictures_given, problem in (
        (b"a file", "expected a list of pictures, found bytes"),
        (["two.png"], r"expected the bytes of a picture file, .* found str"),
        ([np.zeros((28, 28))], "expected pixels as uint8 of shape .*, found float64"),
    ):
        with pytest.raises(TypeError, match=problem):
            client.classify(pictures_given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"mode: expected one of Prior, .*, found 'prior'"):
        client.variants(1, "prior")  # type: ignore[arg-type]
    for timeout in (None, 0, 61, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout: expected seconds, 0 to 60, found"):
            Client(timeout=timeout)  # type: ignore[arg-type]


def test_more_than_a_message_may_hold(make_server: Callable[..., Running]) -> None:
    """What gRPC refuses by itself is told with a remedy, and not tried again."""
    target = make_server(max_message_bytes=1_000_000).target
    with Client(target, timeout=PATIENCE) as client, pytest.raises(Overloaded) as caught:
        client.classify([bytes(2_000_000)])

    assert "send or ask for fewer or smaller pictures at once" in str(caught.value)
    assert caught.value.retry_after is None


def test_attributes_are_those_asked_for(client: Client) -> None:
    """They come in the order of ``ATTRIBUTES``."""
    answer = client.variants(5, Along(slant=To(0, until=20), rotation=By(45)), seed=3)

    found = dict(zip(ATTRIBUTES, answer.attributes.T, strict=True))
    np.testing.assert_allclose(found["slant"], [0, 5, 10, 15, 20], atol=0.6)
    assert (found["rotation"] == 45).all()
    assert (found["height"] > found["width"]).all()


def test_pictures_that_are_not_the_digit(
    make_server: Callable[..., Running], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many were drawn anew is told; what cannot be drawn has an exception of its own."""
    bundles.build(tmp_path / "hands", gated=True)
    target = make_server(models=tmp_path / "hands").target
    words = ["--seed", "1", "--target", target, "--out", str(tmp_path / "more")]
    with Client(target, timeout=PATIENCE) as client:
        drawn = client.variants(20, seed=1)
        for seed in range(40):  # about every second picture's place is on the wrong side
            try:
                client.variants(1, Around(pictures.form(seed), 0.0))
            except CannotDraw as error:
                failure = error
                break

    assert drawn.redrawn > 0
    assert [violation.field for violation in failure.violations] == ["around"]
    assert failure.request_id
    assert main(["variants", "--count", "20", *words]) == 0
    assert f"; {drawn.redrawn} drawn anew to be the digit" in capsys.readouterr().out


def test_profiles_and_limits(client: Client) -> None:
    """What is served and what is accepted can be asked for."""
    profile, limits = client.profile()

    assert client.profiles() == (profile,)
    assert profile.metrics == {"auc": 0.5}
    assert limits.max_images == 256
    assert limits.max_style_strength == 1
    assert limits.attributes["slant"] == (-60, 60)


def test_errors_name_the_field(client: Client) -> None:
    """A refused request raises an exception that holds field, problem and request id."""
    with pytest.raises(InvalidRequest) as caught:
        client.classify([pictures.form(), b""])

    assert caught.value.violations == (
        Violation("images[1].encoded", "expected a picture file, found 0 bytes"),
    )
    assert caught.value.request_id


def test_unknown_profile(client: Client) -> None:
    """A profile that is not there has an exception of its own."""
    with pytest.raises(UnknownProfile, match="'nobody' is not loaded; loaded: tiny"):
        client.profile("nobody")


def test_no_server() -> None:
    """Without a server the exception says where it was looked for."""
    with Client("127.0.0.1:1") as client, pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        client.profiles()


def test_too_late(make_server: Callable[..., Running]) -> None:
    """A deadline that is not met has an exception of its own."""
    running = make_server()
    with (
        Client(running.target, timeout=0.2) as client,
        running.held(running.server.threads.reading, 1),
        pytest.raises(DeadlineExceeded),
    ):
        client.classify([pictures.file(pictures.page())])


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.float32])
def test_only_bytes_are_pixels(shared_server: Running, kind: type[np.generic]) -> None:
    """An array of another type would be sent as something that nobody has drawn."""
    with Client(shared_server.target) as client, pytest.raises(TypeError, match="expected pixels"):
        client.classify([pictures.form().astype(kind)])


def test_shed_request_is_retried(make_server: Callable[..., Running]) -> None:
    """A client that is shed comes back as told, until its time is up."""
    running = make_server(max_in_flight=1)
    page = pictures.file(pictures.page())
    request = pb.ClassifyRequest(images=[pictures.encoded(page)])
    with (
        Client(running.target, timeout=0.5) as client,
        running.held(running.server.threads.reading, 1),
    ):
        first = running.stub.Classify.future(request, timeout=PATIENCE)
        running.wait_until(lambda: running.in_work() == 1)
        with pytest.raises(Overloaded) as caught:
            client.classify([page])

    assert caught.value.retry_after == pytest.approx(0.1)
    assert len(first.result().results) == 1
    shed = running.handled()["Classify", "RESOURCE_EXHAUSTED"]
    assert shed > 1


def test_command_classify(
    shared_server: Running, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has a line for each file and one for all; JSON has an object for each file."""
    words = ["classify", str(picture), str(picture), "--target", shared_server.target]

    assert main(words) == 0
    table = capsys.readouterr().out.splitlines()
    assert main([*words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert table[0].split() == ["image", "label", "own", "other", "writer", "other", "llr"]
    assert len(table) == 5
    assert [line["image"] for line in lines] == [str(picture), str(picture)]
    assert lines[0]["label"] in {"own", "other_writer", "other"}
    assert lines[0]["all_together"] == lines[1]["all_together"]
    assert lines[0]["all_together"]["llr"] == pytest.approx(2 * lines[0]["llr"], rel=1e-4)
    assert {"profile", "version", "digest"} < lines[0].keys()


def test_command_variants(
    shared_server: Running, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures and a sheet of them all are written, and the seed is told."""
    out = tmp_path / "more"
    words = ["variants", "--count", "5", "--seed", "7", "--out", str(out)]

    code = main(
        [*words, "--mode", "around", "--image", str(picture), "--target", shared_server.target]
    )

    assert code == 0
    assert "seed 7" in capsys.readouterr().out
    assert len(list(out.glob("0*.png"))) == 5
    assert decode((out / "0004.png").read_bytes(), ImageLimits()).shape == (28, 28)
    assert decode((out / "sheet.png").read_bytes(), ImageLimits()).shape == (124, 184)


def test_command_variants_beside_older_ones(
    shared_server: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fewer pictures in the same folder leave the rest of the earlier ones there, and say so."""
    words = ["variants", "--target", shared_server.target, "--out", str(tmp_path), "--count"]
    assert main([*words, "5"]) == 0
    assert not capsys.readouterr().err

    assert main([*words, "2", "--json"]) == 0

    told = capsys.readouterr()
    assert "3 pictures of an earlier answer, from 0002.png" in told.err
    assert [json.loads(line)["redrawn"] for line in told.out.splitlines()] == [0, 0]
    assert len(list(tmp_path.glob("0*.png"))) == 5


def test_command_variants_to_measure(
    shared_server: Running, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values, changes and ranges are understood, and the table tells what came of them."""
    out = tmp_path / "more"
    words = ["variants", "--count", "3", "--seed", "7", "--target", shared_server.target]
    words += ["--out", str(out)]

    assert main([*words, "--slant==-10..10", "--height", "-2", "--thickness", "2.5", "--json"]) == 0

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with open(out / "attributes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["0000.png", "0001.png", "0002.png"]
    assert [float(row["slant"]) for row in rows] == pytest.approx([-10, 0, 10], abs=0.6)
    for row, line in zip(rows, lines, strict=True):
        assert {name: float(row[name]) for name in ATTRIBUTES} == pytest.approx(
            line["attributes"], abs=1e-3
        )
        assert float(row["thickness"]) == pytest.approx(2.5, abs=0.1)

    assert main([*words, "--style", str(picture), "--temperature", "0.5"]) == 0
    around = ["--mode", "around", "--image", str(picture), "--width", "+2"]
    assert main([*words, *around]) == 0


def test_command_refuses_what_does_not_go_together(
    shared_server: Running, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attributes go with neither two pictures nor a style, and have words of their own."""
    words = ["variants", "--count", "3", "--target", shared_server.target]
    image = ["--image", str(picture)]

    assert main([*words, "--mode", "between", *image, *image, "--slant", "5"]) == 2
    assert main([*words, "--style", str(picture), "--slant", "5"]) == 2
    assert main([*words, "--style", str(picture), *image]) == 2
    with pytest.raises(SystemExit) as usage:
        main([*words, "--slant", "steep"])
    assert usage.value.code == 2
    assert "expected a value (3.2, =-10), a change" in capsys.readouterr().err
    for wrong, problem in (
        (["--count", "x"], "expected a whole number, .* found 'x'"),
        (["--timeout", "0"], "expected seconds, 0 to 60, found '0'"),
        (["--timeout", "100"], "expected seconds, 0 to 60, found '100'"),
        (["--timeout", "soon"], "expected seconds, 0 to 60, found 'soon'"),
    ):
        with pytest.raises(SystemExit):
            main([*words, *wrong])
        assert re.search(problem, capsys.readouterr().err)
    with pytest.raises(SystemExit):
        main(["profiles", "--profile", "tiny"])
    assert "unrecognized arguments: --profile" in capsys.readouterr().err

    assert main([*words, "--slant", "99", "--out", str(tmp_path)]) == 1
    assert "attributes.slant.value: expected -60 to 60" in capsys.readouterr().err
    text = tmp_path / "text.png"
    text.write_text("this is text")
    assert main([*words, "--style", str(text)]) == 1
    assert f"{text}: expected" in capsys.readouterr().err


def test_command_profiles(shared_server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The profiles are listed by name."""
    assert main(["profiles", "--target", shared_server.target, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["name"] == "tiny"


def test_command_failures(
    shared_server: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 names the file that was refused, 2 is wrong usage, 3 is no answer."""
    text = tmp_path / "text.png"
    text.write_text("this is text")
    target = ["--target", shared_server.target]

    assert main(["classify", str(text), *target]) == 1
    assert f"{text}: expected" in capsys.readouterr().err
    assert main(["classify", str(tmp_path / "none.png"), *target]) == 2
    assert main(["variants", "--count", "1", "--mode", "around", *target]) == 2
    assert "--mode around takes 1 --image, found 0" in capsys.readouterr().err
    assert main(["variants", "--count", "1", "--strength", "2", *target]) == 2
    assert "--strength: expected --mode around or --style" in capsys.readouterr().err
    assert main(["profiles", "--target", "127.0.0.1:1"]) == 3
    assert "is it running?" in capsys.readouterr().err
