"""MCP: operations for assistants, each under its session's scope.

The session is given by the ``X-Session-ID`` header, else by the argument ``session_id``. Otherwise
it is the transport's own, if it has one, or a new one, named in the answer. ``SessionMiddleware``
determines it.
"""
