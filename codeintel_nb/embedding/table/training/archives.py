"""Files worth mining in source archives, read without unpacking."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .licences import LICENCE_FILE, Licences

ENDINGS = {
    "js": "javascript", "mjs": "javascript", "cjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "mts": "typescript", "tsx": "tsx", "go": "go", "rs": "rust", "java": "java",
    "kt": "kotlin", "kts": "kotlin", "scala": "scala", "cs": "csharp", "c": "c", "h": "c",
    "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hpp": "cpp", "hh": "cpp", "hxx": "cpp", "inl": "cpp",
    "php": "php", "rb": "ruby", "swift": "swift", "ex": "elixir", "exs": "elixir", "hs": "haskell",
    "lua": "lua", "sh": "bash", "bash": "bash", "zsh": "bash", "zig": "zig",
}  # fmt: skip
SKIPPED = re.compile(
    r"(^|/)(tests?|testing|testdata|test-?data|specs?|__tests__|__mocks__|mocks?|fixtures|"
    r"_?vendor(ed)?|third[_-]?party|3rdparty|externals?|extern|deps|node_modules|"
    r"bower_components|examples?|samples?|demos?|benchmarks?|locales?|i18n|"
    r"docs?|umd|cjs|generated|gen|debian|swift-?syntax-generated)(/|$)|"
    r"[._-](test|tests|spec|min|bundle|umd|pb|gen|generated)\.\w+$|_test\.\w+$|"
    r"(Tests?|Spec)\.(java|kt|scala|cs|swift|php|hs)$|\.d\.m?ts\.map$|"
    r"(^|/)(zz_generated|package-info|module-info)",
    re.I,
)
PYTHON_SKIPPED = re.compile(
    r"(^|/)(tests?|testing|_?vendor(ed)?|externals?|extern|site-packages|examples?|docs?|doc)(/|$)|"
    r"(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$"
)
PREFIXES = re.compile(
    r"^(\./)?(usr/share/(gocode/src|cargo/registry|rubygems-integration/all/gems|"
    r"ruby/vendor_ruby|php|lua)/|"
    r"usr/lib/ruby/vendor_ruby/|usr/src/|package/)"
)
SHELL = re.compile(rb"^#!.*\b(ba|z|da|k)?sh\b")


class SourceFile(NamedTuple):
    path: str  # inside the package
    language: str
    text: str


class Audit(NamedTuple):
    """Declared licence of an archive, and its permitted and refused files."""

    declared: str
    permitted: int
    refused: int


def members_of(path: Path) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yield (path inside, size in bytes, reader) of every file."""
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                yield info.filename, info.file_size, partial(archive.read, info)
        return
    if path.suffix == ".deb":
        data = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True
        ).stdout
    else:
        data = path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if member.isfile():
                yield member.name, member.size, partial(_content, tar, member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def copyright_beside(path: Path) -> str:
    """Return a Debian source package's debian/copyright, from its separate archive."""
    for beside in path.parent.glob("*.debian.tar.*"):
        with tarfile.open(beside) as tar:
            member = tar.extractfile("debian/copyright")
            return member.read().decode("utf-8", "replace") if member else ""
    return ""


def source_files(
    path: Path, excluded: set[str], python: bool = False
) -> tuple[list[SourceFile], Audit]:
    """Return the licensed files worth mining, without duplicates, and their audit."""
    notices = [
        (name, reader())
        for name, size, reader in members_of(path)
        if (LICENCE_FILE.search(name) or name.endswith(("package.json", "METADATA", "/copyright")))
        and size < 200_000
    ]
    texts = [(name, partial(bytes, data)) for name, data in notices]
    licences = Licences(texts, copyright_beside(path))
    files: list[SourceFile] = []
    digests: set[bytes] = set()
    refused = 0
    for name, size, reader in members_of(path):
        short = PREFIXES.sub("", name.lstrip("./"))
        if excluded & set(re.split(r"[/@]", short.lower())) or not 200 <= size <= (
            1_000_000 if python else 400_000
        ):
            continue
        language = _language(short, reader, python)
        if language is None:
            continue
        data = reader()
        if b"\0" in data[:2000] or (not python and len(data) > 120 * (data.count(b"\n") + 4)):
            continue
        text = data.decode("utf-8", "replace") if python else _decoded(data)
        key = hashlib.blake2b(data, digest_size=8).digest()
        if key in digests:
            continue
        digests.add(key)
        if not licences.permits(name, text[:5000]):
            refused += 1
            continue
        if language == "c" and re.search(r"^\s*(class|namespace|template)\b", text, re.M):
            language = "cpp"
        inside = short.split("/", 1)[-1] if ".orig" in path.name else short
        files.append(SourceFile(inside, language, text.replace("\r\n", "\n")))
    return files, Audit(licences.declared, len(files), refused)


def _language(short: str, reader: Callable[[], bytes], python: bool) -> str | None:
    last = short.rsplit("/", 1)[-1]
    if python:
        return "python" if last.endswith(".py") and not PYTHON_SKIPPED.search(short) else None
    if SKIPPED.search(short):
        return None
    if "." in last:
        return ENDINGS.get(last.rsplit(".", 1)[-1])
    return "bash" if SHELL.match(reader()[:60]) else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def archives_in(folder: Path) -> dict[str, Path]:
    """Return the archives below a folder by short, unique package names."""
    archives: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if not re.search(r"\.(deb|whl|zip|tgz|tar\.\w+)$", path.name) or ".debian.tar" in path.name:
            continue
        name = re.split(r"_\d|_v\d|-v?\d+(\.|_)|\.orig", path.name)[0].lower().replace("_", "-")
        archives[name if name not in archives else f"{name}+{path.name}"] = path
    return archives
