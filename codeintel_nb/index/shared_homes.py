"""Shared homes of a workspace: folders of this machine, and mirrors of buckets."""

from __future__ import annotations

from ..settings import Settings
from .store import SharedHome


def shared_homes(settings: Settings, follow: bool = False) -> tuple[SharedHome, ...]:
    """Return the shared homes of the settings, folders first; the own home is left out.

    With ``follow``, mirrors look at their buckets regularly.

    Raises
    ------
    CodeIntelError : the address of a bucket is wrong.
    """
    homes = [SharedHome(home, str(home)) for home in settings.shared_homes]
    if settings.buckets:
        from .buckets.mirror import Mirror  # needs an extra

        homes += [
            Mirror(url, settings.home, settings.mirror_bytes, follow) for url in settings.buckets
        ]
    return tuple(one for one in homes if one.home != settings.home)
