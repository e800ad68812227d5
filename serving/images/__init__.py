"""Pictures in and out: bytes to grey pixels, grey pixels to MNIST form, pixels to PNG.

Training and serving both go through this package, so a model is asked about exactly the kind of
image that it was trained on. numpy and Pillow only.

Bytes to pixels::

    size         how large a file claims to be
    pieces       of what pieces a PNG or a JPEG is made
    tiff         what the directory of a TIFF asks for
    decode       bytes to grey pixels, for bytes that may be hostile
    quiet        a library that writes to standard error, told not to
    forms        many pictures of 28 x 28 in the plainest PNG, at one go
    png          pixels to PNG

Pixels to MNIST form::

    mnist_form   any picture of one character, brought to that form
    strokes      which marks on the page belong to the character
    morphology   grey dilation and erosion
"""

from serving.errors import BadImage
from serving.images.decode import ImageLimits, decode
from serving.images.forms import read_forms
from serving.images.mnist_form import PIXELS, SIDE, are_mnist_form, to_mnist_form
from serving.images.png import encode_png
from serving.images.size import claimed_size

__all__ = [
    "PIXELS",
    "SIDE",
    "BadImage",
    "ImageLimits",
    "are_mnist_form",
    "claimed_size",
    "decode",
    "encode_png",
    "read_forms",
    "to_mnist_form",
]
