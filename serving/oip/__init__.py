"""The Open Inference Protocol beside our own service: other messages, the same engine.

Nothing else of the server knows of the protocol but the line that registers it::

    service      answers the RPCs
    tensors      their tensors to arrays and back, and all that can be wrong with them
    usual        the request that most tools send, known by what comes before its pixels
"""
