"""MCP: the operations for assistants, each call under the scope of its session.

A session is named by the ``X-Session-ID`` header, else by the argument ``session_id``, else it is the transport's own where
it has one, else a new one, which the answer names. ``SessionMiddleware`` finds it out.
"""
