"""Lifetime of kernel scopes."""

import os
import signal
import threading
from contextlib import suppress

import psutil
import pytest

from tests.conftest import FILES, write_tree
from tests.live import CULLING, children_of
from tests.waiting import until

PYTHON = {"languages": ["python"]}


def scope_of(server, kernel_id):
    """Return the session's scope as the server's owner sees it, or None."""
    return {
        state["session_id"]: state["scope"]
        for state in server.ask("GET", "sessions").json["sessions"]
    }.get(kernel_id)


def pid_of(notebook):
    return int(notebook.run("import os; print(os.getpid())"))


def test_concurrent_notebooks_keep_separate_scopes(server, open_notebook):
    python, script = open_notebook("python.ipynb"), open_notebook("script.ipynb")
    python.run("%load_ext codeintel_nb\n%scope set --lang python")
    script.run("%load_ext codeintel_nb\n%scope set --lang javascript")
    calls = 50  # two searches each, in two notebooks: 200 interleaved calls
    cell = (
        "import json\n"
        "shell, seen = get_ipython(), []\n"
        f"for _ in range({calls}):\n"
        "    seen += [h.language for h in shell.run_line_magic('textsearch', 'cart')]\n"
        "    seen += [h.language for h in shell.run_line_magic('semsearch', 'lines of the cart')]\n"
        "print(json.dumps([len(seen), sorted(set(seen))]))"
    )
    said = {}
    threads = [
        threading.Thread(target=lambda n=notebook: said.__setitem__(n.kernel_id, n.run(cell)))
        for notebook in (python, script)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert '["python"]' in said[python.kernel_id]
    assert '["javascript"]' in said[script.kernel_id]
    assert all(int(text.split("[")[1].split(",")[0]) >= 2 * calls for text in said.values())


def test_a_restart_keeps_the_scope(server, open_notebook):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    before = pid_of(notebook)
    assert server.ask("POST", f"kernels/{notebook.kernel_id}/restart", {}, api=True).status == 200
    notebook.connect()
    assert pid_of(notebook) != before
    assert "python" in notebook.run("%load_ext codeintel_nb\n%scope")


@pytest.mark.slow
def test_autorestarted_kernel_keeps_its_scope(server, open_notebook):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    before = pid_of(notebook)
    os.kill(before, signal.SIGKILL)
    until(
        lambda: (
            not psutil.pid_exists(before) or psutil.Process(before).status() == psutil.STATUS_ZOMBIE
        )
    )
    notebook.client.stop_channels()
    notebook.connect()
    assert "python" in notebook.run("%load_ext codeintel_nb\n%scope")


def test_shutdown_removes_the_scope(server, open_notebook):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    assert scope_of(server, notebook.kernel_id)["languages"] == ["python"]
    server.ask("DELETE", f"kernels/{notebook.kernel_id}", api=True)
    assert scope_of(server, notebook.kernel_id) is None


@pytest.mark.slow
def test_scope_of_a_repeatedly_killed_kernel_is_pruned(server, open_notebook):
    notebook = open_notebook("doomed.ipynb")
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")

    def kill():
        for process in children_of(server.process.pid, notebook.kernel_id, recursive=True):
            with suppress(psutil.Error):
                process.kill()
        return notebook.kernel_id not in {
            kernel["id"] for kernel in server.ask("GET", "kernels", api=True).json
        }

    until(kill)
    until(lambda: scope_of(server, notebook.kernel_id) is None)
    assert "shutdown" not in server.log.read_text().split(notebook.kernel_id)[-1]


def test_renaming_a_notebook_changes_only_its_path(server, open_notebook):
    notebook = open_notebook("before.ipynb")
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    server.ask("PATCH", f"sessions/{notebook.session_id}", {"path": "after.ipynb"}, api=True)
    assert "python" in notebook.run("%scope")
    (state,) = [
        s
        for s in server.ask("GET", "sessions").json["sessions"]
        if s["session_id"] == notebook.kernel_id
    ]
    assert state == {
        "session_id": notebook.kernel_id,
        "scope": scope_of(server, notebook.kernel_id),
        "kernel_name": "python3",
        "paths": ["after.ipynb"],
    }


def test_console_on_a_notebooks_kernel_shares_its_scope(server, open_notebook):
    notebook = open_notebook("with-console.ipynb")
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    console = {
        "path": "console-1",
        "type": "console",
        "name": "Console 1",
        "kernel": {"id": notebook.kernel_id},
    }
    assert server.ask("POST", "sessions", console, api=True).status == 201
    (state,) = [
        s
        for s in server.ask("GET", "sessions").json["sessions"]
        if s["session_id"] == notebook.kernel_id
    ]
    assert sorted(state["paths"]) == ["console-1", "with-console.ipynb"]


def test_new_kernel_is_offered_the_previous_kernels_scope(server, open_notebook):
    notebook = open_notebook("changed.ipynb")
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    before = notebook.kernel_id
    changed = server.ask(
        "PATCH",
        f"sessions/{notebook.session_id}",
        {"kernel": {"name": "python3", "id": None}},
        api=True,
    )
    notebook.kernel_id = changed.json["kernel"]["id"]
    assert notebook.kernel_id != before
    until(lambda: scope_of(server, before) is None)
    notebook.client.stop_channels()
    notebook.connect()
    shown = notebook.run("%load_ext codeintel_nb\n%scope")
    assert "no scope was set" in shown, "a new kernel has no scope until it restores one"
    assert "--lang python (to restore it: %scope restore)" in shown
    assert "languages     python" in notebook.run("%scope restore")
    assert "There is nothing to restore" in notebook.run("%scope restore")


@pytest.mark.slow
def test_idle_kernel_keeps_scope_until_culled_and_script_scope_expires(make_server, open_notebook):
    hasty = make_server(
        "--CodeIntelApp.session_max_age_s=0.5",
        "--CodeIntelApp.prune_interval_s=1",
        "--MappingKernelManager.cull_idle_timeout=4",
        *CULLING,
    )
    write_tree(hasty.root / "shop", dict(FILES))
    hasty.index(hasty.root / "shop", "shop")
    notebook = open_notebook(on=hasty)
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    script = {"X-Session-ID": "nightly.script"}
    assert hasty.ask("PUT", "sessions/nightly.script/scope", PYTHON).status == 200
    until(lambda: scope_of(hasty, "nightly.script") is None)
    assert scope_of(hasty, notebook.kernel_id)["languages"] == ["python"], (
        "a script's scope would have expired by now"
    )
    answer = hasty.ask("POST", "paths", {}, script)
    assert answer.json["scope_expired"], "the script is notified that its scope expired"
    assert answer.headers["x-session-id"] == "nightly.script"
    assert not hasty.ask("POST", "paths", {}, script).json["scope_expired"]
    notebook.client.stop_channels()
    until(lambda: scope_of(hasty, notebook.kernel_id) is None)
    assert notebook.kernel_id not in {
        kernel["id"] for kernel in hasty.ask("GET", "kernels", api=True).json
    }


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_unknown_repository_leaves_the_scope_unchanged(server, open_notebook, method):
    notebook = open_notebook()
    notebook.run("%load_ext codeintel_nb\n%scope set --lang python")
    answer = server.ask(method, f"sessions/{notebook.kernel_id}/scope", {"repos": ["shp"]})
    assert answer.status == 400
    assert "Did you mean 'shop'" in answer.json["detail"]
    assert scope_of(server, notebook.kernel_id)["languages"] == ["python"]
