"""One benchmark in each module: a function from a world to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from benchmarks.cases import (
    big_object,
    command,
    growth,
    imports,
    local_source,
    many_objects,
    metadata,
    push,
    registry,
    warm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.report import Table
    from benchmarks.world import World

Case: TypeAlias = "Callable[[World], list[Table]]"

CASES: dict[str, Case] = {
    "big-object": big_object.measure,
    "many-objects": many_objects.measure,
    "warm": warm.measure,
    "push": push.measure,
    "local-source": local_source.measure,
    "imports": imports.measure,
    "command": command.measure,
    "growth": growth.measure,
    "registry": registry.measure,
    "metadata": metadata.measure,
}
