"""CPU time of one ``codeintel grep``: by itself, and answered by ``codeintel watch``.

Peers: ripgrep, csearch, and the import of NumPy.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from codeintel_nb.exchange import read_address
from codeintel_nb.search.text.rg_process import rg_path
from tests.benchmarks.conftest import Corpus, show

pytestmark = pytest.mark.benchmark

ROUNDS = 9
PATTERN = "deprecated"


@pytest.fixture(scope="module")
def watching(corpus: Corpus) -> Iterator[Path]:
    """Run ``codeintel watch`` on the corpus; yield the home."""
    home = corpus.workspace.settings.home
    process = subprocess.Popen(
        _command(home, "watch"),
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_environment(home)},
    )
    try:
        while read_address(str(home)) is None:
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2)  # it first compares the folder
        yield home
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _command(home: Path, name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "codeintel_nb.cli", name, "--home", str(home), *words]


def _environment(home: Path) -> dict[str, str]:
    """Return variables that must be the same for a command to be answered by the watcher."""
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}


def _cpu_ms(command: Sequence[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=False, env={**os.environ, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def test_command_beside_its_peers(corpus: Corpus, watching: Path, tmp_path: Path) -> None:
    index = {
        **_environment(watching),
        "CSEARCHINDEX": str(tmp_path / "csearchindex"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    grep = _command(watching, "grep", PATTERN)
    commands = {
        "codeintel grep, asked": (grep, {}),
        "codeintel grep, by itself": (grep, {"CODEINTEL_LOCAL": "1"}),
        "rg": ([rg_path(), "--no-config", PATTERN, str(corpus.root)], {}),
        "import numpy": ([sys.executable, "-c", "import numpy"], {}),
    }
    if shutil.which("cindex"):
        subprocess.run(["cindex", str(corpus.root)], env={**os.environ, **index}, check=False,
                       capture_output=True)  # fmt: skip
        commands["csearch"] = (["csearch", "-n", PATTERN], {})
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, (command, environment) in commands.items():
            times[name].append(_cpu_ms(command, {**index, **environment}))
    medians = {name: statistics.median(values) for name, values in times.items()}
    files = corpus.report.files
    show(
        f"one command on {files:,} files, CPU ms of {ROUNDS} rounds",
        ("", "median", "least", "most"),
        [(name, medians[name], min(values), max(values)) for name, values in times.items()],
    )
    assert medians["codeintel grep, asked"] < medians["codeintel grep, by itself"]
    assert medians["codeintel grep, asked"] < 2 * medians["import numpy"]
