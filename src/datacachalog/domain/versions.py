"""Which version of an object was current at a given time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacachalog.domain.errors import VersionNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri


def version_at(uri: Uri, versions: Iterable[ObjectInfo], as_of: datetime) -> ObjectInfo:
    """The version that was current at `as_of`, by the store's clock.

    `versions` come newest first. Stores tell times to the second, so a version that was written
    in the second of `as_of` counts as already there.

    Raises:
        VersionNotFoundError: the object did not exist yet, or was deleted at that time.
    """
    when = as_of.isoformat()
    for version in versions:
        if version.last_modified is None or version.last_modified > as_of:
            continue
        if version.deleted:
            raise VersionNotFoundError(str(uri), f"as of {when}: it was deleted then")
        return version
    raise VersionNotFoundError(str(uri), f"as of {when}: it did not exist yet")
