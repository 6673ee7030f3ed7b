"""Check of the shared homes: what they offer this user, and why one cannot be read."""

from __future__ import annotations

from contextlib import suppress

from ..errors import CodeIntelError
from ..index.shared_homes import shared_homes
from ..index.store import Store, StoredRepository
from ..operations.answers import Finding
from ..settings import Settings


def shared_findings(settings: Settings) -> list[Finding]:
    """Return the repositories of each shared home, or why it cannot be read."""
    findings = list[Finding]()
    try:
        store = Store(settings.home, shared_homes(settings))
    except CodeIntelError as error:
        return [Finding("error", ", ".join(settings.buckets), str(error))]
    for one in store.shared:
        one.prepare()
    stored = list[StoredRepository]()
    with suppress(CodeIntelError):  # no home can be read: the store has the reasons
        stored = store.repositories()
    problems = store.shared_problems()
    findings += [Finding("error", name, problem) for name, problem in problems.items()]
    for home in store.shared:
        names = ", ".join(one.repository.name for one in stored if one.shared == home.name)
        if names or home.name not in problems:
            text = f"shared: {names or 'no repository you may read'}"
            findings.append(Finding("ok", home.name, text))
    return findings
