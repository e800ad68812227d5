"""Exits with 1 unless ``serving/pb`` is what the generator makes of ``protos``."""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent.parent


def stale_files(committed: Path) -> list[str]:
    """Return the names of generated files in ``committed`` that differ from a fresh run."""
    with tempfile.TemporaryDirectory() as folder:
        status = protoc.main(
            [
                "protoc",
                f"-Iserving/pb={ROOT / 'protos/onehand/v1'}",
                *(f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")),
                "serving/pb/handwriting.proto",
            ]
        )
        if status != 0:
            raise RuntimeError(f"protoc failed with status {status}")
        fresh = sorted((Path(folder) / "serving/pb").iterdir())
        return [
            file.name
            for file in fresh
            if not (committed / file.name).is_file()
            or (committed / file.name).read_bytes() != file.read_bytes()
        ]


def main() -> int:
    """Name the stale files; 0 if there are none."""
    stale = stale_files(ROOT / "serving/pb")
    if stale:
        print(f"serving/pb is stale: {', '.join(stale)}; run make protos", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
