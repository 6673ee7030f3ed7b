"""Fifteen minutes of one server: searching clients, changing files, starting and ending kernels."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from codeintel_nb.diagnostics.doctor import diagnose
from codeintel_nb.search.text.rg_process import rg_path
from codeintel_nb.settings import Settings
from tests.jupyter_ext.test_jobs import many_files
from tests.live import Notebook, Server

pytestmark = pytest.mark.full
MINUTES = float(os.environ.get("CODEINTEL_SOAK_MINUTES", "15"))
CLIENTS = 8
GROWTH = 1.05  # of private memory, from the second third to the last


class Soak:
    """Load on a server, with its errors and resource samples."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.over = threading.Event()
        self.errors: list[str] = []
        self.done: Counter[str] = Counter()
        self.samples: list[dict[str, float]] = []

    def loop(self, name, work, pause_s):
        def run():
            chosen = random.Random(name)
            while not self.over.wait(pause_s * chosen.random()):
                try:
                    work(chosen)
                    self.done[name.split()[0]] += 1
                except Exception as error:  # any error fails the test
                    self.errors.append(f"{name}: {type(error).__name__}: {error}")

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def search(self, chosen):
        place, body = chosen.choice(
            [
                ("search/text", {"pattern": f"function_{chosen.randrange(300)}_", "limit": 50}),
                ("search/text", {"pattern": r"return \w+ \* 7\b", "regex": True}),
                ("search/text", {"pattern": "e", "limit": 10}),
                ("search/semantic", {"query": "compute the value number seven", "limit": 20}),
                ("search/symbols", {"name": "function_7_*"}),
                ("paths", {"limit": 100}),
                ("facets", {}),
                ("sql", {"statement": "select kind, count(*) from symbols group by all"}),
            ]
        )
        answer = self.server.ask(
            "POST",
            place,
            body,
            {"X-Session-ID": f"client-{threading.current_thread().name.split()[-1]}"},
        )
        assert answer.status == 200, answer.body[:300]

    def scope(self, chosen):
        session = f"client-{threading.current_thread().name.split()[-1]}"
        language = chosen.choice(["python", "javascript"])
        assert (
            self.server.ask("PUT", f"sessions/{session}/scope", {"languages": [language]}).status
            == 200
        )
        assert self.server.ask("GET", f"sessions/{session}/scope").json["scope"] == {
            "languages": [language]
        }
        assert self.server.ask("DELETE", f"sessions/{session}/scope").status == 200

    def change(self, chosen):
        folder = self.server.root / "work" / f"package{chosen.randrange(6)}"
        path = folder / f"changed{chosen.randrange(20)}.py"
        if chosen.random() < 0.2:
            path.unlink(missing_ok=True)
        else:
            path.write_text(
                f"def changed_{chosen.randrange(1000)}():\n    return 1\n" * chosen.randrange(1, 40)
            )

    def kernel(self, chosen):
        notebook = Notebook(self.server, f"n{next(self._numbers)}.ipynb")
        try:
            shown = notebook.run(
                "%load_ext codeintel_nb\n"
                "%textsearch --repo work --limit 1 function_1_1_ -- \n"
                "%scope set --repo work --lang python\n"
                "%scope"
            )
            assert "python" in shown, shown
        finally:
            notebook.close()

    _numbers = itertools.count()

    def sample(self):
        process = psutil.Process(self.server.process.pid)
        watches = 0
        for link in Path(f"/proc/{process.pid}/fdinfo").iterdir():
            with suppress(OSError):
                watches += link.read_text().count("inotify wd:")
        home = Path(self.server.environment["TMPDIR"])
        self.samples.append(
            {
                "memory": process.memory_full_info().uss,
                "descriptors": process.num_fds(),
                "threads": process.num_threads(),
                "watches": watches,
                "temporary": len(list(home.iterdir())),
            }
        )


def third(samples, name, part):
    """Return the median of one third of the samples."""
    size = len(samples) // 3
    values = sorted(sample[name] for sample in samples[part * size : (part + 1) * size])
    return values[len(values) // 2]


def test_nothing_grows_and_nothing_fails(tmp_path):
    (tmp_path / "tmp").mkdir()
    server = Server(
        tmp_path / "server",
        "--CodeIntelApp.watch=True",
        environment={"TMPDIR": str(tmp_path / "tmp")},
    )
    soak = Soak(server)
    try:
        many_files(server.root / "work", 300)
        server.index(server.root / "work", "work")
        threads = [soak.loop(f"search {number}", soak.search, 0.5) for number in range(CLIENTS)]
        threads += [soak.loop(f"scope {number}", soak.scope, 4) for number in range(2)]
        threads += [soak.loop("change 0", soak.change, 0.4), soak.loop("kernel 0", soak.kernel, 10)]
        ends_at = time.monotonic() + 60 * MINUTES
        while time.monotonic() < ends_at:
            soak.over.wait(10)
            soak.sample()
        soak.over.set()
        for thread in threads:
            thread.join(120)
        print(dict(soak.done), soak.samples[0], soak.samples[-1], sep="\n")
        assert soak.errors == []
        for name in ("descriptors", "threads", "watches", "temporary"):
            assert third(soak.samples, name, 2) <= third(soak.samples, name, 1) + 8, (
                name,
                soak.samples,
            )
        assert third(soak.samples, "memory", 2) <= GROWTH * third(soak.samples, "memory", 1), [
            sample["memory"] for sample in soak.samples
        ]
        log = server.log.read_text()
        assert "Traceback" not in log, log[-3000:]
        assert [
            finding
            for finding in diagnose(Settings.from_environment(server.home), repair=False)
            if finding.level == "error"
        ] == []
        found = server.ask("POST", "search/text", {"pattern": "changed_", "limit": 0}).json[
            "results"
        ]
        expected = subprocess.run(
            [
                rg_path(),
                "--no-config",
                "--no-filename",
                "--no-line-number",
                "changed_",
                str(server.root / "work"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found["total"] == len(expected.stdout.splitlines())
    finally:
        soak.over.set()
        server.stop()
