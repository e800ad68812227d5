"""Virtual environments for peers: their dependencies fit neither ours nor one another's."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.serving.processes import ROOT, BenchmarkError

__all__ = ["FOLDER", "REQUIREMENTS", "build", "installed", "versions"]

FOLDER = Path("runs/peers")
_RUNTIME = "onnxruntime==1.32.0"  # the same for all, and the one in requirements/serving.txt
REQUIREMENTS: Mapping[str, Sequence[str]] = {
    # Its parallel workers do not start with uvloop 0.22 and newer.
    "mlserver": ("mlserver==1.7.1", "uvloop==0.21.0", _RUNTIME),
    "triton": ("nvidia-pytriton==0.7.0", _RUNTIME),
}


def build(peer: str) -> Path:
    """Return the environment of a peer, which is made if it is not there.

    Raises:
        CalledProcessError: its packages cannot be had.
    """
    home = ROOT / FOLDER / peer
    ready = home / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(home / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS[peer]]
        subprocess.run(install, check=True)
        ready.touch()
    return home


def installed(peer: str) -> Path:
    """Return the environment of a peer.

    Raises:
        BenchmarkError: it has not been built.
    """
    home = ROOT / FOLDER / peer
    if not (home / ".ready").exists():
        raise BenchmarkError(
            f"{peer}: expected {FOLDER / peer}, found none; "
            f"run: python -m benchmarks.serving.peers {peer}"
        )
    return home


def versions() -> dict[str, str]:
    """Return what each peer is, for the report."""
    return {peer: ", ".join(packages) for peer, packages in REQUIREMENTS.items()}
