"""Unindexed files: likely to hold secrets, by name or content."""

from __future__ import annotations

import fnmatch
import re

SECRETS = (
    ".env", ".env.*", "*.pem", "*.key", "*.pfx", "*.p12", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".htpasswd",
    ".pypirc", ".npmrc", ".git-credentials", ".dockercfg", "credentials.json",
    "client_secret*.json", "service-account*.json", "service_account*.json", "secrets.y*ml",
    "secrets.json", "secrets.toml", "*.tfstate", "jpserver-*.json", "nbserver-*.json",
    "kernel-????????-????-????-????-????????????.json", "jupyter_cookie_secret",
)  # fmt: skip
NO_SECRETS = re.compile(r"\.env\.(example|sample|template|dist|defaults?)$|\.pub$|\.py$")
SECRET_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".kube", ".azure", ".gcloud"})
_SECRET = re.compile("|".join(fnmatch.translate(glob) for glob in SECRETS))
PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]*PRIVATE KEY")


def is_secret_name(name: str) -> bool:
    """Whether a file's name, in any case, suggests it holds keys or passwords."""
    name = name.lower()
    return _SECRET.match(name) is not None and NO_SECRETS.search(name) is None
