"""The two profiles that are served: the shipped one, and one of the recipe "seed"."""

import subprocess
import sys
from pathlib import Path

from benchmarks.serving.processes import ROOT
from serving.bundle import SCHEMA_VERSION

__all__ = ["models"]

_CACHE = Path(f"runs/serving-benchmark/bundles-{SCHEMA_VERSION}")
_PICTURE = "training/samples/two.jpg"


def models() -> dict[str, Path]:
    """Return the folder with one bundle for each profile; the seed's is enrolled if not there.

    That takes about a minute, needs the extra ``training``, and is done once.

    Raises:
        CalledProcessError: enrolment failed.
    """
    seed = ROOT / _CACHE
    if not (seed / "seed" / "CURRENT").exists():
        print("enrolling the seed-size profile, once", file=sys.stderr)
        words = [sys.executable, "-m", "training", "enroll", _PICTURE]
        words += ["--profile", "seed", "--recipe", "seed", "--out", str(seed)]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return {"seed": seed, "default": ROOT / "exported"}
