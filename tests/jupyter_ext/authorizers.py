"""An Authorizer for a server of the tests: everybody may look at codeintel, nobody may change it."""

from jupyter_server.auth import Authorizer


class ReadOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "codeintel" or action == "read"
