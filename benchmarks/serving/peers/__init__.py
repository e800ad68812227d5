"""Other model servers from PyPI, each in an environment of its own, with the same ONNX file."""
