"""Cancellation: an event calls back when it is set, at once or from a polling thread."""

from __future__ import annotations

import threading

import pytest

from codeintel_nb.search.cancel import Cancel, calling


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "codeintel-cancelling"]


@pytest.mark.parametrize("kind", [Cancel, threading.Event])
@pytest.mark.parametrize("set_before", [True, False])
def test_a_set_event_calls_back(kind, set_before):
    cancel, called = kind(), threading.Event()
    if set_before:
        cancel.set()
    with calling(cancel, called.set):
        cancel.set()
        assert called.wait(30)


@pytest.mark.parametrize("kind", [Cancel, threading.Event])
def test_no_call_after_the_block(kind):
    cancel, called = kind(), []
    with calling(cancel, lambda: called.append(1)):
        mine = watchers()
    for thread in mine:
        thread.join(30)
    cancel.set()
    assert called == []


def test_an_event_with_callbacks_needs_no_thread():
    before = len(watchers())
    with calling(Cancel(), lambda: None):
        assert len(watchers()) <= before
    with calling(threading.Event(), lambda: None):
        assert len(watchers()) > 0


def test_a_server_searches_without_a_polling_thread(shop):
    from codeintel_nb.server.caller import Caller

    assert isinstance(Caller("s1").cancel, Cancel)
    hits = shop.search_text("cart", cancel=Caller("s1").cancel)
    assert hits.total > 0
    assert not hits.truncated
    stopped = Cancel()
    stopped.set()
    assert shop.search_text("cart", cancel=stopped).truncated
