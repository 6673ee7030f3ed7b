"""moto's server of S3's protocol."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

from tests.full.programs import free_port


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
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(self.url, timeout=5).close()
                break
            time.sleep(0.05)
        request = urllib.request.Request(f"{self.url}/code", method="PUT")
        urllib.request.urlopen(request, timeout=5).close()

    def hang(self):
        self._process.send_signal(signal.SIGSTOP)

    def stop(self):
        self._process.kill()
        self._process.wait()
