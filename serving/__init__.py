"""The service: one request from bytes to answer.

``server`` accepts it, ``interceptors`` give it an id, admit, time and count it, ``service`` turns
messages into arrays, ``images`` turns pictures into MNIST form, ``model`` runs onnxruntime,
``service`` turns arrays into messages. An error leaves by ``raise`` and becomes a status in
``status``. ``bundle`` is the contract with ``training``; no module here imports torch or scipy.
"""
