"""Torch, onnxruntime and the running service give the same answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from serving import bundle
from serving.pb import handwriting_pb2 as pb
from serving.runtime import open_session
from tests import pictures
from tests.enrolments import SAMPLES, TINY, TINY_DEFAULT, background
from tests.serving_host import Host
from training import pipeline
from training.config import Recipe
from training.data import load_bundled
from training.pictures import read
from training.showcase import hold_out

TOLERANCE = 1e-5
REQUEST = 250


@pytest.fixture(scope="module", params=[TINY, TINY_DEFAULT], ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    """One recipe for either kind of classifier."""
    chosen: Recipe = request.param
    return chosen


@pytest.fixture(scope="module")
def enrolled(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small enrolment of the bundled sample."""
    return pipeline.enrol(
        [SAMPLES / "two.jpg"],
        profile="sample",
        digit=2,
        recipe=recipe,
        background=background(),
        root=tmp_path_factory.mktemp("exported"),
        seed=0,
    )


def test_a_thousand_images_agree(enrolled: Path, recipe: Recipe, host: Host) -> None:
    """1,000 MNIST images get the same probabilities and ratios from all three."""
    images = load_bundled().images[::5]
    _, seen = hold_out(background(), 2, 0)
    forms = read(SAMPLES / "two.jpg").form[None]
    learned = pipeline.learn(forms, 2, recipe, seen, 0)
    graph = learned.classifier.graph()
    with torch.inference_mode():
        by_torch = [value.numpy() for value in graph(torch.from_numpy(images))]

    session = open_session(bundle.load(enrolled).contents[bundle.CLASSIFIER])
    by_onnx = session.run(["probabilities", "llr"], {"images": images})

    with host.running(models=enrolled.parents[1]) as running:
        served = [
            verdict
            for start in range(0, len(images), REQUEST)
            for verdict in running.stub.Classify(
                pb.ClassifyRequest(
                    images=[pictures.message(one) for one in images[start : start + REQUEST]]
                )
            ).results
        ]
    by_service = [
        np.array([[one.own, one.other_writer, one.other] for one in served]),
        np.array([one.llr for one in served]),
    ]

    assert len(images) == 1000
    for expected, *others in zip(by_torch, by_onnx, by_service, strict=True):
        for found in others:
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)
    assert np.array_equal(by_torch[0].argmax(axis=1), by_service[0].argmax(axis=1))
