"""The requests that are sent: the same bytes to whoever answers them.

The pictures are those of the golden vectors in the shipped bundle, so nothing has to be
downloaded and every machine sends the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.bundle import GOLDEN, discover
from serving.images import BadImage, encode_png, to_mnist_form
from serving.pb import handwriting_pb2 as pb
from serving.pb import open_inference_pb2 as oip

__all__ = ["Case", "infer", "make_cases", "pictures"]

_SERVICE = "/onehand.v1.HandwritingService"
_INFER = "/inference.GRPCInferenceService/ModelInfer"
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        name: in paths and file names.
        title: in tables.
        path: the gRPC method.
        request: the message.
        pictures: how many it asks about, or asks for.
    """

    name: str
    title: str
    path: str
    request: bytes
    pictures: int

    @property
    def framed(self) -> bytes:
        """The message as a gRPC body: not compressed, length, message."""
        return b"\0" + len(self.request).to_bytes(4, "big") + self.request


def pictures(models: Path, count: int) -> Pictures:
    """Return so many pictures in MNIST form, shape (count, 28, 28), from a bundle under models.

    Raises:
        BundleError: there is no bundle.
        StopIteration: there is more than one profile.
    """
    [folder] = discover(models).values()
    with np.load(folder / GOLDEN) as golden:
        images: Pictures = golden["images"]
    written = [image for image in images if _is_written(image)]
    return np.stack(list(islice(cycle(written), count)))


def _is_written(image: Pictures) -> bool:
    """Say whether it is light ink on a dark ground; golden vectors are noise and nothing too."""
    light = int(np.count_nonzero(image > 127))
    if not 0 < light < image.size // 2:
        return False
    try:
        to_mnist_form(_page(image))
    except BadImage:
        return False
    return True


def _page(image: Pictures) -> Pictures:
    """Return a picture in MNIST form as dark ink on light paper, four times as large."""
    return 255 - image.repeat(4, axis=0).repeat(4, axis=1)


def make_cases(images: Pictures) -> Mapping[str, Case]:
    """Return the cases of our own API by name; at least 256 images are needed."""
    cases = [
        _classify("raw-1", "Classify, 1 raw picture", [_raw(image) for image in images[:1]]),
        _classify("raw-32", "Classify, 32 raw pictures", [_raw(image) for image in images[:32]]),
        _classify("raw-256", "Classify, 256 raw pictures", [_raw(image) for image in images[:256]]),
        _classify(
            "png-32", "Classify, 32 PNG pages", [_png(_page(image)) for image in images[:32]]
        ),
        _classify("form-32", "Classify, 32 PNG forms", [_png(image) for image in images[:32]]),
    ]
    for count in (16, 256, 1000):
        cases.append(_draw(f"draw-raw-{count}", count, pb.IMAGE_FORMAT_RAW))
        cases.append(_draw(f"draw-png-{count}", count, pb.IMAGE_FORMAT_PNG))
    return {case.name: case for case in cases}


def infer(model: str, image: Pictures) -> Case:
    """Return the Open Inference Protocol's request about one picture, for a model of this name."""
    request = oip.ModelInferRequest(
        model_name=model,
        inputs=[
            oip.ModelInferRequest.InferInputTensor(
                name="images", datatype="UINT8", shape=[1, 28, 28]
            )
        ],
        raw_input_contents=[image.tobytes()],
    )
    return Case(
        f"infer-1-{model}",
        "ModelInfer, 1 raw picture",
        _INFER,
        request.SerializeToString(),
        pictures=1,
    )


def _raw(image: Pictures) -> pb.Image:
    return pb.Image(pixels=pb.Pixels(data=image.tobytes(), height=28, width=28))


def _png(image: Pictures) -> pb.Image:
    return pb.Image(encoded=encode_png(image))


def _classify(name: str, title: str, images: list[pb.Image]) -> Case:
    request = pb.ClassifyRequest(images=images).SerializeToString()
    return Case(name, title, f"{_SERVICE}/Classify", request, len(images))


def _draw(name: str, count: int, form: pb.ImageFormat) -> Case:
    request = pb.GenerateVariantsRequest(count=count, seed=7, format=form).SerializeToString()
    kind = "PNG" if form == pb.IMAGE_FORMAT_PNG else "raw"
    return Case(
        name, f"GenerateVariants, {count} {kind}", f"{_SERVICE}/GenerateVariants", request, count
    )
