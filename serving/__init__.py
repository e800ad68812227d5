"""The service: one request from bytes to answer.

``server`` accepts it, ``rpc`` admits, times and counts it, ``service`` says what may be asked,
``wire`` and ``pictures`` turn messages into arrays, ``images`` turns pictures into MNIST form,
``inference`` puts requests together, ``model`` runs onnxruntime, ``messages`` turns arrays into
messages. An error leaves by ``raise`` and becomes a status in ``status``.
``bundle`` is the contract with ``training``; no module here imports torch or scipy.
"""

__version__ = "0.1.0"
"""The same as in pyproject.toml; the image holds serving without the package's metadata."""
