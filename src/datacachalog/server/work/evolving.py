"""Which changes of a table's schema its policy allows. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacachalog.server.work.inspecting import Field


class SchemaPolicy(StrEnum):
    """What a new snapshot may change: anything; only add nullable columns; nothing."""

    NONE = "none"
    ADDITIVE = "additive"
    STRICT = "strict"


def differences(
    before: Sequence[Field], after: Sequence[Field], policy: SchemaPolicy
) -> tuple[str, ...]:
    """What `policy` does not allow of a change, in words; nothing where all of it is allowed.

    >>> old = [{"name": "id", "type": "int64", "nullable": True}]
    >>> differences(old, [], SchemaPolicy.ADDITIVE)
    ("column 'id' is missing",)
    """
    if policy is SchemaPolicy.NONE:
        return ()
    old = {one["name"]: one for one in before}
    new = {one["name"]: one for one in after}
    found = [f"column {name!r} is missing" for name in old if name not in new]
    for name in [name for name in old if name in new]:
        was, now = old[name]["type"], new[name]["type"]
        if was != now:
            found.append(f"column {name!r} was {was} and is {now}")
        elif not old[name]["nullable"] and new[name]["nullable"]:
            found.append(f"column {name!r} had no nulls and may have some")
    for name in [name for name in new if name not in old]:
        if policy is SchemaPolicy.STRICT:
            found.append(f"column {name!r} is new")
        elif not new[name]["nullable"]:
            found.append(f"column {name!r} is new, and may not be null")
    return tuple(found)
