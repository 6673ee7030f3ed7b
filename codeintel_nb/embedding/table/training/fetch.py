"""Download of the source archives in SOURCES.tsv, into one folder per registry.

    python -m codeintel_nb.embedding.table.training.fetch SOURCES.tsv ARCHIVES

SOURCES.tsv names each archive by name and version. Needs pip, npm and a Debian ``apt-get`` with
``deb-src`` entries. A version missing from its registry is reported, not replaced.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMMANDS = {
    "npm": ["npm", "pack", "{name}@{version}"],
    "pypi": [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        ".",
        "{name}=={version}",
    ],
    "deb": ["apt-get", "download", "{name}={version}"],
    "src": ["apt-get", "source", "--download-only", "--only-source", "{name}={version}"],
}


def fetch(row: dict[str, str], archives: Path) -> str:
    """Fetch an archive; return the registry client's error, if any."""
    folder = archives / row["registry"]
    if row["registry"] == "src":
        folder /= row["name"]  # a source package is several files, kept together
    folder.mkdir(parents=True, exist_ok=True)
    command = [part.format(**row) for part in COMMANDS[row["registry"]]]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return (
        ""
        if result.returncode == 0
        else f"{row['registry']} {row['name']} {row['version']}: {result.stderr.strip()[-200:]}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path)
    parser.add_argument("archives", type=Path)
    args = parser.parse_args()
    with args.sources.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    with ThreadPoolExecutor(6) as pool:
        failures = [
            failure for failure in pool.map(lambda row: fetch(row, args.archives), rows) if failure
        ]
    print("\n".join(failures) or f"fetched {len(rows)} archives")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
