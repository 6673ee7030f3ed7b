"""Command line: codeintel COMMAND.

Exit codes are those of grep: 0 found, 1 none, 2 error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    if "numpy" not in sys.modules:
        # OpenBLAS threads only speed up matrix products; starting them takes longer than a command
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from .forward import forwarded
    from .guard import prepare_streams

    words = sys.argv[1:] if arguments is None else arguments
    was_open = prepare_streams()
    code = forwarded(words, was_open)
    if code is not None:
        return code
    from .parser import run

    return run(words, was_open)
