"""Search scopes, and the sessions they belong to."""
