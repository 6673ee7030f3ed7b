"""Wheels of every extra for the platforms that README names; nothing is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

import codeintel_nb

ROOT = Path(codeintel_nb.__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86-64": "x86_64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "Windows arm64": "aarch64-pc-windows-msvc",
}
# what README says is missing, and the package without a wheel
MISSING = {
    ("macOS arm64", "3.14", ""): "faiss-cpu",  # of macOS 13; it has one for 14
    ("macOS arm64", "3.14", "all"): "faiss-cpu",
    ("Windows arm64", "3.11", ""): "pyyaml",
    **{("Windows arm64", python, "all"): "pyarrow" for python in PYTHONS},
    ("Windows arm64", "3.11", "all"): "",  # several
}
pytestmark = pytest.mark.full


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("extra", ["", "all"], ids=["base", "all extras"])
def test_wheels(platform, python, extra):
    ended = subprocess.run(
        [
            sys.executable, "-m", "uv", "pip", "compile", "-q", "pyproject.toml",
            *(["--extra", extra] if extra else []), "--only-binary", ":all:",
            "--python-platform", PLATFORMS[platform], "--python-version", python,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    missing = MISSING.get((platform, python, extra))
    if missing is None:
        assert ended.returncode == 0, ended.stderr
    else:
        assert ended.returncode != 0, f"{platform} {python} has wheels now: say so in README"
        assert missing in ended.stderr
