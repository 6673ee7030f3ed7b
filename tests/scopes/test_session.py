import asyncio
import threading

import pytest

from codeintel_nb.errors import CodeIntelError, SessionError
from codeintel_nb.scopes.session import (
    check_session_id,
    get_session_id,
    new_session_id,
    session_context,
)


def test_error_outside_a_session_names_the_middleware():
    with pytest.raises(SessionError, match="middleware") as error:
        get_session_id()
    assert isinstance(error.value, RuntimeError)
    assert isinstance(error.value, CodeIntelError)


def test_contexts_nest_and_restore():
    with session_context("outer"):
        with session_context("inner"):
            assert get_session_id() == "inner"
        assert get_session_id() == "outer"
    with pytest.raises(SessionError):
        get_session_id()


def test_tasks_and_threads_do_not_share_a_session():
    seen = {}

    async def run(name):
        with session_context(name):
            await asyncio.sleep(0)
            seen[name] = get_session_id()

    async def both():
        await asyncio.gather(run("a"), run("b"))

    asyncio.run(both())
    assert seen == {"a": "a", "b": "b"}
    with session_context("here"):
        failed = []
        thread = threading.Thread(
            target=lambda: failed.append(pytest.raises(SessionError, get_session_id))
        )
        thread.start()
        thread.join()
    assert failed


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "x" * 129, "é", "a\n"])
def test_session_id_has_at_most_128_plain_characters(bad):
    with pytest.raises(CodeIntelError):
        check_session_id(bad)
    assert check_session_id(new_session_id())
