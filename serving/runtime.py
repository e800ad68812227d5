"""The one place where onnxruntime comes in, with its telemetry off.

The released packages of onnxruntime for Linux report use to their maker over the network and
leave a device id in the home folder, from the moment of their import, unless a variable says
otherwise (their docs/Privacy.md). A service that was not asked must not do that.
"""

import os
from functools import cache

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the next line is run

import onnxruntime

__all__ = ["open_session"]

# Enough for four threads with the largest runs; the pool grows if there are more.
_POOL_BYTES = 32 << 20


def open_session(data: bytes) -> onnxruntime.InferenceSession:
    """Return a session for the bytes of an ONNX file.

    Raises:
        Exception: onnxruntime cannot load them; its exceptions have no base of their own.
    """
    _share_memory()
    options = onnxruntime.SessionOptions()
    # One thread a call: the models are small, and calls run side by side. More threads would
    # spin and wait for one another, and each of thousands of profiles would own a pool.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # batches differ in size; a plan for each only makes it grow
    options.enable_cpu_mem_arena = True
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights stay outside: the pool keeps what it was given, and bundles come and go.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.log_severity_level = 4  # errors come as exceptions, and are logged by us
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@cache
def _share_memory() -> None:
    """Give all sessions of the process one pool for what a run needs meanwhile.

    The C library gives memory back to the kernel after one run and asks for it in the next, page
    by page: up to 900 faults and an eighth of the time for 256 pictures. Runs are small and few
    at once, so the pool stays small, and one for all sessions is as large as one of them needs.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu",
        onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR,
        0,  # the only such device
        onnxruntime.OrtMemType.DEFAULT,
    )
    # In one piece, so that runs of all sizes touch the same pages; those not touched take no room.
    config = onnxruntime.OrtArenaCfg({"initial_chunk_size_bytes": _POOL_BYTES})
    onnxruntime.create_and_register_allocator(memory, config)
