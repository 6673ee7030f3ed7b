"""Clients of one session: in this process, or of a server."""
