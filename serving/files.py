"""Files that are there whole or not at all, whatever stops their writer."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that no reader ever sees half of it, whatever stops the writer."""
    partial = path.with_name(f".partial-{path.name}-{os.getpid()}")
    partial.unlink(missing_ok=True)  # of one that was killed, and had this process's number
    try:
        write_synced(partial, data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file, and return when it is on the disk.

    Raises:
        FileExistsError: there is one.
    """
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
