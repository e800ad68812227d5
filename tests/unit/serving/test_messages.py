"""Messages written by hand are those that the generated classes would write."""

import io

import numpy as np
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from PIL import Image

from serving.drawing import Drawn
from serving.fuse import fuse
from serving.inference import Variants
from serving.messages import classification, png_pictures, raw_pictures, variants
from serving.model import Verdicts
from serving.pb import handwriting_pb2 as pb
from serving.profiles import Profile
from tests import bundles


def pictures(count: int, size: int) -> Drawn:
    """Return pictures of noise with latent points of this size."""
    draw = np.random.default_rng(count)
    attributes = draw.normal(size=(count, 5)).astype(np.float32)
    attributes[:, 2] = 0
    return Drawn(
        draw.integers(0, 256, (count, 28, 28), dtype=np.uint8),
        draw.normal(size=(count, size)).astype(np.float32),
        attributes,
        redrawn=1,
    )


@pytest.mark.parametrize("size", [1, 4, 31, 32, 64, 5000])
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_on_the_wire(count: int, size: int) -> None:
    """Pictures, points and attributes come out as they went in, whatever their length."""
    drawn = pictures(count, size)

    raw = pb.GenerateVariantsResponse.FromString(raw_pictures(drawn))
    png = pb.GenerateVariantsResponse.FromString(png_pictures(drawn))

    assert list(raw.images) == [image.tobytes() for image in drawn.images]
    for file, image in zip(png.images, drawn.images, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), image)
    for answer in (raw, png):
        assert [list(latent.values) for latent in answer.latents] == drawn.latents.tolist()
        assert [
            [one.thickness, one.slant, one.rotation, one.width, one.height]
            for one in answer.attributes
        ] == drawn.attributes.tolist()
        assert not list(UnknownFieldSet(answer))


def test_chunks_make_one_message() -> None:
    """Chunks come in their order, with what is said once."""
    chunks = [pictures(count, 4) for count in (2, 1, 3)]
    profile = Profile(bundles.manifest(version="v"), "d", 0.0, None)  # type: ignore[arg-type]

    answer = pb.GenerateVariantsResponse.FromString(
        variants(profile, Variants([raw_pictures(chunk) for chunk in chunks], redrawn=3), seed=7)
    )

    images = np.concatenate([chunk.images for chunk in chunks])
    assert b"".join(answer.images) == images.tobytes()
    assert len(answer.latents) == len(answer.attributes) == 6
    assert (answer.profile, answer.version, answer.digest) == ("tiny", "v", "d")
    assert (answer.seed, answer.redrawn) == (7, 3)


@pytest.mark.parametrize("count", [1, 2, 65])
def test_verdicts_on_the_wire(count: int) -> None:
    """Each verdict is what the generated class writes, and the fused one is last."""
    draw = np.random.default_rng(count)
    verdicts = Verdicts(
        draw.dirichlet((1, 1, 1), count).astype(np.float32),
        draw.normal(size=count).astype(np.float32),
    )
    profile = Profile(bundles.manifest(version="v"), "d", 0.0, None)  # type: ignore[arg-type]
    fused = fuse(verdicts, profile.manifest.decision.priors)

    answer = pb.ClassifyResponse.FromString(classification(profile, verdicts))

    assert answer == pb.ClassifyResponse(
        profile="tiny",
        version="v",
        digest="d",
        results=[verdict(verdicts, place) for place in range(count)],
        fused=verdict(fused, 0),
    )
    assert not list(UnknownFieldSet(answer))


def verdict(verdicts: Verdicts, place: int) -> pb.Verdict:
    """Return the message for one of the verdicts."""
    own, writer, other = verdicts.probabilities[place].tolist()
    labels = {own: pb.LABEL_OWN, writer: pb.LABEL_OTHER_WRITER, other: pb.LABEL_OTHER}
    return pb.Verdict(
        label=labels[max(labels)],
        own=own,
        other_writer=writer,
        other=other,
        llr=float(verdicts.llr[place]),
    )
