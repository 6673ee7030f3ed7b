"""Authorizer of a test server: anyone may read codeintel, nobody may change it."""

from jupyter_server.auth import Authorizer


class ReadOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "codeintel" or action == "read"
