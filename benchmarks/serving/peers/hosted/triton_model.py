"""A model for Triton's Python backend: the classifier by onnxruntime, with our session options."""

import json
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    """Runs the ONNX file that the model's configuration names, one call for a batch."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = json.loads(args["model_config"])["parameters"]["graph"]["string_value"]
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        self._names = [output.name for output in self._session.get_outputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that Triton has put together."""
        inputs = [backend.get_input_tensor_by_name(r, "images").as_numpy() for r in requests]
        outputs = self._session.run(None, {"images": np.concatenate(inputs)})
        ends = np.cumsum([len(images) for images in inputs])[:-1]
        split = [np.split(output, ends) for output in outputs]
        return [
            backend.InferenceResponse(
                [backend.Tensor(name, part) for name, part in zip(self._names, parts, strict=True)]
            )
            for parts in zip(*split, strict=True)
        ]
