"""A tree of at least 600 MB and 60,000 files, from packages of PyPI and Debian by name.

Only the full run uses it: the downloads take some 700 MB.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

PYPI = (
    "ansible", "apache-airflow-core", "astropy", "babel", "biopython", "bokeh", "botocore", "dask",
    "distributed", "django", "homeassistant", "kubernetes", "langchain-community", "matplotlib",
    "mypy", "networkx", "nltk", "numpy", "pandas", "plotly", "pylint", "pyramid", "sagemaker",
    "scikit-learn", "scipy", "spacy", "sqlalchemy", "statsmodels", "streamlit", "sympy",
    "transformers", "twisted", "wagtail",
)  # fmt: skip
DEBIAN = "linux-source-6.1"
# of the kernel; its drivers repeat each other
FOLDERS = tuple(
    f"{name}/"
    for name in (
        "arch/x86", "block", "crypto", "drivers/usb", "fs", "include", "init", "ipc", "kernel",
        "lib", "mm", "net", "security", "tools",
    )
)  # fmt: skip
MAX_BYTES = 2_000_000  # of a file
MAX_PACKAGE_BYTES = 40_000_000


def make_big(root: Path, downloads: Path) -> Path:
    """Download the packages, and write their text files below ``root``.

    Raises
    ------
    CalledProcessError : a package cannot be downloaded.
    """
    for name in PYPI:
        folder = downloads / name
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--only-binary=:all:", "--dest", str(folder), name], check=True,
        )  # fmt: skip
        for path, data in _limited(_of_wheel(next(folder.iterdir()))):
            _write(root / "python" / name / path, data)
    subprocess.run(["apt-get", "download", "-q", DEBIAN], cwd=downloads, check=True)
    package = next(downloads.glob("linux-source*.deb"))
    subprocess.run(["dpkg-deb", "-x", str(package), str(downloads / "linux")], check=True)
    for path, data in _of_kernel(next((downloads / "linux").rglob("linux-source*.tar.xz"))):
        _write(root / "linux" / path, data)
    return root


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _limited(files: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    size = 0
    for path, data in files:
        size += len(data)
        if size > MAX_PACKAGE_BYTES:
            return
        yield path, data


def _of_wheel(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.file_size < MAX_BYTES and not entry.filename.endswith((".map", ".min.js")):
                data = archive.read(entry)
                if _is_text(data):
                    yield entry.filename, data


def _of_kernel(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as tar:
        for entry in tar:
            path = entry.name.partition("/")[2]
            if entry.isfile() and entry.size < MAX_BYTES and path.startswith(FOLDERS):
                file = tar.extractfile(entry)
                data = file.read() if file is not None else b""
                if _is_text(data):
                    yield path, data


def _is_text(data: bytes) -> bool:
    return bool(data) and b"\0" not in data[:8192]
