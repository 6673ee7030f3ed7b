"""jupyter-collaboration with the extension: health, scopes, and no index run for its own files."""

from __future__ import annotations

import json
import time

import pytest

from tests.conftest import FILES, write_tree
from tests.live import Notebook, running
from tests.waiting import until

pytestmark = pytest.mark.full


def test_collaboration_room_starts_no_index_run(tmp_path):
    options = (
        "--LabApp.extension_manager=readonly",
        "--CodeIntelApp.watch=True",
        "--YDocExtension.document_save_delay=0.2",
        "--YDocExtension.document_cleanup_delay=1",
    )
    with running(tmp_path / "lab", *options, program="jupyterlab") as server:
        write_tree(server.root / "shop", dict(FILES))
        server.index(server.root, "root")
        assert server.ask("GET", "health").json["status"] == "ok"
        cell = {
            "cell_type": "code",
            "metadata": {},
            "source": "x = 1",
            "outputs": [],
            "execution_count": None,
            "id": "a",
        }
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (server.root / "work.ipynb").write_text(json.dumps(notebook))
        room = server.ask(
            "PUT",
            "collaboration/session/work.ipynb",
            {"format": "json", "type": "notebook"},
            api=True,
        )
        assert room.status in (200, 201), room.body
        person = Notebook(server, "work.ipynb")
        assert "rust" in person.run("%load_ext codeintel_nb\n%scope set --lang rust")
        # ten files: the shop's nine and the notebook
        until(
            lambda: (
                (server.ask("GET", "repositories/root/job").json.get("report") or {}).get("files")
                == 10
            )
        )
        time.sleep(2)
        before = server.ask("GET", "repositories/root/job").json
        for number in range(10):  # as the store does at each keystroke
            (server.root / ".jupyter_ystore.db").write_text(str(number))
            (server.root / ".jupyter_ystore.db-journal").write_text(str(number))
            (server.root / ".jupyter_ystore.db-journal").unlink()
            time.sleep(0.3)
        time.sleep(2)
        assert server.ask("GET", "repositories/root/job").json == before
        assert "Traceback" not in server.log.read_text()
        person.close()
