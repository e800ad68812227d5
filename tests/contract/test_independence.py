"""Serving stands alone: it imports nothing of training, and tells nobody that it runs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = ("torch", "scipy", "sklearn", "matplotlib", "onnx", "training")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "serving").rglob("*.py")
    if path.stem != "__main__"
)


def imported(*modules: str) -> set[str]:
    """Return which of the forbidden packages are there after these imports, in a new process."""
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"print(*[name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_serving_imports_nothing_of_training() -> None:
    """Importing every module of serving brings in none of training's packages."""
    assert "serving.command" in MODULES
    assert imported(*MODULES) == set()


def test_the_check_can_fail() -> None:
    """The same check does find a package that is imported."""
    assert imported("onnx") == {"onnx"}


def test_nothing_is_left_at_home(hands: Path, tmp_path: Path) -> None:
    """Loading a model writes no device id: the runtime's telemetry is off before it begins."""
    code = (
        "import sys, pathlib; from serving import bundle, profiles\n"
        "[folder] = bundle.discover(pathlib.Path(sys.argv[1])).values()\n"
        "profiles.load_profile(folder)"
    )
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home)}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORT_") and k != "CI"}

    subprocess.run(
        [sys.executable, "-B", "-c", code, str(hands)], cwd=ROOT, check=True, env=inherited | places
    )

    assert list(home.rglob("*")) == []


ALLOWED = {"bundle", "cpu", "errors", "files", "images", "runtime"}
# A data set holds exactly what the service would draw, so it is drawn by the same code.
DRAWING = {"drawing", "model", "plans", "steering"}


def used_of_serving(source: str) -> set[str]:
    """Return which modules of serving a source file imports, by the first name below it."""
    used = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "serving":
            names = [f"serving.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        used |= {name.split(".")[1] for name in names if name.startswith("serving.")}
    return used


def used_by(files: set[Path]) -> set[str]:
    """Return which modules of serving any of these files imports."""
    return set[str]().union(*(used_of_serving(file.read_text()) for file in files))


def test_training_uses_only_the_contract() -> None:
    """Of serving: bundle, errors, whole files, pictures, runtime and the processor budget."""
    files = set((ROOT / "training").rglob("*.py"))
    datasets = set((ROOT / "training" / "dataset").rglob("*.py"))

    assert used_by(files - datasets) == ALLOWED
    assert used_by(datasets) <= ALLOWED | DRAWING


def test_that_check_can_fail_too() -> None:
    """The same check does find a module that training must not use."""
    source = "import serving.server\nfrom serving import metrics\nfrom serving.images.png import x"

    assert used_of_serving(source) == {"server", "metrics", "images"}
