"""Ctrl-C at random moments in a real kernel: one line of output, and a usable kernel."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.conftest import write_tree
from tests.jupyter_ext.test_jobs import many_files
from tests.live import children_of
from tests.waiting import until

LINES = (
    r"%textsearch --regex --limit 5000 \w+\s*=\s*\w+",
    "%textsearch --limit 100000 e",
    "%textsearch -w --rank return",
    "%semsearch --limit 50 compute the value",
    "%symbol function*",
    "%paths --lang python",
    "%codesql select count(*) from symbols a, symbols b, symbols c"
    " where a.name < b.name and b.name < c.name",
    "%scope set --lang python",
    "%scope clear",
    "%codeindex status",
    "%codeindex add work --name work --rebuild",
    "%codeindex refresh work",
    "%codemap",
    "%codemap compute the value",
)


def interrupted(notebook, interrupt, is_idle, count, begun, seed=7):
    """Interrupt random lines at random moments and return the outcomes.

    Each line must finish, return partial results or print one line. A cell first creates the file
    ``begun``. ipykernel loses the reply to a cell interrupted just before or after it; the kernel
    is idle then, and answers the next cell.
    """
    chosen = random.Random(seed)
    outcomes = []
    for _ in range(count):
        line = chosen.choice(LINES)
        delay = chosen.random() ** 2 * (
            3.0 if any(word in line for word in ("rebuild", "codesql", "codemap")) else 1.0
        )
        presses, ended = [], threading.Event()

        def press(delay=delay, presses=presses, ended=ended):
            while not begun.exists():
                time.sleep(0.001)
            time.sleep(delay)
            presses.append(interrupt())
            while not ended.wait(20) and not is_idle():
                presses.append(interrupt())

        pressing = threading.Thread(target=press)
        pressing.start()
        try:
            shown = notebook.run(f"__import__('pathlib').Path({str(begun)!r}).touch()\n{line}")
        except TimeoutError:
            assert is_idle(), (line, delay)
            shown = ""
        ended.set()
        pressing.join()
        begun.unlink()
        assert len(presses) == 1, (line, delay, shown)
        assert "Traceback" not in shown, (line, shown)
        ours = [
            part
            for part in shown.splitlines()
            if part.startswith(("UsageError:", "KeyboardInterrupt"))
        ]
        assert len(ours) <= 1, (line, shown)
        outcomes.append("stopped" if ours else "given")
        time.sleep(0.1)  # let an interrupt that arrived after the cell pass
        well = [notebook.run("6 * 7") for _ in range(3)]
        assert any("42" in answer for answer in well), (line, well)
        assert "function_1_1" in notebook.run("%textsearch --repo work --limit 1 function_1_1"), (
            line
        )
    return outcomes


def prepared(server, open_notebook, mode):
    many_files(server.root / "work", 300)
    notebook = open_notebook(on=server)
    if mode == "embedded":
        notebook.run("import os; os.environ.pop('CODEINTEL_SERVER_URL')")
        notebook.run(f"os.environ['CODEINTEL_HOME'] = {str(server.folder / 'own home')!r}")
    notebook.run("%load_ext codeintel_nb")
    assert "work: indexed 300 files" in notebook.run("%codeindex add work --name work")
    place = f"kernels/{notebook.kernel_id}"
    return (
        notebook,
        lambda: server.ask("POST", f"{place}/interrupt", {}, api=True),
        lambda: server.ask("GET", place, api=True).json["execution_state"] == "idle",
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["server", "embedded"])
def test_ctrl_c_leaves_the_kernel_usable(make_server, open_notebook, tmp_path, mode):
    notebook, interrupt, is_idle = prepared(make_server(), open_notebook, mode)
    interrupted(notebook, interrupt, is_idle, 10, tmp_path / "begun")


def index_children(server):
    """Return descendants of the server and its kernels that index or draw a map."""
    return children_of(server.process.pid, "codeintel_nb.index.", recursive=True)


@pytest.mark.full
@pytest.mark.parametrize("mode", ["server", "embedded"])
def test_ctrl_c_at_a_hundred_random_moments(make_server, open_notebook, tmp_path, mode):
    server = make_server()
    notebook, interrupt, is_idle = prepared(server, open_notebook, mode)
    outcomes = interrupted(notebook, interrupt, is_idle, 100, tmp_path / "begun", 11)
    assert outcomes.count("stopped") > 10, "most interrupts came too late to test anything"
    write_tree(server.root / "work", {"after.py": "after_all = 1\n"})
    assert "after_all" in notebook.run("%textsearch --repo work after_all")
    assert "work: " in notebook.run("%codeindex refresh work")
    home = server.home if mode == "server" else server.folder / "own home"
    assert [*home.glob("v8/repositories/*/shards/.building-*")] == [], (
        "an interrupted run leaves nothing behind"
    )
    until(lambda: not index_children(server))
