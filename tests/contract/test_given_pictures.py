"""A given picture comes back from the service nearer than its encoder alone would have it."""

from pathlib import Path

import numpy as np

from serving import bundle
from serving.model import Model
from serving.pb import handwriting_pb2 as pb
from tests import pictures
from tests.serving_host import Host
from training.data import load_bundled

EXPORTED = Path(__file__).parents[2] / "exported"


def test_around_with_no_strength_is_the_picture(host: Host) -> None:
    """Other people's 2s are redrawn with a tenth less error at least, by the committed bundle."""
    model = Model(bundle.load(bundle.discover(EXPORTED)["sample"]))
    images = load_bundled().split(2)[0][:12]
    guessed = model.decode(model.encode(images).mean).pixels

    with host.running(models=EXPORTED) as running:
        served = [
            running.stub.GenerateVariants(
                pb.GenerateVariantsRequest(
                    count=1,
                    around=pb.AroundImage(image=pictures.message(image), strength=0),
                    format=pb.IMAGE_FORMAT_RAW,
                )
            ).images[0]
            for image in images
        ]

    found = np.frombuffer(b"".join(served), np.uint8).reshape(images.shape) / 255
    by_encoder, by_service = (
        np.sqrt(np.square(drawn - images / 255).mean(axis=(1, 2))) for drawn in (guessed, found)
    )
    assert by_service.mean() < 0.9 * by_encoder.mean()
