"""Process that answers an engine's searches, on shards that it opens itself.

It ends when its input closes, so it does not outlive its parent.
"""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from typing import Any

from ..embedding.embedders import Embedders
from ..errors import CodeIntelError
from ..index.shard.cache import Shards
from ..search.code_map.maps import CodeMaps
from .frames import READY, End, Search, Start, read_frame, write_frame
from .local import LocalEngine
from .memory import keep_freed_memory


def main() -> None:
    """Answer the searches given on stdin."""
    keep_freed_memory()
    source, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write among the answers
    start: Start = read_frame(source)
    shards, embedders = Shards(Path(start.root)), Embedders(start.settings.home)
    maps = CodeMaps(shards.root.parent / "map")
    engine = LocalEngine(shards, maps, embedders, start.settings)
    searches: queue.SimpleQueue[Search] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                frame = read_frame(source)
                if isinstance(frame, End):
                    engine.end(frame.call)
                else:
                    searches.put(frame)
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    write_frame(answers, READY)
    while True:
        search = searches.get()
        is_new = not all(target.shard in shards for target in search.targets)
        try:
            answer: Any = engine.search(search.query, search.targets, search.limit)
            answer = answer._replace(hits=list(answer.hits))
        except (CodeIntelError, FileNotFoundError) as error:
            answer = error
        except Exception as error:
            answer = CodeIntelError(f"{type(error).__name__}: {error}")
        write_frame(answers, answer)
        if is_new:
            shards.keep_existing()


if __name__ == "__main__":
    main()
