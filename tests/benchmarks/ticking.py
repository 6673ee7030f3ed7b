"""Server extension for benchmarks: longest block of the event loop, by a task ticking at 2 ms."""

from __future__ import annotations

import asyncio
import time

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

TICK_S = 0.002


class Ticking:
    longest_s = 0.0

    async def run(self):
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last - TICK_S)
            last = now


class TickingHandler(APIHandler):
    @web.authenticated
    async def get(self):
        """Answer with the longest block since the last request, in milliseconds."""
        ticking = self.settings["ticking"]
        self.finish({"longest_ms": ticking.longest_s * 1000})
        ticking.longest_s = 0.0


def _jupyter_server_extension_points():
    return [{"module": "tests.benchmarks.ticking"}]


def _load_jupyter_server_extension(app):
    app.web_app.settings["ticking"] = Ticking()
    app.web_app.add_handlers(
        ".*$", [(url_path_join(app.web_app.settings["base_url"], "ticking"), TickingHandler)]
    )


async def _start_jupyter_server_extension(app):
    app.ticking_task = asyncio.create_task(app.web_app.settings["ticking"].run())
