"""The Open Inference Protocol beside our own service: other messages, the same engine.

``service`` answers the RPCs, ``tensors`` turns their tensors into arrays and back. Nothing else of
the server knows of the protocol but the line that registers it.
"""
