"""Miner of (query, code) pairs from the permissively licensed files of archives.

    python -m codeintel_nb.embedding.table.training.mine ARCHIVES
        --against TREES --out pairs.jsonl --audit SOURCES.tsv

It skips packages scored by a benchmark (EXCLUDED), tests, examples, vendored, generated and
minified files, repeated texts, and texts with many of their long lines in a folder given by
--against, to find copies of a benchmark under any name. Each output line is a JSON list: package,
kind, query, place, code, language. The audit lists the mined archives, and their files permitted
and refused by licence.
Needs tree-sitter and tree-sitter-language-pack 0.13.0 (grammars inside).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

from .archives import ENDINGS, Audit, SourceFile, archives_in, source_files
from .pairs import Pair, pairs_of_file, python_pairs

EXCLUDED = set(
    "abseil-cpp abseil aeson aiohttp alamofire axios axum bash-it bats-core bats cats chi circe "
    "click cobra commons-lang commons-lang3 curl dapper ecto exposed express fastapi flask fmtlib "
    "fmt gin gson guzzle guzzlehttp http4s httpx jackson-databind kotlinx- coroutines "
    "kotlinx-coroutines-core ktor laravel-framework laravel illuminate lazy.nvim libuv "
    "messagepack-csharp messagepack mini.nvim model2vec monolog newtonsoft-json newtonsoft.json "
    "nlohmann-json nlohmann nvim-lspconfig nvm pandoc phoenix plug pydantic pydantic_core rack "
    "rails redis hiredis redux redux-toolkit requests rxswift serde serde_json sinatra snapkit "
    "starlette telescope.nvim tokio trpc vapor vitest xmonad zig zig-clap zls zod rich sqlalchemy "
    "celery matplotlib pandas jinja2 werkzeug dask sphinx django scikit-learn sklearn networkx "
    "nltk xarray gensim scrapy tornado paramiko bokeh fabric peewee nikola mkdocs pelican luigi "
    "kombu activesupport activerecord actionpack actionview activemodel activejob railties "
    "actionmailer actioncable activestorage".split()
)
SHARES = {"doc": 1.0, "name": 0.4, "comment": 0.4, "file": 0.4, "path": 0.15}
SCARCE = {"scala", "kotlin", "haskell", "csharp", "swift", "elixir"}  # few sources: raise the cap
PYTHON_SHARES = {"doc": 1.0, "name": 0.5}


def digest(text: str) -> str:
    return hashlib.blake2b(
        re.sub(r"\W+", " ", text).strip().lower().encode(), digest_size=8
    ).hexdigest()


def long_lines(text: str) -> list[int]:
    shorn = (re.sub(r"\W+", "", line).lower() for line in text.split("\n"))
    return [
        int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")
        for line in shorn
        if len(line) >= 24
    ]


def lines_of_folders(folders: Iterable[Path]) -> set[int]:
    """Return the hashes of long code lines below the folders."""
    hashes: set[int] = set()
    for folder in folders:
        for file in folder.rglob("*"):
            ending = file.suffix[1:].lower()
            if (
                (ending in ENDINGS or ending in ("", "py", "bats"))
                and file.is_file()
                and file.stat().st_size < 2_000_000
            ):
                hashes.update(long_lines(file.read_text(encoding="utf-8", errors="replace")))
    return hashes


def is_copy(code: str, known: set[int]) -> bool:
    lines = long_lines(code)
    share = sum(line in known for line in lines) / len(lines) if lines else 0
    return share > (0.4 if len(lines) >= 3 else 0.99)


class Job(NamedTuple):
    package: str
    path: Path
    per_package: int
    seed: int


class Mined(NamedTuple):
    package: str
    pairs: list[Pair]
    audit: Audit
    error: str


def mine_package(job: Job) -> Mined:
    """Mine an archive: a wheel for Python, else other languages."""
    rng = random.Random(job.seed + sum(map(ord, job.package)))
    python = job.path.suffix == ".whl"
    try:
        files, audit = source_files(job.path, EXCLUDED, python)
    except (
        OSError,
        tarfile.TarError,
        zipfile.BadZipFile,
        subprocess.CalledProcessError,
        EOFError,
    ) as error:
        return Mined(job.package, [], Audit("", 0, 0), f"{type(error).__name__}: {error}")
    rng.shuffle(files)
    shares = PYTHON_SHARES if python else SHARES
    pairs: list[Pair] = []
    digests: set[str] = set()
    counts: Counter[tuple[str, str]] = Counter()
    characters: Counter[str] = Counter()
    for file in files:
        cap = 9000 if file.language in SCARCE else job.per_package
        if counts[file.language, "doc"] >= cap or characters[file.language] > 40_000_000:
            continue
        characters[file.language] += len(file.text)
        for kind, query, place, code in _pairs(file, python):
            key, query_key = digest(code), digest(kind + query)
            if (
                key in digests
                or (not python and query_key in digests)
                or len(code) < 30
                or counts[file.language, kind] >= cap * shares[kind]
            ):
                continue
            digests.update((key, query_key))
            counts[file.language, kind] += 1
            pairs.append(
                Pair(
                    job.package,
                    kind,
                    query,
                    place,
                    code,
                    "typescript" if file.language == "tsx" else file.language,
                )
            )
    return Mined(job.package, pairs, audit, "")


def _pairs(file: SourceFile, python: bool) -> list[tuple[str, str, str, str]]:
    try:
        return list(
            python_pairs(file.path, file.text)
            if python
            else pairs_of_file(file.path, file.language, file.text)
        )
    except (RecursionError, ValueError) as error:
        print(f"{file.path}: {error}", file=sys.stderr)
        return []


def write_audit(path: Path, rows: list[tuple[str, Path, Audit, int]]) -> None:
    """Write the audit as TSV, one row per archive."""
    with path.open("w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines, delimiter="\t", lineterminator="\n")
        table.writerow(
            ["registry", "name", "version", "declared", "files_permitted", "files_refused", "pairs"]
        )
        for _, archive, audit, count in sorted(rows):
            registry = next(r for r in ("npm", "pypi", "deb", "src") if r in archive.parts)
            name, version = name_and_version(archive)
            table.writerow(
                [registry, name, version, audit.declared, audit.permitted, audit.refused, count]
            )


def name_and_version(archive: Path) -> tuple[str, str]:
    if archive.suffix == ".whl":
        name, version = archive.name.split("-")[:2]
        return name.replace("_", "-"), version
    if archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            top = next(
                name
                for name in tar.getnames()
                if name.count("/") == 1 and name.endswith("/package.json")
            )
            member = tar.extractfile(top)
            package = json.load(member) if member else {}
        return package["name"], package["version"]
    # the .dsc of a Debian source package contains its full version
    for description in archive.parent.glob("*.dsc"):
        fields = dict(re.findall(r"^(Source|Version): (.+)$", description.read_text("utf-8"), re.M))
        return fields["Source"], fields["Version"]
    name, version = archive.name.split("_")[:2]
    return name, re.split(r"\.orig|\.tar|\.deb", version)[0].replace("%3a", ":")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "archives", type=Path, help="folder with the folders npm, pypi, deb and src"
    )
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        help="folder whose code may not occur in the pairs",
    )
    parser.add_argument(
        "--against-pairs",
        type=Path,
        help="folder of wheels whose docstrings and functions may not occur",
    )
    parser.add_argument(
        "--per-package",
        type=int,
        default=2500,
        help="most documented pairs of one package and language",
    )
    parser.add_argument("--per-python-package", type=int, default=4000)
    parser.add_argument(
        "--per-language",
        type=int,
        default=45000,
        help="most pairs of one language other than Python",
    )
    parser.add_argument("--python-pairs", type=int, default=110_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--audit", type=Path, required=True)
    return parser


def main() -> None:
    args = _parser().parse_args()
    forbidden = forbidden_texts(args.against_pairs) if args.against_pairs else set()
    benchmark_lines, copies = lines_of_folders(args.against), 0
    jobs = [
        Job(
            name,
            path,
            args.per_python_package if path.suffix == ".whl" else args.per_package,
            args.seed,
        )
        for name, path in archives_in(args.archives).items()
        if name not in EXCLUDED and "bench" not in path.parts
    ]
    by_language: dict[str, list[Pair]] = {}
    digests: set[str] = set()
    audited: list[tuple[str, Path, Audit, int]] = []
    paths = {job.package: job.path for job in jobs}
    with Pool(args.workers, maxtasksperchild=20) as pool:
        for package, pairs, audit, error in pool.imap_unordered(mine_package, jobs):
            print(
                package,
                error or dict(Counter(p.language for p in pairs)),
                f"refused {audit.refused}",
                flush=True,
            )
            count = 0
            for pair in pairs:
                key = digest(pair.code)
                if (
                    is_copy(pair.code, benchmark_lines)
                    or key in forbidden
                    or (pair.kind == "doc" and digest(pair.query) in forbidden)
                ):
                    copies += 1
                elif key not in digests:
                    digests.add(key)
                    count += 1
                    by_language.setdefault(pair.language, []).append(pair)
            audited.append((package, paths[package], audit, count))
    print(f"dropped as copies of a benchmark: {copies}")
    rng = random.Random(args.seed)
    with args.out.open("w", encoding="utf-8") as lines:
        for language, pairs in sorted(by_language.items()):
            pairs.sort()
            rng.shuffle(pairs)
            pairs = pairs[: args.python_pairs if language == "python" else args.per_language]
            print(
                f"{language}: {len(pairs)} {dict(Counter(p.kind for p in pairs))} "
                f"packages {len({p.package for p in pairs})}"
            )
            lines.writelines(json.dumps(p) + "\n" for p in pairs)
    write_audit(args.audit, audited)


def forbidden_texts(folder: Path) -> set[str]:
    """Return digests of docstring sentences and functions in wheels."""
    digests: set[str] = set()
    for wheel in folder.glob("*.whl"):
        files, _ = source_files(wheel, set(), python=True)
        for file in files:
            for kind, query, _, code in python_pairs(file.path, file.text):
                digests.update((digest(query), digest(code)) if kind == "doc" else (digest(code),))
    return digests


if __name__ == "__main__":
    main()
