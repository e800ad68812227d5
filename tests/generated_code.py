"""Exits with 1 unless ``serving/pb`` is what the generator makes of ``protos``; or makes it so."""

import argparse
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "serving/pb"
PROTOS = (
    ROOT / "protos/onehand/v1/handwriting.proto",
    ROOT / "protos/inference/open_inference.proto",
)


def generate(folder: Path) -> None:
    """Write the generated code below ``folder``, at ``serving/pb``."""
    status = protoc.main(
        [
            "protoc",
            *(f"-Iserving/pb={proto.parent}" for proto in PROTOS),
            *(f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")),
            *(f"serving/pb/{proto.name}" for proto in PROTOS),
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status}")


def stale_files(committed: Path) -> list[str]:
    """Return the names of generated files in ``committed`` that differ from a fresh run."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = sorted((Path(folder) / "serving/pb").iterdir())
        return [
            file.name
            for file in fresh
            if not (committed / file.name).is_file()
            or (committed / file.name).read_bytes() != file.read_bytes()
        ]


def main() -> int:
    """Generate, or name the stale files; 0 if there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="bring serving/pb up to date")
    if parser.parse_args().write:
        generate(ROOT)
    stale = stale_files(COMMITTED)
    if stale:
        print(f"serving/pb is stale: {', '.join(stale)}; run make protos", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
