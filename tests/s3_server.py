"""moto's server of S3's protocol."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

from tests.full.programs import free_port
from tests.waiting import until


class S3:
    """A server of S3's protocol, with one bucket."""

    def __init__(self, log):
        self.port, self._log = free_port(), log
        self.url = f"http://127.0.0.1:{self.port}"
        self.variables = {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }  # fmt: skip
        self.start()

    def start(self):
        command = [sys.executable, "-m", "moto.server", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        request = urllib.request.Request(f"{self.url}/code", method="PUT")

        def is_made():
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status == 200

        until(is_made)

    def hang(self):
        self._process.send_signal(signal.SIGSTOP)

    def stop(self):
        self._process.kill()
        self._process.wait()
