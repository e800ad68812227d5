"""The one place where onnxruntime comes in, with its telemetry off.

The released packages of onnxruntime for Linux report use to their maker over the network and
leave a device id in the home folder, from the moment of their import, unless a variable says
otherwise (their docs/Privacy.md). A service that was not asked must not do that.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the next line is run

import onnxruntime

__all__ = ["open_session"]


def open_session(data: bytes) -> onnxruntime.InferenceSession:
    """Return a session for the bytes of an ONNX file.

    Raises:
        Exception: onnxruntime cannot load them; its exceptions have no base of their own.
    """
    options = onnxruntime.SessionOptions()
    # One thread a call: the models are small, and calls run side by side. More threads would
    # spin and wait for one another, and each of thousands of profiles would own a pool.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Batches differ in size; remembering memory by shape, or in an arena, only makes it grow.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # errors come as exceptions, and are logged by us
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
